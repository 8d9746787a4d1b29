"""The kit that simulators are built from: clock, documents, agenda, webhooks, faults, doors."""

import asyncio
import signal
import subprocess
import sys
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from counterflow.sdk.simulator import Chaos, Clock, World, together, with_sim


def a_world(path: Path | None = None, seed: int = 0) -> World:
    return World("shop", path, Clock(), seed)


def a_shop(world: World) -> Starlette:
    async def add(request: Request) -> Response:
        number = world.next_id("orders")
        world.put("orders", str(number), {"number": number, **await request.json()})
        return JSONResponse({"number": number}, 201)

    return with_sim(Starlette(routes=[Route("/orders", add, methods=["POST"])]), world)


def client_of(app: Any) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://shop.test")


class Receiver:
    """Takes webhooks and answers with the planned statuses, then 200."""

    def __init__(self, *statuses: int) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self._statuses = list(statuses)
        self.transport = httpx2.MockTransport(self._take)

    def _take(self, request: httpx2.Request) -> httpx2.Response:
        self.bodies.append(request.content)
        self.headers.append(dict(request.headers))
        return httpx2.Response(self._statuses.pop(0) if self._statuses else 200)


def test_clocks_that_share_a_file_jump_together_and_never_back(tmp_path: Path) -> None:
    one, other = Clock(tmp_path / "clock"), Clock(tmp_path / "clock")
    before = other.now()
    one.advance(3600)
    assert timedelta(hours=1) <= other.now() - before < timedelta(hours=1, minutes=1)
    other.advance(60)
    assert one.offset_seconds() == 3660
    with pytest.raises(ValueError, match="forward"):
        one.advance(-1)


def test_a_world_keeps_its_documents_in_order_of_creation(tmp_path: Path) -> None:
    world = a_world(tmp_path / "shop.db")
    for number in (3, 1, 2):
        world.put("orders", str(number), {"number": number})
    world.put("orders", "3", {"number": 3, "paid": True})
    first_draws = [world.rng.random() for _ in range(3)]
    assert world.next_id("orders") == 1
    world.close()

    again = a_world(tmp_path / "shop.db")
    assert [doc["number"] for doc in again.all("orders")] == [3, 1, 2]
    assert again.get("orders", "3") == {"number": 3, "paid": True}
    assert again.next_id("orders") == 2
    assert [again.rng.random() for _ in range(3)] != first_draws
    again.delete("orders", "3")
    assert again.get("orders", "3") is None


def test_the_same_seed_gives_the_same_world() -> None:
    assert a_world(seed=7).rng.random() == a_world(seed=7).rng.random() != a_world(seed=8).rng.random()


def test_a_transaction_that_fails_leaves_nothing_not_even_its_webhook() -> None:
    world = a_world()

    def half_an_order() -> None:
        with world.tx():
            world.put("orders", "1", {})
            world.emit("http://here.test/", {}, b"{}")
            with world.tx():
                raise RuntimeError

    with pytest.raises(RuntimeError):
        half_an_order()
    assert world.all("orders") == [] and world.next_due() is None


