"""Stripe's payouts and their balance transactions in our words. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime

from counterflow.connectors.stripe.mapping import Doc, created, fact_of, from_stripe, id_of, refund_body, refund_refs
from counterflow.core.effects import SettlementEntry
from counterflow.core.facts import Fact, PayoutReported, RefundSettled
from counterflow.sdk.fields import Fields
from counterflow.sdk.outcomes import Malformed

# Balance transaction -> settlement entry; every other type is an adjustment.
ENTRY = {
    "charge": "charge",
    "payment": "charge",
    "refund": "refund",
    "payment_refund": "refund",
    "refund_failure": "refund",
    "payment_failure_refund": "refund",
    "stripe_fee": "fee",
    "stripe_fx_fee": "fee",
    "tax_fee": "fee",
}
_LATEST = 2**33


def payout_facts(connection: str, payout: Doc, transactions: Sequence[Doc], seen_at: datetime) -> list[Fact]:
    """The payout as one fact, and one RefundSettled for each refund in it. Raises Malformed.

    `transactions` are its balance transactions with `source` expanded; none for a manual payout whose members nobody
    can tell: then one adjustment says so. A payout that failed is reported again with a net of nothing; its money is an
    adjustment of a later payout.
    """
    read = Fields(payout, "payout")
    id_, currency = read.text("id"), read.text("currency").upper()
    payout_ref, net = f"{connection}:payout:{id_}", from_stripe(payout.get("amount"), currency)
    members = [txn for txn in transactions if _type(txn) != "payout"]
    entries = [_entry(connection, txn, currency) for txn in members]
    if fees := sum(from_stripe(txn.get("fee"), currency) for txn in members):
        entries.append(SettlementEntry("fee", payout_ref, -fees))
    if not members:
        entries.append(SettlementEntry("adjustment", payout_ref, net))
    if sum(entry.amount_minor for entry in entries) != net:
        raise Malformed(f"the entries of payout {id_} do not sum up to it: ask Stripe for its report")
    failed = read.text("status") in ("failed", "canceled")
    if failed:
        entries.append(SettlementEntry("adjustment", payout_ref, -net))
    arrives = datetime.fromtimestamp(read.whole("arrival_date", 0, _LATEST), UTC).date().isoformat()
    body = PayoutReported(payout_ref, 0 if failed else net, currency, tuple(entries), arrives)
    at = created(payout)
    facts = [fact_of(connection, body, id_, 2 if failed else 1, at, seen_at, (payout_ref,))]
    facts += [_settled(connection, payout_ref, txn, currency, at, seen_at) for txn in members if _of_refund(txn)]
    return facts


def available(txn: Doc) -> int:
    """Unix seconds. Raises Malformed."""
    return Fields(txn, "balance_transaction").whole("available_on", 0, _LATEST)


def net(txn: Doc) -> int:
    """As Stripe counts, after its fee. Raises Malformed."""
    return Fields(txn, "balance_transaction").whole("net", -(10**12), 10**12)


def _type(txn: Doc) -> str:
    return Fields(txn, "balance_transaction").text("type")


def _entry(connection: str, txn: Doc, currency: str) -> SettlementEntry:
    kind, source = ENTRY.get(_type(txn), "adjustment"), txn.get("source")
    id_ = id_of(source or txn)
    if kind == "charge" and isinstance(source, dict):
        id_ = id_of(source.get("payment_intent") or id_)
    word = {"charge": "payment", "refund": "refund"}.get(kind, "transaction")
    return SettlementEntry(kind, f"{connection}:{word}:{id_}", from_stripe(txn.get("amount"), currency))


def _of_refund(txn: Doc) -> bool:
    return ENTRY.get(_type(txn)) == "refund" and isinstance(txn.get("source"), dict)


def _settled(connection: str, payout_ref: str, txn: Doc, currency: str, at: int, seen_at: datetime) -> Fact:
    """In the refund's own currency, as the leg has it; positive when money left, negative when it came back."""
    refund = refund_body(connection, txn["source"])
    amount = refund.amount_minor if from_stripe(txn.get("amount"), currency) < 0 else -refund.amount_minor
    fee = from_stripe(txn.get("fee"), currency)
    body = RefundSettled(refund.refund_ref, payout_ref, amount, refund.currency, fee)
    return fact_of(connection, body, id_of(txn), 0, at, seen_at, refund_refs(connection, txn["source"], refund))
