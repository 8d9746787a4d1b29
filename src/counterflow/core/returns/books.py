"""The books axis: which documents the ERP has to hold for this case, and how far each of them is.

The books are never ahead of the money: a credit note is posted when its refund is confirmed (or when the policy says
at disposition), a refund payment when its leg has succeeded, a reversal when it came back. What a person made in the ERP
by hand is adopted instead of made again (edge case 87).
"""

from collections import Counter
from datetime import datetime

from counterflow.core.effects import (
    CreditLine,
    Effect,
    MoveGoods,
    PayLeg,
    PostCreditNote,
    PostRefundPayment,
    PostReplacement,
    ReceiveGoods,
    ReverseRefundPayment,
)
from counterflow.core.facts import DocumentMoved, Fact
from counterflow.core.ids import make_id
from counterflow.core.money import allocate
from counterflow.core.returns.dispose import rma
from counterflow.core.returns.states import BOOKS_POSTED, LEG_DEAD, LEG_PAID
from counterflow.core.returns.work import Leg, Posting, Work, values_of
from counterflow.core.sale import SoldLine, Tax

_POSTINGS = {
    "ReceiveGoods": "receive_goods",
    "MoveGoods": "move_goods",
    "PostCreditNote": "credit_note",
    "PostRefundPayment": "refund_payment",
    "ReverseRefundPayment": "payment_reversal",
    "PostReplacement": "replacement",
}
_OUTCOME = {
    "done": "posted",
    "accepted": "drafted",
    "rejected": "blocked",
    "parked": "blocked",
    "unknown": "unknown",
    "not_found": "submitting",
    "resumed": "submitting",
    "discarded": "blocked",
}


def books(work: Work) -> None:
    """Read the postings from outcomes and documents, plan the missing ones, and see which are settled."""
    for effect in work.effects:
        if effect.kind in _POSTINGS:
            _posting(work, effect)
    adopted = _documents(work)
    if work.sale is not None:
        _credit_notes(work, adopted)
        _payments(work)
        _replacements(work)
    for effect in work.planned:
        if effect.kind in _POSTINGS and effect.effect_id not in work.postings:
            _posting(work, effect)
    _settle(work)


def _posting(work: Work, effect: Effect) -> Posting:
    command = effect.command
    subject, amount = "", 0
    if isinstance(command, ReceiveGoods | MoveGoods):
        subject = ",".join(unit for item in command.items for unit in item.unit_ids)
    elif isinstance(command, PostCreditNote):
        subject, amount = command.intent_id, command.amount_minor
    elif isinstance(command, PostRefundPayment | ReverseRefundPayment):
        subject, amount = command.leg_id, command.amount_minor
    elif isinstance(command, PostReplacement):
        subject = command.replacement_ref
    posting = Posting(
        effect.effect_id,
        _POSTINGS[effect.kind],
        subject,
        "submitting",
        effect.decided_at,
        amount,
        effect_id=effect.effect_id,
    )
    for report, at in work.outcomes.get(effect.effect_id, ()):
        values = values_of(report)
        if posting.move(_OUTCOME.get(report.outcome, posting.state), at):
            posting.document_ref = report.ref or posting.document_ref
            posting.document_name = values.get("name", posting.document_name)
            posting.accounting_on = values.get("accounting_on", posting.accounting_on)
    work.postings[posting.posting_id] = posting
    return posting


def _documents(work: Work) -> list[Fact]:
    """Apply what the ERP tells of documents: ours by key or reference; the rest is somebody's own work, to adopt."""
    foreign: dict[str, Fact] = {}
    for fact in work.facts:
        body = fact.body
        if not isinstance(body, DocumentMoved):
            continue
        ours = next(
            (
                p
                for p in work.postings.values()
                if p.effect_id == body.key or (p.document_ref and p.document_ref == body.document_ref)
            ),
            None,
        )
        if ours is None:
            foreign[body.document_ref] = fact
            continue
        if body.state == "cancelled" and ours.state in BOOKS_POSTED:
            ours.move("reversed", fact.occurred_at)
            work.trouble(
                "document_cancelled",
                body.document_ref,
                f"{ours.kind.replace('_', ' ')} {ours.document_name or body.document_ref} was cancelled in the ERP by "
                f"{body.by or 'a person'}: post it again there, or resolve this with the reason. The money is not touched",
                ours.amount_minor,
            )
        elif body.state in ("posted", "applied", "drafted"):
            ours.move("posted" if body.state == "applied" else body.state, fact.occurred_at)
            ours.document_ref = ours.document_ref or body.document_ref
            ours.accounting_on = body.accounting_on or ours.accounting_on
    return [fact for fact in foreign.values() if fact.body.state != "cancelled"]  # type: ignore[union-attr]


