"""The books axis: which documents the ERP has to hold for this case, and how far each of them is.

The books are never ahead of the money: a credit note is posted when its refund is confirmed (or when the policy says
at disposition), a refund payment when its leg has succeeded, a reversal when it came back. What a person made in the
ERP by hand is adopted instead of made again (edge case 87).
"""

from collections import Counter

from counterflow.core.effects import (
    Effect,
    MoveGoods,
    PostCreditNote,
    PostRefundPayment,
    PostReplacement,
    ReceiveGoods,
    ReverseRefundPayment,
)
from counterflow.core.facts import DocumentMoved, Fact
from counterflow.core.ids import make_id
from counterflow.core.returns.credit import credit_notes
from counterflow.core.returns.dispose import rma
from counterflow.core.returns.exchange import replacement_lines
from counterflow.core.returns.states import BOOKS_POSTED, LEG_DEAD, LEG_PAID
from counterflow.core.returns.work import Leg, Posting, Work, values_of

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
    "discarded": "not_required",
}
_NOTED = (*BOOKS_POSTED, "not_required")


def books(work: Work) -> None:
    """Read the postings from outcomes and documents, plan the missing ones, and see which are settled."""
    for effect in work.effects:
        if effect.kind in _POSTINGS:
            _posting(work, effect)
    _documents(work)
    if work.sale is not None:
        credit_notes(work)
        _payments(work)
        _replacements(work)
    for effect in work.planned:
        if effect.kind in _POSTINGS and effect.effect_id not in work.postings:
            _posting(work, effect)
    _settle(work)


def _posting(work: Work, effect: Effect) -> None:
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
        state = _OUTCOME.get(report.outcome, posting.state)
        if state == "posted" and values.get("posting") == "not_required":
            state = "not_required"  # nothing was invoiced: the quantity to invoice was reduced instead (edge case 81)
        if posting.move(state, at):
            posting.document_ref = report.ref or posting.document_ref
            posting.document_name = values.get("name", posting.document_name)
            posting.accounting_on = values.get("accounting_on", posting.accounting_on)
            posting.counted = values.get("counted", posting.counted)
    work.postings[posting.posting_id] = posting


def _documents(work: Work) -> None:
    """Apply what the ERP tells of documents of ours; those of others are adopted where they are needed."""
    told: dict[str, tuple[Posting, Fact, DocumentMoved]] = {}  # the newest statement over an amount
    for fact in work.facts:
        body = fact.body
        if not isinstance(body, DocumentMoved) or body.document_ref in work.foreign:
            continue
        ours = next((p for p in work.postings.values() if _is(p, body)), None)
        if ours is None:
            continue
        if body.state == "cancelled" and ours.state in BOOKS_POSTED:
            ours.move("reversed", fact.occurred_at)
            ours.cancelled_by = body.by or "a person"
        elif body.state == "drafted" and ours.state in BOOKS_POSTED:
            # A poll between our two calls saw the draft. Only a later one (a person set it back) is news; the ERP
            # tells whole seconds.
            if fact.occurred_at > ours.since:
                ours.move("reversed", fact.occurred_at)
                ours.cancelled_by = body.by or "a person"
        elif body.state in ("posted", "applied", "drafted"):
            alone = ours.document_ref == body.document_ref  # an effect may have several documents, each with a part
            if alone and body.state != "drafted" and ours.amount_minor and body.amount_minor:
                told[body.document_ref] = ours, fact, body
            ours.move("posted" if body.state == "applied" else body.state, fact.occurred_at)
            ours.document_ref = ours.document_ref or body.document_ref
            ours.accounting_on = body.accounting_on or ours.accounting_on
    for ours, fact, body in told.values():
        if body.amount_minor != ours.amount_minor:
            work.trouble(
                "document_edited",
                body.document_ref,
                f"{ours.kind.replace('_', ' ')} {ours.document_name or body.document_ref} was changed in the ERP by "
                f"{body.by or 'a person'}: it stands over {body.amount_minor} and not {ours.amount_minor} minor units; "
                "set it right there, or resolve this with the reason",
                abs(body.amount_minor - ours.amount_minor),
                fact.occurred_at,
            )
    for posting in work.postings.values():
        if posting.state == "reversed" and posting.cancelled_by:
            work.trouble(
                "document_cancelled",
                posting.document_ref,
                f"{posting.kind.replace('_', ' ')} {posting.document_name or posting.document_ref} was cancelled "
                f"in the ERP by {posting.cancelled_by}: post it again there, or resolve this with the reason. The "
                "money is not touched",
                posting.amount_minor,
                posting.since,
            )


def _is(posting: Posting, body: DocumentMoved) -> bool:
    """By our key, or as one of the posting's documents: `erp:document:account.move,1,2` are two."""
    mine, theirs = posting.document_ref.split(","), body.document_ref.split(",")
    same_document = bool(posting.document_ref) and (mine == theirs or (mine[0] == theirs[0] and theirs[-1] in mine[1:]))
    return same_document or bool(body.key and posting.effect_id == body.key)


