"""Status, resolved and closed: predicates over the axes, tried from closed upwards; nobody writes a status."""

from counterflow.core.returns.states import (
    BOOKS_FINAL,
    GOODS_HERE,
    GOODS_TERMINAL,
    LEG_DEAD,
    LEG_PAID,
    MONEY_RESOLVED,
)
from counterflow.core.returns.work import Line, Work

# Exceptions that can no longer change what the customer gets; everything else keeps a case from closing.
_HARMLESS = frozenset({"shifted_period", "counted_meanwhile", "lot_swap", "recovery_claim"})
_ENDED = ("done", "discarded", "rejected")  # what a rejection leaves open is an exception or a blocked posting


def line_money(work: Work, line: Line) -> str:
    """The money axis of a line, computed from amounts and legs (states.LINE_MONEY)."""
    if line.authorisation == "declined":
        return "denied"
    units = [unit for unit in work.units.values() if unit.line is line]
    if line.authorisation != "approved" or work.sale is None:
        return "estimated" if line.sold is not None else "undetermined"
    if units and all(u.goods in ("cancelled", "expired", "denied_goods") for u in units):
        return "denied" if any(u.goods == "denied_goods" for u in units) else "nothing_owed"
    if line.wanted.remedy in ("repair", "none"):
        return "nothing_owed"
    live = [leg for leg in work.legs.values() if leg.state not in LEG_DEAD]
    if live and all(leg.origin == "marketplace" for leg in live):
        return "refunded_by_others"
    if any(work.dispute_phase(ref).phase == "opened" for ref in work.disputes):
        return "disputed"
    if not any(unit.payable for unit in units):
        return "estimated"
    if any(not u.payable and not u.claimed_elsewhere and u.goods not in GOODS_TERMINAL for u in units):
        return "partly_succeeded" if any(leg.state in LEG_PAID for leg in live) else "owed"
    due = work.entitled_minor - work.offset_minor
    paid = sum(leg.amount_minor for leg in live if leg.state in LEG_PAID)
    if due <= 0 and work.offset_minor:
        return "offset"
    if due <= 0 and not live:
        return "nothing_owed"
    if paid >= due:
        if all(leg.state == "settled" for leg in live):
            credit = live and all(leg.rail in ("store_credit", "gift_card") for leg in live)
            return "credit_issued" if credit else "settled"
        return "succeeded"
    if live:
        return "paying"
    return "granted" if any(i.state in ("approved", "held", "released") for i in work.intents.values()) else "owed"


def resolved(work: Work) -> bool:
    """The customer is made whole: every line's money is done and exchanges are delivered."""
    if not (work.lines or work.goodwill_minor) or any(
        line_money(work, line) not in MONEY_RESOLVED for line in work.lines.values()
    ):
        return False
    live = [leg for leg in work.legs.values() if leg.state not in LEG_DEAD]
    if any(leg.state not in LEG_PAID for leg in live):
        return False
    due = work.entitled_minor - work.offset_minor
    marketplace = bool(live) and all(leg.origin == "marketplace" for leg in live)
    if not marketplace and sum(leg.amount_minor for leg in live) < due:
        return False
    return not work.exchange_state or work.exchange_state in ("delivered", "settled", "withdrawn")


def closed(work: Work, open_exceptions: tuple[str, ...]) -> bool:
    """Of a resolved case: goods at their end, books settled, money on the bank, nothing open that changes it."""
    if any(kind not in _HARMLESS for kind in open_exceptions):
        return False
    ours = [u for u in work.units.values() if u.line is not None and not u.claimed_elsewhere]
    if any(unit.goods not in GOODS_TERMINAL for unit in ours):
        return False
    if any(posting.state not in BOOKS_FINAL for posting in work.postings.values()):
        return False
    if any(leg.state == "succeeded" for leg in work.legs.values()):
        return False
    legs = [leg for leg in work.legs.values() if leg.state not in LEG_DEAD and leg.rail != "marketplace"]
    booked = {p.subject for p in work.postings.values() if p.kind == "refund_payment" and p.state == "settled"}
    if any(leg.leg_id not in booked for leg in legs):
        return False
    others = (e for e in work.all_effects() if e.priority not in ("money", "background"))
    return all(work.state_of(e.effect_id) in _ENDED for e in others)


def status(work: Work, open_exceptions: tuple[str, ...]) -> str:
    """The first predicate that holds, from the end of a case's life to its beginning (domain.md section 3)."""
    lines = list(work.lines.values())
    units = [u for u in work.units.values() if u.line is not None]
    answers = {line.authorisation for line in lines}
    moving = (
        any(u.goods in GOODS_HERE or u.goods in ("wrong_item", "not_in_parcel", "with_third_party") for u in units)
        or any(leg.state not in LEG_DEAD for leg in work.legs.values())
        or any(u.line is None for u in work.units.values())
        or bool(work.postings)
    )
    if moving:
        if not resolved(work):
            return "in_progress"
        return "closed" if closed(work, open_exceptions) else "resolved"
    if work.cancelled is not None:
        return "cancelled"
    if answers == {"declined"}:
        return "declined"
    if units and all(u.goods == "expired" for u in units):
        return "expired"
    if lines and resolved(work) and answers == {"approved"}:
        return "closed" if closed(work, open_exceptions) else "resolved"
    if "review" in answers:
        return "under_review"
    if not lines or answers & {"pending"}:
        return "requested" if work.request is not None else "draft"
    if any(u.goods in ("label_issued", "handed_over", "in_transit", "delivered_unreceived") for u in units):
        return "awaiting_goods"
    told = any(e.kind == "AnswerReturn" and work.state_of(e.effect_id) == "done" for e in work.effects)
    if any(u.goods == "expected" for u in units) and (told or not work.to_answer):
        return "awaiting_goods"
    return "authorised" if answers == {"approved"} else "partially_authorised"