def _credit_notes(work: Work, foreign: list[Fact]) -> None:
    """One credit note per intent whose refund is confirmed, and one for what an exchange offsets."""
    assert work.sale is not None
    noted = {e.command.intent_id for e in work.effects if isinstance(e.command, PostCreditNote)}
    credited: Counter[tuple[str, str]] = Counter()
    for effect in work.effects:
        if isinstance(effect.command, PostCreditNote):
            for line in effect.command.lines:
                credited[line.line_ref, line.component] += line.amount_minor
    for intent_id, legs in _by_intent(work).items():
        # A leg that failed after success keeps its credit note: the customer is still owed, only the payment is undone.
        counted = [leg for leg in legs if leg.state not in LEG_DEAD or leg.succeeded_at is not None]
        amount = sum(leg.amount_minor for leg in counted)
        if intent_id in noted or not counted or not all(leg.succeeded_at is not None for leg in counted):
            continue
        if _replaces_failed(work, legs):
            continue
        at = max(leg.succeeded_at for leg in counted if leg.succeeded_at is not None)
        match = _adoptable(work, foreign, amount)
        if match is not None:
            _adopt(work, match, intent_id, amount)
            continue
        lines = _credit_lines(work, _allocated(work, counted, credited))
        _plan_note(work, intent_id, amount, lines, at)
    _exchange_note(work, noted, credited)


def _by_intent(work: Work) -> dict[str, list[Leg]]:
    groups: dict[str, list[Leg]] = {}
    for leg in work.legs.values():
        groups.setdefault(leg.intent_id, []).append(leg)
    return groups


def _replaces_failed(work: Work, legs: list[Leg]) -> bool:
    """Whether these legs only pay again what a failed leg has a credit note for."""
    failed = sum(
        leg.amount_minor for leg in work.legs.values() if leg.state in LEG_DEAD and leg.succeeded_at is not None
    )
    again = sum(leg.amount_minor for leg in legs if leg.state not in LEG_DEAD)
    first = any(leg.state in LEG_DEAD and leg.succeeded_at is not None for leg in legs)
    return bool(failed) and not first and again <= failed


def _plan_note(
    work: Work,
    intent_id: str,
    amount: int,
    lines: tuple[CreditLine, ...],
    at: datetime,
    replacement: str = "",
    offset: int = 0,
) -> None:
    assert work.sale is not None
    reasons = sorted({line.wanted.reason for line in work.lines.values()})
    receipts = tuple(e.effect_id for e in work.all_effects() if isinstance(e.command, ReceiveGoods))
    work.plan(
        PostCreditNote(
            order_ref=work.sale.sale_ref,
            order_number=work.sale.order_number,
            intent_id=intent_id,
            rma_number=rma(work),
            currency=work.sale.currency,
            amount_minor=amount,
            lines=lines,
            reason=", ".join(reasons).replace("_", " ") or work.kind,
            occurred_at=at,
            replacement_ref=replacement,
            offset_minor=offset,
        ),
        intent_id,
        work.setting.routes.erp,
        f"credit note of {amount} for a refund that is confirmed" if not offset else "credit note for the exchange",
        scope=f"sale:{work.sale.sale_ref}",
        after=receipts,
    )


def _allocated(work: Work, legs: list[Leg], credited: Counter[tuple[str, str]]) -> Counter[tuple[str, str]]:
    """(line, component) -> amount: from the legs' allocation; for legs of others from what is owed and not credited."""
    rows: Counter[tuple[str, str]] = Counter()
    left: Counter[tuple[str, str]] = Counter()
    for component in work.components:
        left[component.line_ref, component.component] += component.amount_minor
    left.subtract(credited)
    for leg in legs:
        if leg.allocation:
            for row in leg.allocation:
                rows[row.line_ref, row.component] += row.amount_minor
                left[row.line_ref, row.component] -= row.amount_minor
        else:
            rest = leg.amount_minor
            for key, amount in sorted(left.items()):
                part = min(max(amount, 0), rest)
                if part:
                    rows[key] += part
                    left[key] -= part
                    rest -= part
            if rest:
                rows["", "goodwill"] += rest
    return rows


