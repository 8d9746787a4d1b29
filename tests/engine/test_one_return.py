"""A request becomes a case, its payment goes out once, the outcome closes it, and the log tells all of it."""

import json

from counterflow.core.ids import case_id
from counterflow.store.log import GENESIS, chain
from tests.engine.toy import a_world, goodwill, request


async def test_from_a_fact_to_a_closed_case(fresh_database):
    async with a_world(fresh_database) as world:
        await world.tell(request("R1"))
        await world.settle()

        case = case_id("shop:return:R1")
        assert await world.rows("SELECT case_id, status, version, view->>'status' FROM cases") == [
            (case, "closed", 2, "closed")
        ]
        assert len(world.psp.applied) == 1
        rows = await world.rows("SELECT seq, body, prev_hash, hash FROM log ORDER BY seq")
        said = [json.loads(body) for _, body, _, _ in rows]
        assert [row["fact"]["kind"] for row in said] == ["ReturnRequested", "EffectReported"]
        assert said[0]["effects"][0]["command"]["amount_minor"] == 100
        before = GENESIS
        for _, body, prev_hash, digest in rows:
            assert (prev_hash, digest) == (before, chain(before, body))
            before = digest
        assert await world.one("SELECT status, ref <> '', attempts FROM effects") == ("done", True, 1)


async def test_the_same_fact_twice_is_one_fact(fresh_database):
    async with a_world(fresh_database) as world:
        for _ in range(3):
            await world.tell(request("R1"), goodwill("R1", 1))
            await world.settle()
        assert await world.one("SELECT version FROM cases") == 4
        assert len(world.psp.applied) == len(set(world.psp.applied)) == 2


async def test_a_case_is_read_again_by_a_worker_that_never_saw_it(fresh_database):
    async with a_world(fresh_database) as world:
        await world.tell(request("R1"))
        await world.settle()
    async with a_world(fresh_database) as world:
        await world.tell(goodwill("R1", 1))
        await world.settle()
        assert await world.one("SELECT status, version FROM cases") == ("closed", 4)
        assert len(world.psp.applied) == 1
