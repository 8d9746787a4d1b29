"""Exceptions over HTTP: what settles them, who may, and parking."""

from datetime import timedelta
from typing import Any

from counterflow.core.ids import make_id
from counterflow.engine.parked import By, act_on_effect
from counterflow.store import connections, exceptions
from counterflow.store.exceptions import Raised
from tests.api.world import START, World, a_sale


async def raised(world: World, kind: str, subject: str, owner: str = "operations", case_id: str = "") -> str:
    exception_id = make_id("ex", kind, subject)
    due = START + timedelta(hours=8)
    one = Raised(exception_id, kind, "high", owner, subject, START, due, "look at it", case_id)
    async with world.pool.connection() as conn:
        await exceptions.put(conn, [one])
    return exception_id


async def under_review(world: World) -> tuple[str, dict[str, Any]]:
    """A case whose line waits for a person, and its exception."""
    from dataclasses import replace

    sale = replace(a_sale(), delivered_at=None)
    case_id = await world.returned(sale)
    found = [e for e in (await world.get("/exceptions")).json()["items"] if e["case_id"] == case_id]
    assert [e["kind"] for e in found] == ["authorisation_review"], found
    return case_id, found[0]


async def test_a_review_is_settled_by_an_action_that_means_a_decision(world: World) -> None:
    case_id, exception = await under_review(world)
    assert {"approve", "decline", "park"} <= set(exception["actions"])
    assert exception["playbook"].startswith("docs/operations/playbooks.md#")
    world.now += timedelta(minutes=1)
    path = f"/exceptions/{exception['exception_id']}/resolve"
    answer = await world.post(path, {"action": "decline", "reason": "never delivered"})
    assert answer.status_code == 202, answer.text
    await world.settle()
    assert (await world.get(f"/cases/{case_id}/lines")).json()["items"][0]["authorisation"] == "declined"
    shown = (await world.get(f"/exceptions/{exception['exception_id']}")).json()
    assert shown["status"] == "resolved" and "the-agent" in shown["resolution"]
    again = await world.post(path, {"action": "decline", "reason": "never delivered"})
    assert again.status_code == 409


async def test_an_action_that_does_not_settle_it_is_a_conflict(world: World) -> None:
    _, exception = await under_review(world)
    answer = await world.post(
        f"/exceptions/{exception['exception_id']}/resolve", {"action": "lost", "reason": "why not"}
    )
    assert answer.status_code == 409 and "approve" in answer.json()["detail"]


async def test_a_parked_effect_is_retried_or_discarded(world: World) -> None:
    case_id = await world.returned()
    async with world.pool.connection() as conn:
        row = await (
            await conn.execute("SELECT effect_id FROM effects WHERE owner = %s LIMIT 1", (case_id,))
        ).fetchone()
        assert row is not None
        effect_id = str(row[0])
        await act_on_effect(conn, effect_id, "park", By("ops", "maintenance"), world.now)
    exception_id = await raised(world, "effect_parked", effect_id)
    denied = await world.post(f"/exceptions/{exception_id}/retry", {"reason": "it is mended"}, "agent")
    assert denied.status_code == 403 and "integration" in denied.json()["detail"]
    answer = await world.post(f"/exceptions/{exception_id}/retry", {"reason": "it is mended"}, "integration")
    assert answer.status_code == 202 and answer.json()["status"] == "resolved"
    async with world.pool.connection() as conn:
        found = await conn.execute("SELECT status FROM effects WHERE effect_id = %s", (effect_id,))
        assert await found.fetchone() == ("planned",)


async def test_a_parked_fact_is_discarded_with_its_reason(world: World) -> None:
    async with world.pool.connection() as conn:
        await conn.execute(
            "INSERT INTO inbox (fact_id, shard, kind, status, fact, refs, seen_at) "
            "VALUES ('fc_1', 1, 'HoldPlaced', 'parked', '{}', '{}', now())"
        )
    exception_id = await raised(world, "fact_parked", "fc_1")
    answer = await world.post(f"/exceptions/{exception_id}/discard", {"reason": "a test of theirs"}, "integration")
    assert answer.status_code == 202 and "a test of theirs" in answer.json()["resolution"]
    async with world.pool.connection() as conn:
        assert await (await conn.execute("SELECT status FROM inbox WHERE fact_id = 'fc_1'")).fetchone() == ("done",)


async def test_what_is_gone_is_said(world: World) -> None:
    exception_id = await raised(world, "fact_parked", "fc_nowhere")
    answer = await world.post(f"/exceptions/{exception_id}/retry", {"reason": "it is mended"}, "integration")
    assert answer.status_code == 409 and "gone" in answer.json()["detail"]


async def test_a_connection_goes_on_when_its_credentials_are_mended(world: World) -> None:
    async with world.pool.connection() as conn:
        await conn.execute("UPDATE connections SET circuit = 'stopped', reason = '401' WHERE name = 'shop'")
    exception_id = await raised(world, "connection_auth", "shop")
    circuits = {c["name"]: c["circuit"] for c in (await world.get("/connections")).json()["items"]}
    assert circuits == {"shop": "stopped", "shop-2": "closed"}  # and not the one of production
    assert (
        await world.post(f"/exceptions/{exception_id}/retry", {"reason": "new key"}, "integration")
    ).status_code == 202
    circuits = {c["name"]: c["circuit"] for c in (await world.get("/connections")).json()["items"]}
    assert circuits["shop"] == "closed"


async def test_the_limit_of_a_connection_can_be_seen(world: World) -> None:
    async with world.pool.connection() as conn:
        for _ in range(3):
            await connections.spend(conn, "shop", 10.0, 10.0, 20.0, world.now)
    [shop] = [c for c in (await world.get("/connections")).json()["items"] if c["name"] == "shop"]
    assert (shop["concurrency"], shop["per_second"], shop["burst"]) == (4, 10.0, 20.0)
    spent = shop["tokens"]
    assert spent <= -10.0
    world.now += timedelta(seconds=2)
    [shop] = [c for c in (await world.get("/connections")).json()["items"] if c["name"] == "shop"]
    assert shop["tokens"] == spent + 20.0


async def test_parking_hides_it_until_then(world: World) -> None:
    exception_id = await raised(world, "drift", "shop")
    body = {"until": "2026-11-05T09:00:00Z", "reason": "they promised a fix"}
    assert (await world.post(f"/exceptions/{exception_id}/park", body, "integration")).status_code == 202
    assert (await world.get("/exceptions")).json()["items"] == []
    assert len((await world.get("/exceptions", params={"parked": True})).json()["items"]) == 1
    world.now += timedelta(days=4)
    shown = (await world.get("/exceptions")).json()["items"]
    assert [e["status"] for e in shown] == ["open"] and "they promised a fix" in shown[0]["resolution"]
    past = await world.post(f"/exceptions/{exception_id}/park", body, "integration")
    assert past.status_code == 409


async def test_unknown_exceptions_are_404(world: World) -> None:
    nobody = "ex_" + "0" * 26
    assert (await world.get(f"/exceptions/{nobody}")).status_code == 404
    assert (await world.post(f"/exceptions/{nobody}/retry", {"reason": "why not"}, "integration")).status_code == 404