def _note_for(work: Work, leg: Leg, notes: list[Posting]) -> Posting | None:
    """The credit note that a leg pays: its intent's, else one that no other leg pays (any more).

    One whose own note is still on its way waits for it.
    """
    own = next((note for note in notes if note.subject == leg.intent_id), None)
    issued = (effect.command for effect in work.all_effects())
    if own is not None or any(isinstance(c, PostCreditNote) and c.intent_id == leg.intent_id for c in issued):
        return own
    undone = {p.subject for p in work.postings.values() if p.kind == "payment_reversal" and p.state in BOOKS_POSTED}
    planned = {e.command.leg_id: e.command for e in work.all_effects() if isinstance(e.command, PostRefundPayment)}
    paid: Counter[str] = Counter()
    for command in planned.values():
        if command.leg_id not in undone:
            paid[command.credit_note_ref] += command.amount_minor
    waiting = [each for each in work.legs.values() if each.leg_id not in planned and each.state not in LEG_DEAD]
    for note in notes:
        paid[note.document_ref] += sum(each.amount_minor for each in waiting if each.intent_id == note.subject)
    return next((note for note in notes if note.amount_minor - paid[note.document_ref] >= leg.amount_minor), None)


def _payments(work: Work) -> None:
    """Book each succeeded leg as a payment of its credit note, and undo it when the money came back."""
    assert work.sale is not None
    notes = [p for p in work.postings.values() if p.kind == "credit_note" and p.state in _NOTED]
    booked = {p.subject: p for p in work.postings.values() if p.kind == "refund_payment"}
    scope = f"sale:{work.sale.sale_ref}"
    for leg in work.legs.values():
        paid = booked.get(leg.leg_id)
        note = _note_for(work, leg, notes)
        if paid is None and leg.state in LEG_PAID and note is not None and (by_hand := _paid_by_hand(work, leg)):
            booked[leg.leg_id] = by_hand
        elif paid is None and work.booked_there(leg):
            continue
        elif paid is None and leg.state in LEG_PAID and note is not None:
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
                scope=scope,
            )
        elif paid is not None and paid.state in BOOKS_POSTED and _came_back(leg):
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
                scope=scope,
            )


def _paid_by_hand(work: Work, leg: Leg) -> Posting | None:
    """A payment of just this amount that a person booked stands for ours (edge case 87)."""
    taken = {posting.document_ref for posting in work.postings.values()}
    for document_ref, fact in work.foreign.items():
        body = fact.body
        if not isinstance(body, DocumentMoved) or body.posting != "refund_payment" or document_ref in taken:
            continue
        if body.state not in ("posted", "applied") or body.amount_minor != leg.amount_minor:
            continue
        posting = Posting(document_ref, "refund_payment", leg.leg_id, "found_existing", fact.occurred_at)
        posting.amount_minor, posting.document_ref, posting.origin = leg.amount_minor, document_ref, "erp_user"
        posting.accounting_on = body.accounting_on
        posting.move("posted", fact.occurred_at)
        work.postings[document_ref] = posting
        work.because.append(f"{document_ref} was booked in the ERP by {body.by or 'a person'}: adopted, no second one")
        return posting
    return None


def _came_back(leg: Leg) -> bool:
    return leg.state in LEG_DEAD and leg.succeeded_at is not None


def _replacements(work: Work) -> None:
    """The replacement order stands in the ERP too, linked to the original sale."""
    assert work.sale is not None
    for ref, (state, at, _) in work.replacement.items():
        lines = replacement_lines(work)
        if state in ("created", "shipped", "delivered") and lines:
            work.plan(
                PostReplacement(
                    work.sale.sale_ref, work.sale.order_number, ref, rma(work), work.sale.currency, lines, at
                ),
                ref,
                work.setting.routes.erp,
                f"replacement {ref} was ordered: enter it, linked to {work.sale.order_number}",
                scope=f"sale:{work.sale.sale_ref}",
            )


def _settle(work: Work) -> None:
    """Applied and settled follow from the legs: paid in the ledger, then matched on payout and bank and cleared."""
    payments = {p.subject: p for p in work.postings.values() if p.kind == "refund_payment"}
    undone = {p.subject for p in work.postings.values() if p.kind == "payment_reversal" and p.state in BOOKS_POSTED}
    for posting in payments.values():
        leg = work.legs.get(posting.subject)
        if leg is None or posting.state not in BOOKS_POSTED:
            continue
        if posting.subject in undone:
            posting.move("reversed", leg.since)
        elif not _came_back(leg):
            posting.move("applied", posting.since)
            if leg.state == "settled" and (not leg.payout_ref or (leg.bank_ref and leg.settled_document)):
                posting.move("settled", leg.since)
    offset = make_id("ri", work.case_id, "offset")
    unpaid = make_id("ri", work.case_id, "unpaid")
    alive = [payments.get(leg.leg_id) for leg in work.legs.values() if leg.state not in LEG_DEAD]
    proven = [p for p in alive if p is not None and p.state == "settled"]
    for posting in work.postings.values():
        if posting.state not in ("posted", "applied"):
            continue
        if posting.kind == "credit_note" and posting.subject not in (offset, unpaid):
            if alive and len(proven) == len(alive):
                posting.move("settled", max(p.since for p in proven))
            elif any(p is not None and p.state in ("applied", "settled") for p in alive):
                posting.move("applied", posting.since)
        elif posting.kind != "refund_payment":
            posting.move("settled", posting.since)