def _credit_lines(work: Work, rows: Counter[tuple[str, str]]) -> tuple[CreditLine, ...]:
    """Credit lines: goods and their tax in one line per sold line with the pieces that came back, the rest by component."""
    assert work.sale is not None
    goods: Counter[str] = Counter()
    other: list[CreditLine] = []
    pieces: Counter[str] = Counter()
    for unit in work.units.values():
        if unit.payable and unit.line is not None and unit.erp_location and not unit.line.wanted.part_sku:
            pieces[unit.line.wanted.line_ref] += 1
    already: Counter[str] = Counter()
    for effect in work.effects:
        if isinstance(effect.command, PostCreditNote):
            for line in effect.command.lines:
                already[line.line_ref] += line.quantity if line.component == "goods" else 0
    for (ref, component), amount in rows.items():
        sold = work.sale.line(ref)
        if sold is not None and component in (sold.component, "tax"):
            goods[ref] += amount
        elif amount:
            other.append(
                CreditLine(
                    ref,
                    sold.sku if sold else "",
                    component,
                    0,
                    amount,
                    _taxes(sold, amount),
                    component.replace("_", " "),
                )
            )
    lines = []
    for ref, amount in goods.items():
        sold = work.sale.line(ref)
        if sold is not None and amount:
            quantity = max(0, pieces[ref] - already[ref]) if sold.component == "goods" else 0
            lines.append(CreditLine(ref, sold.sku, sold.component, quantity, amount, _taxes(sold, amount), sold.title))
    return (*lines, *other)


def _taxes(sold: SoldLine | None, amount: int) -> tuple[Tax, ...]:
    """The taxes inside an amount of a line, in the line's own proportion, at the rate and code of the sale (edge case 7)."""
    if sold is None or not sold.taxes or sold.paid_minor <= 0:
        return ()
    parts = allocate(
        amount, [*(t.amount_minor for t in sold.taxes), sold.paid_minor - sum(t.amount_minor for t in sold.taxes)]
    )
    return tuple(Tax(tax.code, tax.rate_ppm, part) for tax, part in zip(sold.taxes, parts, strict=False))


def _exchange_note(work: Work, noted: set[str], credited: Counter[tuple[str, str]]) -> None:
    """An exchange credits the goods against the replacement's invoice, once the replacement is on its way."""
    if not work.offset_minor or work.exchange_state not in ("shipped", "delivered"):
        return
    intent_id = make_id("ri", work.case_id, "offset")
    if intent_id in noted:
        return
    replacement = next(reversed(work.replacement))
    rows: Counter[tuple[str, str]] = Counter()
    for component in work.components:
        rows[component.line_ref, component.component] += component.amount_minor
    rows.subtract(credited)
    total = sum(rows.values())
    if total > work.offset_minor:  # the part that is refunded has its own credit note
        keys = [key for key, amount in sorted(rows.items()) if amount > 0]
        parts = allocate(work.offset_minor, [rows[key] for key in keys])
        rows = Counter(dict(zip(keys, parts, strict=True)))
    at = work.replacement[replacement][1]
    _plan_note(work, intent_id, work.offset_minor, _credit_lines(work, rows), at, replacement, work.offset_minor)


def _payments(work: Work) -> None:
    """Book each succeeded leg as a payment of its credit note, and undo it when the money came back."""
    assert work.sale is not None
    notes = {p.subject: p for p in work.postings.values() if p.kind == "credit_note" and p.state in BOOKS_POSTED}
    for leg in work.legs.values():
        paid = next((p for p in work.postings.values() if p.kind == "refund_payment" and p.subject == leg.leg_id), None)
        note = notes.get(leg.intent_id) or (next(iter(notes.values()), None) if _replaces_failed(work, [leg]) else None)
        if paid is None and leg.state in LEG_PAID and note is not None:
            work.plan(
                PostRefundPayment(
                    leg_id=leg.leg_id,
                    credit_note_ref=note.document_ref,
                    payment_ref=leg.payment_ref,
                    refund_ref=leg.refund_ref,
                    rail=leg.rail,
                    provider=leg.connection,
                    amount_minor=leg.amount_minor,
                    currency=work.sale.currency,
                    occurred_at=leg.succeeded_at or work.now,
                ),
                leg.leg_id,
                work.setting.routes.erp,
                f"the refund by {leg.rail} is confirmed: book its payment",
                scope=f"sale:{work.sale.sale_ref}",
            )
        elif paid is not None and paid.state in BOOKS_POSTED and leg.state in ("failed_after_success", "reversed"):
            work.plan(
                ReverseRefundPayment(
                    leg.leg_id,
                    paid.document_ref,
                    leg.amount_minor,
                    work.sale.currency,
                    leg.reason or leg.state.replace("_", " "),
                    leg.since,
                ),
                leg.leg_id,
                work.setting.routes.erp,
                "the refund came back after it had succeeded: undo its payment",
                scope=f"sale:{work.sale.sale_ref}",
            )


