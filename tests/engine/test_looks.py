"""Reads of single objects: signals that come while a read is under way, and reads that have to go out again."""

from counterflow.engine.effects import recover
from counterflow.intake.accept import accept, look
from counterflow.sdk.connector import Signal
from counterflow.sdk.outcomes import Transient
from tests.engine.toy import FakePsp, a_world


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
