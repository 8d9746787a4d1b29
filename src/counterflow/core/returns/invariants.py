"""What must hold for every case after every fact: D1-D9 of the domain model, as comparisons of two sums or counts.

`check` takes the case and the view that its last decision left. An open exception of the right class excuses a
difference (it is known and a person has it); everything else is a defect of ours.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from counterflow.core.effects import MoveGoods, NotifyCustomer, PayLeg, PostCreditNote
from counterflow.core.facts import CustomerPaid, SaleRecorded
from counterflow.core.ids import effect_id
from counterflow.core.returns.case import Case, LegView, Setting, View
from counterflow.core.returns.decide import fold
from counterflow.core.returns.states import BOOKS_POSTED, GOODS, GOODS_HERE, LEG_DEAD, LEG_PAID
from counterflow.core.returns.view import freeze
from counterflow.core.sale import Sale


@dataclass(frozen=True, slots=True)
class Finding:
    """One invariant compared: the two sums or counts, and what they are."""

    name: str
    holds: bool
    left: int
    right: int
    what: str


def check(case: Case, view: View, setting: Setting | None = None) -> list[Finding]:
    """All invariants of one case. D8 (order and repeats) needs the setting, as it decides again."""
    findings = [one(case, view) for one in CHECKS]
    return [*findings, *(refolds(case, view, setting) if setting is not None else ())]


def sale_of(case: Case) -> Sale | None:
    """The newest version of the sale that the case was told."""
    told = (fact.body.sale for fact in case.facts if isinstance(fact.body, SaleRecorded))
    return max(told, key=lambda sale: sale.version, default=None)


def _excused(view: View, *kinds: str) -> bool:
    return any(e.kind in kinds for e in view.exceptions)


def _live(view: View) -> list[LegView]:
    return [leg for leg in view.legs if leg.state not in LEG_DEAD]


def _total(legs: Iterable[LegView]) -> int:
    return sum(leg.amount_minor for leg in legs)


def pieces(case: Case, view: View) -> Finding:
    """D1: no more pieces of a sold line come back than left us."""
    sale = sale_of(case)
    kits = {line.line_ref for line in sale.lines if line.kit} if sale is not None else set()
    gone = (*GOODS_HERE, "lost")
    back = Counter(u.line_ref for u in view.units if u.line_ref and u.piece >= 0 and u.goods in gone)
    delivered = {line.line_ref: line.delivered for line in sale.lines} if sale is not None else {}
    over = [ref for ref, n in back.items() if ref not in kits and n > delivered.get(ref, 0)]
    holds = not over or _excused(view, "not_delivered", "claimed_twice", "over_receipt") or sale is None
    mine = [ref for ref in back if ref not in kits]
    left, right = sum(back[ref] for ref in mine), sum(delivered.get(ref, 0) for ref in mine)
    return Finding("D1", holds, left, right, "pieces returned or lost <= pieces delivered, by sold line")


def payments(case: Case, view: View) -> Finding:
    """D2: never more than was captured on a payment, nor than was paid for a line, unless others did it."""
    sale = sale_of(case)
    captured = Counter({p.payment_ref: p.captured_minor for p in sale.payments}) if sale is not None else Counter[str]()
    extra = {f.body.payment_ref: f.body.amount_minor for f in case.facts if isinstance(f.body, CustomerPaid)}
    captured.update(extra)
    live, lines = Counter[str](), Counter[str]()
    for leg in _live(view):
        live[leg.payment_ref] += leg.amount_minor
        if leg.origin == "ours":
            for row in leg.allocation:
                lines[row.line_ref] += row.amount_minor
    paid = {line.line_ref: line.paid_minor for line in sale.lines} if sale is not None else {}
    by_others = {leg.payment_ref for leg in _live(view) if leg.origin != "ours"}
    over = [ref for ref, amount in live.items() if ref and amount > captured[ref] and ref not in by_others]
    over += [ref for ref, amount in lines.items() if ref and amount > paid.get(ref, 0)]
    left, right = sum(live.values()), sum(captured.values())
    return Finding("D2", not over, left, right, "living legs <= captured, by payment and by sold line")


def allocations(case: Case, view: View) -> Finding:
    """D3: what the legs pay for lines is what they pay."""
    ours = [leg for leg in view.legs if leg.origin == "ours"]
    left = sum(row.amount_minor for leg in ours for row in leg.allocation)
    holds = all(sum(row.amount_minor for row in leg.allocation) == leg.amount_minor for leg in ours)
    return Finding("D3", holds, left, _total(ours), "allocations of legs = amounts of legs")


def custody(case: Case, view: View) -> Finding:
    """D4: one state and one custodian per unit, and nothing is for sale that nobody has inspected or chosen."""
    units = {u.unit_id: u for u in view.units}
    sellable = {
        unit_id
        for effect in case.effects
        if isinstance(effect.command, MoveGoods) and effect.command.location_to == "sellable"
        for item in effect.command.items
        for unit_id in item.unit_ids
        if unit_id in units  # else an edit took its line away, and it is an over-receipt now (domain.md 8.11)
    }
    judged = {unit_id for unit_id in sellable if units[unit_id].grade}
    restocked = all(
        e.command.disposition == "restock"
        for e in case.effects
        if isinstance(e.command, MoveGoods) and e.command.location_to == "sellable"
    )
    states = all(u.goods in GOODS and u.custodian for u in view.units)
    holds = len(units) == len(view.units) and states and restocked and sellable == judged
    return Finding("D4", holds, len(sellable), len(judged), "units moved to sellable stock = those inspected before")


def single_effects(case: Case, view: View) -> Finding:
    """D5: a key is used once, and no component is paid by two living legs."""
    keys = Counter(effect.effect_id for effect in case.effects)
    ours = [leg for leg in _live(view) if leg.origin == "ours"]
    waiting = {leg.intent_id for leg in ours if leg.state in ("unknown", "submitting")}
    exchange = view.exchange.offset_minor if view.exchange is not None else 0
    shrunk = _excused(view, "overpaid", "double_refund", "unattributed_refund")
    bounded = (
        _total(ours) <= max(view.entitled_minor - exchange, 0) or shrunk or (bool(case.effects) and _accepted(case))
    )
    holds = len(keys) == len(case.effects) and len(waiting) <= 1 and bounded
    return Finding("D5", holds, len(case.effects), len(keys), "effects issued = different keys; one intent in flight")


def _accepted(case: Case) -> bool:
    """A person has taken an overpayment upon us."""
    return any(f.kind == "ExceptionResolved" for f in case.facts)


def ledger(case: Case, view: View) -> Finding:
    """D6: the books are never ahead of the money, and equal to it when the case is closed."""
    legs = {leg.leg_id: leg for leg in view.legs}
    booked = [p for p in view.postings if p.kind == "refund_payment" and p.state in BOOKS_POSTED]
    undone = {p.subject for p in view.postings if p.kind == "payment_reversal"}
    left = sum(p.amount_minor for p in booked if p.subject not in undone)
    right = _total(leg for leg in view.legs if leg.state in LEG_PAID)
    known = all(p.subject in legs and _succeeded_once(legs[p.subject]) for p in booked)
    notes = sum(p.amount_minor for p in view.postings if p.kind == "credit_note" and p.state in BOOKS_POSTED)
    holds = known and left <= right
    if view.status == "closed":
        explained = any(p.state in ("reversed", "not_required") for p in view.postings) or _accepted(case)
        owed = view.entitled_minor + view.unpaid_minor
        holds = holds and (explained or (left == right and notes == owed))
    return Finding("D6", holds, left, right, "refund payments booked <= legs that succeeded; equal when closed")


def _succeeded_once(leg: LegView) -> bool:
    return leg.state in (*LEG_PAID, "failed_after_success", "reversed", "rerouted")


def observed(case: Case, view: View) -> Finding:
    """D7: what others have paid is not paid again by us, and is booked before the case closes."""
    others = [leg for leg in _live(view) if leg.origin != "ours"]
    ours_issued = {e.command.leg_id for e in case.effects if isinstance(e.command, PayLeg)}
    booked = {p.subject for p in view.postings if p.kind == "refund_payment"}
    missing = [leg for leg in others if leg.leg_id not in booked and leg.state in LEG_PAID]
    repeated = [leg for leg in others if leg.leg_id in ours_issued]
    holds = not repeated and (view.status != "closed" or not missing)
    return Finding("D7", holds, len(others), len(others) - len(repeated), "legs of others = those not made again by us")


def messages(case: Case, view: View) -> Finding:
    """D9: "refunded" is said after it is so, and taken back when it is not so any more."""
    legs = {leg.leg_id: leg for leg in view.legs}
    said = [
        leg_id
        for leg_id in legs
        if any(e.effect_id == effect_id(case.case_id, "NotifyCustomer", f"refund_sent/{leg_id}") for e in case.effects)
    ]
    true = [leg_id for leg_id in said if _succeeded_once(legs[leg_id])]
    taken_back = Counter(e.command.template for e in case.effects if isinstance(e.command, NotifyCustomer))[
        "refund_corrected"
    ]
    wrong = sum(legs[leg_id].state in ("failed_after_success", "reversed") for leg_id in said)
    holds = said == true and taken_back >= wrong
    return Finding("D9", holds, len(said), len(true), "refunds told to the customer = refunds that had succeeded")


def notes_after_money(case: Case, view: View) -> Finding:
    """I8 for one case: no credit note for a refund that is not confirmed (early ones only where the policy says so)."""
    confirmed = {leg.intent_id for leg in view.legs if _succeeded_once(leg)}
    legs = {leg.intent_id for leg in view.legs}
    notes = [e.command for e in case.effects if isinstance(e.command, PostCreditNote) and e.command.intent_id in legs]
    good = [note for note in notes if note.intent_id in confirmed]
    what = "credit notes of refunds = refunds confirmed"
    return Finding("I8-notes", len(notes) == len(good), len(notes), len(good), what)


CHECKS: tuple[Callable[[Case, View], Finding], ...] = (
    pieces,
    payments,
    allocations,
    custody,
    single_effects,
    ledger,
    observed,
    notes_after_money,
    messages,
)


def refolds(case: Case, view: View, setting: Setting) -> list[Finding]:
    """D8: told in the opposite order and twice, the facts give the same view, and nothing is left to be done."""
    backwards = Case(case.case_id, (*reversed(case.facts), *case.facts[:1]), case.effects, case.states)
    once = replace(backwards, facts=tuple({fact.fact_id: fact for fact in backwards.facts}.values()))
    work = fold(once, setting)
    again = freeze(work, case.states)
    what = "effects wanted by folding again = none; the view is the same"
    return [Finding("D8", again == view and not work.planned, len(work.planned), 0, what)]
