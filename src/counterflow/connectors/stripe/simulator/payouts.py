"""Payouts: at each midnight (UTC) at which money is available it goes to the bank, by currency."""

import json
from datetime import UTC, datetime, timedelta

from counterflow.connectors.stripe.simulator.account import Account, midnight
from counterflow.sdk.simulator import Doc

_SATURDAY = 5


def plan(account: Account, txn: Doc) -> None:
    """Have the payout run of the first midnight at which this money is available on the agenda, once."""
    available = datetime.fromtimestamp(txn["available_on"], UTC)
    due = midnight(available)
    if due < available or due <= account.world.now():
        due += timedelta(days=1)
    if all(instant != due for instant, _ in account.world.planned("payout_run")):
        account.world.at(due, "payout_run", {})


def run(account: Account, *, currency: str | None = None, manual: bool = False, pending_too: bool = False) -> list[Doc]:
    """Pay out what is available and not paid out yet; a balance of nothing or less is carried on.

    `manual`: a payout that a person asked for. Stripe does not know then which transactions it covers.
    """
    unpaid: dict[str, list[Doc]] = {}
    for txn in account.of("txn", _payout=None):
        wanted = currency is None or txn["currency"] == currency
        if wanted and (pending_too or txn["available_on"] <= account.stamp()):
            unpaid.setdefault(txn["currency"], []).append(txn)
    return [
        _pay_out(account, name, txns, automatic=not manual)
        for name, txns in sorted(unpaid.items())
        if sum(txn["net"] for txn in txns) > 0
    ]


def _pay_out(account: Account, currency: str, txns: list[Doc], *, automatic: bool) -> Doc:
    amount = sum(txn["net"] for txn in txns)
    id = account.new_id("po")
    arrival = midnight(account.world.now()) + timedelta(days=1)
    while arrival.weekday() >= _SATURDAY:
        arrival += timedelta(days=1)
    own = account.transaction("payout", id, -amount, currency, payout=id, description="STRIPE PAYOUT")
    for txn in txns:
        account.save(txn | {"_payout": id})
    payout: Doc = {
        "id": id,
        "object": "payout",
        "amount": amount,
        "arrival_date": int(arrival.timestamp()),
        "automatic": automatic,
        "balance_transaction": own["id"],
        "created": account.stamp(),
        "currency": currency,
        "description": "STRIPE PAYOUT",
        "destination": "ba_counterflow",
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": {},
        "method": "standard",
        "original_payout": None,
        "reconciliation_status": "completed" if automatic else "not_applicable",
        "reversed_by": None,
        "source_type": "card",
        "statement_descriptor": None,
        "status": "in_transit",
        "trace_id": {"status": "supported", "value": f"{account.world.next_id('trace'):015d}"},
        "type": "bank_account",
    }
    account.save(payout)
    account.event("payout.created", payout)
    if automatic:
        account.event("payout.reconciliation_completed", payout)
    account.world.at(arrival, "payout_arrival", {"payout": id})
    if account.bank_url:
        text = f"STRIPE {payout['trace_id']['value']} {id}"
        order = {"payout_ref": id, "amount_minor": amount, "currency": currency.upper(), "text": text}
        headers = {"Content-Type": "application/json"}
        account.world.emit(account.bank_url, headers, json.dumps(order).encode(), (60,) * 60, reliable=True)
    return payout


def arrive(account: Account, planned: Doc) -> None:
    """Stripe's word that the money is there; the bank books when it likes."""
    payout = account.need(planned["payout"])
    if payout["status"] == "in_transit":
        payout["status"] = "paid"
        account.event("payout.paid", account.save(payout), status="in_transit")


def fail(account: Account, payout: Doc, code: str) -> Doc:
    """The bank sends the money back, up to days after `paid`; it is in the balance again."""
    if payout["status"] == "failed":
        raise ValueError(f"payout {payout['id']} has already failed")
    before = payout["status"]
    txn = account.transaction("payout_failure", payout["id"], payout["amount"], payout["currency"])
    plan(account, txn)
    payout |= {"status": "failed", "failure_code": code, "failure_balance_transaction": txn["id"]}
    payout["failure_message"] = f"The payout failed: {code}."
    account.event("payout.failed", account.save(payout), status=before)
    return payout
