"""Refunds: what may be refunded, and what becomes of a refund in the days after it was made."""

from datetime import timedelta

from counterflow.connectors.stripe.simulator.account import THREE_DECIMAL, Account, Cause, display
from counterflow.connectors.stripe.simulator.errors import StripeError, invalid, missing
from counterflow.connectors.stripe.simulator.payouts import plan
from counterflow.sdk.simulator import Doc

REASONS = ("duplicate", "fraudulent", "requested_by_customer")
FAILURE_REASONS = (
    "lost_or_stolen_card",
    "expired_or_canceled_card",
    "charge_for_pending_refund_disputed",
    "insufficient_funds",
    "declined",
    "merchant_request",
    "unknown",
)
# How a refund of a payment method starts, and what follows by itself after how many days.
_COURSES: dict[str, tuple[str, str | None, int]] = {
    "pm_card_pendingRefund": ("pending", "succeed", 1),
    "pm_card_refundFail": ("succeeded", "fail", 5),
    "sepa_debit": ("pending", "succeed", 3),
    "bancontact": ("pending", "succeed", 2),
    "ideal": ("pending", "succeed", 2),
    "konbini": ("requires_action", None, 0),
    "promptpay": ("requires_action", None, 0),
}
_CARD_COURSE = ("succeeded", "reference", 1)  # days later the bank's reference number comes, as an update


