"""Exactly once outside: what was lost on the way is looked up before anything is sent again."""

import json
from datetime import timedelta

import httpx2
import pytest

from counterflow.engine.effects import recover
from counterflow.engine.parked import By, act_on_effect
from counterflow.intake.accept import accept, look
from counterflow.sdk.connector import Signal
from counterflow.sdk.http import Transport
from counterflow.sdk.manifest import Idempotency, Support
from counterflow.sdk.outcomes import Accepted, AuthFailed, Malformed, RateLimited, Rejected, Transient, UnknownOutcome
from tests.engine.toy import FakePsp, Fault, a_world, goodwill, request, times

LOST = UnknownOutcome("the answer was lost")


async def reports(world):
    rows = await world.rows(
        "SELECT body::jsonb #>> '{fact,body,outcome}' FROM log WHERE body::jsonb #>> '{fact,kind}' = 'EffectReported' "
        "ORDER BY seq"
    )
    return [row[0] for row in rows]


async def test_a_lost_answer_is_looked_up_and_paid_once(fresh_database):
    async with a_world(fresh_database, FakePsp(faults=[times(1, Fault(LOST, applies=True))])) as world:
        await world.tell(request("R1"))
        await world.settle()
        assert await world.one("SELECT status FROM effects") == "unknown"
        await world.later(60)
        assert await reports(world) == ["unknown", "done"]
        assert len(world.psp.applied) == len(world.psp.sends) == len(world.psp.finds) == 1


async def test_a_lost_request_goes_out_again_under_the_same_key_after_a_look(fresh_database):
    async with a_world(fresh_database, FakePsp(faults=[times(1, Fault(LOST))])) as world:
        await world.tell(request("R1"))
        await world.settle()
        await world.later(60)
        await world.later(60)
        assert await reports(world) == ["unknown", "not_found", "done"]
        assert len(world.psp.applied) == 1 and len(set(world.psp.sends)) == 1 and len(world.psp.sends) == 2


async def test_while_the_look_up_fails_it_stays_unknown(fresh_database):
    async with a_world(fresh_database, FakePsp(faults=[times(1, Fault(LOST, applies=True))])) as world:
        world.psp.find_error = Transient("down")
        await world.tell(request("R1"))
        await world.settle()
        for _ in range(20):
            await world.later(700)
        assert await world.one("SELECT status FROM effects") == "unknown"
        assert await reports(world) == ["unknown"] and len(world.psp.finds) >= 19
        world.psp.find_error = None
        await world.later(700)
        assert await reports(world) == ["unknown", "done"] and len(world.psp.sends) == 1


async def test_the_other_side_gets_time_to_settle_before_it_is_asked(fresh_database):
    psp = FakePsp({"PayLeg": Support(Idempotency.LOOKUP, settle_seconds=300)}, faults=[times(1, Fault(LOST))])
    async with a_world(fresh_database, psp) as world:
        await world.tell(request("R1"))
        await world.settle()
        await world.later(299)
        assert psp.finds == []
        await world.later(2)
        assert len(psp.finds) == 1


async def test_where_nobody_can_tell_a_person_does(fresh_database):
    psp = FakePsp({"PayLeg": Support(Idempotency.NONE)}, faults=[times(1, Fault(LOST))])
    async with a_world(fresh_database, psp) as world:
        await world.tell(request("R1"))
        await world.settle()
        await world.later(100_000)
        assert await world.one("SELECT status, attempts FROM effects") == ("parked", 1)
        assert await reports(world) == ["parked"] and psp.finds == [] and len(psp.sends) == 1
        assert await world.one("SELECT kind FROM exceptions WHERE status = 'open'") == "effect_parked"


async def test_a_state_is_set_again_without_a_look(fresh_database):
    psp = FakePsp({"PayLeg": Support(Idempotency.STATE)}, faults=[times(1, Fault(LOST, applies=True))])
    async with a_world(fresh_database, psp) as world:
        await world.tell(request("R1"))
        await world.settle()
        await world.later(60)
        assert await reports(world) == ["done"] and psp.finds == [] and len(psp.sends) == 2


