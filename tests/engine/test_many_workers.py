"""Workers that wake, share, die: nothing is lost, nothing happens twice. The outside system here is a table."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from counterflow.core.effects import Effect
from counterflow.engine import worker as worker_module
from counterflow.engine.worker import Worker
from counterflow.sdk.connector import Page
from counterflow.sdk.manifest import Feed
from counterflow.sdk.outcomes import Done, Outcome
from counterflow.store.pool import make_pool
from tests.engine.toy import SETTING, FakePsp, a_world, decide, goodwill, request

OUTSIDE = "CREATE TABLE outside (effect_id text, at timestamptz DEFAULT clock_timestamp())"


class TablePsp(FakePsp):
    """Applies a change in its own transaction and then takes its time to answer."""

    def __init__(self, url: str, seconds: float) -> None:
        super().__init__(concurrency=8)
        self.url, self.seconds = url, seconds

    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as conn:
            for effect in effects:
                await conn.execute("INSERT INTO outside (effect_id) VALUES (%s)", (effect.effect_id,))
        await asyncio.sleep(self.seconds)
        return [Done("there") for _ in effects]

    async def find(self, effect: Effect) -> Outcome | None:
        async with await psycopg.AsyncConnection.connect(self.url) as conn:
            found = await conn.execute("SELECT 1 FROM outside WHERE effect_id = %s", (effect.effect_id,))
            return Done("there") if await found.fetchone() else None


def real_now():
    from datetime import UTC, datetime

    return datetime.now(UTC)


async def work(url: str, seconds: float) -> None:
    """A worker process; see `test_a_worker_that_is_killed...`."""
    async with make_pool(url) as pool:
        await Worker(pool, url, SETTING, {"psp": TablePsp(url, seconds)}, real_now, decide).run(asyncio.Event())


@asynccontextmanager
async def running(worker: Worker):
    stop = asyncio.Event()
    task = asyncio.create_task(worker.run(stop))
    try:
        yield task
    finally:
        stop.set()
        await task


async def until(check, seconds: float = 20.0) -> None:
    """Wait for a condition; the time is only there to end a test that fails."""
    async with asyncio.timeout(seconds):
        while not await check():
            await asyncio.sleep(0.01)


async def test_bursts_with_quiet_between_are_never_left_lying(fresh_database, monkeypatch):
    """Without the sweep: only the notification wakes. Each burst has to be drained before the next one comes."""
    monkeypatch.setattr(worker_module, "SWEEP_SECONDS", 3600.0)
    async with a_world(fresh_database) as world, running(world.worker):
        await world.tell(request("R1"))
        for burst in range(30):
            facts = [goodwill("R1", 4 * burst + n) for n in range(4)]
            await asyncio.gather(*(world.tell(fact) for fact in facts))
            wanted = 4 * (burst + 1) + 1

            async def drained(wanted=wanted):
                done = await world.one("SELECT count(*) FROM effects WHERE status = 'done'")
                return done == wanted and not await world.one("SELECT count(*) FROM inbox WHERE status <> 'done'")

            await until(drained)


async def test_two_workers_share_shards_and_connections(fresh_database):
    async with a_world(fresh_database) as world:
        other = Worker(world.pool, fresh_database, SETTING, {"psp": world.psp}, world.clock, decide)
        async with running(world.worker), running(other):
            await asyncio.gather(*(world.tell(request(f"R{n}"), goodwill(f"R{n}", 1)) for n in range(60)))

            async def closed():
                return await world.one("SELECT count(*) FROM cases WHERE status = 'closed'") == 60

            await until(closed)
        assert len(world.psp.applied) == len(set(world.psp.applied)) == 120
        assert await world.rows("SELECT DISTINCT version FROM cases") == [(4,)]


async def test_a_lost_connection_to_the_database_is_survived(fresh_database):
    async with a_world(fresh_database) as world, running(world.worker):
        await world.tell(request("R1"))

        async def closed(n=1):
            return await world.one("SELECT count(*) FROM cases WHERE status = 'closed'") == n

        await until(closed)
        with psycopg.connect(fresh_database, autocommit=True) as conn:
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        with suppress(psycopg.OperationalError):
            await world.rows("SELECT 1")

        async def told():
            try:
                await world.tell(request("R2"))
            except psycopg.OperationalError:
                return False
            return True

        await until(told)
        await until(lambda: closed(2))


async def test_calls_under_way_are_recorded_when_the_worker_is_told_to_stop(fresh_database):
    with psycopg.connect(fresh_database, autocommit=True) as conn:
        conn.execute(OUTSIDE)
    async with a_world(fresh_database, TablePsp(fresh_database, 0.3)) as world:
        await world.tell(request("R1"))
        async with running(world.worker):

            async def sending():
                return await world.one("SELECT count(*) FROM outside") == 1

            await until(sending)
        assert await world.one("SELECT status FROM effects") == "done"


@pytest.mark.once("it counts the pages that are asked for")
async def test_a_worker_pulls_feeds_that_are_due(fresh_database):
    psp = FakePsp(feeds=(Feed("things"),), pages={"": Page((request("R1"),), "c1", False)})
    async with a_world(fresh_database, psp) as world, running(world.worker):

        async def closed():
            return await world.one("SELECT count(*) FROM cases WHERE status = 'closed'") == 1

        await until(closed)
        assert psp.pulls == [""]


async def test_effects_for_a_connection_that_is_gone_are_shown(fresh_database):
    async with a_world(fresh_database) as world:
        await world.tell(request("R1"))
        await world.drain()
        await Worker(world.pool, fresh_database, SETTING, {}, world.clock, decide).prepare()
        assert await world.one("SELECT kind, subject FROM exceptions") == ("connection_missing", "psp")


@pytest.mark.parametrize("round_", [1, 2, 3])
async def test_a_worker_that_is_killed_while_sending_leaves_nothing_lost_or_doubled(fresh_database, round_):
    with psycopg.connect(fresh_database, autocommit=True) as conn:
        conn.execute(OUTSIDE)

    def start(seconds: float) -> subprocess.Popen[bytes]:
        do = f"asyncio.run(work({fresh_database!r}, {seconds}))"
        code = f"import asyncio; from tests.engine.test_many_workers import work; {do}"
        here = Path(__file__).parents[2]
        return subprocess.Popen([sys.executable, "-c", code], cwd=here)

    async with a_world(fresh_database) as world:
        await world.tell(*(request(f"R{n}") for n in range(20)))
        victim = start(3600)

        async def sending():
            return await world.one("SELECT count(*) FROM outside") >= 8

        try:
            await until(sending)
        finally:
            victim.send_signal(signal.SIGKILL)
            victim.wait()
        assert await world.one("SELECT count(*) FROM effects WHERE status = 'sending'") == 8
        heir = start(0)

        async def closed():
            return await world.one("SELECT count(*) FROM cases WHERE status = 'closed'") == 20

        try:
            await until(closed, 30)
        finally:
            heir.send_signal(signal.SIGKILL)
            heir.wait()
        assert await world.one("SELECT count(*), count(DISTINCT effect_id) FROM outside") == (20, 20)
        assert await world.one("SELECT count(*) FROM attempts WHERE act = 'find'") == 8
