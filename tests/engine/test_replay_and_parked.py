"""The log alone gives the same state; what is parked moves only when a person says so, with name and reason."""

from dataclasses import replace
from datetime import timedelta

import pytest

from counterflow.core.facts import HoldPlaced
from counterflow.engine.parked import By, NotPossible, act_on_effect, act_on_fact, resume_connection
from counterflow.engine.replay import verify
from counterflow.sdk.outcomes import AuthFailed, Rejected, Transient, UnknownOutcome
from tests.engine.test_unknown_outcomes import reports
from tests.engine.toy import SETTING, START, FakePsp, Fault, a_fact, a_world, decide, goodwill, request, times

BOB = By("bob", "seen it")


async def test_replay_gives_the_same_state_and_no_new_effect(fresh_database):
    async with a_world(fresh_database) as world:
        await world.tell(*(request(f"R{n}") for n in range(10)), *(goodwill(f"R{n}", 1) for n in range(10)))
        await world.settle()
        async with world.pool.connection() as conn:
            result = await verify(conn, decide, SETTING)
        assert result.holds and (result.cases, result.facts, result.new_effects) == (10, 40, [])
        assert result.state_hash == result.stored_hash


async def test_replay_since_takes_only_what_changed(fresh_database):
    async with a_world(fresh_database) as world:
        await world.tell(request("R1"), request("R2"))
        await world.settle()
        await world.later(3600)
        await world.tell(goodwill("R1", 1))
        await world.settle()
        async with world.pool.connection() as conn:
            result = await verify(conn, decide, SETTING, since=START + timedelta(hours=1))
        assert (result.cases, result.holds) == (1, True)


async def test_replay_shows_what_other_rules_would_do(fresh_database):
    def generous(case, fact, setting):
        decision = decide(case, fact, setting)
        more = tuple(replace(e, effect_id=f"{e.effect_id}-more") for e in decision.effects)
        return replace(decision, effects=(*decision.effects, *more))

    async with a_world(fresh_database) as world:
        await world.tell(request("R1"))
        await world.settle()
        async with world.pool.connection() as conn:
            result = await verify(conn, generous, SETTING)
        assert not result.holds and len(result.new_effects) == 1
        assert await world.one("SELECT count(*) FROM effects") == 1


async def test_replay_finds_a_changed_view(fresh_database):
    async with a_world(fresh_database) as world:
        await world.tell(request("R1"), request("R2"))
        await world.settle()
        await world.rows(
            "UPDATE cases SET view = jsonb_set(view, '{paid_minor}', '5') "
            "WHERE case_id = (SELECT min(case_id) FROM cases) RETURNING 1"
        )
        async with world.pool.connection() as conn:
            result = await verify(conn, decide, SETTING)
        assert len(result.different_views) == 1 and result.state_hash != result.stored_hash


async def test_a_parked_fact_is_retried_or_discarded_by_somebody(fresh_database):
    async with a_world(fresh_database) as world:
        poison = a_fact(HoldPlaced("poison", "eve"), "p1", "shop:return:R1")
        await world.tell(request("R1"), poison)
        await world.settle()

        async def act(action):
            async with world.pool.connection() as conn:
                return await act_on_fact(conn, poison.fact_id, action, BOB, world.clock())

        assert await act("retry") == "ready"
        await world.settle()
        assert await world.one("SELECT status FROM inbox WHERE fact_id = %s", poison.fact_id) == "parked"
        assert await world.one("SELECT status FROM exceptions") == "open"
        assert await act("discard") == "done"
        assert await world.one("SELECT status, resolution FROM exceptions") == (
            "resolved",
            "discard by bob: seen it",
        )
        with pytest.raises(NotPossible, match="is done"):
            await act("retry")
        with pytest.raises(KeyError):
            async with world.pool.connection() as conn:
                await act_on_fact(conn, "fc_none", "retry", BOB, world.clock())


@pytest.mark.parametrize(
    ("fault", "action", "ends"),
    [
        (Rejected("no"), "retry", ["rejected", "resumed", "done"]),
        (Rejected("no"), "discard", ["rejected", "discarded"]),
    ],
)
async def test_an_effect_is_retried_or_discarded_and_its_case_is_told(fresh_database, fault, action, ends):
    async with a_world(fresh_database, FakePsp(faults=[times(1, Fault(fault))])) as world:
        await world.tell(request("R1"))
        await world.settle()
        async with world.pool.connection() as conn:
            await act_on_effect(conn, await world.one("SELECT effect_id FROM effects"), action, BOB, world.clock())
        await world.settle()
        assert await reports(world) == ends


async def test_a_second_rejection_after_a_retry_is_told_like_the_first(fresh_database):
    async with a_world(fresh_database, FakePsp(faults=[times(2, Fault(Rejected("no")))])) as world:
        await world.tell(request("R1"))
        await world.settle()
        effect_id = await world.one("SELECT effect_id FROM effects")
        for told in (["rejected"], ["rejected", "resumed", "rejected"]):
            assert await reports(world) == told
            async with world.pool.connection() as conn:
                await act_on_effect(conn, effect_id, "retry", BOB, world.clock())
            await world.settle()
        assert await reports(world) == ["rejected", "resumed", "rejected", "resumed", "done"]


async def test_asking_again_about_an_unknown_outcome_leaves_it_unknown(fresh_database):
    psp = FakePsp(faults=[times(1, Fault(UnknownOutcome("lost"), applies=True))], find_error=Transient("down"))
    async with a_world(fresh_database, psp) as world:
        await world.tell(request("R1"))
        await world.settle()
        async with world.pool.connection() as conn:
            await act_on_effect(conn, await world.one("SELECT effect_id FROM effects"), "retry", BOB, world.clock())
        await world.settle()
        assert (await reports(world))[-1] == "unknown"
        psp.find_error = None
        await world.later(3600)
        assert (await reports(world))[-1] == "done" and len(psp.sends) == 1


async def test_parked_while_unknown_is_asked_about_before_it_goes_out_again(fresh_database):
    psp = FakePsp(faults=[times(1, Fault(UnknownOutcome("lost"), applies=True))], find_error=Transient("down"))
    async with a_world(fresh_database, psp) as world:
        await world.tell(request("R1"))
        await world.settle()
        effect_id = await world.one("SELECT effect_id FROM effects")
        for action in ("park", "retry"):
            async with world.pool.connection() as conn:
                await act_on_effect(conn, effect_id, action, BOB, world.clock())
            psp.find_error = None
        await world.settle()
        assert await reports(world) == ["unknown", "parked", "resumed", "done"] and len(psp.sends) == 1


async def test_a_stopped_connection_is_resumed(fresh_database):
    async with a_world(fresh_database, FakePsp(faults=[times(1, Fault(AuthFailed("401")))], concurrency=1)) as world:
        await world.tell(request("R1"))
        await world.settle()
        async with world.pool.connection() as conn:
            await resume_connection(conn, "psp", BOB, world.clock())
        await world.settle()
        assert len(world.psp.applied) == 1
        assert await world.one("SELECT status, resolution FROM exceptions") == ("resolved", "resumed by bob: seen it")
