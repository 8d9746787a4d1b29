"""The engine's rule for a write, as short as it can be said: what a connector's answers have to be good for.

rate limited: wait, send again        transient: send again        a word that says "never": stop
unknown: a state, and what cannot be looked up, is sent again under its key; else only a look-up decides, and
"not there" lets the same key out again
"""

from counterflow.core.effects import Effect
from counterflow.sdk.connector import Connector
from counterflow.sdk.manifest import Idempotency
from counterflow.sdk.outcomes import ConnectorError, Outcome, RateLimited
from counterflow.sdk.testing.harness import Harness

TRIES = 40
FINAL = ("rejected", "conflict", "not_found")  # surely not applied, and never will be
AGAIN = ("transient", "rate_limited", "auth_failed")  # surely not applied


async def attempt(harness: Harness, effect: Effect, connector: Connector | None = None) -> Outcome:
    """One send; an error is a value here, and must be one of the eight words."""
    try:
        outcomes = await (connector or harness.connector).send([effect])
    except ConnectorError as error:
        return error
    assert len(outcomes) == 1, f"one effect was sent, {len(outcomes)} outcomes came back"
    return outcomes[0]


async def look_up(harness: Harness, effect: Effect) -> Outcome | None:
    try:
        return await harness.connector.find(effect)
    except ConnectorError as error:
        return error


def word(outcome: Outcome | None) -> str:
    """ "done", "accepted", one of the eight words, or "not there"."""
    if outcome is None:
        return "not there"
    return outcome.word if isinstance(outcome, ConnectorError) else type(outcome).__name__.lower()


def succeeded(outcome: Outcome | None) -> bool:
    return word(outcome) in ("done", "accepted")


async def carry_out(harness: Harness, effect: Effect, outcome: Outcome | None = None) -> Outcome:
    """Send until it is decided, as the engine would; `outcome` is what an attempt has given already."""
    support = harness.support(effect.kind)
    unknown = outcome is not None and word(outcome) in ("unknown", "malformed")
    if outcome is not None and not unknown and word(outcome) not in AGAIN:
        return outcome
    for _ in range(TRIES):
        if unknown and support.idempotency is not Idempotency.STATE and support.findable:
            assert support.idempotency is not Idempotency.NONE, "an unknown outcome of such a command is for a person"
            harness.clock.advance(support.settle_seconds)
            found = await look_up(harness, effect)
            if found is not None and (succeeded(found) or word(found) in FINAL):
                return found
            if found is not None:
                continue  # it cannot tell now
        outcome = await attempt(harness, effect)
        if isinstance(outcome, RateLimited):
            harness.clock.advance(outcome.retry_after)
        unknown = word(outcome) in ("unknown", "malformed")
        if not unknown and word(outcome) not in AGAIN:
            return outcome
    raise AssertionError(f"{effect.kind} is still undecided after {TRIES} tries; the last answer was {word(outcome)}")


async def once(harness: Harness, effect: Effect, outcome: Outcome | None = None) -> None:
    """Carry it out and hold it against the truth: a success that happened exactly once."""
    outcome = await carry_out(harness, effect, outcome)
    assert succeeded(outcome), f"it should have gone through in the end, and ended as {word(outcome)}: {outcome}"
    applied = await harness.applied(effect)
    assert applied == 1, f"the outside did it {applied} times"
