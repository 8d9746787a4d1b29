"""Shopify Payments: payouts with their balance transactions, and disputes, in our words. Pure.

A balance transaction names the transaction of the order that it comes from, which is how a refund of ours is known in
the payout; its amount is in the payout's currency, the refund's own in what the customer paid in.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from counterflow.connectors.shopify.mapping import Mapper
from counterflow.connectors.shopify.references import gid, instant, number, refund_ref, sale_ref
from counterflow.connectors.shopify.sale import OWN_GATEWAY, money, payment_ref
from counterflow.core.effects import SettlementEntry
from counterflow.core.facts import DisputeMoved, Fact, PayoutReported, RefundSettled
from counterflow.core.money import to_minor
from counterflow.sdk.outcomes import Malformed

Json = dict[str, Any]

# Balance transaction -> settlement entry; every other of the hundred types is an adjustment.
ENTRY = {
    "CHARGE": "charge",
    "REFUND": "refund",
    "REFUND_FAILURE": "refund",
    "STRIPE_FEE": "fee",
    "REFERRAL_FEE": "fee",
    "CHARGEBACK_FEE": "fee",
    "CHARGEBACK_FEE_REFUND": "fee",
}
TRANSFER = "TRANSFER"  # the payout itself, seen from the balance
FINAL = {"IN_TRANSIT": 1, "PAID": 1, "FAILED": 2, "CANCELED": 2}  # a scheduled payout can still change
PHASES = {  # an inquiry, and what was prevented, took no money
    "NEEDS_RESPONSE": ("opened", 1),
    "UNDER_REVIEW": ("opened", 1),
    "LOST": ("lost", 2),
    "ACCEPTED": ("lost", 2),
    "CHARGE_REFUNDED": ("won", 3),  # the shop gave the money back itself: its refund is told as one
    "WON": ("won", 3),
    "PREVENTED": None,
}


def payout_facts(
    mapper: Mapper, payout: Json, rows: Sequence[Json], sources: Mapping[str, Json], now: datetime
) -> list[Fact]:
    """The payout as one fact and a RefundSettled for each refund in it; nothing while it is scheduled.

    `sources`: order transactions by gid. One that failed is reported again with a net of nothing: its money is in a
    later payout. Raises Malformed unless the entries sum up to it.
    """
    if payout["status"] not in FINAL:
        return []
    connection, currency = mapper.connection, payout["net"]["currencyCode"]
    ref, net = f"{connection}:payout:{number(payout['id'])}", _minor(payout["net"], currency)
    members = [row for row in rows if row["type"] != TRANSFER]
    total = sum(_minor(row["net"], currency) for row in members)
    if payout["transactionType"] == "WITHDRAWAL" and total == -net:
        net = total  # what the bank account owed
    entries = [_entry(mapper, row, sources, currency) for row in members]
    if fees := sum(_minor(row["fee"], currency) for row in members):
        entries.append(SettlementEntry("fee", ref, -fees))
    if sum(entry.amount_minor for entry in entries) != net:
        raise Malformed(
            f"the balance transactions of payout {ref} do not sum up to it: compare it with Shopify's export"
        )
    version = FINAL[payout["status"]]
    if version == 2:
        entries.append(SettlementEntry("adjustment", ref, -net))
        net = 0
    at = payout["issuedAt"]
    body = PayoutReported(ref, net, currency, tuple(entries), instant(at).date().isoformat())
    facts = [mapper.fact(body, payout["id"], version, at, (ref,), now, "psp")]
    for row in members:
        source = sources.get(_source(row))
        if ENTRY.get(row["type"]) == "refund" and source is not None:
            paid = money(source["amountSet"], source["order"]["presentmentCurrencyCode"])
            left = paid if _minor(row["amount"], currency) < 0 else -paid
            settled = RefundSettled(
                source["id"], ref, left, source["order"]["presentmentCurrencyCode"], _minor(row["fee"], currency)
            )
            facts.append(mapper.fact(settled, row["id"], 0, at, (refund_ref(connection, source["id"]),), now, "psp"))
    return facts


def _entry(mapper: Mapper, row: Json, sources: Mapping[str, Json], currency: str) -> SettlementEntry:
    kind, source = ENTRY.get(row["type"], "adjustment"), sources.get(_source(row))
    name = f"{mapper.connection}:transaction:{number(row['id'])}"
    if kind == "refund":
        if source is None:
            kind = "adjustment"  # of nothing that we could tell a case of
        else:
            name = refund_ref(mapper.connection, source["id"])
    if kind == "charge" and source is not None:
        name = f"{mapper.connection}:payment:{payment_ref(source, mapper.config)}"
    return SettlementEntry(kind, name, _minor(row["amount"], currency))


def _source(row: Json) -> str:
    return gid("OrderTransaction", str(row["sourceOrderTransactionId"])) if row["sourceOrderTransactionId"] else ""


def sources_of(rows: Sequence[Json]) -> list[str]:
    """The order transactions that the balance transactions come from, by gid."""
    return sorted({source for row in rows if (source := _source(row))})


def _minor(side: Json, currency: str) -> int:
    if side["currencyCode"] != currency:
        raise ValueError(f"an amount in {side['currencyCode']} in a payout in {currency}")
    return to_minor(str(side["amount"]), currency)


def dispute_facts(mapper: Mapper, dispute: Json, now: datetime) -> list[Fact]:
    """Nothing for an inquiry. A status that we do not know is still open."""
    phase = PHASES.get(dispute["status"], ("opened", 1))
    if phase is None or dispute["type"] == "INQUIRY":
        return []
    order = dispute["order"]
    paid = next(
        (
            payment_ref(row, mapper.config)
            for row in (order or {"transactions": ()})["transactions"]
            if row["gateway"] == OWN_GATEWAY and row["kind"] in ("SALE", "CAPTURE") and row["status"] == "SUCCESS"
        ),
        "",
    )
    ref = f"{mapper.connection}:dispute:{number(dispute['id'])}"
    body = DisputeMoved(
        ref, paid, to_minor(str(dispute["amount"]["amount"]), dispute["amount"]["currencyCode"]), phase[0]
    )
    refs = [ref, *([f"{mapper.connection}:payment:{paid}"] if paid else [])]
    refs += [sale_ref(mapper.connection, order["id"])] if order else []
    at = (dispute["finalizedOn"] if phase[0] != "opened" else None) or dispute["initiatedAt"]
    return [mapper.fact(body, dispute["id"], phase[1], at, tuple(refs), now, "psp")]