async def test_transient_failures_are_tried_again_and_bounded(fresh_database):
    psp = FakePsp(faults=[times(1000, Fault(Transient("refused")))])
    async with a_world(fresh_database, psp) as world:
        await world.tell(request("R1"))
        await world.settle()
        for _ in range(23):
            await world.later(7200)
        assert await world.one("SELECT status FROM effects") == "planned"  # many attempts, not yet two days: it goes on
        for _ in range(3):
            await world.later(7200)
        assert await world.one("SELECT status, word FROM effects") == ("parked", "transient")
        assert await reports(world) == ["parked"]


async def test_a_rate_limit_pauses_the_connection_and_counts_no_attempt(fresh_database):
    psp = FakePsp(faults=[times(1, Fault(RateLimited("slow down", retry_after=30)))], concurrency=1)
    async with a_world(fresh_database, psp) as world:
        await world.tell(request("R1"), request("R2"))
        await world.settle()
        assert len(psp.sends) == 1
        await world.later(31)
        assert sorted(await world.rows("SELECT status, attempts FROM effects")) == [("done", 1), ("done", 1)]


async def test_a_refusal_is_final_and_told(fresh_database):
    psp = FakePsp(faults=[times(1, Fault(Rejected("more than was paid", code="over_refund")))])
    async with a_world(fresh_database, psp) as world:
        await world.tell(request("R1"))
        await world.settle()
        await world.later(10_000)
        assert await world.one("SELECT status, code FROM effects") == ("rejected", "over_refund")
        assert await reports(world) == ["rejected"] and len(psp.sends) == 1


async def test_bad_credentials_stop_the_connection_and_keep_its_effects(fresh_database):
    psp = FakePsp(faults=[times(1, Fault(AuthFailed("401")))], concurrency=1)
    async with a_world(fresh_database, psp) as world:
        await world.tell(request("R1"), request("R2"))
        await world.settle()
        await world.later(100_000)
        assert await world.rows("SELECT status, attempts FROM effects") == [("planned", 0)] * 2
        assert await world.one("SELECT circuit FROM connections") == "stopped"
        assert await world.one("SELECT kind, subject FROM exceptions WHERE status = 'open'") == (
            "connection_auth",
            "psp",
        )


async def test_the_circuit_opens_and_lets_one_call_through(fresh_database):
    psp = FakePsp(faults=[times(6, Fault(Transient("refused")))], concurrency=1)
    async with a_world(fresh_database, psp) as world:
        await world.tell(*(request(f"R{n}") for n in range(10)))
        await world.settle()
        assert await world.one("SELECT circuit, failures FROM connections") == ("open", 5)
        assert len(psp.sends) == 5
        await world.later(5)
        assert len(psp.sends) == 6, "one probe, which failed"
        await world.later(30)
        assert await world.one("SELECT circuit FROM connections") == "closed"
        assert await world.rows("SELECT DISTINCT status FROM effects") == [("done",)]


async def test_a_batch_that_is_refused_is_split_to_find_the_one(fresh_database):
    def bad_one(effect):
        return Fault(Rejected("this one", code="bad"), whole=True) if effect.command.leg_id == bad else None

    psp = FakePsp({"PayLeg": Support(Idempotency.LOOKUP, batch=20)}, faults=[bad_one])
    async with a_world(fresh_database, psp) as world:
        facts = [request(f"R{n}") for n in range(20)]
        bad = facts[7].fact_id
        await world.tell(*facts)
        await world.settle()
        assert await world.rows("SELECT status, count(*) FROM effects GROUP BY 1 ORDER BY 1") == [
            ("done", 19),
            ("rejected", 1),
        ]
        assert len(psp.groups[0]) == 20 and len(psp.groups) <= 11
        assert len(psp.applied) == len(set(psp.applied)) == 19


