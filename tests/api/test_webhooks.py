"""The door for deliveries: good, repeated, forged, malformed, oversized, unknown, too many."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from counterflow.intake.pressure import Bounds
from tests.api.world import World, a_sale, a_world, sale_fact

GOOD = {"signature": "good", "content-type": "application/json"}


async def deliver(world: World, body: Any, key: str = "1", to: str = "shop", **headers: str) -> httpx2.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await world.client.post(f"/webhooks/{to}", content=content, headers={**GOOD, "id": key, **headers})


async def kept(world: World) -> int:
    async with world.pool.connection() as conn:
        row = await (await conn.execute("SELECT count(*) FROM deliveries")).fetchone()
        return int(row[0]) if row else 0


async def test_a_delivery_is_kept_once_and_a_repeat_gets_the_same_answer(world: World) -> None:
    first = await deliver(world, {"order": 7})
    again = await deliver(world, {"order": 7})
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json() and first.json()["status"] == "translated"
    assert await kept(world) == 1


async def test_a_forged_delivery_is_refused_and_counted(world: World) -> None:
    answer = await deliver(world, {"order": 7}, signature="bad")
    assert answer.status_code == 401 and answer.json()["type"] == "/problems#bad-signature"
    assert await kept(world) == 0
    async with world.pool.connection() as conn:
        assert await (await conn.execute("SELECT count FROM rejected_deliveries")).fetchone() == (1,)


async def test_two_signatures_are_no_signature(world: World) -> None:
    headers = [("signature", "good"), ("signature", "good"), ("id", "1")]
    answer = await world.client.post("/webhooks/shop", content=b"{}", headers=headers)
    assert answer.status_code == 401


async def test_a_malformed_delivery_is_kept_for_a_person(world: World) -> None:
    answer = await deliver(world, b"<html>not json")
    assert answer.status_code == 202 and answer.json()["status"] == "malformed"
    open_ = (await world.get("/exceptions", "admin")).json()["items"]
    assert [(e["kind"], e["actions"]) for e in open_] == [("malformed_delivery", ["retry", "resolve", "park"])]


async def test_a_delivery_is_translated_again_when_somebody_asks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await deliver(world, b"order 5001")
    [open_] = (await world.get("/exceptions", "admin")).json()["items"]
    url = f"/exceptions/{open_['exception_id']}"
    early = await world.post(f"{url}/retry", {"reason": "once more"}, "integration")
    assert early.status_code == 409 and "still cannot be read" in early.json()["detail"]
    shop = world.services.intake.connectors["shop"]
    monkeypatch.setattr(shop, "translate", lambda d: [sale_fact(a_sale(), d.received_at)])
    done = await world.post(f"{url}/retry", {"reason": "mended"}, "integration")
    assert done.status_code == 202 and done.json()["status"] == "resolved"
    await world.settle()
    async with world.pool.connection() as conn:
        assert await (await conn.execute("SELECT count(*) FROM sales")).fetchone() == (1,)


async def test_a_wrong_currency_goes_to_a_person_and_makes_no_fact(world: World) -> None:
    answer = await deliver(world, {"bank": 100, "currency": "EURO"})
    assert answer.json()["status"] == "malformed"
    async with world.pool.connection() as conn:
        assert await (await conn.execute("SELECT count(*) FROM inbox")).fetchone() == (0,)


async def test_an_unknown_topic_is_kept_and_ignored(world: World) -> None:
    answer = await deliver(world, {"weather": "fine"})
    assert answer.status_code == 202 and answer.json()["status"] == "ignored"
    assert not (await world.get("/exceptions", "admin")).json()["items"]


async def test_an_unknown_connection_is_404(world: World) -> None:
    assert (await deliver(world, {}, to="nobody")).status_code == 404


async def test_a_body_that_says_it_is_too_large_is_not_read(world: World) -> None:
    answer = await deliver(world, b"x" * 100_001)
    assert answer.status_code == 413 and await kept(world) == 0


async def test_a_body_that_grows_too_large_is_cut_off_while_it_streams(world: World) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 1
            yield b"x" * 1000

    answer = await world.client.post("/webhooks/shop", content=endless(), headers={**GOOD, "id": "1"})
    assert answer.status_code == 413 and answer.json()["type"] == "/problems#too-large"
    assert await kept(world) == 0


async def test_a_full_inbox_says_when_to_come_again_and_keeps_nothing(fresh_database: str) -> None:
    async with a_world(fresh_database, Bounds(inbox=1)) as world:
        assert (await deliver(world, {"order": 7})).status_code == 202
        await world.services.intake.pressure.refresh()
        answer = await deliver(world, {"order": 8}, key="2")
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5" and answer.json()["type"] == "/problems#busy"
        assert await kept(world) == 1
        ready = await world.client.get("/readyz")
        assert ready.status_code == 503
        refused = await world.post("/cases", {"sale_ref": "shop:order:7", "lines": [{"line_ref": "L1", "quantity": 1}]})
        assert refused.status_code == 503 and refused.headers["retry-after"]
        await world.settle()
        await world.services.intake.pressure.refresh()
        assert (await deliver(world, {"order": 8}, key="2")).status_code == 202
