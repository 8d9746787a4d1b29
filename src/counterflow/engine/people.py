"""What people do, as facts: signing refunds, settling exceptions, writing notes.

A person's act takes the same way as any other fact (`intake.accept`), under the connection `console:<name>`. Its id
comes from the act's cause, so that a double click is one act. Only parked work is moved in its row (`engine.parked`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection

from counterflow.core.facts import (
    CONSOLE,
    ApprovalGiven,
    AuthorisationGiven,
    Body,
    DispositionChosen,
    ExceptionResolved,
    Fact,
    MissingResolved,
    NoteAdded,
)
from counterflow.core.ids import effect_id, fact_id, make_id
from counterflow.core.money import Money
from counterflow.core.returns.exceptions import CLASSES
from counterflow.engine.parked import By, NotPossible, act_on_effect, act_on_fact, resume_connection
from counterflow.intake.accept import accept
from counterflow.intake.again import translate_again
from counterflow.sdk.connector import Connector
from counterflow.store import exception_queries, exceptions, log, notes
from counterflow.store.codec import decode_log
from counterflow.store.notes import Note


class Denied(Exception):
    """This person may not do this; the message says who may."""


@dataclass(frozen=True, slots=True)
class Act:
    """Who does something, when, and the cause that makes a repeat of it the same act."""

    name: str  # of the key or account: the connection is "console:<name>"
    person: str
    role: str
    cause: str
    at: datetime

    def fact(self, body: Body, *refs: str, n: int = 0, occurred_at: datetime | None = None) -> Fact:
        made = fact_id(f"{CONSOLE}{self.name}", type(body).__name__, self.cause, n)
        return Fact(made, f"{CONSOLE}{self.name}", occurred_at or self.at, self.at, refs, body, "person")


async def add_note(conn: AsyncConnection, case_id: str, text: str, act: Act) -> str:
    """Write a note; its reference. The text lives beside the log."""
    note_ref = make_id("nt", case_id, act.cause)
    async with conn.transaction():
        await notes.add(conn, Note(note_ref, case_id, act.at, text))
        await accept(conn, [act.fact(NoteAdded(note_ref, act.person), f"case:{case_id}")])
    return note_ref


async def sign(
    conn: AsyncConnection,
    approval: Mapping[str, Any],
    amount_minor: int,
    reason: str,
    act: Act,
    persons: Mapping[str, str],
    *,
    granted: bool,
) -> str:
    """Grant or refuse a refund intent (a row of `exception_queries.approvals`); the fact's id.

    `persons` says who stands behind the names that acted on the case. Raises Denied when the signer has a part in the
    case, NotPossible when the amount is not the one that is asked for any more.
    """
    intent, case_id = approval["intent"], approval["case_id"]
    if amount_minor != intent["amount_minor"]:
        asked = Money(approval["currency"], intent["amount_minor"])
        raise NotPossible(
            f"the intent is over {asked}, not over {amount_minor} minor units: look at it again and sign what it says"
        )
    if granted:
        if act.person in intent["approvals"]:
            raise Denied(f"{act.person} has signed already: a second person has to")
        parts = {persons.get(name, name): what for name, what in (await actors(conn, case_id)).items()}
        if act.person in parts:
            raise Denied(f"{act.person} {parts[act.person]} in this case: somebody else has to approve its refund")
    body = ApprovalGiven(intent["intent_id"], amount_minor, act.person, act.role, granted, reason)
    fact = act.fact(body, f"case:{case_id}")
    async with conn.transaction():
        await accept(conn, [fact])
    return fact.fact_id


# What a person did to a case that bars them from approving its refund.
_PARTS = {
    "ReturnRequested": "asked for the return",
    "WithdrawalDeclared": "declared the withdrawal",
    "AuthorisationGiven": "authorised the return",
    "ItemsReceived": "received the goods",
    "ItemInspected": "inspected the goods",
    "DispositionChosen": "chose a disposition",
    "GoodsWaived": "waived the goods",
    "GoodwillGranted": "granted goodwill",
    "MissingResolved": "decided on missing goods",
}


async def actors(conn: AsyncConnection, case_id: str) -> dict[str, str]:
    """{name or person: what they did} of those who had a part in what the case owes."""
    found: dict[str, str] = {}
    for body in (await log.bodies(conn, [case_id]))[case_id]:
        fact = decode_log(body).fact
        part = _PARTS.get(fact.kind)
        if part is None:
            continue
        if fact.connection.startswith(CONSOLE):
            found[fact.connection.removeprefix(CONSOLE)] = part
        for who in (getattr(fact.body, "by", ""), getattr(fact.body, "inspector", "")):
            if who:
                found[who] = part
    return found


# ---- exceptions ------------------------------------------------------------------------------------------------------


def actions_of(kind: str) -> tuple[str, ...]:
    """What a person may do with an exception of this class, besides parking it."""
    found = CLASSES.get(kind)
    if found is not None and kind in ("fact_parked", "effect_parked", "drift"):
        return found.actions  # it ends with what it is about, and not before
    return ("resolve",) if found is None else tuple(dict.fromkeys((*found.actions, "resolve")))


async def settle(
    conn: AsyncConnection,
    exception: Mapping[str, Any],
    action: str,
    reason: str,
    act: Act,
    connectors: Mapping[str, Connector],
) -> None:
    """Do to an open exception what a person decided. Raises NotPossible; KeyError when what it is about is gone.

    `connectors` by connection: a delivery that could not be read is translated again by its own.
    """
    kind, subject, case_id = exception["kind"], exception["subject"], exception["case_id"]
    allowed = actions_of(kind)
    if exception["status"] != "open":
        raise NotPossible(f"the exception is {exception['status']} already: nothing is left to do")
    if action not in allowed:
        raise NotPossible(f"{action} does not settle {kind}: use one of {', '.join(allowed)}")
    if kind == "approval_needed":
        raise NotPossible(f"a refund is signed under its intent: grant or refuse {subject}")
    by = By(act.person, reason)
    if kind == "connection_auth":
        await resume_connection(conn, subject, by, act.at)
    elif kind == "settlement_not_posted" and action == "retry":
        effect = effect_id(make_id("po", subject), "PostSettlement", subject)  # it ends when the payout is posted
        await act_on_effect(conn, effect, action, by, act.at)
    elif kind == "fact_parked" or (kind == "fact_unmatched" and action == "discard"):
        await act_on_fact(conn, subject, action, by, act.at)
    elif subject.startswith("ef_") and action in ("retry", "discard"):
        await act_on_effect(conn, subject, action, by, act.at)
    elif kind == "malformed_delivery" and action == "retry":
        if (await translate_again(conn, connectors, subject, str(by), act.at)).status == "malformed":
            raise NotPossible("it still cannot be read: mend the translation or the sender first, or resolve it")
    elif not case_id:
        await exceptions.end(conn, {exception["exception_id"]: f"{action} by {by}"}, act.at)
    else:
        line_refs = await _lines_of(conn, case_id, subject)
        bodies = [*_meant(kind, action, subject, line_refs, by)]
        bodies.append(ExceptionResolved(exception["exception_id"], action, act.person, reason))
        async with conn.transaction():
            await accept(conn, [act.fact(body, f"case:{case_id}") for body in bodies])


def _meant(kind: str, action: str, subject: str, line_refs: tuple[str, ...], by: By) -> Sequence[Body]:
    """The decision that an action stands for, beside the exception's being settled."""
    if kind in ("authorisation_review", "claimed_twice") and action in ("approve", "decline"):
        return [AuthorisationGiven(action, by.name, by.reason, line_refs)]
    if kind == "missing_goods" and action in ("lost", "denied", "kept"):
        return [MissingResolved(action, by.name, by.reason, line_refs)]
    if action == "send_back":
        return [DispositionChosen((subject,), "send_back", by.name, by.reason)]
    return []


