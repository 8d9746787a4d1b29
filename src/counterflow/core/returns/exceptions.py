"""Every class of exception with its owner, deadline and playbook; and the conditions that raise one from the state.

An exception is open while its condition holds and nobody has resolved it. Its id comes from class and subject, so the same
condition is one exception however often it is seen. A class without owner or playbook cannot exist: the table is checked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from counterflow.core.effects import PayLeg
from counterflow.core.ids import make_id
from counterflow.core.returns.case import ExceptionView
from counterflow.core.returns.work import Work


@dataclass(frozen=True, slots=True)
class Class:
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
    "empty_box": Class("high", "fraud", 24, "empty-box"),
    "missing_goods": Class("medium", "warehouse", 72, "search-for-goods", ("lost", "denied", "kept")),
    "not_counted": Class("medium", "warehouse", 48, "search-for-goods"),
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
    "settlement_overdue": Class("medium", "finance", 72, "settlement-overdue"),
    "shifted_period": Class("low", "finance", 168, "locked-period"),
    "replacement_failed": Class("medium", "customer_service", 24, "replacement-failed"),
    "cancelled_after_receipt": Class("medium", "customer_service", 48, "cancelled-after-receipt"),
    "fact_parked": Class("high", "operations", 8, "parked-fact", ("retry", "discard")),
}


def raise_conditions(work: Work) -> None:
    """Add the troubles that follow from the whole state; the passes before have added what they met on the way."""
    for line in work.lines.values():
        if line.authorisation == "review":
            work.trouble(
                "authorisation_review", line.key, f"decide by hand whether {line.key} may come back: {line.because}"
            )
    for unit in work.units.values():
        if unit.claimed_elsewhere:
            work.trouble(
                "claimed_twice",
                unit.unit_id,
                f"{unit.sku} is asked back twice: {unit.claimed_elsewhere} holds the same piece. Nothing is paid here until one "
                "of both is declined",
                unit.line.sold.paid_minor // max(unit.line.sold.quantity, 1) if unit.line and unit.line.sold else 0,
            )
        if unit.goods == "not_in_parcel":
            work.trouble(
                "missing_goods", unit.unit_id, f"{unit.sku} was announced and was not in the parcel: search for it"
            )
        if unit.goods == "quarantined":
            work.trouble(
                "quarantine",
                unit.unit_id,
                f"{unit.sku} is locked in quarantine ({unit.disposition_because}): release or scrap it",
            )
    if work.cancelled is not None and any(u.goods not in ("cancelled", "not_expected") for u in work.units.values()):
        work.trouble(
            "cancelled_after_receipt",
            "case",
            f"{work.cancelled[0]} cancelled the return after goods were on their way: the case goes on; re-open it in the channel",
        )
    _effects(work)
    _legs(work)
    for posting in work.postings.values():
        asked = next((e for e in work.effects if e.effect_id == posting.effect_id), None)
        wanted = getattr(asked.command, "occurred_at", None) if asked is not None else None
        if posting.accounting_on and wanted is not None and posting.accounting_on[:7] != wanted.date().isoformat()[:7]:
            work.trouble(
                "shifted_period",
                posting.posting_id,
                f"{posting.kind.replace('_', ' ')} {posting.document_name} was posted on {posting.accounting_on} instead of "
                f"{wanted.date()}: the period is locked, mention it in the tax report",
                posting.amount_minor,
            )


def _effects(work: Work) -> None:
    for effect in work.effects:
        state = work.state_of(effect.effect_id)
        if state not in ("rejected", "parked"):
            continue
        report = work.outcomes[effect.effect_id][-1][0]
        kind = "refund_rejected" if isinstance(effect.command, PayLeg) and state == "rejected" else "effect_stopped"
        if effect.kind == "CreateReplacement":
            kind = "replacement_failed"
        amount = getattr(effect.command, "amount_minor", 0)
        said = report.message or report.code or "no reason given"
        work.trouble(kind, effect.effect_id, f"{effect.kind} at {effect.connection} {state}: {said}", amount)


def _legs(work: Work) -> None:
    for leg in work.legs.values():
        if leg.state == "failed_after_success" or leg.state == "failed":
            paid_again = sum(
                other.amount_minor
                for other in work.legs.values()
                if other is not leg and other.state in ("succeeded", "settled")
            )
            if paid_again < work.entitled_minor - work.offset_minor and not work.alternative_rail:
                work.trouble(
                    "refund_failed",
                    leg.leg_id,
                    f"the refund by {leg.rail} came back ({leg.reason or 'no reason given'}): ask the customer for another way, then "
                    "resolve with pay_store_credit or pay_bank",
                    leg.amount_minor,
                )
        elif leg.state == "requires_action":
            work.trouble(
                "refund_stuck", leg.leg_id, "the customer has to act before the refund can be paid", leg.amount_minor
            )
        elif leg.state == "accepted" and leg.reason == "insufficient_funds":
            work.trouble(
                "refund_stuck",
                leg.leg_id,
                "the balance at the provider is too low: top it up, the refund waits",
                leg.amount_minor,
            )


def views(work: Work, raised: Mapping[str, str]) -> tuple[ExceptionView, ...]:
    """The open exceptions: troubles whose class and subject nobody has resolved.

    `raised` remembers from the last decision when each was raised (exception id -> ISO instant).
    """
    seen: dict[str, ExceptionView] = {}
    for trouble in work.troubles:
        found = CLASSES[trouble.kind]
        exception_id = make_id("ex", work.case_id, trouble.kind, trouble.subject)
        if exception_id in seen or exception_id in work.resolutions:
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
