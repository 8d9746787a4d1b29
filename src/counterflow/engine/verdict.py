"""What an outcome means for the effect: one row of a table per word. Pure; time is given.

| word         | after a send                              | after a look-up (find)                |
|--------------|-------------------------------------------|---------------------------------------|
| done         | done                                      | done                                  |
| accepted     | accepted, asked about later               | accepted, asked about later           |
| not there    |                                           | same key goes out again               |
| transient    | again after a back-off, bounded           | asked again after a back-off          |
| rate_limited | again when they say, not counted          | asked again when they say             |
| unknown      | asked about; reads and states go again,   | asked again after a back-off          |
|              | and what has a kept key and no look-up    |                                       |
| rejected, conflict, not_found | rejected                 | as after a send if they answered so   |
| auth_failed  | kept, the connection stops                | kept, the connection stops            |
| malformed    | a read goes again twice, then is parked;  | asked again after a back-off          |
|              | a write is unknown                        |                                       |
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zlib import crc32

from counterflow.sdk.manifest import Idempotency, Support
from counterflow.sdk.outcomes import Accepted, ConnectorError, Done, Outcome, RateLimited
from counterflow.store.effects import READS, Claimed

ATTEMPTS = 12  # before a person is asked, and not before PATIENCE has passed: an outage of an hour is no reason
PATIENCE = timedelta(hours=48)
TRIES_TO_READ = 3  # what cannot be understood, before a person is asked: cut short on its way it is no drift
BACK_OFF_SECONDS = 0.5
BACK_OFF_SECONDS_MOST = 600.0
# What was accepted is told of by messages and feeds; asking is for when both have failed, so ever less often.
ACCEPTED_LOOK_SECONDS = 30.0
ACCEPTED_LOOK_SECONDS_MOST = 6 * 3600.0

READ = Support(Idempotency.STATE)
KEY_GONE = "the other side may have forgotten our key and shows nothing by it: look there, then discard it or wait"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The row's next state, and what its owner is told (empty: nothing)."""

    status: str
    word: str
    not_before: datetime | None = None
    report: str = ""
    message: str = ""
    code: str = ""
    ref: str = ""
    values: tuple[tuple[str, str], ...] = ()
    counted: bool = True


def after_send(claimed: Claimed, outcome: Outcome, support: Support, now: datetime) -> Verdict:
    """What a send gave."""
    if not isinstance(outcome, ConnectorError):
        return _success(claimed, outcome, now)
    word, message, code = outcome.word, outcome.message, outcome.code
    read = claimed.effect.kind in READS
    repeatable = read or support.idempotency is Idempotency.STATE or not support.findable
    if word in ("rejected", "conflict", "not_found"):
        return Verdict("rejected", word, None, "rejected", message, code or word)
    if isinstance(outcome, RateLimited):
        again = now + timedelta(seconds=outcome.retry_after)
        return Verdict("planned", word, again, "", message, code, counted=False)
    if word == "auth_failed":
        return Verdict("planned", word, now, "", message, code, counted=False)
    if word == "malformed" and read and claimed.attempts >= TRIES_TO_READ:
        return Verdict("parked", word, None, "parked", message, code or word)
    if word != "transient" and key_gone(claimed, support, now):
        return _nobody_can_tell(message)
    if word == "transient" or repeatable:
        return _again(claimed, word, message, code, now)
    if support.idempotency is Idempotency.NONE:
        return _nobody_can_tell(message)
    look_at = now + timedelta(seconds=max(support.settle_seconds, jittered(claimed, claimed.looks)))
    return Verdict("unknown", "unknown", look_at, "unknown", message, code)


def after_find(claimed: Claimed, outcome: Outcome | None, support: Support, now: datetime, raised: bool) -> Verdict:
    """What a look-up gave. `raised`: it could not tell, so what was unknown stays unknown."""
    if outcome is None and claimed.status == "accepted":
        return Verdict("accepted", "accepted", now + _accepted_pause(claimed), message="not visible there yet")
    if outcome is None:
        again = _again(claimed, "not_found", "a look-up says that it did not happen", "", now)
        return Verdict(again.status, "not_found", again.not_before, again.report or "not_found", again.message)
    if not isinstance(outcome, ConnectorError):
        return _success(claimed, outcome, now)
    if not raised and outcome.word in ("rejected", "conflict", "not_found"):
        return after_send(claimed, outcome, support, now)
    if isinstance(outcome, RateLimited):
        wait = timedelta(seconds=outcome.retry_after)
    else:
        wait = _pause(claimed, claimed.looks + 1)
    return Verdict(claimed.status, outcome.word, now + wait, "", outcome.message, outcome.code)


def after_crash(claimed: Claimed, support: Support, now: datetime) -> Verdict:
    """The worker that was sending it is dead."""
    message = "the worker ended while it was being sent"
    gone = key_gone(claimed, support, now)
    if claimed.effect.kind in READS or support.idempotency is Idempotency.STATE or not (support.findable or gone):
        return Verdict("planned", "transient", now, "", message)
    if support.idempotency is Idempotency.NONE or gone:
        return _nobody_can_tell(message)
    return Verdict("unknown", "unknown", now + timedelta(seconds=support.settle_seconds), "unknown", message)


def key_gone(claimed: Claimed, support: Support, now: datetime) -> bool:
    """Whether it went out so long ago that the same key is no protection any more, and nothing can be asked."""
    kept = timedelta(seconds=support.key_retention_seconds)
    return not support.findable and claimed.first_sent_at is not None and now - claimed.first_sent_at >= kept


def jittered(claimed: Claimed, n: int, first: float = BACK_OFF_SECONDS, most: float = BACK_OFF_SECONDS_MOST) -> float:
    """Seconds before try n+1: doubling, between a half and the whole of it by the effect's id, so repeatable."""
    whole = min(most, first * 2.0 ** min(n, 20))
    return whole * (0.5 + crc32(f"{claimed.effect.effect_id}/{n}".encode()) / 2**33)


def _success(claimed: Claimed, outcome: Done | Accepted, now: datetime) -> Verdict:
    if isinstance(outcome, Done):
        return Verdict("done", "done", None, "done", ref=outcome.ref, values=outcome.values)
    report = "" if claimed.status == "accepted" and claimed.ref == outcome.ref else "accepted"
    pause = _accepted_pause(claimed)
    return Verdict("accepted", "accepted", now + pause, report, ref=outcome.ref, values=outcome.values)


def _again(claimed: Claimed, word: str, message: str, code: str, now: datetime) -> Verdict:
    if claimed.attempts >= ATTEMPTS and now - (claimed.first_sent_at or now) >= PATIENCE:
        return Verdict(
            "parked", word, None, "parked", f"{claimed.attempts} attempts, the last: {message}", code or word
        )
    return Verdict("planned", word, now + _pause(claimed, claimed.attempts), "", message, code)


def _nobody_can_tell(message: str) -> Verdict:
    said = f"nobody can tell whether it happened: {message}"
    return Verdict("parked", "unknowable", None, "parked", said, "unknown")


def _accepted_pause(claimed: Claimed) -> timedelta:
    return timedelta(seconds=jittered(claimed, claimed.looks + 1, ACCEPTED_LOOK_SECONDS, ACCEPTED_LOOK_SECONDS_MOST))


def _pause(claimed: Claimed, n: int) -> timedelta:
    return timedelta(seconds=jittered(claimed, n))
