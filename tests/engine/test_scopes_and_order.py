"""Which effects may be under way at the same time: one writer per scope, successors after their predecessors."""

import asyncio
from datetime import timedelta

import pytest

from counterflow.core.effects import Effect, NotifyCustomer, UpdateChannel
from counterflow.engine.limits import Bucket
from counterflow.sdk.manifest import Idempotency, Limits, Support
from counterflow.sdk.outcomes import Done, RateLimited, UnknownOutcome
from counterflow.store import effects
from tests.engine.toy import START, FakePsp, Fault, a_world, times

BOTH = {"UpdateChannel": Support(Idempotency.LOOKUP), "NotifyCustomer": Support(Idempotency.LOOKUP)}


def an_effect(name: str, *, scope: str = "", after: tuple[str, ...] = (), seconds: int = 0, notify: bool = False):
    command = NotifyCustomer("t", "c", "o") if notify else UpdateChannel(name, "r", "received")
    return Effect(name, "", "psp", command, START + timedelta(seconds=seconds), scope, "", after)


async def plan(world, *planned: Effect) -> None:
    world.clock.now = START + timedelta(hours=1)
    async with world.pool.connection() as conn:
        await effects.plan(conn, planned)


async def test_writers_of_one_scope_go_one_after_the_other(fresh_database, monkeypatch):
    psp, under_way, most = FakePsp(BOTH, concurrency=4), [0], [0]

    async def send(effects):
        under_way[0] += len(effects)
        most[0] = max(most[0], under_way[0])
        await asyncio.sleep(0.01)
        under_way[0] -= len(effects)
        psp.sends += [effect.effect_id for effect in effects]
        return [Done() for _ in effects]

    monkeypatch.setattr(psp, "send", send)
    async with a_world(fresh_database, psp) as world:
        await plan(world, *(an_effect(f"e{n}", scope="sale:1", seconds=n) for n in range(4)))
        await world.settle()
        assert most[0] == 1 and psp.sends == ["e0", "e1", "e2", "e3"]
        await plan(world, *(an_effect(f"f{n}", scope=f"sale:{n}") for n in range(4)))
        await world.settle()
        assert most[0] == 4


async def test_an_unknown_outcome_keeps_its_scope_busy(fresh_database):
    psp = FakePsp(BOTH, faults=[times(1, Fault(UnknownOutcome("lost"), applies=True))])
    async with a_world(fresh_database, psp) as world:
        await plan(world, an_effect("e0", scope="sale:1"), an_effect("e1", scope="sale:1", seconds=1))
        await world.settle()
        assert psp.sends == ["e0"]
        await world.later(60)
        assert psp.finds == ["e0"] and psp.sends == ["e0", "e1"]


async def test_a_successor_waits_for_its_predecessors(fresh_database):
    psp = FakePsp(BOTH, faults=[times(1, Fault(UnknownOutcome("lost")))])
    async with a_world(fresh_database, psp) as world:
        await plan(
            world, an_effect("e0", seconds=5), an_effect("e1", after=("e0",)), an_effect("e2", after=("e0", "e1"))
        )
        await world.settle()
        assert psp.sends == ["e0"]
        await world.later(60)
        await world.later(60)
        assert psp.sends == ["e0", "e0", "e1", "e2"]


async def test_a_backlog_of_the_background_does_not_hold_up_a_customer(fresh_database):
    psp = FakePsp(BOTH, concurrency=1)
    async with a_world(fresh_database, psp) as world:
        await plan(world, *(an_effect(f"b{n:03}", seconds=n) for n in range(50)))
        await plan(world, *(an_effect(f"c{n:03}", seconds=1000 + n, notify=True) for n in range(20)))
        await world.settle()
        last_customer = max(psp.sends.index(f"c{n:03}") for n in range(20))
        assert last_customer == 23 and [s[0] for s in psp.sends[:24]].count("b") == 4
        assert len(psp.sends) == 70


async def test_the_shared_bucket_makes_callers_wait_and_refuses_what_would_take_too_long(fresh_database):
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(round(seconds, 3))

    async with a_world(fresh_database) as world:
        limits = Limits(per_second=2.0, burst=4.0, timeout_seconds=1.0)
        await world.rows("UPDATE connections SET tokens = 4 RETURNING 1")
        one, two = (Bucket(world.pool, "psp", limits, world.clock, sleep) for _ in range(2))
        for bucket in (one, two, one, two, one, two):
            await bucket.acquire()
        assert waits == [0.5, 1.0], "four from the burst, then two on credit"
        with pytest.raises(RateLimited) as refused:
            await one.acquire()
        assert refused.value.retry_after == 1.5
        world.clock.now += timedelta(seconds=10)
        waits.clear()
        await two.pause(0.7)
        await one.acquire()
        assert waits == [0.7]
