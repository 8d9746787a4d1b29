"""One case as people read it: what happened in order, and what each outside system believes of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from psycopg import AsyncConnection

from counterflow.core.returns import explain
from counterflow.core.returns.case import Belief, Change, PolicyHit, View
from counterflow.store import exceptions, log, notes
from counterflow.store.codec import decode_log
from counterflow.store.effect_queries import UNDER_WAY, EffectRow


@dataclass(frozen=True, slots=True)
class Planned:
    """An effect as the log row that decided on it names it."""

    effect_id: str
    kind: str
    connection: str
    because: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the log. `by` is the person or connection that said it; `hash` is the row's link of the chain."""

    seq: int
    occurred_at: datetime
    recorded_at: datetime
    kind: str
    by: str
    origin: str
    summary: str
    status: str
    hash: str
    changes: tuple[Change, ...] = ()
    policy: tuple[PolicyHit, ...] = ()
    effects: tuple[Planned, ...] = ()
    because: tuple[str, ...] = ()


async def timeline(conn: AsyncConnection, case_id: str) -> list[Entry]:
    """The log of a case, the first row first; texts of notes are filled in while they exist."""
    written = await notes.of_case(conn, case_id)
    return [
        _entry(row.seq, row.hash, msgspec.json.decode(row.body, type=_Row), {k: v.note for k, v in written.items()})
        for row in await log.of_case(conn, case_id)
    ]


async def explained(conn: AsyncConnection, view: View) -> list[str]:
    """The case in sentences."""
    entries = []
    for body in (await log.bodies(conn, [view.case_id]))[view.case_id]:
        row, folded = msgspec.json.decode(body, type=_Row), decode_log(body)
        entries.append(explain.Entry(row.recorded_at, folded.fact, folded.effects, row.hits))
    raised = await exceptions.page(conn, status="", case_id=view.case_id, limit=1000)
    return explain.explain(view, entries, {row["exception_id"]: row["kind"].replace("_", " ") for row in raised})


async def facts_of(conn: AsyncConnection, case_id: str, kind: str) -> list[dict[str, Any]]:
    """The bodies of the case's facts of one kind in the log's order, each with when it happened and who said it."""
    found = []
    for text in (await log.bodies(conn, [case_id]))[case_id]:
        row = msgspec.json.decode(text, type=_Row)
        if row.fact.kind == kind:
            fact = row.fact
            found.append({**fact.body, "occurred_at": fact.occurred_at, "by": _by(fact), "fact_id": fact.fact_id})
    return found


@dataclass(frozen=True, slots=True)
class OnItsWay:
    effect_id: str
    kind: str
    status: str
    since: datetime
    attempts: int
    message: str


@dataclass(frozen=True, slots=True)
class Believed:
    """What one outside system says, and what we are about to tell it."""

    connection: str
    says: str
    since: datetime | None
    on_its_way: list[OnItsWay] = field(default_factory=list)


def beliefs(said: Iterable[Belief], effects: Iterable[EffectRow]) -> list[Believed]:
    """By connection. A system that has said nothing yet and has something on its way is in it too."""
    found = {belief.connection: Believed(belief.connection, belief.says, belief.since) for belief in said}
    for effect in effects:
        if effect.status in UNDER_WAY:
            entry = found.setdefault(effect.connection, Believed(effect.connection, "nothing yet", None))
            entry.on_its_way.append(
                OnItsWay(
                    effect.effect_id,
                    effect.kind,
                    effect.status,
                    effect.first_sent_at or effect.decided_at,
                    effect.attempts,
                    effect.message,
                )
            )
    return [found[name] for name in sorted(found)]


class _Fact(msgspec.Struct):
    fact_id: str
    kind: str
    connection: str
    occurred_at: datetime
    origin: str
    body: dict[str, Any]


class _Effect(msgspec.Struct):
    effect_id: str
    kind: str
    connection: str
    because: str = ""


class _Row(msgspec.Struct):
    seq: int
    recorded_at: datetime
    fact: _Fact
    status: str = ""
    changes: tuple[Change, ...] = ()
    hits: tuple[PolicyHit, ...] = ()
    effects: tuple[_Effect, ...] = ()
    because: tuple[str, ...] = ()


def _entry(seq: int, digest: bytes, row: _Row, texts: Mapping[str, str]) -> Entry:
    fact = row.fact
    planned = tuple(Planned(e.effect_id, e.kind, e.connection, e.because) for e in row.effects)
    return Entry(
        seq,
        fact.occurred_at,
        row.recorded_at,
        fact.kind,
        _by(fact),
        fact.origin,
        _summary(fact, texts),
        row.status,
        bytes(digest).hex(),
        row.changes,
        row.hits,
        planned,
        row.because,
    )


def _by(fact: _Fact) -> str:
    return str(fact.body.get("by") or fact.body.get("inspector") or fact.connection)


# What of a body is told in one line; the names are those of the facts.
_TELLS = (
    *("return_ref", "rma_number", "decision", "stage", "tracking", "receipt_ref", "place", "sku", "quantity", "grade"),
    *("serial", "disposition", "refund_ref", "status", "payout_ref", "bank_ref", "posting", "document_ref", "state"),
    *("outcome", "ref", "code", "message", "name", "action", "reason", "amount_minor", "currency"),
)


def _summary(fact: _Fact, texts: Mapping[str, str]) -> str:
    body = fact.body
    if fact.kind == "SaleRecorded":
        return f"sale {body['sale'].get('order_number') or body['sale'].get('sale_ref', '')}"
    if fact.kind == "NoteAdded":
        return texts.get(body.get("note_ref", ""), "(erased)")
    said = [f"{name.removesuffix('_minor')} {body[name]}" for name in _TELLS if body.get(name) not in (None, "", 0)]
    return ", ".join(said)