def test_a_world_that_is_killed_keeps_what_was_committed(tmp_path: Path) -> None:
    script = f"""
import os, pathlib, signal
from counterflow.sdk.simulator import Clock, World
world = World("shop", pathlib.Path({str(tmp_path / "shop.db")!r}), Clock())
with world.tx():
    world.put("orders", "1", {{"number": 1}})
    world.emit("http://here.test/", {{}}, b"1")
with world.tx():
    world.put("orders", "2", {{"number": 2}})
    world.emit("http://here.test/", {{}}, b"2")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -signal.SIGKILL
    world = a_world(tmp_path / "shop.db")
    assert world.all("orders") == [{"number": 1}]
    assert [payload["body"] for _, payload in world.planned("_deliver")] == ["1"]


def test_a_nested_transaction_can_fail_alone() -> None:
    world = a_world()

    def refused() -> None:
        with world.tx():
            world.put("orders", "2", {})
            raise ValueError

    with world.tx():
        world.put("orders", "1", {"number": 1})
        with pytest.raises(ValueError):
            refused()
    assert world.all("orders") == [{"number": 1}]


def test_a_jump_over_three_days_plays_each_day_at_its_own_hour() -> None:
    world = a_world()
    days: list[datetime] = []
    start = world.now()

    def day(payload: dict[str, Any]) -> None:
        days.append(world.now())
        world.at(world.now() + timedelta(days=1), "day", payload)

    world.on("day", day)
    world.at(start + timedelta(days=1), "day", {})
    assert world.fire() == 0
    world.clock.advance(3.5 * 86400)
    assert world.fire() == 3
    assert days == [start + timedelta(days=n) for n in (1, 2, 3)]
    assert world.next_due() == start + timedelta(days=4)


async def test_a_webhook_is_signed_when_it_is_sent_and_retried_by_the_schedule() -> None:
    world, receiver = a_world(), Receiver(500, 503)
    world.transport = receiver.transport
    world.signer = lambda headers, body, now: {**headers, "x-at": str(int(now.timestamp()))}
    world.emit("http://here.test/", {"x-id": "1"}, b"{}", retry_schedule=(60, 3600))
    assert await world.pump() == {"fired": 0, "delivered": 0, "failed": 1}
    assert await world.pump() == {"fired": 0, "delivered": 0, "failed": 0}
    world.clock.advance(61)
    assert (await world.pump())["failed"] == 1
    world.clock.advance(3601)
    assert (await world.pump())["delivered"] == 1
    sent = [int(headers["x-at"]) for headers in receiver.headers]
    assert {headers["x-id"] for headers in receiver.headers} == {"1"}
    assert sent[1] - sent[0] >= 60 and sent[2] - sent[1] >= 3600
    [ended] = world.all("_webhooks")
    assert (ended["state"], ended["answers"]) == ("delivered", [500, 503, 200])


async def test_a_sender_gives_up_at_the_end_of_its_schedule() -> None:
    world, receiver = a_world(), Receiver(500, 500)
    world.transport = receiver.transport
    world.emit("http://here.test/", {}, b"{}", retry_schedule=(60,))
    await world.pump()
    world.clock.advance(61)
    await world.pump()
    assert world.next_due() is None
    assert [ended["state"] for ended in world.all("_webhooks")] == ["given_up"]


async def test_a_delivery_that_was_under_way_survives_a_restart(tmp_path: Path) -> None:
    first = a_world(tmp_path / "shop.db")
    first.emit("http://here.test/", {}, b'{"n": 1}')
    first.close()
    again, receiver = a_world(tmp_path / "shop.db"), Receiver()
    again.transport = receiver.transport
    await again.pump()
    assert receiver.bodies == [b'{"n": 1}']


async def test_chaos_doubles_delays_and_loses_by_seed() -> None:
    async def run(chaos: Chaos) -> tuple[list[bytes], int]:
        world, receiver = a_world(seed=5), Receiver()
        world.transport = receiver.transport
        world.chaos = chaos
        for n in range(20):
            world.emit("http://here.test/", {}, str(n).encode())
        await world.pump()
        soon = len(receiver.bodies)
        world.clock.advance(101)
        await world.pump()
        return receiver.bodies, soon

    in_order = [str(n).encode() for n in range(20)]
    calm, _ = await run(Chaos())
    assert calm == in_order
    doubled, _ = await run(Chaos(duplicate=1))
    assert sorted(doubled) == sorted(in_order * 2)
    shuffled, soon = await run(Chaos(reorder_seconds=100))
    assert 0 < soon < 20 and shuffled != in_order and sorted(shuffled) == sorted(in_order)
    assert shuffled == (await run(Chaos(reorder_seconds=100)))[0]
    assert (await run(Chaos(lose=1)))[0] == []
    with pytest.raises(ValueError, match="lose"):
        Chaos(lose=2)


async def test_lose_webhook_takes_the_one_that_matches() -> None:
    world, receiver = a_world(), Receiver()
    world.transport = receiver.transport
    world.fault("lose_webhook", match="refund")
    for label in ("order", "refund.created", "refund.updated"):
        world.emit("http://here.test/", {}, label.encode(), label=label)
    await world.pump()
    assert receiver.bodies == [b"order", b"refund.updated"]
    assert [ended["state"] for ended in world.all("_webhooks")] == ["lost", "delivered", "delivered"]


FAULTS = [
    # name, applied, what the caller sees
    ("refused", 0, httpx2.ConnectError),
    ("lost_request", 0, httpx2.ReadError),
    ("lost_reply", 1, httpx2.ReadError),
    ("error_before", 0, 500),
    ("error_after", 1, 500),
    ("garbage_after", 1, "html"),
    ("rate_limited", 0, 429),
    ("unauthorized", 0, 401),
    ("down", 0, 503),
    ("slow", 1, 201),
]


@pytest.mark.parametrize(("name", "applied", "seen"), FAULTS)
async def test_each_fault_does_what_it_says_once(name: str, applied: int, seen: Any) -> None:
    world = a_world()
    async with client_of(a_shop(world)) as client:
        await client.post("/_sim/faults", json={"name": name, "match": "POST /orders"})
        assert (await client.get("/orders")).status_code == 405  # another label: the fault waits
        if isinstance(seen, type):
            with pytest.raises(seen):
                await client.post("/orders", json={})
        else:
            answer = await client.post("/orders", json={})
            assert answer.status_code == (200 if seen == "html" else seen)
            assert answer.text.startswith("<html>") == (seen == "html")
        assert len(world.all("orders")) == applied
        assert (await client.post("/orders", json={})).status_code == 201
        assert (await client.get("/_sim/calls")).json() == {"GET /orders": 1, "POST /orders": 2}


async def test_an_outage_ends_by_the_clock_and_an_endless_fault_when_cleared() -> None:
    world = a_world()
    async with client_of(a_shop(world)) as client:
        world.fault("down", seconds=3600)
        assert [(await client.post("/orders", json={})).status_code for _ in range(3)] == [503] * 3
        world.clock.advance(3601)
        assert (await client.post("/orders", json={})).status_code == 201
        assert world.faults() == []
        world.fault("rate_limited", times=-1)
        assert [(await client.post("/orders", json={})).status_code for _ in range(3)] == [429] * 3
        assert (await client.delete("/_sim/faults")).json() == []
        assert (await client.post("/orders", json={})).status_code == 201


async def test_acts_run_in_a_transaction_and_explain_what_they_refuse() -> None:
    world = a_world()

    @world.act("cancel")
    def cancel(payload: dict[str, Any]) -> dict[str, Any]:
        world.put("orders", "1", payload)
        if payload.get("late"):
            raise ValueError("already sent")
        return {"cancelled": True}

    async with client_of(a_shop(world)) as client:
        assert (await client.post("/_sim/do/cancel", json={"late": True})).json() == {"error": "already sent"}
        assert (await client.get("/_sim/truth/orders")).json() == []
        assert (await client.post("/_sim/do/cancel", json={"number": 1})).json() == {"cancelled": True}
        assert (await client.get("/_sim/truth/orders")).json() == [{"number": 1}]
        unknown = await client.post("/_sim/do/dance")
        assert unknown.status_code == 404 and "cancel" in unknown.json()["error"]
        assert (await client.post("/_sim/faults", json={"nmae": "slow"})).status_code == 400
        assert (await client.post("/_sim/faults", json={"name": "slow", "match": "("})).status_code == 400
        assert (await client.post("/_sim/chaos", json={"lose": 7})).status_code == 400
        assert (await client.post("/_sim/chaos", json={"lose": 0.5})).json()["lose"] == 0.5 == world.chaos.lose


async def test_simulators_mounted_together_keep_to_themselves_and_pump_by_themselves() -> None:
    one, other, receiver = a_world(), a_world(), Receiver()
    app = together({"one": a_shop(one), "other": a_shop(other)})
    one.transport = receiver.transport
    async with client_of(app) as client, app.router.lifespan_context(app):
        one.fault("lost_reply", match="^POST /orders$")
        with pytest.raises(httpx2.ReadError):
            await client.post("/one/orders", json={})
        assert (await client.post("/other/orders", json={})).status_code == 201
        assert (await client.get("/one/_sim/calls")).json() == {"POST /orders": 1}
        one.emit("http://here.test/", {}, b"by itself", delay=60)
        assert (await client.get("/one/_sim/next_due")).json()["next_due"]
        one.clock.advance(61)
        async with asyncio.timeout(10):
            while not receiver.bodies:
                await asyncio.sleep(0.01)
    assert receiver.bodies == [b"by itself"]


def test_over_a_socket_a_lost_reply_cuts_the_connection() -> None:
    world = a_world()
    server = uvicorn.Server(uvicorn.Config(a_shop(world), port=0, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}") as client:
            for name, applied in (("lost_request", 0), ("lost_reply", 1)):
                client.post("/_sim/faults", json={"name": name})
                with pytest.raises(httpx2.TransportError):
                    client.post("/orders", json={})
                assert len(client.get("/_sim/truth/orders").json()) == applied
            assert client.post("/orders", json={}).status_code == 201
    finally:
        server.should_exit = True
        thread.join()
