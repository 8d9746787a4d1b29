"""Reads of single objects: signals that come while a read is under way, and reads that have to go out again."""

import pytest

from counterflow.core.facts import ItemsReceived
from counterflow.core.ids import case_id
from counterflow.engine.effects import recover
from counterflow.intake.accept import accept, look
from counterflow.sdk.connector import Signal
from counterflow.sdk.outcomes import Transient
from tests.engine.toy import FakePsp, a_fact, a_world, request


async def signal(world, cause):
    async with world.pool.connection() as conn, conn.transaction():
        await accept(conn, (), [look("psp", Signal("things", "t1"), cause, world.clock())])


async def test_a_read_lost_with_its_worker_goes_out_again_beside_a_newer_one(fresh_database):
    async with a_world(fresh_database) as world:
        await signal(world, "first")
        await world.rows("UPDATE effects SET status = 'sending', worker = 'dead', lease = 'l', first_sent_at = now()"
                         " RETURNING 1")  # fmt: skip
        await signal(world, "second")
        await recover(world.pool, {"psp": world.psp}, "alive", world.clock())
        await signal(world, "third")  # the second has not been read yet: the same read
        assert await world.rows("SELECT status, count(*) FROM effects GROUP BY 1") == [("planned", 2)]
        await world.settle()
        assert await world.one("SELECT count(*) FROM effects WHERE status = 'done'") == 2
        assert world.psp.fetched == ["t1", "t1"]


async def test_a_read_that_failed_goes_out_again_beside_a_newer_one(fresh_database):
    class Flaky(FakePsp):
        async def fetch(self, feed, ref):
            if not self.fetched:
                await signal(world, "second")  # while the first is under way
            await super().fetch(feed, ref)
            if len(self.fetched) == 1:
                raise Transient("down")
            return []

    async with a_world(fresh_database, Flaky()) as world:
        await signal(world, "first")
        await world.settle()
        await world.later(60)
        assert await world.rows("SELECT status, count(*) FROM effects GROUP BY 1") == [("done", 2)]
        assert len(world.psp.fetched) == 3


LONG = "shop:return:" + "".join(map(chr, range(256, 9999)))  # no index takes it


async def answered(world, ref):
    """Two looks are answered: one with a fact of this reference, one with a request."""
    world.psp.objects = {"t1": [a_fact(ItemsReceived("r1", "store-1", ()), "r1", ref)], "t2": [request("R2")]}
    async with world.pool.connection() as conn, conn.transaction():
        await accept(conn, (), [look("psp", Signal("things", name), "d", world.clock()) for name in ("t1", "t2")])
    await world.settle()
    assert await world.one("SELECT status FROM cases WHERE case_id = %s", case_id("shop:return:R2")) == "closed"


@pytest.mark.parametrize("ref", ["shop:return:\ud800", "shop:return:\0"], ids=["half a character", "NUL"])
async def test_an_answer_that_cannot_be_written_is_parked_and_stops_nobody_else(fresh_database, ref):
    """Half a character once took the worker with it."""
    async with a_world(fresh_database) as world:
        await answered(world, ref)
        found = await world.rows("SELECT status, word FROM effects WHERE kind = 'Look' ORDER BY 1")
        assert found == [("done", "done"), ("parked", "malformed")]


async def test_a_reference_that_no_index_takes_is_parked_with_its_fact(fresh_database):
    """It looked as if the database were gone, for ever."""
    async with a_world(fresh_database) as world:
        await answered(world, LONG)
        await world.later(301)
        assert await world.one("SELECT status FROM inbox WHERE status <> 'done'") == "parked"
