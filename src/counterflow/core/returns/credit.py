"""Credit notes: how much of what is owed has to stand in the ledger now, on which lines and taxes of the sale.

Level-triggered like the money: what has to be credited, less what the notes issued or adopted so far credit, is the
next note. So a leg that comes back and is paid again on another rail needs none, and what was paid twice gets none
until a person says what becomes of it.
"""

from collections import Counter
from datetime import datetime

from counterflow.core.effects import CreditLine, PostCreditNote, ReceiveGoods
from counterflow.core.facts import DocumentMoved, Fact
from counterflow.core.ids import make_id
from counterflow.core.money import Money, allocate
from counterflow.core.returns.dispose import rma
from counterflow.core.returns.exchange import payable_pieces
from counterflow.core.returns.owed import rows_of
from counterflow.core.returns.states import GOODS_TERMINAL, LEG_DEAD
from counterflow.core.returns.work import Leg, Posting, Work
from counterflow.core.sale import SoldLine, Tax

Rows = Counter[tuple[str, str]]  # (line_ref, component) -> minor units


def credit_notes(work: Work) -> None:
    """One note per intent whose refund is confirmed, for what an exchange offsets, and for what was never paid."""
    notes = [e.command for e in work.effects if isinstance(e.command, PostCreditNote)]
    credited: Rows = Counter()
    for note in notes:
        for line in note.lines:
            credited[line.line_ref, line.component] += line.amount_minor
    noted = {note.intent_id for note in notes}
    special = {make_id("ri", work.case_id, word) for word in ("offset", "unpaid")}
    done = sum(note.amount_minor for note in notes if note.intent_id not in special)
    confirmed = _confirmed(work)
    target = sum(sum(leg.amount_minor for leg in legs) for _, legs, _ in confirmed) - work.doubled_minor
    early = _at_disposition(work)
    if early is not None and (due := max(target, work.entitled_minor - work.offset_minor) - done) > 0:
        confirmed, target = [(make_id("ri", work.case_id, "disposition", done), [], early)], done + due
    for intent_id, legs, at in confirmed:
        amount = sum(leg.amount_minor for leg in legs) or target - done
        due = min(amount, target - done)
        if due <= 0 or intent_id in noted:
            continue
        done += due
        document = _adoptable(work, due)
        if document is not None:
            _adopt(work, document, intent_id, due)
        elif not legs or not all(work.booked_there(leg) for leg in legs):
            _plan(work, intent_id, due, _lines(work, _allocated(work, legs, credited, due)), at)
    _offset(work, noted, credited)
    _unpaid(work, noted, credited)
    _breaks(work, done, target)


def _confirmed(work: Work) -> list[tuple[str, list[Leg], datetime]]:
    """(intent, its living legs, when the last succeeded) for the intents of which every living leg has succeeded."""
    groups: dict[str, list[Leg]] = {}
    for leg in work.legs.values():
        if leg.state not in LEG_DEAD:
            groups.setdefault(leg.intent_id, []).append(leg)
    found = []
    for intent_id, legs in groups.items():
        times = [leg.succeeded_at for leg in legs if leg.succeeded_at is not None]
        if len(times) == len(legs):
            found.append((intent_id, legs, max(times)))
    return found


def _at_disposition(work: Work) -> datetime | None:
    """When the last unit found its place, where the policy wants the credit note then and not with the refund."""
    mine = [u for u in work.units.values() if u.payable and u.line is not None]
    wanted = mine and all(u.line is not None and u.line.credit_moment == "disposition" for u in mine)
    if not wanted or any(u.goods not in GOODS_TERMINAL for u in mine):
        return None
    return max(u.since for u in mine)


def _plan(
    work: Work,
    intent_id: str,
    amount: int,
    lines: tuple[CreditLine, ...],
    at: datetime,
    replacement: str = "",
    because: str = "for a refund that is confirmed",
) -> None:
    assert work.sale is not None
    reasons = sorted({line.wanted.reason for line in work.lines.values()})
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
            offset_minor=amount if replacement else 0,
        ),
        intent_id,
        work.setting.routes.erp,
        f"credit note of {Money(work.sale.currency, amount)} {because}",
        scope=f"sale:{work.sale.sale_ref}",
        after=tuple(e.effect_id for e in work.all_effects() if isinstance(e.command, ReceiveGoods)),
    )


def _offset(work: Work, noted: set[str], credited: Rows) -> None:
    """An exchange credits the goods against the replacement's invoice, once the replacement is on its way."""
    intent_id = make_id("ri", work.case_id, "offset")
    if work.offset_minor and work.exchange_state in ("shipped", "delivered") and intent_id not in noted:
        ref = next(reversed(work.replacement))
        lines = _lines(work, _left(work, credited, work.offset_minor))
        _plan(work, intent_id, work.offset_minor, lines, work.replacement[ref][1], ref, "for the exchange")


def _unpaid(work: Work, noted: set[str], credited: Rows) -> None:
    """What the customer has not paid is credited against what is open, and nothing is paid out (edge case 80)."""
    intent_id = make_id("ri", work.case_id, "unpaid")
    if work.unpaid_minor > 0 and intent_id not in noted:
        at = max((u.since for u in work.units.values() if u.payable), default=work.now)
        lines = _lines(work, _left(work, credited, work.unpaid_minor))
        _plan(work, intent_id, work.unpaid_minor, lines, at, because="against what was never paid")


