"""Counting, inspecting and disposing of goods over HTTP."""

from datetime import timedelta
from typing import Any

import pytest

from tests.api.world import World


async def counted(world: World, **more: Any) -> Any:
    body = {"place": "wh-1", "items": [{"sku": "TEE", "quantity": 1}], **more}
    answer = await world.post("/receipts", body, "warehouse")
    await world.settle()
    return answer


async def test_a_receipt_and_an_inspection_move_the_goods(world: World) -> None:
    case_id = await world.returned()
    rma = (await world.get(f"/cases/{case_id}")).json()["rma_number"]
    answer = await counted(world, rma_number=rma)
    assert answer.status_code == 202 and answer.json()["case_id"] == case_id
    receipts = (await world.get(f"/cases/{case_id}/receipts", "warehouse")).json()["items"]
    assert [(r["place"], r["items"][0]["sku"], r["by"]) for r in receipts] == [("wh-1", "TEE", "console:the-warehouse")]
    seen = {"case_id": case_id, "place": "wh-1", "sku": "TEE", "grade": "A"}
    assert (await world.post("/inspections", seen, "warehouse")).status_code == 202
    await world.settle()
    inspections = (await world.get(f"/cases/{case_id}/inspections")).json()["items"]
    assert [(i["grade"], i["by"]) for i in inspections] == [("A", "the-warehouse")]
    units = (await world.get(f"/cases/{case_id}/dispositions")).json()["items"]
    assert units[0]["grade"] == "A" and units[0]["disposition"]


async def test_a_person_overrides_a_disposition_and_the_warehouse_carries_it_out(world: World) -> None:
    case_id = await world.returned()
    await counted(world, case_id=case_id)
    seen = {"case_id": case_id, "place": "wh-1", "sku": "TEE", "grade": "B"}
    await world.post("/inspections", seen, "warehouse")
    await world.settle()
    unit = (await world.get(f"/cases/{case_id}/dispositions")).json()["items"][0]["unit_id"]
    world.now += timedelta(minutes=5)
    choice = {"unit_ids": [unit], "disposition": "scrap", "reason": "smells of smoke"}
    assert (await world.post(f"/cases/{case_id}/dispositions", choice, "agent")).status_code == 202
    await world.settle()
    assert (await world.get(f"/cases/{case_id}/dispositions")).json()["items"][0]["disposition"] == "scrap"
    world.now += timedelta(minutes=5)
    done = {"case_id": case_id, "place": "wh-1", "sku": "TEE", "disposition": "recycle"}
    assert (await world.post("/dispositions", done, "warehouse")).status_code == 202
    await world.settle()
    unit = (await world.get(f"/cases/{case_id}/dispositions")).json()["items"][0]
    assert unit["disposition"] == "recycle" and "scrap was decided" in unit["because"]  # what was done is the truth


async def test_the_same_receipt_number_is_a_correction(world: World) -> None:
    case_id = await world.returned()
    await counted(world, case_id=case_id, receipt="R-1")
    await counted(world, case_id=case_id, receipt="R-1", items=[{"sku": "TEE", "quantity": 1, "lot": "L-7"}])
    refs = {r["receipt_ref"] for r in (await world.get(f"/cases/{case_id}/receipts")).json()["items"]}
    assert refs == {"console:the-warehouse:receipt:R-1"}


async def test_a_parcel_that_nobody_knows_is_taken_and_waits(world: World) -> None:
    answer = await counted(world, tracking="1Z-UNKNOWN")
    assert answer.status_code == 202
    async with world.pool.connection() as conn:
        found = await conn.execute("SELECT status, kind FROM inbox WHERE status = 'waiting'")
        assert await found.fetchall() == [("waiting", "ItemsReceived")]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/receipts", {"place": "moon", "items": [{"sku": "TEE", "quantity": 1}]}),
        ("/receipts", {"place": "wh-1", "items": []}),
        ("/receipts", {"place": "wh-1", "items": [{"sku": "TEE", "quantity": 0}]}),
        ("/receipts", {"place": "wh-1", "items": [{"sku": "TEE", "quantity": 1001}]}),
        ("/receipts", {"place": "wh-1", "items": [{"sku": "T\x07", "quantity": 1}]}),
        (
            "/receipts",
            {"place": "wh-1", "items": [{"sku": "TEE", "quantity": 1}], "occurred_at": "1066-10-14T09:00:00Z"},
        ),
        (
            "/receipts",
            {"place": "wh-1", "items": [{"sku": "TEE", "quantity": 1}], "occurred_at": "2026-10-14T09:00:00"},
        ),
        ("/inspections", {"place": "wh-1", "sku": "TEE", "grade": "Z"}),
        ("/inspections", {"place": "wh-1", "sku": "TEE", "grade": "A", "findings": ["haunted"]}),
        ("/dispositions", {"place": "wh-1", "sku": "TEE", "disposition": "eat"}),
    ],
)
async def test_absurd_acts_are_refused_whole(world: World, path: str, body: dict[str, Any]) -> None:
    answer = await world.post(path, body, "warehouse")
    assert answer.status_code == 422, answer.text
    async with world.pool.connection() as conn:
        assert await (await conn.execute("SELECT count(*) FROM inbox")).fetchone() == (0,)


async def test_a_scanner_ahead_of_time_counts_now(world: World) -> None:
    case_id = await world.returned()
    await counted(world, case_id=case_id, occurred_at="2099-01-01T00:00:00Z")
    found = (await world.get(f"/cases/{case_id}/receipts")).json()["items"][0]["occurred_at"]
    assert found.startswith("2026-11-02T09:00:0")


async def test_lines_are_decided_by_hand(world: World) -> None:
    case_id = await world.returned()
    body = {"decision": "decline", "reason": "it is not ours", "line_refs": ["L1"]}
    assert (await world.post(f"/cases/{case_id}/lines/authorisations", body)).status_code == 202
    await world.settle()
    line = (await world.get(f"/cases/{case_id}/lines")).json()["items"][0]
    assert line["authorisation"] == "declined" and "the-agent" in line["because"]
    strange = await world.post(f"/cases/{case_id}/lines/authorisations", {**body, "line_refs": ["L7"]})
    assert strange.status_code == 422
