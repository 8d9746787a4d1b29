"""One call outwards: every way in which it can end becomes an outcome per effect. No transaction is open here.

An answer to a read that cannot be understood is Malformed and carries the raw bytes. So is one on which the connector
itself fails: most often a field has gone that it relied on.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from counterflow.core.effects import Effect, Look
from counterflow.core.returns.states import LEG_DEAD, LEG_PAID
from counterflow.sdk.connector import Connector
from counterflow.sdk.http import hearing
from counterflow.sdk.outcomes import (
    Accepted,
    ConnectorError,
    Done,
    Malformed,
    Outcome,
    Rejected,
    Transient,
    UnknownOutcome,
)
from counterflow.sdk.reading import DRIFT
from counterflow.store.effects import READS

CALL_SECONDS = 120.0  # a batch is several requests, each with the connection's own timeout

# Surely not applied because of one of them: the others are sent without it.
_SPLIT = ("rejected", "conflict", "not_found", "malformed")


async def send(connector: Connector, effects: Sequence[Effect]) -> list[Outcome]:
    """Outcomes in order. A batch that is refused as a whole is split until the one that is refused stands alone."""
    outcomes = await _call(connector, effects)
    if isinstance(outcomes, ConnectorError):
        if len(effects) > 1 and outcomes.word in _SPLIT:
            half = len(effects) // 2
            return [*await send(connector, effects[:half]), *await send(connector, effects[half:])]
        return [outcomes] * len(effects)
    return outcomes


async def find(connector: Connector, effect: Effect) -> tuple[Outcome | None, bool]:
    """(what they know, whether they could not tell)."""
    try:
        async with asyncio.timeout(CALL_SECONDS):
            return await connector.find(effect), False
    except ConnectorError as error:
        return error, True
    except Exception as error:
        return Transient(f"the look-up failed: {type(error).__name__}: {error}"[:500]), True


def heard(case: Mapping[str, Any] | None, effect_id: str) -> tuple[Outcome, bool]:
    """As `find`, where there is nobody to ask: what a webhook or a file has told its case of this leg meanwhile."""
    legs = case["view"].get("legs", ()) if case else ()
    leg: Mapping[str, str] = next((leg for leg in legs if leg.get("effect_id") == effect_id), {})
    state, ref = leg.get("state", ""), leg.get("refund_ref", "")
    if state in LEG_PAID:
        return Done(ref), False
    if state in LEG_DEAD:
        why = leg.get("reason") or state.replace("_", " ")
        return Rejected(f"refund {ref} did not go through: {why}. Pay another way", code=state), False
    if state == "accepted":
        return Accepted(ref), False
    return UnknownOutcome("nothing was heard of it yet: a webhook or the settlement file tells"), True


async def _call(connector: Connector, effects: Sequence[Effect]) -> list[Outcome] | ConnectorError:
    read = effects[0].kind in READS
    try:
        async with asyncio.timeout(CALL_SECONDS):
            if isinstance(effects[0].command, Look) or (read and len(effects) == 1):
                return [await _read(connector, effect) for effect in effects]
            outcomes = list(await connector.send(effects))
    except ConnectorError as error:
        return error
    except Exception as error:  # a bug of the connector, or the time is up: the call may have gone out
        message = f"the call ended with {type(error).__name__}: {error}"[:500]
        return Transient(message) if read else UnknownOutcome(message)
    if len(outcomes) != len(effects):
        return UnknownOutcome(f"the connector gave {len(outcomes)} outcomes for {len(effects)} effects")
    return outcomes


async def _read(connector: Connector, effect: Effect) -> Outcome:
    with hearing() as last:
        try:
            if isinstance(effect.command, Look):
                return Done(facts=tuple(await connector.fetch(effect.command.feed, effect.command.ref)))
            [outcome] = await connector.send([effect])
        except ConnectorError as error:
            outcome = error
        except DRIFT as error:
            outcome = Malformed(f"reading it ended with {type(error).__name__}: {error}"[:500])
    if isinstance(outcome, Malformed):
        outcome.raw = b"".join(last)
    return outcome
