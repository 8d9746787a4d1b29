"""The refund legs as they stand: those that we issued and those that others made, moved by what was reported."""

from collections.abc import Iterator
from datetime import datetime

from counterflow.core.effects import Effect, PayLeg
from counterflow.core.facts import (
    DisputeMoved,
    Fact,
    MarketplaceRefunded,
    PayoutBanked,
    RefundReported,
    RefundSettled,
    SettlementPosted,
)
from counterflow.core.ids import make_id
from counterflow.core.money import Money
from counterflow.core.returns.states import LEG_DEAD
from counterflow.core.returns.work import Leg, Work, values_of

# Rails without a payout: their own ledger settles them at once (gift-card ledger, drawer count).
SETTLES_ITSELF = frozenset({"cash", "gift_card", "store_credit", "marketplace"})

_STATUS = {
    "pending": "accepted",
    "requires_action": "requires_action",
    "succeeded": "succeeded",
    "failed": "failed",
    "cancelled": "cancelled",
    "reversed": "reversed",
}
_OUTCOME = {
    "done": "succeeded",
    "accepted": "accepted",
    "rejected": "rejected",
    "unknown": "unknown",
    "not_found": "submitting",
    "resumed": "submitting",
    "discarded": "cancelled",
}


def legs(work: Work) -> None:
    """Build the legs: ours from issued PayLeg effects, others' from reports that carry no key of ours."""
    for effect in work.effects:
        if isinstance(effect.command, PayLeg):
            _issued(work, effect, effect.command)
    reports: dict[tuple[str, str], list[tuple[RefundReported, Fact]]] = {}
    for fact in work.facts:
        if isinstance(fact.body, RefundReported):
            reports.setdefault((fact.connection, fact.body.refund_ref), []).append((fact.body, fact))
    for reported in reports.values():
        reported.sort(key=lambda each: (each[0].version, each[1].occurred_at, each[1].fact_id))
        told = [(body, fact) for body, fact in reported if _is_in_currency(work, body, fact)]
        leg = _leg_of(work, told) if told else None
        if leg is not None:
            for body, fact in told:
                _report(work, leg, body, fact)
    for fact in work.facts:
        if isinstance(fact.body, MarketplaceRefunded):
            _marketplace(work, fact.body, fact)
    for dispute_ref in work.disputes:
        _disputed(work, dispute_ref)
    _settlements(work)


def issued(effect: Effect, command: PayLeg) -> Leg:
    """The leg of an effect as it is when the effect goes out."""
    return Leg(
        command.leg_id,
        command.intent_id,
        command.rail,
        command.payment_ref,
        command.amount_minor,
        "submitting",
        effect.decided_at,
        connection=effect.connection,
        effect_id=effect.effect_id,
        allocation=command.allocation,
    )


def _issued(work: Work, effect: Effect, command: PayLeg) -> None:
    leg = work.legs[command.leg_id] = issued(effect, command)
    for report, at in work.outcomes.get(effect.effect_id, ()):
        values = values_of(report)
        leg.refund_ref = report.ref or leg.refund_ref
        leg.acquirer_ref = values.get("acquirer_ref", leg.acquirer_ref)
        state = _OUTCOME.get(report.outcome)
        if state == "succeeded" and values.get("status") in ("pending", "requires_action"):
            state = _STATUS[values["status"]]
        if state is not None and leg.move(state, at):
            leg.reason = report.message or leg.reason
    _settle_itself(leg, leg.since)


def _settle_itself(leg: Leg, at: datetime) -> None:
    if leg.rail in SETTLES_ITSELF and leg.state == "succeeded":
        leg.move("settled", at)


def _leg_of(work: Work, told: list[tuple[RefundReported, Fact]]) -> Leg | None:
    """The leg that a refund is: by our key or its reference, else one that somebody else made for this case."""
    likeness, leg = whose(work, told)
    if leg is not None or likeness < 0:
        return leg
    first, fact = min(told, key=lambda each: each[1].order)  # the amount of a refund does not change
    return _observe(work, fact, first.refund_ref, first.payment_ref, first.amount_minor, first.tender)


def whose(work: Work, told: list[tuple[RefundReported, Fact]]) -> tuple[int, Leg | None]:
    """How surely a refund is this case's, and the leg of it that it is.

    3: by key or reference. 2: another system's word of a leg. 1: its lines are meant, or its amount. 0: nothing speaks
    against it. -1: it is another case's.
    """
    body, fact = told[-1]
    keys = {each.key for each, _ in told if each.key}
    for leg in work.legs.values():
        same_money = leg.payment_ref == body.payment_ref and leg.amount_minor == body.amount_minor
        if leg.effect_id in keys:
            return 3, leg
        if leg.refund_ref == body.refund_ref and (leg.connection == fact.connection or same_money):
            return 3, leg
    if keys and not keys & work.issued_ids:
        return -1, None  # another case's leg: its own business, its amount reaches us as a sibling's claim
    if body.refund_ref in work.observed_by_siblings:
        return -1, None
    named = set(body.line_refs) if work.lines else set()
    if named and not {ln.wanted.line_ref for ln in work.lines.values()} & named:
        return -1, None  # the channel says that other lines were meant
    shadow = next(_shadowed(work, body, told[0][1]), None)
    if shadow is not None:
        return 2, shadow
    asked = sum(line.unit_minor * line.wanted.quantity for line in work.lines.values())
    return (1 if named or body.amount_minor == asked else 0), None


def _shadowed(work: Work, body: RefundReported, fact: Fact) -> Iterator[Leg]:
    """The shop and its payment provider both tell of one refund, each by its own reference: it is one leg."""
    for leg in work.legs.values():
        same_money = leg.payment_ref == body.payment_ref and leg.amount_minor == body.amount_minor
        elsewhere = fact.connection != leg.connection and fact.connection not in leg.known_as
        near = abs((fact.occurred_at - (leg.succeeded_at or leg.since)).total_seconds())
        if same_money and elsewhere and near <= work.setting.window_shadow_seconds:
            yield leg


