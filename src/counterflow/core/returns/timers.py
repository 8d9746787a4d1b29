"""What to look at again later, as a table; a timer that fires is a fact, and the state says what follows."""

from datetime import UTC, date, datetime, time, timedelta

from counterflow.core.policy.periods import REFUND_DAYS, period_end, refund_due_on
from counterflow.core.returns.authorise import zone_of
from counterflow.core.returns.states import LEG_PAID
from counterflow.core.returns.work import Work

AUTHORISATION_EXPIRY = timedelta(days=30)
NOT_COUNTED = timedelta(days=5)
REFUND_DUE_WARNING = timedelta(days=3)
REFUND_STUCK = timedelta(days=7)
UNKNOWN = timedelta(hours=1)
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
    _short(work)
    _refund_due(work)
    _unknown(work)
    for leg in work.legs.values():
        if leg.state in ("accepted", "unknown"):
            work.timer("refund_stuck", leg.since + REFUND_STUCK, leg.leg_id)
            if work.now >= leg.since + REFUND_STUCK:
                work.trouble(
                    "refund_stuck",
                    leg.leg_id,
                    f"the provider has not said since {leg.since.date()} how refund {leg.refund_ref or leg.leg_id} "
                    "ended: ask it",
                    leg.amount_minor,
                )
        elif leg.state == "succeeded" and leg.succeeded_at is not None:
            work.timer("settlement_overdue", leg.succeeded_at + SETTLEMENT, leg.leg_id)
            if work.now >= leg.succeeded_at + SETTLEMENT:
                work.trouble(
                    "settlement_overdue",
                    leg.leg_id,
                    f"refund {leg.refund_ref} succeeded on {leg.succeeded_at.date()} and is in no payout yet: ask "
                    f"{leg.connection}",
                    leg.amount_minor,
                )


def _short(work: Work) -> None:
    """Counted short, and no carrier has scanned it: it may come in a parcel of its own, but not for ever (edge 29)."""
    for unit in work.units.values():
        if unit.short_since is None or unit.goods not in ("expected", "label_issued"):
            continue
        work.timer("counted_short", unit.short_since + NOT_COUNTED, unit.unit_id)
        if work.now >= unit.short_since + NOT_COUNTED:
            work.trouble(
                "missing_goods",
                unit.unit_id,
                f"{unit.sku} was announced with what was counted on {unit.short_since.date()} and has not come since: "
                "search for it, ask the customer, then say that it is lost, denied or kept",
                since=unit.short_since,
            )


def legal_due_on(work: Work) -> date | None:
    """The last day to refund a withdrawal. It may wait for the goods or the proof of their dispatch (art. 13(3))."""
    if work.withdrawal_at is None:
        return None
    zone = zone_of(work)
    declared = work.withdrawal_at.astimezone(zone).date()
    back = work.handed_over_at.astimezone(zone).date() if work.handed_over_at is not None else None
    return refund_due_on(declared, back, back) or period_end(declared, days=REFUND_DAYS)


def _unknown(work: Work) -> None:
    """An effect whose outcome nobody could look up for so long is a person's too; the look-ups go on."""
    for effect in work.effects:
        if work.state_of(effect.effect_id) != "unknown":
            continue
        since = work.outcomes[effect.effect_id][-1][1]
        work.timer("unknown_outcome", since + UNKNOWN, effect.effect_id)
        if work.now >= since + UNKNOWN:
            work.trouble(
                "unknown_outcome",
                effect.effect_id,
                f"nobody knows since {since:%Y-%m-%d %H:%M} UTC whether {effect.connection} has carried out "
                f"{effect.kind}: see whether it answers; it is looked up again and again and never sent twice",
                getattr(effect.command, "amount_minor", 0),
                since,
            )


def _refund_due(work: Work) -> None:
    """The legal clock of a withdrawal runs, once goods or the proof of dispatch are there."""
    limit = legal_due_on(work)
    if limit is None or not any(line.authorisation == "approved" for line in work.lines.values()):
        return
    due = work.entitled_minor - work.offset_minor
    paid = sum(leg.amount_minor for leg in work.legs.values() if leg.state in LEG_PAID)
    if paid and paid >= due:
        return
    warn_at = datetime.combine(limit, time(), zone_of(work)).astimezone(UTC) - REFUND_DUE_WARNING
    work.timer("refund_due", warn_at)
    if work.now >= warn_at and work.handed_over_at is not None:
        work.trouble(
            "refund_overdue",
            "case",
            f"the law wants the refund by {limit} (14 days from the withdrawal) and the goods are back or on their "
            "way: finish the inspection and release it",
            max(due - paid, 0),
        )
