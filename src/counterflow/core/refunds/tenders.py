"""On which tender a refund goes back.

The split over the tenders comes first (priority or ratio), then each part is checked against its rail and moved to an
alternative where the rail cannot carry it. The legs sum to what is owed, always: what nobody may pay is a leg in
state
`unroutable` with its reason, for a person to decide. The answer does not depend on the order of the arguments (I14).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from counterflow.core.effects import AllocationRow
from counterflow.core.money import allocate
from counterflow.core.refunds.allocation import allocate_legs, figures_of
from counterflow.core.refunds.terms import Component
from counterflow.core.sale import Payment

# Who pays first when a refund is part of a sale with several tenders: other people's money before our own.
PRIORITY = ("marketplace", "card", "wallet", "bank", "pay_later", "cash", "store_credit", "gift_card")
# Where money of a tender may go when its own rail is closed. Gift-card money never leaves as cash or to a card
# (anti-money-laundering rules): it is re-issued. A pay-later provider reduces instalments and a marketplace pays
# itself: there is no other rail.
ALTERNATIVES: Mapping[str, tuple[str, ...]] = {
    "card": ("bank", "store_credit"),
    "wallet": ("bank", "store_credit"),
    "bank": ("bank", "store_credit"),
    "cash": ("bank", "store_credit"),
    "store_credit": ("store_credit", "gift_card"),
    "gift_card": ("gift_card", "store_credit"),
    "pay_later": (),
    "marketplace": (),
}
_RANK = {tender: rank for rank, tender in enumerate(PRIORITY)}
_RE_ISSUED = frozenset(("store_credit", "gift_card"))


@dataclass(frozen=True, slots=True)
class RouteRule:
    """The retailer's choices, frozen with the case's policy version."""

    split: str = "priority"  # priority | ratio (of what was captured)
    remedy: str = "refund"  # refund | store_credit: all that may leave its tender becomes store credit
    gift: bool = False  # the returner is the recipient: store credit, and nothing to the buyer (edge case 27)
    alternatives: tuple[str, ...] = ("bank", "store_credit")  # allowed, in this order


@dataclass(frozen=True, slots=True)
class PlannedLeg:
    """One movement to make. `payment_ref` is the payment whose money it is, also where the rail is another."""

    rail: str  # card | wallet | cash | bank | gift_card | store_credit | pay_later | marketplace; empty: unroutable
    payment_ref: str  # empty: no payment stands behind it
    amount_minor: int  # positive
    state: str  # planned | held (open dispute) | unroutable (an exception)
    reason: str  # empty for the plain way back
    connection: str
    allocation: tuple[AllocationRow, ...] = ()


def route(
    owed_minor: int,
    components: Iterable[Component | AllocationRow],
    payments: Sequence[Payment],
    refunded: Mapping[str, int],
    *,
    now: datetime,
    rule: RouteRule | None = None,
    lost: Mapping[str, int] | None = None,
    disputed: Collection[str] = (),
    blocked: Mapping[str, str] | None = None,
) -> tuple[PlannedLeg, ...]:
    """The legs that pay `owed_minor`; none if nothing is owed.

    `components`: rows of the entitlement that `owed_minor` pays (or of what is left of it).
    `refunded`: payment_ref -> what has gone back of it on any rail, by anyone, plus what is on its way.
    `lost`: payment_ref -> what a lost dispute took; the customer has that money.
    `disputed`: payments with an open dispute; their legs are held (edge case 57).
    `blocked`: payment_ref -> why its rail is closed: card expired, account closed, gift card deleted, no till (48,
    53, 55, 61).

    Raises ValueError when two payments have one reference.
    """
    rule, lost, blocked = rule or RouteRule(), lost or {}, blocked or {}
    if owed_minor <= 0:
        return ()
    ordered = sorted(payments, key=lambda payment: (_RANK.get(payment.tender, len(_RANK)), payment.payment_ref))
    if len({payment.payment_ref for payment in ordered}) != len(ordered):
        raise ValueError("two payments have the same payment_ref: send each payment once, with all that was captured")
    rows = [(row.line_ref, row.component, row.amount_minor) for row in components]

    free = [_free(payment, refunded, lost) for payment in ordered]
    amounts = (_by_ratio if rule.split == "ratio" else _by_priority)(owed_minor, ordered, free, refunded)
    legs = [
        _leg(payment, amount, rule, now, disputed, blocked)
        for payment, amount in zip(ordered, amounts, strict=True)
        if amount
    ]
    legs += _without_payment(owed_minor - sum(amounts), rows, rule, ordered, lost)
    tables = allocate_legs(figures_of(rows), [leg.amount_minor for leg in legs])
    return tuple(
        PlannedLeg(leg.rail, leg.payment_ref, leg.amount_minor, leg.state, leg.reason, leg.connection, table)
        for leg, table in zip(legs, tables, strict=True)
    )


def _free(payment: Payment, refunded: Mapping[str, int], lost: Mapping[str, int]) -> int:
    """What may still leave: never more than captured - refunded - disputed and lost (invariant D2)."""
    gone = max(0, refunded.get(payment.payment_ref, 0)) + max(0, lost.get(payment.payment_ref, 0))
    return max(0, payment.captured_minor - gone)


def _by_priority(owed: int, ordered: Sequence[Payment], free: Sequence[int], refunded: Mapping[str, int]) -> list[int]:
    amounts = []
    for most in free:
        amounts.append(min(most, owed))
        owed -= amounts[-1]
    return amounts


def _by_ratio(owed: int, ordered: Sequence[Payment], free: Sequence[int], refunded: Mapping[str, int]) -> list[int]:
    """By what was captured, over all refunds together. What one tender cannot carry the others do."""
    if not ordered:
        return []
    gone = [max(0, refunded.get(payment.payment_ref, 0)) for payment in ordered]
    target = allocate(sum(gone) + owed, [max(0, payment.captured_minor) for payment in ordered])
    amounts = [min(most, max(0, aim - was)) for most, aim, was in zip(free, target, gone, strict=True)]
    if (over := sum(amounts) - owed) > 0:
        amounts = [amount - less for amount, less in zip(amounts, allocate(over, amounts), strict=True)]
    rest = _by_priority(owed - sum(amounts), ordered, [m - a for m, a in zip(free, amounts, strict=True)], refunded)
    return [amount + more for amount, more in zip(amounts, rest, strict=True)]


def _leg(
    payment: Payment,
    amount: int,
    rule: RouteRule,
    now: datetime,
    disputed: Collection[str],
    blocked: Mapping[str, str],
) -> PlannedLeg:
    ref, tender = payment.payment_ref, payment.tender
    if ref in disputed:
        return PlannedLeg(tender, ref, amount, "held", "dispute_open", payment.connection)
    to_credit = rule.gift or (rule.remedy == "store_credit" and tender != "store_credit")
    if to_credit and tender != "marketplace":
        return PlannedLeg("store_credit", ref, amount, "planned", "gift" if rule.gift else "remedy", "")
    reason = blocked.get(ref, "") or _closed(payment, amount, now)
    if not reason:
        return PlannedLeg(tender, ref, amount, "planned", "", payment.connection)
    allowed: Sequence[str] = ALTERNATIVES.get(tender, ())
    if tender not in _RE_ISSUED:
        allowed = [rail for rail in rule.alternatives if rail in allowed]
    if not allowed:
        return PlannedLeg("", ref, amount, "unroutable", reason, "")
    return PlannedLeg(allowed[0], ref, amount, "planned", reason, "")


def _closed(payment: Payment, amount: int, now: datetime) -> str:
    """Why the payment's own rail cannot carry the amount; empty if it can (edge cases 50, 51)."""
    if payment.tender not in _RANK:
        return "unknown_tender"
    if payment.refundable_until is not None and now > payment.refundable_until:
        return "window_over"
    if not payment.partial_refunds and amount != payment.captured_minor:
        return "partial_not_allowed"
    return ""


def _without_payment(
    rest: int,
    rows: Sequence[tuple[str, str, int]],
    rule: RouteRule,
    payments: Sequence[Payment],
    lost: Mapping[str, int],
) -> list[PlannedLeg]:
    """What no payment can carry: what a lost dispute has paid already, the cost of sending back, and the rest."""
    legs = []
    if (by_dispute := min(rest, sum(max(0, lost.get(payment.payment_ref, 0)) for payment in payments))) > 0:
        legs.append(PlannedLeg("", "", by_dispute, "unroutable", "dispute_lost", ""))
        rest -= by_dispute
    cost = min(rest, sum(amount for _, component, amount in rows if component == "return_cost"))
    if cost > 0 and rule.alternatives:
        rail = "store_credit" if rule.gift or rule.remedy == "store_credit" else rule.alternatives[0]
        legs.append(PlannedLeg(rail, "", cost, "planned", "return_cost", ""))
        rest -= cost
    if rest > 0:
        legs.append(PlannedLeg("", "", rest, "unroutable", "more_than_captured", ""))
    return legs
