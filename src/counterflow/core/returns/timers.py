"""What to look at again later, as a table; a timer that fires is a fact, and the state says what follows."""

from datetime import timedelta

from counterflow.core.returns.states import LEG_DEAD, LEG_PAID
from counterflow.core.returns.work import Work

AUTHORISATION_EXPIRY = timedelta(days=30)
NOT_COUNTED = timedelta(days=5)
REFUND_DUE = timedelta(days=14)  # Directive 2011/83/EU art. 13(1)
REFUND_DUE_WARNING = timedelta(days=3)
REFUND_STUCK = timedelta(days=7)
SETTLEMENT = timedelta(days=10)


def timers(work: Work) -> None:
    """Want the timers whose condition holds; raise the exception of those that have fired while it still does."""
    waiting = [u for u in work.units.values() if u.goods in ("expected", "label_issued")]
    if waiting:
        work.timer("authorisation_expiry", min(u.since for u in waiting) + AUTHORISATION_EXPIRY)
    uncounted = [u for u in work.units.values() if u.goods == "delivered_unreceived"]
    if uncounted:
        since = min(u.since for u in uncounted)
        work.timer("not_counted", since + NOT_COUNTED)
        if work.now >= since + NOT_COUNTED:
            work.trouble(
                "not_counted",
                "case",
                f"the carrier delivered {len(uncounted)} piece(s) on {since.date()}, nobody counted them: look",
            )
    due = work.entitled_minor - work.offset_minor
    live = sum(leg.amount_minor for leg in work.legs.values() if leg.state not in LEG_DEAD)
    paid = sum(leg.amount_minor for leg in work.legs.values() if leg.state in LEG_PAID)
    if (
        work.withdrawal_at is not None
        and paid < max(due, 1)
        and any(line.authorisation == "approved" for line in work.lines.values())
    ):
        limit = work.withdrawal_at + REFUND_DUE
        work.timer("refund_due", limit - REFUND_DUE_WARNING)
        if work.now >= limit - REFUND_DUE_WARNING and due > live:
            work.trouble(
                "refund_overdue",
                "case",
                f"the law wants the refund by {limit.date()} (14 days from the withdrawal), unless goods or proof of dispatch are "
                "missing: release it or note the proof that is missing",
                due - live,
            )
    for leg in work.legs.values():
        if leg.state in ("accepted", "unknown"):
            work.timer("refund_stuck", leg.since + REFUND_STUCK, leg.leg_id)
            if work.now >= leg.since + REFUND_STUCK:
                work.trouble(
                    "refund_stuck",
                    leg.leg_id,
                    f"the provider has not said how refund {leg.refund_ref or leg.leg_id} ended since {leg.since.date()}: ask it",
                    leg.amount_minor,
                )
        elif leg.state == "succeeded" and leg.succeeded_at is not None:
            work.timer("settlement_overdue", leg.succeeded_at + SETTLEMENT, leg.leg_id)
            if work.now >= leg.succeeded_at + SETTLEMENT:
                work.trouble(
                    "settlement_overdue",
                    leg.leg_id,
                    f"refund {leg.refund_ref} succeeded on {leg.succeeded_at.date()} and is in no payout yet: ask {leg.connection}",
                    leg.amount_minor,
                )