async def _lines_of(conn: AsyncConnection, case_id: str, subject: str) -> tuple[str, ...]:
    """The line that a subject is about: a unit's, or the line itself."""
    found = await conn.execute(
        "SELECT u->>'line_ref' FROM cases, jsonb_array_elements(view->'units') u WHERE case_id = %(id)s "
        "AND u->>'unit_id' = %(s)s UNION SELECT l->>'line_ref' FROM cases, jsonb_array_elements(view->'lines') l "
        "WHERE case_id = %(id)s AND %(s)s IN (l->>'line_ref', (l->>'line_ref') || ':' || (l->>'part_sku'))",
        {"id": case_id, "s": subject},
    )
    return tuple(sorted({row[0] for row in await found.fetchall() if row[0]}))


async def park(conn: AsyncConnection, exception: Mapping[str, Any], until: datetime, reason: str, act: Act) -> None:
    """Put an exception out of sight until then; its effect or fact stays where it is. Raises NotPossible."""
    if until <= act.at:
        raise NotPossible("the time to park it until has passed: name a later one")
    how = f"parked until {until.isoformat()} by {act.person}: {reason}"
    if not await exception_queries.park(conn, exception["exception_id"], until, how):
        raise NotPossible(f"the exception is {exception['status']} already: nothing is left to park")
