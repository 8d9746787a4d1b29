"""Writes that meet a fault on the wire: the word is right by when it failed, and in the end it is done exactly once."""

import io
import logging
import traceback

from counterflow.sdk.manifest import Idempotency
from counterflow.sdk.outcomes import ConnectorError, RateLimited
from counterflow.sdk.testing.check import check
from counterflow.sdk.testing.harness import Echo, Harness
from counterflow.sdk.testing.rule import attempt, once, word
from counterflow.sdk.testing.writes import STATE, writing

REQUESTS_MOST = 6  # of one refused attempt: a fresh token may be fetched once, an endless loop may not
recoverable = writing(lambda support: support.idempotency is not Idempotency.NONE)


async def _meet(harness: Harness, kind: str, fault: str, *expected: str, applied: int) -> None:
    """Send into the fault, hold the word and the truth, then carry on as the engine does."""
    effect = await harness.sample(kind)
    harness.world.fault(fault, match=harness.write_label(kind))
    answer = await attempt(harness, effect)
    assert not harness.world.faults(), f"no request matched {harness.write_label(kind)!r}: correct Harness.writes"
    assert word(answer) in expected, f"{fault} gave {word(answer)}, expected {' or '.join(expected)}: {answer}"
    assert not isinstance(answer, ConnectorError) or answer.message, "an error needs a message that names the next move"
    done = await harness.applied(effect)
    assert done == applied, f"after {fault} the outside had done it {done} times: the harness or the simulator is wrong"
    await once(harness, effect, answer)


@check(5, recoverable)
async def refused_connection(harness: Harness, kind: str) -> None:
    """A connection that is refused is Transient: surely not applied."""
    await _meet(harness, kind, "refused", "transient", applied=0)


@check(5, recoverable)
async def lost_request(harness: Harness, kind: str) -> None:
    """A request that is cut is not known to have arrived."""
    await _meet(harness, kind, "lost_request", *_maybe(harness, kind), applied=0)


@check(6, recoverable)
async def lost_reply(harness: Harness, kind: str) -> None:
    """An answer that is lost leaves the outcome unknown; the look-up, not a second try, recovers it."""
    await _meet(harness, kind, "lost_reply", *_maybe(harness, kind), applied=1)


@check(7, recoverable)
async def error_after_it_was_done(harness: Harness, kind: str) -> None:
    """A 500 after a write says nothing about whether it was done."""
    await _meet(harness, kind, "error_after", *_maybe(harness, kind), applied=1)


@check(7, recoverable)
async def error_before_it_was_done(harness: Harness, kind: str) -> None:
    """A 500 that did nothing looks the same, and is done in the end all the same."""
    await _meet(harness, kind, "error_before", *_maybe(harness, kind), applied=0)


@check(8, recoverable)
async def garbage_after_it_was_done(harness: Harness, kind: str) -> None:
    """An answer that nobody can read leaves the outcome unknown; where a state is set, a 2xx needs no body."""
    enough = ("done",) if harness.support(kind).idempotency is STATE else ()
    await _meet(harness, kind, "garbage_after", *_maybe(harness, kind), *enough, applied=1)


@check(7, recoverable)
async def down(harness: Harness, kind: str) -> None:
    """A 503 is Transient if they say when to come back, else unknown."""
    await _meet(harness, kind, "down", "transient", "unknown", "rate_limited", applied=0)


@check(9, writing())
async def rate_limited(harness: Harness, kind: str) -> None:
    """A 429 is RateLimited with the delay that they ask for."""
    effect = await harness.sample(kind)
    harness.world.fault("rate_limited", match=harness.write_label(kind))
    answer = await attempt(harness, effect)
    assert isinstance(answer, RateLimited), f"a 429 gave {word(answer)}: {answer}"
    wanted = harness.retry_after_seconds
    assert answer.retry_after == wanted, f"they asked for {wanted} seconds, we would wait {answer.retry_after}"
    assert await harness.applied(effect) == 0
    await once(harness, effect, answer)


@check(10, writing())
async def unauthorized(harness: Harness, kind: str) -> None:
    """A 401 is AuthFailed after at most one refresh, in no loop, and the connector works again afterwards."""
    effect = await harness.sample(kind)
    harness.world.fault("unauthorized", times=-1)
    before = harness.network.requests
    answer = await attempt(harness, effect)
    made = harness.network.requests - before
    harness.world.clear_faults()
    assert word(answer) == "auth_failed", f"a 401 gave {word(answer)}: {answer}"
    assert made <= REQUESTS_MOST, f"one refused attempt made {made} requests"
    assert await harness.applied(effect) == 0
    await once(harness, effect, answer)


@check(25, writing())
async def nothing_tells_a_secret(harness: Harness, kind: str) -> None:
    """No log line, error or traceback shows a secret, even when the other side repeats what it was sent."""
    effect = await harness.sample(kind)
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        for status in (200, 400, 401, 403, 409, 422, 429, 500, 503):
            answer = await attempt(harness, effect, harness.connect(network=Echo(status)))
            if isinstance(answer, ConnectorError):
                said.write("".join(traceback.format_exception(answer)) + repr(vars(answer)))
        await attempt(harness, effect)
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    for secret in harness.secrets:
        assert secret not in said.getvalue(), "a log line or an error shows a secret: use sdk.http.redact"


@check(26, recoverable)
async def clock_skew(harness: Harness, kind: str) -> None:
    """Two minutes of wrong time on our side harm nothing."""
    for skew in (-120.0, 120.0):
        effect = await harness.sample(kind)
        await once(harness, effect, await attempt(harness, effect, harness.connect(skew_seconds=skew)))


def _maybe(harness: Harness, kind: str) -> tuple[str, ...]:
    """A state may be set again, so there it does not matter whether it arrived."""
    return ("unknown", "transient") if harness.support(kind).idempotency is STATE else ("unknown",)