def _observe(work: Work, fact: Fact, refund_ref: str, payment_ref: str, amount_minor: int, rail: str) -> Leg:
    """A leg that somebody else has made: attributed to this case, never made again (D7)."""
    leg = Leg(
        make_id("rl", work.case_id, refund_ref),
        make_id("ri", work.case_id, refund_ref),
        rail,
        payment_ref,
        amount_minor,
        "observed",
        fact.occurred_at,
        origin=fact.origin if fact.origin != "ours" else "psp",
        connection=fact.connection,
        refund_ref=refund_ref,
    )
    return work.legs.setdefault(leg.leg_id, leg)


def _is_in_currency(work: Work, body: RefundReported, fact: Fact) -> bool:
    """Amounts of two currencies are never mixed: such a report waits for a person (edge case 60)."""
    if work.sale is None or body.currency == work.sale.currency:
        return True
    work.trouble(
        "wrong_currency",
        body.refund_ref,
        f"refund {body.refund_ref} is in {body.currency}, the sale is in {work.sale.currency}: correct the mapping of "
        f"{fact.connection}",
    )
    return False


def _report(work: Work, leg: Leg, body: RefundReported, fact: Fact) -> None:
    currency = body.currency
    if body.amount_minor != leg.amount_minor:
        before = "was asked for" if leg.origin == "ours" else "was said before"
        work.trouble(
            "amount_mismatch",
            body.refund_ref,
            f"{fact.connection} refunded {Money(currency, body.amount_minor)}, {Money(currency, leg.amount_minor)} "
            f"{before}: compare both sides before anything else is paid",
            abs(body.amount_minor - leg.amount_minor),
        )
    leg.known_as[fact.connection] = body.refund_ref
    leg.refund_ref = leg.refund_ref or body.refund_ref
    leg.acquirer_ref = body.acquirer_ref or leg.acquirer_ref
    state = _STATUS.get(body.status, "accepted")  # an unknown status is still pending
    if state == "failed" and leg.succeeded_at is not None:
        state = "failed_after_success"
    if leg.move(state, fact.occurred_at):
        leg.reason = body.reason or leg.reason
    elif state == "succeeded" and leg.state in LEG_DEAD:
        work.trouble(
            "amount_mismatch",
            f"{body.refund_ref}/{leg.state}",
            f"{fact.connection} says that refund {body.refund_ref} succeeded, it was {leg.state.replace('_', ' ')} "
            "before: look there before anything else is paid",
            body.amount_minor,
        )
    _settle_itself(leg, fact.occurred_at)


def _marketplace(work: Work, body: MarketplaceRefunded, fact: Fact) -> None:
    leg = _observe(work, fact, body.refund_ref, body.payment_ref, body.amount_minor, "marketplace")
    leg.origin = "marketplace"
    leg.move("settled", fact.occurred_at)


def _disputed(work: Work, dispute_ref: str) -> None:
    """A lost dispute is a refund that the customer took (edge cases 57, 58, 73); won again, it has come back."""
    for fact in work.disputes[dispute_ref]:
        body = fact.body
        assert isinstance(body, DisputeMoved)
        if body.phase == "lost":
            if dispute_ref in work.observed_by_siblings:
                continue  # all cases over the payment hear of it, one of them has counted it
            tender = "marketplace" if fact.origin == "marketplace" else "card"
            leg = _observe(work, fact, dispute_ref, body.payment_ref, body.amount_minor, tender)
            leg.reason = "dispute lost"
            # The provider took it from our balance when the dispute began: no payout of ours names it as a refund.
            leg.move("settled", fact.occurred_at)
        elif body.phase == "won":
            lost = work.legs.get(make_id("rl", work.case_id, dispute_ref))
            if lost is not None:
                lost.move("reversed", fact.occurred_at)


def _settlements(work: Work) -> None:
    """Payout lines name refunds, bank lines name payouts, the ERP's posting proves the clearing account."""
    by_ref = {leg.refund_ref: leg for leg in work.legs.values() if leg.refund_ref}
    by_ref |= {ref: leg for leg in work.legs.values() for ref in leg.known_as.values()}
    for fact in work.facts:
        body = fact.body
        if isinstance(body, RefundSettled) and (leg := by_ref.get(body.refund_ref)) is not None:
            _settled(work, leg, body, fact)
    for fact in work.facts:
        body = fact.body
        for leg in work.legs.values():
            if isinstance(body, PayoutBanked) and leg.payout_ref == body.payout_ref:
                leg.bank_ref = body.bank_ref
            elif isinstance(body, SettlementPosted) and leg.payout_ref == body.payout_ref:
                leg.settled_document = body.document_ref


def _settled(work: Work, leg: Leg, body: RefundSettled, fact: Fact) -> None:
    if body.amount_minor < 0:  # the payout gives it back to us
        leg.move("failed_after_success" if leg.succeeded_at is not None else "failed", fact.occurred_at)
    elif body.amount_minor != leg.amount_minor:
        work.trouble(
            "amount_mismatch",
            body.refund_ref,
            f"payout {body.payout_ref} settles {body.amount_minor}, the leg is {leg.amount_minor}: compare with the "
            "provider's report",
            abs(body.amount_minor - leg.amount_minor),
        )
    else:
        leg.payout_ref = body.payout_ref
        if leg.state in ("accepted", "unknown", "submitting", "requires_action", "observed"):
            leg.move("succeeded", fact.occurred_at)  # money that is in a payout has left
        leg.move("settled", fact.occurred_at)