# ---- which lines -----------------------------------------------------------------------------------------------------


def _allocated(work: Work, legs: list[Leg], credited: Rows, due: int) -> Rows:
    """The legs' own allocation where it says all; else from what is owed and not credited yet."""
    rows: Rows = Counter()
    for leg in legs:
        for row in leg.allocation:
            rows[row.line_ref, row.component] += row.amount_minor
    return rows if sum(rows.values()) == due else _left(work, credited, due)


def _left(work: Work, credited: Rows, due: int) -> Rows:
    """`due` spread over what is owed and not credited; what is more than that is goodwill."""
    left = rows_of(work)
    left.subtract({(ref, component): amount for (ref, component), amount in credited.items()})
    keys = [key for key, amount in sorted(left.items()) if amount]
    whole = sum(left[key] for key in keys)
    rows: Rows = Counter()
    if whole == due:
        rows.update({key: left[key] for key in keys})
    elif whole > due:
        owed = [key for key in keys if left[key] > 0]
        rows.update(dict(zip(owed, allocate(due, [left[key] for key in owed]), strict=True)))
    else:
        rows.update({key: left[key] for key in keys if whole > 0})
        rows["", "goodwill"] += due - max(whole, 0)
    return rows


def _lines(work: Work, rows: Rows) -> tuple[CreditLine, ...]:
    """Goods and their tax in one line per sold line, with the pieces that came back; the rest by component."""
    assert work.sale is not None
    already: Counter[str] = Counter()
    for effect in work.effects:
        if isinstance(effect.command, PostCreditNote):
            for line in effect.command.lines:
                already[line.line_ref] += line.quantity
    goods: Counter[str] = Counter()
    other: list[CreditLine] = []
    for (ref, component), amount in rows.items():
        sold = work.sale.line(ref)
        if sold is not None and component in (sold.component, "tax"):
            goods[ref] += amount
        elif amount:
            sku = sold.sku if sold is not None else ""
            text = component.replace("_", " ")
            other.append(CreditLine(ref, sku, component, 0, amount, _taxes(sold, amount), text))
    lines = []
    for ref, amount in goods.items():
        sold = work.sale.line(ref)
        if sold is not None and amount:
            quantity = max(0, _pieces_back(work, ref) - already[ref]) if sold.component == "goods" else 0
            lines.append(CreditLine(ref, sold.sku, sold.component, quantity, amount, _taxes(sold, amount), sold.title))
    return (*lines, *other)


def _pieces_back(work: Work, line_ref: str) -> int:
    """Whole pieces that are in our books again."""
    booked = {u.line.key for u in work.units.values() if u.erp_location and u.line is not None}
    mine = [line for line in work.lines.values() if line.wanted.line_ref == line_ref and not line.wanted.part_sku]
    return sum(payable_pieces(work, line) for line in mine if line.key in booked)


def _taxes(sold: SoldLine | None, amount: int) -> tuple[Tax, ...]:
    """The taxes inside an amount of a line, in the line's own proportion, at the rate and code of the sale (7)."""
    if sold is None or not sold.taxes or sold.paid_minor <= 0:
        return ()
    net = sold.paid_minor - sum(t.amount_minor for t in sold.taxes)
    parts = allocate(amount, [*(t.amount_minor for t in sold.taxes), net])
    return tuple(Tax(tax.code, tax.rate_ppm, part) for tax, part in zip(sold.taxes, parts, strict=False))


# ---- what people did in the ERP --------------------------------------------------------------------------------------


def _notes_of_others(work: Work) -> list[tuple[Fact, DocumentMoved]]:
    found = []
    for fact in work.foreign.values():
        body = fact.body
        if isinstance(body, DocumentMoved) and body.posting == "credit_note" and body.state != "cancelled":
            found.append((fact, body))
    return found


def _adoptable(work: Work, amount: int) -> Fact | None:
    """A credit note of just this amount that somebody posted by hand and that stands for none yet."""
    taken = {p.document_ref for p in work.postings.values()}
    return next(
        (f for f, b in _notes_of_others(work) if b.amount_minor == amount and b.document_ref not in taken), None
    )


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


def _breaks(work: Work, done: int, target: int) -> None:
    """What stands in the ledger and cannot be explained is for a person, never smoothed."""
    assert work.sale is not None
    owed = work.entitled_minor - work.offset_minor
    offset = sum(n.offset_minor for n in (e.command for e in work.effects) if isinstance(n, PostCreditNote))
    over = max(0, done - max(target, owed)) + max(0, offset - work.offset_minor)
    if over > 0:
        work.trouble(
            "over_credited",
            f"credit/{over}",
            f"credit notes stand {Money(work.sale.currency, over)} above what was refunded and is owed: cancel one in "
            "the ERP, or resolve this with the reason",
            over,
        )
    taken = {p.document_ref for p in work.postings.values()}
    for _, body in _notes_of_others(work):
        if body.document_ref not in taken and body.amount_minor != owed - done:
            work.trouble(
                "foreign_document",
                body.document_ref,
                f"credit note {body.document_ref} was made in the ERP by {body.by or 'a person'} and stands for no "
                "refund of this case: cancel it there, or resolve this with the reason",
                body.amount_minor,
            )
