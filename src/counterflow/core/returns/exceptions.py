"""Every class of exception with its owner, deadline and playbook; what raises one is in conditions.py and the passes.

An exception is open while its condition holds and nobody has resolved it. Its id comes from class and subject, so the
same condition is one exception however often it is seen. A class without owner or playbook cannot exist.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from counterflow.core.ids import make_id
from counterflow.core.returns.case import ExceptionView
from counterflow.core.returns.work import Work


@dataclass(frozen=True, slots=True)
class Class:
    """A class of exceptions: how urgent, whose, due after how many hours, and what settles it."""

    severity: str  # low | medium | high
    owner: str  # team
    due_hours: int
    playbook: str  # docs/operations/playbooks.md#<anchor>
    actions: tuple[str, ...] = ("resolve",)


CLASSES: dict[str, Class] = {
    "approval_needed": Class("medium", "customer_service", 24, "approve-a-refund", ("approve", "refuse")),
    "approval_refused": Class("medium", "customer_service", 48, "approve-a-refund"),
    "authorisation_review": Class("medium", "customer_service", 24, "decide-a-return", ("approve", "decline")),
    "terms_unclear": Class("medium", "customer_service", 24, "decide-a-return"),
    "claimed_twice": Class("high", "customer_service", 24, "same-item-twice", ("accept", "decline")),
    "blind_return": Class("medium", "warehouse", 48, "identify-a-parcel"),
    "over_receipt": Class("medium", "warehouse", 48, "identify-a-parcel", ("accept", "send_back", "resolve")),
    "wrong_item": Class("medium", "warehouse", 48, "identify-a-parcel", ("send_back", "resolve")),
    "serial_mismatch": Class("high", "fraud", 24, "serial-mismatch", ("accept", "send_back", "resolve")),
    "serial_missing": Class("medium", "warehouse", 48, "serial-mismatch", ("accept", "send_back", "resolve")),
    "lot_swap": Class("low", "warehouse", 168, "lot-swap"),
    "empty_box": Class("high", "fraud", 24, "empty-box", ("accept", "denied", "resolve")),
    "missing_goods": Class("medium", "warehouse", 72, "search-for-goods", ("accept", "lost", "denied", "kept")),
    "declined_goods": Class("medium", "customer_service", 48, "goods-of-a-declined-return", ("send_back", "resolve")),
    "other_legal_entity": Class("medium", "finance", 72, "other-legal-entity"),
    "not_delivered": Class("medium", "customer_service", 48, "decide-a-return"),
    "not_counted": Class("medium", "warehouse", 48, "search-for-goods"),
    "counted_meanwhile": Class("medium", "warehouse", 48, "counted-meanwhile"),
    "disposition_unclear": Class("low", "warehouse", 48, "choose-a-disposition"),
    "disposition_hold": Class("low", "warehouse", 72, "choose-a-disposition"),
    "quarantine": Class("low", "quality", 168, "release-quarantine"),
    "refund_unroutable": Class(
        "high", "customer_service", 24, "pay-another-way", ("pay_store_credit", "pay_bank", "resolve")
    ),
    "refund_rejected": Class(
        "high", "finance", 24, "refund-rejected", ("retry", "pay_store_credit", "pay_bank", "resolve")
    ),
    "refund_failed": Class(
        "high", "customer_service", 24, "pay-another-way", ("pay_store_credit", "pay_bank", "resolve")
    ),
    "refund_stuck": Class("medium", "finance", 24, "refund-pending"),
    "refund_overdue": Class("high", "customer_service", 8, "legal-clock"),
    "unknown_outcome": Class("high", "operations", 4, "unknown-outcome", ("resolve",)),
    "double_refund": Class("high", "finance", 24, "double-refund", ("write_off", "resolve")),
    "overpaid": Class("medium", "finance", 72, "overpaid", ("accept", "write_off", "resolve")),
    "unattributed_refund": Class("medium", "finance", 48, "unattributed-refund", ("accept", "resolve")),
    "amount_mismatch": Class("high", "finance", 24, "amounts-differ"),
    "wrong_currency": Class("high", "finance", 24, "amounts-differ"),
    "effect_stopped": Class("high", "operations", 8, "effect-stopped", ("retry", "discard", "resolve")),
    "document_cancelled": Class("high", "finance", 48, "document-cancelled"),
    "document_edited": Class("high", "finance", 48, "document-cancelled"),
    "foreign_document": Class("medium", "finance", 72, "document-made-by-hand"),
    "over_credited": Class("high", "finance", 48, "document-made-by-hand"),
    "settlement_overdue": Class("medium", "finance", 72, "settlement-overdue"),
    "shifted_period": Class("low", "finance", 168, "locked-period"),
    "replacement_failed": Class("medium", "customer_service", 24, "replacement-failed", ("retry", "refund", "resolve")),
    "replacement_returned": Class("medium", "customer_service", 48, "replacement-returned"),
    "guarantee_due": Class("medium", "customer_service", 72, "replacement-sent-ahead", ("write_off", "resolve")),
    "recovery_claim": Class("low", "finance", 336, "claim-it-back"),
    "cancelled_after_receipt": Class("medium", "customer_service", 48, "cancelled-after-receipt"),
    "fact_parked": Class("high", "operations", 8, "parked-fact", ("retry", "discard")),
    # Raised outside of a case, by the engine, intake and reconciliation.
    "fact_unmatched": Class("medium", "operations", 24, "fact-unmatched", ("discard", "resolve")),
    "effect_parked": Class("high", "operations", 4, "effect-parked", ("retry", "discard")),
    "drift": Class("high", "operations", 4, "drift", ("retry", "discard")),
    "connection_auth": Class("high", "operations", 1, "connection-auth", ("retry", "resolve")),
    "credential_ending": Class("high", "operations", 168, "credential-ending"),
    "connection_missing": Class("high", "operations", 4, "connection-missing"),
    "connection_warning": Class("high", "operations", 24, "connection-warning"),
    "feed_failed": Class("medium", "integration", 4, "feed-failed"),
    "malformed_delivery": Class("medium", "integration", 24, "malformed-delivery", ("retry", "resolve")),
    "payout_differs": Class("high", "finance", 24, "payout-differs"),
    "payout_overdue": Class("high", "finance", 24, "payout-overdue"),
    "settlement_not_posted": Class("high", "finance", 24, "settlement-not-posted", ("retry", "resolve")),
}


def views(work: Work, raised: Mapping[str, str]) -> tuple[ExceptionView, ...]:
    """The open exceptions: troubles whose class and subject nobody has resolved since they began.

    `raised` remembers from the last decision when each was raised (exception id -> ISO instant).
    """
    seen: dict[str, ExceptionView] = {}
    for trouble in work.troubles:
        found = CLASSES[trouble.kind]
        exception_id = make_id("ex", work.case_id, trouble.kind, trouble.subject)
        if exception_id in seen or work.resolution(trouble.kind, trouble.subject, trouble.since):
            continue
        raised_at = datetime.fromisoformat(raised[exception_id]) if exception_id in raised else work.now
        seen[exception_id] = ExceptionView(
            exception_id,
            trouble.kind,
            trouble.subject,
            found.severity,
            found.owner,
            raised_at,
            raised_at + timedelta(hours=found.due_hours),
            trouble.message,
            trouble.impact_minor,
        )
    return tuple(seen.values())