def create(account: Account, wanted: Doc, cause: Cause, *, broke: bool = False) -> Doc:
    """Make a refund. `wanted` holds validated parameters; `broke`: the balance does not cover it, so it waits.

    Raises StripeError, with the charge unchanged.
    """
    charge = _charge(account, wanted)
    left = charge["amount"] - charge["amount_refunded"]
    if left == 0:
        raise StripeError(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if any(not dispute["is_charge_refundable"] for dispute in account.of("dp", charge=charge["id"])):
        message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise StripeError(message, code="charge_disputed")
    amount, currency = wanted.get("amount", left), charge["currency"]
    if amount > left:
        message = (
            f"Refund amount ({display(amount, currency)}) is greater than unrefunded amount on charge"
            f" ({display(left, currency)})"
        )
        raise StripeError(message, param="amount")
    if currency in THREE_DECIMAL and amount % 10:
        raise StripeError(f"Amounts in {currency.upper()} must be divisible by 10.", param="amount")

    course = _COURSES.get(charge["_method"], _CARD_COURSE)
    status = "pending" if broke else course[0]
    kind = charge["payment_method_details"]["type"]
    refund = {
        "id": account.new_id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": account.stamp(),
        "currency": currency,
        "customer": charge["customer"],
        "customer_account": None,
        "destination_details": {kind: {}, "type": kind},
        "metadata": wanted.get("metadata", {}),
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "reason": wanted.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": status,
        "transfer_reversal": None,
    }
    if kind == "card":
        card = {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"}
        refund["destination_details"]["card"] = card
    if status == "pending":
        refund["pending_reason"] = "insufficient_funds" if broke else "processing"
    if status == "requires_action":
        refund["instructions_email"] = wanted.get("instructions_email") or charge["receipt_email"]
        refund["next_action"] = {"type": "display_details", "display_details": {"email_sent": {}}}
    if not broke:
        _take_money(account, refund)
    account.save(refund)
    account.event("refund.created", refund, cause)
    _change_refunded(account, charge, amount, cause)
    if course[1] and not broke:
        _later(account, refund, course[1], course[2])
    return refund


def succeed(account: Account, refund: Doc) -> Doc:
    """A refund that waited (for a bank, for the customer, for our balance) goes through."""
    if refund["status"] not in ("pending", "requires_action"):
        raise ValueError(f"refund {refund['id']} is {refund['status']}")
    before = refund["status"]
    refund.pop("pending_reason", None)
    refund.pop("next_action", None)
    if refund["balance_transaction"] is None:
        _take_money(account, refund)
    refund["status"] = "succeeded"
    return _updated(account, refund, status=before)


def fail(account: Account, refund: Doc, reason: str) -> Doc:
    """A refund fails, even days after it succeeded: the money comes back to the balance, the charge is open again."""
    if reason not in FAILURE_REASONS:
        raise ValueError(f"failure_reason is one of {', '.join(FAILURE_REASONS)}")
    if refund["status"] in ("failed", "canceled"):
        raise ValueError(f"refund {refund['id']} is {refund['status']}")
    before = refund["status"]
    refund.pop("pending_reason", None)
    refund["status"], refund["failure_reason"] = "failed", reason
    if refund["balance_transaction"]:
        refund["failure_balance_transaction"] = _give_money_back(account, refund)
    _updated(account, refund, status=before)
    account.event("refund.failed", refund, status=before)
    _change_refunded(account, account.need(refund["charge"]), -refund["amount"])
    return refund


def cancel(account: Account, refund: Doc, cause: Cause) -> Doc:
    """Only a refund that waits for the customer can be cancelled."""
    if refund["status"] != "requires_action":
        raise StripeError(f"Refund {refund['id']} cannot be canceled: its status is {refund['status']}.")
    refund["status"] = "canceled"
    refund.pop("next_action", None)
    refund["failure_reason"] = "merchant_request"
    refund["failure_balance_transaction"] = _give_money_back(account, refund)
    _updated(account, refund, cause, status="requires_action")
    _change_refunded(account, account.need(refund["charge"]), -refund["amount"])
    return refund


def write_metadata(account: Account, refund: Doc, metadata: Doc, cause: Cause) -> Doc:
    """Merge metadata; an empty value unsets its key, no keys at all unset everything."""
    before = refund["metadata"]
    merged = before | metadata if metadata else {}
    refund["metadata"] = {name: value for name, value in merged.items() if value != ""}
    return _updated(account, refund, cause, metadata=before)


def follow_up(account: Account, planned: Doc) -> None:
    """What was planned for a refund happens, unless it took another course meanwhile."""
    refund = account.need(planned["refund"])
    if planned["what"] == "succeed" and refund["status"] == "pending":
        succeed(account, refund)
    if planned["what"] == "fail" and refund["status"] in ("pending", "succeeded"):
        fail(account, refund, planned.get("failure_reason", "expired_or_canceled_card"))
    if planned["what"] == "reference" and refund["status"] == "succeeded":
        card = refund["destination_details"]["card"]
        card |= {"reference_status": "available", "reference": f"7453{account.world.next_id('arn'):019d}"}
        _updated(account, refund)


def _charge(account: Account, wanted: Doc) -> Doc:
    """The charge to refund, named by itself or by its payment intent."""
    if "charge" in wanted:
        charge = account.find(wanted["charge"])
        if charge is None or charge["object"] != "charge":
            raise missing("charge", wanted["charge"], param="charge")
        return charge
    intent = account.find(wanted["payment_intent"])
    if intent is None or intent["object"] != "payment_intent":
        raise missing("payment_intent", wanted["payment_intent"], param="payment_intent")
    found = account.find(intent["latest_charge"])
    if found is None:
        raise invalid(f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.")
    return found


def _change_refunded(account: Account, charge: Doc, by: int, cause: Cause | None = None) -> None:
    before = charge["amount_refunded"]
    charge["amount_refunded"] = before + by
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    assert 0 <= charge["amount_refunded"] <= charge["amount"], charge["id"]
    account.save(charge)
    if by > 0:  # it shows the charge and its new sum, and not which refund made it so
        account.event("charge.refunded", charge, cause, amount_refunded=before)


def _take_money(account: Account, refund: Doc) -> None:
    txn = account.transaction(
        "refund", refund["id"], -refund["amount"], refund["currency"], description="REFUND FOR CHARGE"
    )
    refund["balance_transaction"] = txn["id"]
    plan(account, txn)


def _give_money_back(account: Account, refund: Doc) -> str:
    txn = account.transaction(
        "refund_failure", refund["id"], refund["amount"], refund["currency"], description="REFUND FAILURE"
    )
    plan(account, txn)
    return str(txn["id"])


def _updated(account: Account, refund: Doc, cause: Cause | None = None, **previous: object) -> Doc:
    account.save(refund)
    account.event("refund.updated", refund, cause, **previous)
    account.event("charge.refund.updated", refund, cause, **previous)
    return refund


def _later(account: Account, refund: Doc, what: str, days: int) -> None:
    account.world.at(
        account.world.now() + timedelta(days=days), "refund_follow_up", {"refund": refund["id"], "what": what}
    )
