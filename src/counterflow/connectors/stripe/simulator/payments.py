"""Payments, seeded as paid, and the disputes that cardholders open on them."""

from typing import Any

from counterflow.connectors.stripe.simulator.account import Account
from counterflow.connectors.stripe.simulator.payouts import plan
from counterflow.connectors.stripe.simulator.refunds import fail
from counterflow.sdk.simulator import Doc

SETTLES_AFTER_DAYS = 2
DISPUTE_FEE = 2000

_CARD = {"brand": "visa", "country": "DE", "exp_month": 8, "exp_year": 2030, "funding": "credit", "last4": "4242"}


def pay(account: Account, wanted: Doc) -> Doc:
    """A customer pays. `payment_method` is a type (card, sepa_debit, konbini, ...) or one of Stripe's test methods
    (`pm_card_visa`, `pm_card_pendingRefund`, `pm_card_refundFail`), which decides how refunds will go.

    Naming a `payment_intent` makes the act repeatable: the second time it answers with the first payment.
    """
    named = wanted.get("payment_intent", "pi_")
    if not str(named).startswith("pi_"):
        raise ValueError("a payment_intent begins with pi_")
    known = account.find(named)
    if known:
        return {"payment_intent": known["id"], "charge": known["latest_charge"]}
    amount, currency = int(wanted["amount_minor"]), str(wanted["currency"]).lower()
    if amount <= 0:
        raise ValueError("amount_minor is a positive integer")
    method = str(wanted.get("payment_method", "card"))
    kind = "card" if method.startswith("pm_card") else method
    metadata = {str(name): str(value) for name, value in wanted.get("metadata", {}).items()}
    intent_id = wanted.get("payment_intent") or account.new_id("pi")
    charge_id = account.new_id("ch")
    fee = account.fee(amount, currency)
    txn = account.transaction("charge", charge_id, amount, currency, fee=fee, available_after_days=SETTLES_AFTER_DAYS)
    common: Doc = {
        "amount": amount,
        "created": account.stamp(),
        "currency": currency,
        "customer": wanted.get("customer"),
        "description": wanted.get("description"),
        "livemode": False,
        "metadata": metadata,
        "payment_method": account.new_id("pm"),
        "receipt_email": wanted.get("email"),
        "status": "succeeded",
    }
    charge = account.save(
        common
        | {
            "id": charge_id,
            "object": "charge",
            "amount_captured": amount,
            "amount_refunded": 0,
            "balance_transaction": txn["id"],
            "billing_details": {"email": wanted.get("email"), "name": wanted.get("name"), "phone": None},
            "captured": True,
            "disputed": False,
            "failure_code": None,
            "failure_message": None,
            "paid": True,
            "payment_intent": intent_id,
            "payment_method_details": {kind: _CARD if kind == "card" else {}, "type": kind},
            "refunded": False,
            "statement_descriptor": None,
            "_method": method,
        }
    )
    intent = account.save(
        common
        | {
            "id": intent_id,
            "object": "payment_intent",
            "amount_capturable": 0,
            "amount_received": amount,
            "canceled_at": None,
            "capture_method": "automatic_async",
            "latest_charge": charge_id,
            "payment_method_types": [kind],
        }
    )
    plan(account, txn)
    account.event("charge.succeeded", charge)
    account.event("payment_intent.succeeded", intent)
    return {"payment_intent": intent_id, "charge": charge_id}


def charge_of(account: Account, named: dict[str, Any]) -> Doc:
    """The charge that an act means by `charge` or `payment_intent`. Raises LookupError."""
    if "charge" in named:
        return account.need(named["charge"])
    return account.need(account.need(named["payment_intent"])["latest_charge"])


def open_dispute(account: Account, wanted: Doc) -> Doc:
    """The cardholder disputes: the money leaves, and the charge cannot be refunded; an `inquiry` does neither."""
    charge = charge_of(account, wanted)
    inquiry = bool(wanted.get("inquiry"))
    amount = int(wanted.get("amount_minor", charge["amount"] - charge["amount_refunded"]))
    dispute = {
        "id": account.new_id("dp"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": account.stamp(),
        "currency": charge["currency"],
        "evidence_details": {"due_by": account.stamp() + 7 * 86400, "has_evidence": False, "submission_count": 0},
        "is_charge_refundable": inquiry,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": str(wanted.get("reason", "credit_not_processed")),
        "status": "warning_needs_response" if inquiry else "needs_response",
    }
    account.save(charge | {"disputed": True})
    account.event("charge.dispute.created", account.save(dispute))
    if not inquiry:
        _move(account, dispute, -amount, "dispute", fee=DISPUTE_FEE)
        account.event("charge.dispute.funds_withdrawn", dispute)
        for refund in account.of("re", charge=charge["id"], status="pending"):
            fail(account, refund, "charge_for_pending_refund_disputed")
    return {"dispute": dispute["id"]}


def answer_dispute(account: Account, wanted: Doc) -> Doc:
    """{dispute}: evidence is submitted, the bank looks at it."""
    dispute = account.need(wanted["dispute"])
    if not dispute["status"].endswith("needs_response"):
        raise ValueError(f"dispute {dispute['id']} is {dispute['status']}")
    before = dispute["status"]
    dispute["status"] = before.replace("needs_response", "under_review")
    dispute["evidence_details"] |= {"has_evidence": True, "submission_count": 1}
    account.event("charge.dispute.updated", account.save(dispute), status=before)
    return {"dispute": dispute["id"], "status": dispute["status"]}


def close_dispute(account: Account, wanted: Doc) -> Doc:
    """The bank decides: `won` brings the money back (not the fee) and the right to refund."""
    if "dispute" in wanted:
        dispute = account.need(wanted["dispute"])
    else:
        found = account.of("dp", charge=charge_of(account, wanted)["id"])
        if not found:
            raise LookupError("no dispute on this charge")
        dispute = found[-1]
    if dispute["status"] in ("won", "lost", "warning_closed"):
        raise ValueError(f"dispute {dispute['id']} is already {dispute['status']}")
    won = bool(wanted.get("won", False))
    before = dispute["status"]
    inquiry = before.startswith("warning")
    dispute["status"] = "warning_closed" if inquiry else "won" if won else "lost"
    dispute["is_charge_refundable"] = inquiry or won
    account.event("charge.dispute.closed", account.save(dispute), status=before)
    if won and not inquiry:
        _move(account, dispute, dispute["amount"], "dispute_reversal")
        account.event("charge.dispute.funds_reinstated", dispute)
    return {"dispute": dispute["id"], "status": dispute["status"]}


def _move(account: Account, dispute: Doc, amount: int, category: str, fee: int = 0) -> None:
    txn = account.transaction("adjustment", dispute["id"], amount, dispute["currency"], category=category, fee=fee)
    plan(account, txn)
    dispute["balance_transactions"].append({name: txn[name] for name in txn if not name.startswith("_")})
    account.save(dispute)
