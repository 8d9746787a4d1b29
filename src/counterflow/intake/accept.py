"""What a delivery, a feed or a read gave, put into the inbox (facts) and among the effects (signals: look at this)."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from psycopg import AsyncConnection

from counterflow.core.effects import Effect, Look
from counterflow.core.facts import BankLineBooked, Fact, PayoutReported, SaleRecorded
from counterflow.core.ids import make_id
from counterflow.sdk.connector import Signal
from counterflow.store import effects, inbox, xref
from counterflow.store.inbox import Incoming
from counterflow.store.shards import PAYOUTS, shard_of, wake


async def accept(
    conn: AsyncConnection, facts: Sequence[Fact], looks: Sequence[Effect] = ()
) -> tuple[set[str], set[str]]:
    """Store facts for their shards and looks for their connections, and wake who takes them; the ids that were new."""
    new_facts: set[str] = set()
    if facts:
        incoming = await route(conn, facts)
        new_facts = await inbox.add(conn, incoming)
        shards = {item.shard for item in incoming if item.fact.fact_id in new_facts}
    else:
        shards = set()
    new_looks = await effects.plan(conn, looks)
    await wake(conn, shards, {look.connection for look in looks if look.effect_id in new_looks})
    return new_facts, new_looks


async def route(conn: AsyncConnection, facts: Sequence[Fact]) -> list[Incoming]:
    """Where each fact goes: the shard of the case that is known for its references, else of its sale, else its own.

    A guess that the drain corrects; what counts is that two facts of one unknown thing meet.
    """
    targets = await xref.find(conn, {ref for fact in facts for ref in _refs(fact)})
    incoming = []
    for fact in facts:
        found = [target for ref in _refs(fact) for target in targets.get(ref, ())]
        of_case = next((target.shard for target in found if target.kind == "case"), None)
        of_sale = next((shard_of(target.root) for target in found if target.root), None)
        match fact.body:
            case PayoutReported() | BankLineBooked():
                shard = shard_of(PAYOUTS)
            case SaleRecorded(sale):
                shard = shard_of(sale.root)
            case _ if of_case is not None:
                shard = of_case
            case _ if of_sale is not None:
                shard = of_sale
            case body:
                shard = shard_of(getattr(body, "sale_ref", "") or fact.refs[0] if fact.refs else fact.fact_id)
        incoming.append(Incoming(fact, shard))
    return incoming


def look(connection: str, signal: Signal, cause: str, now: datetime) -> Effect:
    """The read that a signal asks for. `cause` is the delivery or page that pointed there."""
    effect_id = make_id("ef", connection, "Look", signal.feed, signal.ref, cause)
    scope = f"look:{signal.feed}:{signal.ref}"
    because = f"{connection} pointed at {signal.ref}"
    return Effect(effect_id, "", connection, Look(signal.feed, signal.ref), now, scope, because)


def split(items: Iterable[Fact | Signal]) -> tuple[list[Fact], list[Signal]]:
    """Facts and signals apart."""
    facts: list[Fact] = []
    signals: list[Signal] = []
    for item in items:
        if isinstance(item, Signal):
            signals.append(item)
        else:
            facts.append(item)
    return facts, signals


def _refs(fact: Fact) -> list[str]:
    if sale_ref := getattr(fact.body, "sale_ref", ""):
        return [*fact.refs, sale_ref]
    return list(fact.refs)
