"""Shopify Payments: what was charged and refunded goes into payouts, less fees; disputes take money back.

A payout takes every movement of the gateway `shopify_payments` that is in none yet, as balance transactions in the
shop's currency. It is SCHEDULED, IN_TRANSIT, PAID, FAILED or CANCELED; no webhook tells of any of them.
"""

from decimal import Decimal
from typing import Any

from counterflow.connectors.shopify.simulator import payloads
from counterflow.connectors.shopify.simulator.money import half_up
from counterflow.connectors.shopify.simulator.shop import Refused, Shop, find, number
from counterflow.connectors.shopify.simulator.views import lazy, money, pages, view_order
from counterflow.sdk.simulator import Doc

GATEWAY = "shopify_payments"
FEE_PERCENT = Decimal("2.9")
PAYOUT_STATES = ("SCHEDULED", "IN_TRANSIT", "PAID", "FAILED", "CANCELED")
_OVER = ("WON", "LOST", "ACCEPTED", "CHARGE_REFUNDED", "PREVENTED")


def add_balance(shop: Shop, kind: str, amount: int, fee: int, order: Doc | None = None, source: str = "") -> Doc:
    """One movement of the balance, in minor units of the shop's currency; what leaves is negative."""
    row: Doc = {
        "id": shop.gid("ShopifyPaymentsBalanceTransaction"), "type": kind, "amount": amount, "fee": fee,
        "net": amount - fee, "at": shop.now(), "payout_id": None, "source": source,
        "order_id": order and order["id"], "order_name": order and order["name"],
    }  # fmt: skip
    shop.world.put("balance", row["id"], row)
    return row


def pay_out(shop: Shop, data: Doc) -> Doc:
    """All that is in no payout yet. `status` (default PAID), `issued_at`, `adjustment_minor` of something else."""
    known = {(row["type"], row["source"]) for row in shop.world.all("balance")}
    for order in shop.world.all("orders"):
        for paid in order["transactions"]:
            if paid["gateway"] != GATEWAY or paid["status"] not in ("SUCCESS", "FAILURE"):
                continue
            charge = paid["kind"] in ("SALE", "CAPTURE")
            kind = "CHARGE" if charge else "REFUND"
            failed_late = not charge and paid["status"] == "FAILURE" and ("REFUND", paid["id"]) in known
            if failed_late and ("REFUND_FAILURE", paid["id"]) not in known:
                add_balance(shop, "REFUND_FAILURE", paid["amount"]["shop"], 0, order, paid["id"])
            if paid["status"] == "SUCCESS" and paid["kind"] != "AUTHORIZATION" and (kind, paid["id"]) not in known:
                amount = paid["amount"]["shop"]
                fee = half_up(amount * FEE_PERCENT / 100) if charge else 0
                add_balance(shop, kind, amount if charge else -amount, fee, order, paid["id"])
    if other := int(data.get("adjustment_minor", 0)):
        add_balance(shop, "SHIPPING_LABEL" if other < 0 else "ADJUSTMENT", other, 0)
    rows = [row for row in shop.world.all("balance") if row["payout_id"] is None]
    if not rows:
        raise Refused("there is nothing to pay out", "INVALID")
    net = sum(row["net"] for row in rows)
    payout = {
        "id": shop.gid("ShopifyPaymentsPayout"), "issued_at": data.get("issued_at") or shop.now(), "net": net,
        "status": data.get("status", "PAID"), "trace": f"TRACE{shop.world.next_id('trace'):08d}",
    }  # fmt: skip
    shop.world.put("payouts", payout["id"], payout)
    for row in rows:
        shop.world.put("balance", row["id"], {**row, "payout_id": payout["id"]})
    add = add_balance(shop, "TRANSFER", -net, 0)
    shop.world.put("balance", add["id"], {**add, "payout_id": payout["id"]})
    return payout


def move_payout(shop: Shop, data: Doc) -> Doc:
    """What the bank did with it. The money of one that failed is in the next."""
    payout = shop.world.get("payouts", data["payout"])
    if payout is None:
        raise LookupError(f"Payout {data['payout']}")
    if data["status"] not in PAYOUT_STATES:
        raise Refused(f"{data['status']} is no state of a payout", "INVALID")
    if data["status"] in ("FAILED", "CANCELED") and payout["status"] not in ("FAILED", "CANCELED"):
        add_balance(shop, "TRANSFER_FAILURE", payout["net"], 0)
    payout["status"] = data["status"]
    shop.world.put("payouts", payout["id"], payout)
    return payout


# Disputes


