"""`case explain`: what happened to a case and why, in sentences, from its view and its log. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from counterflow.core.effects import Effect, PayLeg
from counterflow.core.facts import ApprovalGiven, ExceptionResolved, Fact
from counterflow.core.money import Money
from counterflow.core.returns.case import LegView, PolicyHit, PostingView, View
from counterflow.core.returns.states import BOOKS_POSTED, LEG_DEAD, LEG_PAID

_QUESTIONS = {
    "eligibility": "Whether {subject} may come back",
    "fees": "What is kept of {subject}",
    "refund_moment": "When {subject} is refunded",
    "approvals": "Who signs the refund",
    "disposition": "Where {subject} goes",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the case's log, as far as it explains: the fact, what was decided to do, and which rows answered."""

    recorded_at: datetime
    fact: Fact
    effects: tuple[Effect, ...] = ()
    hits: tuple[PolicyHit, ...] = ()


def explain(view: View, entries: Sequence[Entry], exceptions: Mapping[str, str] | None = None) -> list[str]:
    """Sentences in the order in which people ask: where it stands, what allowed it, the money, the books, what is open.

    `exceptions` names those that were ever raised (id -> what it was), so that those resolved can be told by name.
    """
    return [
        *_status(view),
        *_policies(entries),
        *(sentence for leg in view.legs for sentence in _leg(view, leg, entries)),
        *(_posting(view, posting) for posting in view.postings),
        *(f"Waiting for {each.what}, since {_at(each.since)}." for each in view.waiting),
        *(f"Open for {e.owner} until {_at(e.due_at)}: {e.message}." for e in view.exceptions),
        *_resolutions(entries, exceptions or {}),
    ]


def _status(view: View) -> Iterable[str]:
    owed = Money(view.currency, view.entitled_minor) if view.currency else ""
    yield (
        f"Case {view.case_id} ({view.kind.replace('_', ' ')} of order {view.order_number or 'unknown'}) is "
        f"{view.status.replace('_', ' ')} since {_at(view.closed_at or view.resolved_at or view.updated_at)}."
    )
    if view.currency:
        paid = Money(view.currency, view.paid_minor)
        yield f"The customer is owed {owed}, {paid} of it is confirmed as paid."
    for line in view.lines:
        yield f"{line.quantity} x {line.sku or line.line_ref} is {line.authorisation}: {line.because}."
    if view.refund_due_on:
        yield f"By law the refund is due on {view.refund_due_on}."


def _policies(entries: Sequence[Entry]) -> Iterable[str]:
    """The newest answer of each table for each subject."""
    newest = {(hit.table, hit.subject): hit for entry in entries for hit in entry.hits}
    for (table, subject), hit in newest.items():
        question = _QUESTIONS.get(table, table).format(subject=subject)
        by = f"row {hit.row} of {hit.version}" if hit.row else f"no row of {hit.version}"
        law = f" The law stands above it: {hit.floor}." if hit.floor else ""
        yield f"{question}: {by} answered {hit.answer}.{law}"


def _leg(view: View, leg: LegView, entries: Sequence[Entry]) -> Iterable[str]:
    amount = Money(view.currency, leg.amount_minor) if view.currency else str(leg.amount_minor)
    if leg.origin == "ours":
        yield _initiated(leg, str(amount), entries)
    else:
        yield f"The refund of {amount} was made by {leg.origin} and not by us; {leg.connection} told us of it."
    reference = f" as {leg.refund_ref}" if leg.refund_ref else ""
    acquirer = f" (acquirer reference {leg.acquirer_ref})" if leg.acquirer_ref else ""
    if leg.state in LEG_PAID:
        yield f"{leg.connection} confirmed it{reference}{acquirer}, {leg.state} since {_at(leg.since)}."
    elif leg.state in LEG_DEAD:
        why = f": {leg.reason}" if leg.reason else ""
        yield f"It is {leg.state.replace('_', ' ')} at {leg.connection}{reference} since {_at(leg.since)}{why}."
    else:
        state = leg.state.replace("_", " ")
        yield f"{leg.connection} has not confirmed it yet{reference}: {state} since {_at(leg.since)}."
    if leg.payout_ref:
        bank = f", found on bank line {leg.bank_ref}" if leg.bank_ref else ", not found on the bank yet"
        yield f"It is in payout {leg.payout_ref}{bank}."


def _initiated(leg: LegView, amount: str, entries: Sequence[Entry]) -> str:
    """Who set the refund in motion: the fact after which the leg was decided, and those who signed it."""
    cause = next((entry for entry in entries if any(_is(leg, e) for e in entry.effects)), None)
    signers = [
        entry.fact.body.by
        for entry in entries
        if isinstance(entry.fact.body, ApprovalGiven)
        and entry.fact.body.granted
        and entry.fact.body.intent_id == leg.intent_id
    ]
    signed = f", signed by {' and '.join(dict.fromkeys(signers))}" if signers else ""
    if cause is None:
        return f"The refund of {amount} by {leg.rail.replace('_', ' ')} was initiated by us{signed}."
    because = next(e.because for e in cause.effects if _is(leg, e)).partition(": ")[2]
    fact = cause.fact
    return (
        f"The refund of {amount} by {leg.rail.replace('_', ' ')} was initiated on {_at(cause.recorded_at)} after "
        f"{fact.connection} ({fact.origin}) told {fact.kind}, allowed by {because or 'what is owed'}{signed}."
    )


def _is(leg: LegView, effect: Effect) -> bool:
    return isinstance(effect.command, PayLeg) and effect.command.leg_id == leg.leg_id


def _posting(view: View, posting: PostingView) -> str:
    what = posting.kind.replace("_", " ").capitalize()
    amount = f" of {Money(view.currency, posting.amount_minor)}" if posting.amount_minor and view.currency else ""
    name = posting.document_name or posting.document_ref
    document = f" as {name}" if name else ""
    dated = f", accounting date {posting.accounting_on}" if posting.accounting_on else ""
    who = "" if posting.origin == "ours" else " by a person in the ERP, adopted"
    if posting.state in BOOKS_POSTED:
        proven = "" if posting.state == "posted" else f" ({posting.state})"
        return f"{what}{amount} stands in the ERP{document}{dated}{who}, since {_at(posting.since)}{proven}."
    return f"{what}{amount} is {posting.state.replace('_', ' ')} in the ERP{document}{who}, since {_at(posting.since)}."


def _resolutions(entries: Sequence[Entry], names: Mapping[str, str]) -> Iterable[str]:
    for entry in entries:
        body = entry.fact.body
        if isinstance(body, ExceptionResolved):
            what = names.get(body.exception_id, body.exception_id).replace("_", " ")
            yield f"{body.by} settled {what} on {_at(entry.fact.occurred_at)} with {body.action}: {body.reason}."


def _at(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d %H:%M UTC")