def _replacements(work: Work) -> None:
    """The replacement order stands in the ERP too, linked to the original sale."""
    assert work.sale is not None
    from counterflow.core.returns.channel import replacement_lines

    for ref, (state, at, _) in work.replacement.items():
        if state in ("created", "shipped", "delivered"):
            work.plan(
                PostReplacement(
                    work.sale.sale_ref,
                    work.sale.order_number,
                    ref,
                    rma(work),
                    work.sale.currency,
                    replacement_lines(work),
                    at,
                ),
                ref,
                work.setting.routes.erp,
                f"replacement {ref} was ordered: enter it, linked to {work.sale.order_number}",
                scope=f"sale:{work.sale.sale_ref}",
            )


def _adoptable(work: Work, foreign: list[Fact], amount: int) -> Fact | None:
    for fact in foreign:
        body = fact.body
        assert isinstance(body, DocumentMoved)
        if (
            body.posting == "credit_note"
            and body.amount_minor == amount
            and body.state in ("posted", "applied", "drafted")
        ):
            return fact
    return None


def _adopt(work: Work, fact: Fact, intent_id: str, amount: int) -> None:
    body = fact.body
    assert isinstance(body, DocumentMoved)
    posting = Posting(
        make_id("ps", work.case_id, body.document_ref),
        "credit_note",
        intent_id,
        "found_existing",
        fact.occurred_at,
        amount,
        document_ref=body.document_ref,
        accounting_on=body.accounting_on,
        origin="erp_user",
    )
    if body.state != "drafted":
        posting.move("posted", fact.occurred_at)
    work.postings[posting.posting_id] = posting
    work.because.append(f"{body.document_ref} was made in the ERP by {body.by or 'a person'}: adopted, no second one")


def _settle(work: Work) -> None:
    """Applied and settled follow from the legs: paid in the ledger, then matched on payout and bank and cleared."""
    legs = {leg.leg_id: leg for leg in work.legs.values()}
    payments = {p.subject: p for p in work.postings.values() if p.kind == "refund_payment"}
    reversed_legs = {
        p.subject for p in work.postings.values() if p.kind == "payment_reversal" and p.state in BOOKS_POSTED
    }
    for posting in payments.values():
        leg = legs.get(posting.subject)
        if leg is None or posting.state not in BOOKS_POSTED:
            continue
        if posting.subject in reversed_legs:
            posting.move("reversed", leg.since)
        else:
            posting.move("applied", posting.since)
            if leg.state == "settled" and (not leg.payout_ref or (leg.bank_ref and leg.settled_document)):
                posting.move("settled", leg.since)
    for posting in work.postings.values():
        if posting.state != "posted" and posting.state != "applied":
            continue
        if posting.kind == "credit_note":
            mine = [payments.get(leg.leg_id) for leg in legs.values() if leg.intent_id == posting.subject]
            alive = [p for p in mine if p is not None and p.state != "reversed"]
            if not mine and posting.subject == make_id("ri", work.case_id, "offset"):
                posting.move("settled", posting.since)
            elif mine and all(p is not None for p in mine) and alive and all(p.state == "settled" for p in alive):
                posting.move("settled", max(p.since for p in alive))
            elif any(p is not None and p.state in ("applied", "settled") for p in mine):
                posting.move("applied", posting.since)
            elif mine and not alive and any(p.state == "settled" for p in payments.values()):
                posting.move("settled", posting.since)  # paid again on another rail
        elif posting.kind in ("receive_goods", "move_goods", "replacement", "payment_reversal"):
            posting.move("settled", posting.since)
