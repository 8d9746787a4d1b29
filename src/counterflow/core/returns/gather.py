"""First pass over the facts: what was sold, asked, permitted and reported, before goods and money are walked."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from counterflow.core.facts import (
    ApprovalGiven,
    AuthorisationGiven,
    CasesLinked,
    CustomerPaid,
    DispositionExecuted,
    DisputeMoved,
    DocumentMoved,
    EffectReported,
    ExceptionResolved,
    Fact,
    GoodwillGranted,
    HoldPlaced,
    ItemInspected,
    ItemsReceived,
    LotRecalled,
    MarketplaceRefunded,
    ParcelMoved,
    PayoutBanked,
    RefundReported,
    RefundSettled,
    ReplacementMoved,
    ReturnCancelled,
    ReturnRequested,
    SaleRecorded,
    SiblingsClaimed,
    TimerFired,
    WithdrawalDeclared,
)
from counterflow.core.money import Money
from counterflow.core.policy import in_force
from counterflow.core.returns.case import Belief
from counterflow.core.returns.work import Work
from counterflow.core.sale import Payment


def gather(work: Work) -> None:
    """Walk the facts in canonical order and keep what later passes ask for."""
    newest: dict[str, Fact] = {}
    for fact in work.facts:
        apply = _APPLY.get(type(fact.body))
        if apply is not None:
            apply(work, fact.body, fact)
        if type(fact.body) in _BELIEF:
            newest[fact.connection] = fact
    for name, fact in newest.items():
        work.beliefs[name] = Belief(name, _BELIEF[type(fact.body)](fact.body), fact.occurred_at)
    if work.kind == "return" and work.withdrawal_at is not None:
        work.kind = "withdrawal"
    elif work.request is None and work.goodwill_minor and not work.receipts:
        work.kind = "goodwill"
    _documents(work)
    told = (fact.occurred_at for fact in work.facts if not isinstance(fact.body, SaleRecorded))
    opened = work.opened_at or next(told, work.now)
    work.opened_at = opened
    # The version in force when the return is asked for counts for the whole case (architecture: policies are data).
    asked = work.requested_at or opened
    work.policies = in_force(work.setting.policies, asked) or (work.setting.policies or (None,))[0]
    if work.sale is not None and len(work.setting.policies) > 1:
        promised = in_force(work.setting.policies, work.sale.ordered_at)
        work.promised = promised if promised is not work.policies else None


def _documents(work: Work) -> None:
    """Keep the ERP documents that are not ours: neither our key nor the reference that one of our effects got."""
    told = [fact for fact in work.facts if isinstance(fact.body, DocumentMoved)]
    if told:
        ours = {report.ref for reports in work.outcomes.values() for report, _ in reports if report.ref}
        for fact in told:
            body = fact.body
            assert isinstance(body, DocumentMoved)
            if body.key not in work.issued_ids and body.document_ref not in ours:
                work.foreign[body.document_ref] = fact


def _sale(work: Work, body: SaleRecorded, fact: Fact) -> None:
    if work.sale is None or body.sale.version >= work.sale.version:
        work.sale = body.sale


def _opened(work: Work, at: datetime) -> None:
    if work.opened_at is None or at < work.opened_at:
        work.opened_at = at


def _requested(work: Work, body: ReturnRequested, fact: Fact) -> None:
    if body.key in work.issued_ids:
        return  # what we have opened there ourselves, told back: a belief
    _opened(work, fact.occurred_at)
    if work.requested_at is None:
        work.requested_at = fact.occurred_at
    if work.request is None or body.version >= work.request.version:
        work.request, work.request_connection, work.kind = body, fact.connection, body.kind


def _withdrawal(work: Work, body: WithdrawalDeclared, fact: Fact) -> None:
    if work.withdrawal_at is None or body.declared_at < work.withdrawal_at:
        work.withdrawal_at = body.declared_at


def _given(work: Work, body: AuthorisationGiven, fact: Fact) -> None:
    work.given.append((body, fact.occurred_at, fact.connection))


def _cancelled(work: Work, body: ReturnCancelled, fact: Fact) -> None:
    work.cancelled = (body.by, fact.occurred_at)


def _received(work: Work, body: ItemsReceived, fact: Fact) -> None:
    _opened(work, fact.occurred_at)
    _parted(work, fact.occurred_at)
    first, _ = work.receipts.get(body.receipt_ref, (fact, body))
    work.receipts[body.receipt_ref] = (first, body)


def _parcel(work: Work, body: ParcelMoved, fact: Fact) -> None:
    if body.stage in ("handed_over", "in_transit", "delivered"):
        _parted(work, fact.occurred_at)


def _parted(work: Work, at: datetime) -> None:
    if work.handed_over_at is None or at < work.handed_over_at:
        work.handed_over_at = at


def _approval(work: Work, body: ApprovalGiven, fact: Fact) -> None:
    work.signed.append(body)


def _siblings(work: Work, body: SiblingsClaimed, fact: Fact) -> None:
    work.claimed_by_siblings = {(line, piece): case for line, piece, case in body.pieces}
    work.ever_claimed.update(work.claimed_by_siblings)
    work.refunded_by_siblings = dict(body.refunded)
    work.observed_by_siblings = set(body.observed)


def _outcome(work: Work, body: EffectReported, fact: Fact) -> None:
    reports = work.outcomes.setdefault(body.effect_id, [])
    reports.append((body, fact.occurred_at))
    # That it is done is the last word: the clock of who did it may be behind that of who asked again.
    reports.sort(key=lambda told: told[0].outcome == "done")


def _fired(work: Work, body: TimerFired, fact: Fact) -> None:
    work.timers_fired[body.timer_id] = fact.occurred_at


def _resolved(work: Work, body: ExceptionResolved, fact: Fact) -> None:
    work.resolutions[body.exception_id] = (body.action, body.by, fact.occurred_at)
    if body.action.startswith("pay_"):
        work.alternative = (body.action.removeprefix("pay_"), fact.occurred_at)


def _goodwill(work: Work, body: GoodwillGranted, fact: Fact) -> None:
    _opened(work, fact.occurred_at)
    work.goodwill_minor += max(0, body.amount_minor)


def _held(work: Work, body: HoldPlaced, fact: Fact) -> None:
    if body.lifted:
        work.holds.pop(body.name, None)
    else:
        work.holds[body.name] = f"{body.by}: {body.reason}"


# How far a replacement is. A channel may date several of them to one second: the furthest counts.
_REPLACEMENT = ("", "created", "out_of_stock", "cancelled", "shipped", "delivered", "returned")


def _replacement(work: Work, body: ReplacementMoved, fact: Fact) -> None:
    state, since, total = work.replacement.get(body.order_ref, ("", fact.occurred_at, 0))
    if _REPLACEMENT.index(body.state) >= _REPLACEMENT.index(state):
        state, since = body.state, fact.occurred_at
    work.replacement[body.order_ref] = (state, since, body.total_minor or total)


def _disputed(work: Work, body: DisputeMoved, fact: Fact) -> None:
    told = work.disputes.setdefault(body.dispute_ref, [])
    told.append(fact)
    # Providers tell no instant of a verdict: what opened and ended in the same one has ended.
    told.sort(key=lambda each: (each.occurred_at, getattr(each.body, "phase", "") != "opened"))


def _customer_paid(work: Work, body: CustomerPaid, fact: Fact) -> None:
    provider = work.setting.routes.payments.get(fact.connection, fact.connection)
    work.paid_in[body.payment_ref] = Payment(body.payment_ref, body.tender, body.amount_minor, provider)


def _marketplace(work: Work, body: MarketplaceRefunded, fact: Fact) -> None:
    _opened(work, fact.occurred_at)
    if work.request is None:
        work.kind = "marketplace_return"


def _recalled(work: Work, body: LotRecalled, fact: Fact) -> None:
    _opened(work, fact.occurred_at)
    work.recalled[body.lot] = body.refund_regardless or work.recalled.get(body.lot, False)
    if work.request is None:
        work.kind = "recall"


def _linked(work: Work, body: CasesLinked, fact: Fact) -> None:
    if body.other_case_id not in work.linked:
        work.linked.append(body.other_case_id)


_APPLY: dict[type, Callable[[Work, Any, Fact], None]] = {
    SaleRecorded: _sale,
    ReturnRequested: _requested,
    WithdrawalDeclared: _withdrawal,
    AuthorisationGiven: _given,
    ReturnCancelled: _cancelled,
    ItemsReceived: _received,
    ParcelMoved: _parcel,
    ApprovalGiven: _approval,
    SiblingsClaimed: _siblings,
    EffectReported: _outcome,
    TimerFired: _fired,
    ExceptionResolved: _resolved,
    GoodwillGranted: _goodwill,
    HoldPlaced: _held,
    ReplacementMoved: _replacement,
    DisputeMoved: _disputed,
    CustomerPaid: _customer_paid,
    MarketplaceRefunded: _marketplace,
    LotRecalled: _recalled,
    CasesLinked: _linked,
}

# What a system says of the case, in words for support (`case beliefs`): the newest statement of each connection counts.
_BELIEF: dict[type, Callable[[Any], str]] = {
    ReturnRequested: lambda b: f"return {b.return_ref} is {'open' if b.authorised_by_channel else 'requested'}",
    AuthorisationGiven: lambda b: f"return {b.decision}d by {b.by}",
    ReturnCancelled: lambda b: f"return cancelled by {b.by}",
    ItemsReceived: lambda b: f"{sum(i.quantity for i in b.items)} received at {b.place}",
    ReplacementMoved: lambda b: f"replacement {b.order_ref} {b.state}",
    MarketplaceRefunded: lambda b: f"refunded {Money(b.currency, b.amount_minor)} for us",
    DisputeMoved: lambda b: f"dispute {b.dispute_ref} {b.phase}",
    ParcelMoved: lambda b: f"parcel {b.tracking} {b.stage.replace('_', ' ')}",
    ItemInspected: lambda b: f"{b.quantity} x {b.sku} inspected, grade {b.grade}",
    DispositionExecuted: lambda b: (
        f"{b.quantity} x {b.sku} {b.disposition} {'undone' if b.reversed else 'carried out'}"
    ),
    RefundReported: lambda b: (
        f"refund {b.refund_ref} of {Money(b.currency, b.amount_minor)} {b.status}{b.place and f' at {b.place}'}"
    ),
    RefundSettled: lambda b: f"refund {b.refund_ref} is in payout {b.payout_ref}",
    PayoutBanked: lambda b: f"payout {b.payout_ref} is on bank line {b.bank_ref}",
    DocumentMoved: lambda b: f"{b.posting.replace('_', ' ')} {b.document_ref} {b.state}",
}