async def test_a_read_that_breaks_its_contract_is_parked_as_drift(fresh_database):
    from counterflow.core.facts import NoteAdded
    from tests.engine.toy import a_fact

    psp = FakePsp(faults=[lambda e: Fault(Malformed("no version")) if e.kind == "ReadSale" else None])
    async with a_world(fresh_database, psp) as world:
        await world.tell(request("R1"), a_fact(NoteAdded("read the sale", "bob"), "n1", "shop:return:R1"))
        await world.settle()
        assert await world.one("SELECT status FROM effects WHERE kind = 'ReadSale'") == "planned"  # cut short, perhaps
        assert await world.one("SELECT count(*) FROM exceptions") == 0
        for _ in range(2):
            await world.later(60)
            await world.settle()
        assert await world.one("SELECT status, attempts FROM effects WHERE kind = 'ReadSale'") == ("parked", 3)
        assert await world.one("SELECT kind FROM exceptions") == "drift"


@pytest.mark.parametrize(
    ("raised", "said"), [(Malformed("no version"), "no version"), (KeyError("version"), "KeyError: 'version'")]
)
async def test_the_raw_answer_is_kept_where_the_alarm_says(fresh_database, monkeypatch, raised, said):
    async with a_world(fresh_database) as world:
        answer = httpx2.MockTransport(lambda request: httpx2.Response(200, content=b'{"vers": 2}'))

        async def fetch(feed, ref):
            await Transport("http://psp.test", transport=answer).request("GET", "/thing", write=False)
            raise raised

        monkeypatch.setattr(world.psp, "fetch", fetch)
        async with world.pool.connection() as conn, conn.transaction():
            await accept(conn, [], [look("psp", Signal("things", "t1"), "c1", world.clock())])
        for _ in range(3):
            await world.settle()
            await world.later(60)
        delivery, body, reason = await world.one("SELECT delivery_id, body, reason FROM deliveries")
        assert bytes(body) == b'{"vers": 2}' and said in reason
        kind, message = await world.one("SELECT kind, message FROM exceptions")
        assert kind == "drift" and f"counterflow deliveries show {delivery}" in message


@pytest.mark.parametrize("raised", [RuntimeError("bug"), KeyError("x")])
async def test_a_bug_in_a_connector_is_an_unknown_outcome(fresh_database, monkeypatch, raised):
    psp = FakePsp()
    good = psp.send

    async def send(effects):
        if not psp.sends:
            await good(effects)
            raise raised
        return await good(effects)

    monkeypatch.setattr(psp, "send", send)
    async with a_world(fresh_database, psp) as world:
        await world.tell(request("R1"))
        await world.settle()
        await world.later(60)
        assert await reports(world) == ["unknown", "done"] and len(psp.sends) == 1


async def test_what_is_accepted_is_asked_about_until_it_is_done(fresh_database, monkeypatch):
    psp = FakePsp()

    async def accepts(effects):
        psp.sends += [effect.effect_id for effect in effects]
        return [Accepted("there-1") for _ in effects]

    monkeypatch.setattr(psp, "send", accepts)
    async with a_world(fresh_database, psp) as world:
        await world.tell(request("R1"))
        await world.settle()
        await world.later(3600)
        assert await world.one("SELECT status, ref FROM effects") == ("accepted", "there-1")
        assert await reports(world) == ["accepted"] and len(psp.finds) == 1
        psp.applied = list(psp.sends)
        await world.later(3600)
        assert await reports(world) == ["accepted", "done"] and len(psp.sends) == 1


async def test_goodwill_after_the_fact_is_a_second_payment(fresh_database):
    async with a_world(fresh_database) as world:
        await world.tell(request("R1"), goodwill("R1", 1), goodwill("R1", 2))
        await world.settle()
        assert len(world.psp.applied) == 3


DAY = 86_400
BLIND = {"PayLeg": Support(Idempotency.NATIVE, key_retention_seconds=7 * DAY, findable=False)}


