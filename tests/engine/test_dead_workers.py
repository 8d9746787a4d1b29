"""What a worker that ended was sending: asked about where it can be found, and its late answer counts no more."""

from datetime import UTC, datetime

import psycopg

from counterflow.core.effects import Effect, Look, UpdateChannel
from counterflow.engine.verdict import after_crash
from counterflow.sdk.manifest import Idempotency, Support
from counterflow.store import effects
from counterflow.store.effects import Claimed, Result

NOW = datetime(2026, 3, 2, tzinfo=UTC)
LOOK = Effect("ef_late", "", "psp", Look("refunds", "r1"), NOW, "look:r1", "")


def _sending(effect: Effect) -> Claimed:
    return Claimed(effect, "sending", "a", 1, 0, NOW)


def test_what_can_be_found_is_asked_about_and_what_is_a_state_goes_out_again() -> None:
    payment = _sending(Effect("ef_pay", "rc_1", "psp", UpdateChannel("order:1", "", "received"), NOW, "", ""))
    for idempotency in (Idempotency.NATIVE, Idempotency.LOOKUP):
        assert after_crash(payment, Support(idempotency), NOW).status == "unknown"
    assert after_crash(payment, Support(Idempotency.STATE), NOW).status == "planned"
    assert after_crash(payment, Support(Idempotency.NONE), NOW).status == "parked"


async def test_the_late_answer_of_a_dead_worker_is_not_written_over_a_newer_one(fresh_database):
    def result(lease: str, status: str) -> Result:
        return Result(LOOK.effect_id, lease, "send", status, None, NOW, NOW, 1)

    async with await psycopg.AsyncConnection.connect(fresh_database, autocommit=True) as conn:
        await effects.plan(conn, [LOOK])
        await effects.claim(conn, [(LOOK.effect_id, "a")], "w1", NOW)
        await conn.execute("UPDATE effects SET status = 'planned', lease = ''")  # as recovered from a dead worker
        await effects.claim(conn, [(LOOK.effect_id, "b")], "w2", NOW)
        assert await effects.record(conn, [result("a", "rejected")]) == {}
        assert set(await effects.record(conn, [result("b", "done")])) == {LOOK.effect_id}