def open_dispute(shop: Shop, data: Doc) -> Doc:
    """The customer's bank takes the money of an order's payment; an inquiry (`type`) takes none."""
    order = shop.order(data["order"])
    paid = next(
        row for row in order["transactions"] if row["gateway"] == GATEWAY and row["kind"] in ("SALE", "CAPTURE")
    )
    dispute = {
        "id": shop.gid("ShopifyPaymentsDispute"), "order_id": order["id"], "type": data.get("type", "CHARGEBACK"),
        "status": "NEEDS_RESPONSE", "at": shop.now(), "finalized_at": None, "payment": paid["id"],
        "amount": int(data.get("amount_minor", paid["amount"]["shop"])),
    }  # fmt: skip
    shop.world.put("disputes", dispute["id"], dispute)
    if dispute["type"] == "CHARGEBACK":
        add_balance(shop, "DISPUTE_WITHDRAWAL", -dispute["amount"], 0, order)
    shop.tell("DISPUTES_CREATE", payloads.dispute(dispute, shop.currency))
    return dispute


def move_dispute(shop: Shop, data: Doc) -> Doc:
    dispute = shop.world.get("disputes", data["dispute"])
    if dispute is None:
        raise LookupError(f"Dispute {data['dispute']}")
    dispute["status"] = data["status"]
    if data["status"] in _OVER:
        dispute["finalized_at"] = shop.now()
    if data["status"] == "WON":
        add_balance(shop, "DISPUTE_REVERSAL", dispute["amount"], 0, shop.order(dispute["order_id"]))
    shop.world.put("disputes", dispute["id"], dispute)
    shop.tell("DISPUTES_UPDATE", payloads.dispute(dispute, shop.currency))
    return dispute


# As GraphQL sees them


def account(shop: Shop) -> Doc:
    return {
        "__typename": "ShopifyPaymentsAccount", "id": "gid://shopify/ShopifyPaymentsAccount/1", "activated": True,
        "defaultCurrency": shop.currency, "payouts": lambda info, **args: _payouts(shop, info, **args),
        "balanceTransactions": lambda info, **args: _balance(shop, info, **args),
        "disputes": lambda info, **args: disputes(shop, info, **args),
    }  # fmt: skip


def _payouts(shop: Shop, info: Any, query: str = "", **args: Any) -> Doc:
    rows = sorted(_since(shop.world.all("payouts"), "issued_at", query), key=lambda row: (row["issued_at"], row["id"]))
    return pages(  # type: ignore[no-any-return]
        lambda: [view_payout(shop, row) for row in rows], lambda row: f"{row['issuedAt']}|{row['id']}"
    )(info, **args)


def _since(rows: list[Doc], field: str, query: str) -> list[Doc]:
    since = query.partition(">=")[2].strip("' ")
    return [row for row in rows if row[field if field in row else "at"] >= since]


def view_payout(shop: Shop, row: Doc) -> Doc:
    return {
        "__typename": "ShopifyPaymentsPayout", "id": row["id"], "issuedAt": row["issued_at"], "status": row["status"],
        "net": money(row["net"], shop.currency), "externalTraceId": row["trace"],
        "transactionType": "DEPOSIT" if row["net"] >= 0 else "WITHDRAWAL",
    }  # fmt: skip


def _balance(shop: Shop, info: Any, query: str = "", hideTransfers: bool = False, **args: Any) -> Doc:
    wanted = query.partition("payments_transfer_id:")[2].strip("' ")
    rows = [
        row for row in shop.world.all("balance")
        if (not wanted or str(number(row["payout_id"] or "/0")) == wanted)
        and not (hideTransfers and row["type"] == "TRANSFER")
    ]  # fmt: skip
    return pages(lambda: [_view_balance(shop, row) for row in rows])(info, **args)  # type: ignore[no-any-return]


def _view_balance(shop: Shop, row: Doc) -> Doc:
    return {
        "id": row["id"], "type": row["type"], "test": False, "transactionDate": row["at"], "adjustmentReason": None,
        "amount": money(row["amount"], shop.currency), "fee": money(row["fee"], shop.currency),
        "net": money(row["net"], shop.currency), "sourceType": None,
        "sourceId": number(row["source"]) if row["source"] else None,
        "sourceOrderTransactionId": str(number(row["source"])) if row["source"] else None,
        "associatedOrder": row["order_id"] and {"id": row["order_id"], "name": row["order_name"]},
        "associatedPayout": {"id": row["payout_id"], "status": None},
    }  # fmt: skip


def disputes(shop: Shop, info: Any, query: str = "", **args: Any) -> Doc:
    rows = _since(shop.world.all("disputes"), "initiated_at", query)
    return pages(lambda: [view_dispute(shop, row) for row in rows])(info, **args)  # type: ignore[no-any-return]


def view_dispute(shop: Shop, row: Doc) -> Doc:
    return {
        "__typename": "ShopifyPaymentsDispute", "id": row["id"], "status": row["status"], "type": row["type"],
        "initiatedAt": row["at"], "finalizedOn": row["finalized_at"], "evidenceDueBy": None,
        "amount": money(row["amount"], shop.currency),
        "order": lazy(lambda: view_order(shop, shop.order(row["order_id"]))),
    }  # fmt: skip


def transaction_of(shop: Shop, id: str) -> tuple[Doc, Doc]:
    """An order's transaction and the order. Raises LookupError."""
    order = shop.order_of(id)
    return order, find(order["transactions"], "transaction", id=id)
