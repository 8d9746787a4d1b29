"""Signing refunds: two pairs of eyes, the amount that was asked for, nobody with a part in the case."""

from datetime import timedelta
from typing import Any

from tests.api.world import World, a_sale


async def waiting(world: World, paid: int = 90_000, receiver: str = "") -> dict[str, Any]:
    """The open approval of a return that was received, inspected and is worth `paid`."""
    case_id = await world.returned(a_sale(paid=paid))
    await world.post(
        "/receipts",
        {"case_id": case_id, "place": "wh-1", "items": [{"sku": "TEE", "quantity": 1}]},
        "warehouse",
        receiver,
    )
    await world.settle()
    seen = {"case_id": case_id, "place": "wh-1", "sku": "TEE", "grade": "A"}
    await world.post("/inspections", seen, "warehouse", receiver)
    await world.settle()
    found: list[dict[str, Any]] = (await world.get("/approvals")).json()["items"]
    assert len(found) == 1, found
    return found[0]


def signature(approval: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"amount_minor": approval["intent"]["amount_minor"], "currency": "EUR", "reason": "in order", **more}


async def test_a_refund_over_the_limit_waits_and_is_paid_when_signed(world: World) -> None:
    approval = await waiting(world)
    assert approval["intent"]["amount_minor"] == 90_000 and approval["intent"]["state"] == "proposed"
    intent = approval["intent"]["intent_id"]
    world.now += timedelta(minutes=1)
    answer = await world.post(f"/approvals/{intent}/grant", signature(approval), "finance")
    assert answer.status_code == 202, answer.text
    await world.settle()
    assert (await world.get("/approvals")).json()["items"] == []
    refunds = (await world.get("/refunds")).json()["items"]
    assert [(r["leg"]["amount_minor"], r["case_id"]) for r in refunds] == [(90_000, approval["case_id"])]
    again = await world.post(f"/approvals/{intent}/grant", signature(approval), "finance", "finance-2")
    assert again.status_code == 404


async def test_a_large_refund_needs_two_persons(world: World) -> None:
    approval = await waiting(world, 900_000)
    intent = approval["intent"]["intent_id"]
    world.now += timedelta(minutes=1)
    assert (await world.post(f"/approvals/{intent}/grant", signature(approval), "finance")).status_code == 202
    await world.settle()
    assert (await world.get("/approvals")).json()["items"][0]["intent"]["approvals"] == ["the-finance"]
    same = await world.post(f"/approvals/{intent}/grant", signature(approval), "finance")
    assert same.status_code == 403 and same.json()["type"] == "/problems#four-eyes"
    await world.key("finance", "second-phone", person="the-finance")
    linked = await world.post(f"/approvals/{intent}/grant", signature(approval), "finance", "second-phone")
    assert linked.status_code == 403  # another key, the same person
    world.now += timedelta(minutes=1)
    assert (await world.post(f"/approvals/{intent}/grant", signature(approval), "finance", "fin-2")).status_code == 202
    await world.settle()
    assert (await world.get("/approvals")).json()["items"] == []


async def test_who_received_the_goods_does_not_sign_their_refund(world: World) -> None:
    await world.key("warehouse", "wh-key", person="carol")
    await world.key("finance", "fin-key", person="carol")
    approval = await waiting(world, receiver="wh-key")
    answer = await world.post(
        f"/approvals/{approval['intent']['intent_id']}/grant", signature(approval), "finance", "fin-key"
    )
    assert answer.status_code == 403
    assert "carol" in answer.json()["detail"] and "goods" in answer.json()["detail"]


async def test_who_asked_for_the_return_does_not_sign_its_refund(world: World) -> None:
    await world.key("agent", "the-agent", person="dave")
    await world.key("finance", "fin-key", person="dave")
    approval = await waiting(world)
    path = f"/approvals/{approval['intent']['intent_id']}/grant"
    assert (await world.post(path, signature(approval), "finance", "fin-key")).status_code == 403


async def test_another_amount_or_currency_is_not_what_is_asked(world: World) -> None:
    approval = await waiting(world)
    path = f"/approvals/{approval['intent']['intent_id']}/grant"
    assert (await world.post(path, signature(approval, amount_minor=89_999), "finance")).status_code == 409
    assert (await world.post(path, signature(approval, currency="USD"), "finance")).status_code == 422
    assert (await world.post(path, signature(approval, amount_minor=-90_000), "finance")).status_code == 422
    assert (await world.post(path, signature(approval, amount_minor="90000"), "finance")).status_code == 422
    assert len((await world.get("/approvals")).json()["items"]) == 1


async def test_a_refusal_needs_a_reason_and_raises_an_exception(world: World) -> None:
    approval = await waiting(world)
    path = f"/approvals/{approval['intent']['intent_id']}/refuse"
    assert (await world.post(path, signature(approval, reason=""), "finance")).status_code == 422
    world.now += timedelta(minutes=1)
    assert (
        await world.post(path, signature(approval, reason="photo is of another item"), "finance")
    ).status_code == 202
    await world.settle()
    kinds = [e["kind"] for e in (await world.get("/exceptions")).json()["items"]]
    assert "approval_refused" in kinds and "approval_needed" not in kinds


async def test_legs_by_state(world: World) -> None:
    approval = await waiting(world, 2_001_00)
    assert approval
    case_id = approval["case_id"]
    assert (await world.get("/refunds", params={"state": "succeeded"})).json()["items"] == []
    assert (await world.get("/refunds", params={"case_id": case_id})).json()["items"] == []
    assert (await world.get("/refunds", params={"state": "dreamt"})).status_code == 422
