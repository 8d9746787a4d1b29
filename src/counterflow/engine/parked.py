"""What a person does with parked work: retry, park or discard facts and effects, resume connections.

Who and why are kept: for an effect as a fact in its case's log, for a fact in its row and its exception.
"""

from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection

from counterflow.core.effects import Effect, PayLeg
from counterflow.core.facts import EffectReported
from counterflow.core.ids import make_id
from counterflow.core.returns.states import LEG_DEAD
from counterflow.engine.commit import outcome_fact, outcome_shard, unmatched_id
from counterflow.store import cases, connections, effects, exceptions, inbox
from counterflow.store.inbox import Incoming
from counterflow.store.shards import wake


class NotPossible(Exception):
    """The row is not in a state in which this can be done; the message says which it is in."""


@dataclass(frozen=True, slots=True)
class By:
    """Who decided, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


# what a person does -> (from these states, to this one)
FACTS = {
    "retry": (("parked",), "ready"),
    "park": (("ready", "waiting"), "parked"),
    "discard": (("parked", "waiting"), "done"),
}
# Retrying an effect whose outcome is unknown means to ask now.
EFFECTS = {
    "retry": {"parked": "planned", "rejected": "planned", "planned": "planned", "unknown": "unknown"},
    "park": {"planned": "parked", "unknown": "parked", "accepted": "parked"},
    "discard": {"planned": "discarded", "parked": "discarded", "rejected": "discarded", "unknown": "discarded"},
}
_TOLD = {"retry": "resumed", "park": "parked", "discard": "discarded"}


async def act_on_fact(conn: AsyncConnection, fact_id: str, action: str, by: By, now: datetime) -> str:
    """The new status. Raises KeyError for an unknown fact or action, NotPossible."""
    allowed, status = FACTS[action]
    async with conn.transaction():
        before, shard = await inbox.state(conn, fact_id)
        if before not in allowed:
            raise NotPossible(f"fact {fact_id} is {before}: {action} is for one that is {' or '.join(allowed)}")
        await inbox.set_status(conn, fact_id, status, f"{action} by {by}")
        if action != "park":
            names = (make_id("ex", "fact_parked", fact_id), unmatched_id(fact_id))
            await exceptions.end(conn, dict.fromkeys(names, f"{action} by {by}"), now)
        await wake(conn, {shard} if status == "ready" else ())
    return status


async def act_on_effect(conn: AsyncConnection, effect_id: str, action: str, by: By, now: datetime) -> str:
    """The new status; the owner is told. Raises KeyError for an unknown effect or action, NotPossible.

    An effect that was parked while its outcome was unknown is asked about before it goes out again. Where there is
    nothing to ask (`Idempotency.NONE`), a retry says that a person has looked and that it did not happen.
    """
    async with conn.transaction():
        claimed = await effects.get(conn, effect_id)
        if claimed is None:
            raise KeyError(effect_id)
        steps = EFFECTS[action]
        status = steps.get(claimed.status)
        if action == "retry" and claimed.status == "parked" and claimed.word in ("unknown", "accepted"):
            status = claimed.word  # it was parked before anybody could tell
        if status is None:
            raise NotPossible(f"effect {effect_id} is {claimed.status}: {action} is for {', '.join(sorted(steps))}")
        if action == "retry" and claimed.status == "rejected" and await _paid_since(conn, claimed.effect):
            raise NotPossible(f"{effect_id} was refused and paid another way since: a retry would pay twice")
        count = await effects.set_by_person(conn, effect_id, status, f"{action} by {by}", now)
        owner = claimed.effect.owner
        if owner:
            # To ask now about what is unknown sends nothing: unknown it stays for its case too.
            asked = action == "retry" and claimed.status == "unknown"
            told = "unknown" if asked else _TOLD[action]
            body = EffectReported(effect_id, told, code=f"by_{action}", message=str(by))
            fact = outcome_fact(effect_id, owner, body, f"{action}/{count}", now)
            shard = outcome_shard(owner, await effects.shard_of_owner(conn, owner))
            await inbox.add(conn, [Incoming(fact, shard, owner if owner.startswith("rc_") else "")])
            await wake(conn, {shard})
        if action != "park":
            await exceptions.end(conn, {make_id("ex", "effect_parked", effect_id): f"{action} by {by}"}, now)
        await wake(conn, connections={claimed.effect.connection, *await effects.dependents(conn, [effect_id])})
    return status


async def _paid_since(conn: AsyncConnection, effect: Effect) -> bool:
    """Whether the living legs of its case leave no room for this refund any more."""
    row = await cases.get(conn, effect.owner) if isinstance(effect.command, PayLeg) else None
    if row is None or not isinstance(effect.command, PayLeg):
        return False
    offset = (row["view"].get("exchange") or {}).get("offset_minor", 0)
    live = sum(leg["amount_minor"] for leg in row["view"].get("legs", ()) if leg["state"] not in LEG_DEAD)
    room: int = row["view"].get("entitled_minor", 0) - offset - live
    return live > 0 and effect.command.amount_minor > room


async def resume_connection(conn: AsyncConnection, name: str, by: By, now: datetime) -> None:
    """Let calls out again after somebody mended the credentials or knows better than the circuit."""
    async with conn.transaction():
        await connections.set_circuit(conn, name, "closed", reason=f"resumed by {by}")
        await exceptions.end(conn, {make_id("ex", "connection_auth", name): f"resumed by {by}"}, now)
        await wake(conn, connections={name})
