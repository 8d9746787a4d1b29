"""The refund legs as they stand: those that we issued, and those that others made, moved by what was reported of them."""

from counterflow.core.effects import PayLeg
from counterflow.core.facts import (
    Fact,
    MarketplaceRefunded,
    PayoutBanked,
    RefundReported,
    RefundSettled,
    SettlementPosted,
)
from counterflow.core.ids import make_id
from counterflow.core.money import Money
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
            _issued(work, effect.effect_id, effect.command, effect.connection)
    reports: dict[str, list[Fact]] = {}
    for fact in work.facts:
        if isinstance(fact.body, RefundReported):
            reports.setdefault(fact.body.refund_ref, []).append(fact)
    for refund_ref, told in reports.items():
        told.sort(key=lambda f: (f.body.version, f.occurred_at, f.fact_id))  # type: ignore[union-attr]
        leg = _leg_of(work, refund_ref, told)
        if leg is not None:
            for fact in told:
                assert isinstance(fact.body, RefundReported)
                _report(work, leg, fact.body, fact)
    for fact in work.facts:
        if isinstance(fact.body, MarketplaceRefunded):
            _marketplace(work, fact.body, fact)
    _settlements(work)


def _issued(work: Work, effect_id: str, command: PayLeg, connection: str) -> None:
    decided = next(e.decided_at for e in work.effects if e.effect_id == effect_id)
    leg = Leg(
        command.leg_id,
        command.intent_id,
        command.rail,
        command.payment_ref,
        command.amount_minor,
        "submitting",
        decided,
        connection=connection,
        effect_id=effect_id,
        allocation=command.allocation,
    )
    for report, at in work.outcomes.get(effect_id, ()):
        values = values_of(report)
        leg.refund_ref = report.ref or leg.refund_ref
        leg.acquirer_ref = values.get("acquirer_ref", leg.acquirer_ref)
        state = _OUTCOME.get(report.outcome)
        if state == "succeeded" and values.get("status") in ("pending", "requires_action"):
            state = _STATUS[values["status"]]
        if state is not None and leg.move(state, at):
            leg.reason = report.message or leg.reason
    if leg.rail in SETTLES_ITSELF and leg.state == "succeeded":
        leg.move("settled", leg.since)
    work.legs[leg.leg_id] = leg


def _leg_of(work: Work, refund_ref: str, told: list[Fact]) -> Leg | None:
    """The leg that a refund is: by our key or its reference, else one that somebody else made for this case."""
    keys = {fact.body.key for fact in told if isinstance(fact.body, RefundReported) and fact.body.key}
    for leg in work.legs.values():
        if leg.effect_id in keys or (leg.refund_ref and leg.refund_ref == refund_ref):
            return leg
    first = told[-1]
    assert isinstance(first.body, RefundReported)
    if keys and not any(key in work.issued_ids for key in keys):
        return None  # another case's leg: its own business, its amount reaches us as a sibling's claim
    if refund_ref in work.observed_by_siblings:
        return None
    if (
        first.body.line_refs
        and work.lines
        and not {ln.wanted.line_ref for ln in work.lines.values()} & set(first.body.line_refs)
    ):
        return None  # the channel says that other lines were meant
    leg = Leg(
        make_id("rl", work.case_id, refund_ref),
        make_id("ri", work.case_id, refund_ref),
        first.body.tender,
        first.body.payment_ref,
        first.body.amount_minor,
        "observed",
        told[0].occurred_at,
        origin=told[0].origin,
        connection=told[0].connection,
        refund_ref=refund_ref,
    )
    work.legs[leg.leg_id] = leg
    return leg


def _report(work: Work, leg: Leg, body: RefundReported, fact: Fact) -> None:
    currency = work.sale.currency if work.sale is not None else body.currency
    if body.currency != currency:
        work.trouble(
            "wrong_currency",
            body.refund_ref,
            f"refund {body.refund_ref} is in {body.currency}, the sale is in {currency}: correct the mapping of {fact.connection}",
        )
        return
    if leg.origin == "ours" and body.amount_minor != leg.amount_minor:
        work.trouble(
            "amount_mismatch",
            body.refund_ref,
            f"{fact.connection} refunded {Money(currency, body.amount_minor)}, {Money(currency, leg.amount_minor)} was asked "
            "for: compare both sides before anything else is paid",
            abs(body.amount_minor - leg.amount_minor),
        )
    leg.refund_ref = body.refund_ref
    leg.acquirer_ref = body.acquirer_ref or leg.acquirer_ref
    state = _STATUS.get(body.status, "accepted")  # an unknown status is still pending
    if state == "failed" and leg.succeeded_at is not None:
        state = "failed_after_success"
    if leg.move(state, fact.occurred_at):
        leg.reason = body.reason or leg.reason
    if leg.rail in SETTLES_ITSELF and leg.state == "succeeded":
        leg.move("settled", fact.occurred_at)


def _marketplace(work: Work, body: MarketplaceRefunded, fact: Fact) -> None:
    leg_id = make_id("rl", work.case_id, body.refund_ref)
    if leg_id in work.legs:
        return
    leg = Leg(
        leg_id,
        make_id("ri", work.case_id, body.refund_ref),
        "marketplace",
        body.payment_ref,
        body.amount_minor,
        "observed",
        fact.occurred_at,
        origin="marketplace",
        connection=fact.connection,
        refund_ref=body.refund_ref,
    )
    leg.move("settled", fact.occurred_at)
    work.legs[leg_id] = leg


def _settlements(work: Work) -> None:
    """Payout lines name refunds, bank lines name payouts, the ERP's posting proves the clearing account."""
    by_ref = {leg.refund_ref: leg for leg in work.legs.values() if leg.refund_ref}
    for fact in work.facts:
        body = fact.body
        if isinstance(body, RefundSettled) and (leg := by_ref.get(body.refund_ref)) is not None:
            if body.amount_minor != leg.amount_minor and leg.origin == "ours":
                work.trouble(
                    "amount_mismatch",
                    body.refund_ref,
                    f"payout {body.payout_ref} settles {body.amount_minor}, the leg is {leg.amount_minor}: compare with the "
                    "provider's report",
                    abs(body.amount_minor - leg.amount_minor),
                )
                continue
            leg.payout_ref = body.payout_ref
            if leg.state in ("accepted", "unknown", "submitting"):
                leg.move("succeeded", fact.occurred_at)  # money that is in a payout has left
            leg.move("settled", fact.occurred_at)
    for fact in work.facts:
        body = fact.body
        for leg in work.legs.values():
            if isinstance(body, PayoutBanked) and leg.payout_ref == body.payout_ref:
                leg.bank_ref = body.bank_ref
            elif isinstance(body, SettlementPosted) and leg.payout_ref == body.payout_ref:
                leg.settled_document = body.document_ref