async def test_what_cannot_be_looked_up_goes_out_again_under_its_key_while_they_keep_it(fresh_database):
    psp = FakePsp(BLIND, faults=[times(2, Fault(LOST, applies=True))])
    async with a_world(fresh_database, psp) as world:
        await world.tell(request("R1"))
        await world.settle()
        for _ in range(3):
            await world.later(60)
        assert await reports(world) == ["done"] and psp.finds == []
        assert len(psp.sends) == 3 and len(set(psp.sends)) == 1


async def test_after_the_key_may_be_forgotten_it_goes_to_a_person_and_not_out(fresh_database):
    """The answer was lost, then the connection stood still for longer than they keep keys."""
    psp = FakePsp(BLIND, faults=[times(1, Fault(LOST, applies=True))])
    async with a_world(fresh_database, psp) as world:
        await world.tell(request("R1"))
        await world.settle()
        await world.later(8 * DAY)
        await world.settle()
        assert len(psp.sends) == 1, "a second send could have been a second refund"
        assert await world.one("SELECT status, word FROM effects") == ("parked", "unknowable")
        assert await reports(world) == ["parked"]
        assert await world.one("SELECT kind FROM exceptions WHERE status = 'open'") == "effect_parked"


async def test_a_first_send_may_be_late(fresh_database):
    """Decided long ago and never sent: nothing can be doubled."""
    psp = FakePsp(BLIND, faults=[times(1, Fault(RateLimited("come in ten days", retry_after=10 * DAY)))])
    async with a_world(fresh_database, psp) as world:
        await world.tell(request("R1"))
        await world.settle()
        await world.later(11 * DAY)
        assert await reports(world) == ["done"]


async def test_what_was_heard_answers_for_a_look_up(fresh_database, monkeypatch):
    """Accepted, and nobody can be asked: what a webhook told the case closes the effect, and nothing is sent."""
    psp = FakePsp(BLIND)

    async def accepts(effects):
        psp.sends += [effect.effect_id for effect in effects]
        return [Accepted("psp:refund:1") for _ in effects]

    monkeypatch.setattr(psp, "send", accepts)
    async with a_world(fresh_database, psp) as world:
        await world.tell(request("R1"))
        await world.settle()
        await world.later(3600)
        assert await world.one("SELECT status FROM effects") == "accepted"
        legs = json.dumps([{"effect_id": psp.sends[0], "state": "succeeded", "refund_ref": "psp:refund:1"}])
        await world.rows(f"UPDATE cases SET view = jsonb_set(view, '{{legs}}', '{legs}') RETURNING case_id")
        await world.later(700)
        assert await world.one("SELECT status, ref FROM effects") == ("done", "psp:refund:1")
        assert len(psp.sends) == 1 and psp.finds == []


@pytest.mark.parametrize(("dead_for", "status", "sends"), [(60, "done", 1), (8 * DAY, "parked", 0)])
async def test_what_a_dead_worker_was_sending_goes_out_again_only_while_its_key_is_kept(
    fresh_database, dead_for, status, sends
):
    async with a_world(fresh_database, FakePsp(BLIND)) as world:
        await world.tell(request("R1"))
        await world.drain()
        await world.rows(
            "UPDATE effects SET status = 'sending', worker = 'dead', lease = 'l', attempts = 1, first_sent_at = %s "
            "RETURNING 1",
            world.clock(),
        )
        world.clock.now += timedelta(seconds=dead_for)
        await recover(world.pool, {"psp": world.psp}, "alive", world.clock())
        await world.settle()
        assert await world.one("SELECT status FROM effects") == status and len(world.psp.sends) == sends


async def test_a_person_who_retries_says_that_it_did_not_happen(fresh_database):
    psp = FakePsp(BLIND, faults=[times(1, Fault(LOST))])
    async with a_world(fresh_database, psp) as world:
        await world.tell(request("R1"))
        await world.settle()
        await world.later(8 * DAY)
        effect_id = await world.one("SELECT effect_id FROM effects")
        async with world.pool.connection() as conn:
            await act_on_effect(conn, effect_id, "retry", By("kim", "not at Adyen"), world.clock())
        await world.settle()
        assert await world.one("SELECT status FROM effects") == "done" and len(psp.sends) == 2
