"""Refunds: what is given back of which lines, and the transactions that move the money.

A Refund exists although its money may still be on the way, or fail: the state of the money is in the transactions.
The shop moves money itself only on a parent payment of a gateway that it operates; each such movement is a document
of `gateway_movements`, so that a world with a payment provider beside it can play the other half.

Faults read here (`match` is tried on "refundCreate", "returnProcess" or "admin"):
    refund_pending    the transactions are PENDING; SUCCESS follows after `seconds` (default 60)
    refund_fails      the transactions are PENDING; FAILURE follows after `seconds`
    refund_failure    the transactions are FAILURE at once (the Refund exists all the same)
"""

from datetime import timedelta

from counterflow.connectors.shopify.simulator import credit, inventory, payloads
from counterflow.connectors.shopify.simulator.money import NOTHING, Bag, add, graphql_amount, sub
from counterflow.connectors.shopify.simulator.orders import add_transaction
from counterflow.connectors.shopify.simulator.shop import Refused, Shop, bag, find
from counterflow.connectors.shopify.simulator.sums import (
    line_of,
    open_quantity,
    received,
    refundable_on,
    refundable_units,
    refunded,
    refunded_shipping,
    share,
)
from counterflow.sdk.simulator import Doc

# Gateways through which the shop itself moves nothing: the refund only records what happened elsewhere.
RECORDED_ONLY = ("manual", "cash", "marketplace", "bank_transfer", "exchange-credit")
AGENDA = "shopify_refund_result"
_LATER_SECONDS = 60.0


def create(shop: Shop, order: Doc, data: Doc, by: str) -> Doc:
    """Give back. All amounts in minor units of the presentment currency. Raises Refused, and then nothing changed.

    lines: [{line_id | sku, quantity, restock_type, location_id}], shipping_minor, transactions: [{parent_id, gateway,
    amount_minor}], store_credit: {amount, currencyCode, expires_at}, note, return_id, allow_over, reason.
    """
    refund: Doc = {
        "id": shop.gid("Refund"), "at": shop.now(), "processed_at": data.get("processed_at") or shop.now(),
        "note": data.get("note"), "return_id": data.get("return_id"), "by": by, "lines": [], "shipping": [],
        "transaction_ids": [], "store_credit": NOTHING, "adjustments": [], "goods": NOTHING,
    }  # fmt: skip
    for row in data.get("lines", []):
        refund["goods"] = add(refund["goods"], _line(shop, order, refund, row))
    refund["goods"] = add(refund["goods"], _shipping(shop, order, refund, int(data.get("shipping_minor", 0))))
    _guard(order, data)
    order["refunds"].append(refund)
    shop.remember(refund["id"], order["id"])
    paid = NOTHING
    for row in data.get("transactions", []):
        paid = add(paid, _transaction(shop, order, refund, row, by))
    if gift := data.get("store_credit"):
        refund["store_credit"] = _store_credit(shop, order, gift)
        paid = add(paid, refund["store_credit"])
    difference = sub(paid, refund["goods"])
    if difference["presentment"]:
        reason = data.get("reason") or "REFUND_DISCREPANCY"
        adjustment = {"id": shop.gid("OrderAdjustment"), "amount": difference, "reason": reason}
        refund["adjustments"].append(adjustment)
    shop.save_order(order)
    shop.tell("REFUNDS_CREATE", payloads.refund(order["id"], refund["id"]))
    shop.tell("ORDERS_UPDATED", payloads.order(order["id"]))
    return refund


def _line(shop: Shop, order: Doc, refund: Doc, row: Doc) -> Bag:
    line = line_of(order, row)
    quantity, kind = int(row["quantity"]), row.get("restock_type") or "NO_RESTOCK"
    pending = sum(other["quantity"] for other in refund["lines"] if other["line_id"] == line["id"])
    if quantity < 1 or quantity + pending > refundable_units(order, line):
        raise Refused(
            "Quantity cannot refund more items than were purchased", "INVALID", ["refundLineItems", "quantity"]
        )
    location = row.get("location_id")
    if kind in ("RETURN", "CANCEL"):
        if kind == "RETURN" and location is None:
            raise Refused("Location must be specified to restock items", "INVALID", ["refundLineItems", "locationId"])
        location = shop.location(location)["id"]
        if kind == "CANCEL":
            if quantity > open_quantity(line):
                raise Refused(
                    "Quantity cannot cancel items that are fulfilled", "INVALID", ["refundLineItems", "quantity"]
                )
            line["removed"] += quantity
            inventory.commit(shop, line["sku"], -quantity)
        else:
            inventory.restock(shop, line["sku"], location, quantity)
    subtotal, tax = share(order, line, quantity)
    refund["lines"].append(
        {
            "id": shop.gid("RefundLineItem"),
            "line_id": line["id"],
            "quantity": quantity,
            "restock_type": kind,
            "location_id": location,
            "subtotal": subtotal,
            "tax": tax,
        }
    )
    return subtotal if order["taxes_included"] else add(subtotal, tax)


def _shipping(shop: Shop, order: Doc, refund: Doc, amount_minor: int) -> Bag:
    if not amount_minor:
        return NOTHING
    paid = add(NOTHING, *(row["discounted"] for row in order["shipping"]))
    if amount_minor < 0 or amount_minor > sub(paid, refunded_shipping(order))["presentment"]:
        raise Refused("Shipping refund amount exceeds what was paid for shipping", "INVALID", ["shipping", "amount"])
    amount = bag(order, amount_minor)
    refund["shipping"].append(
        {"id": shop.gid("RefundShippingLine"), "line_id": order["shipping"][0]["id"], "amount": amount}
    )
    return amount


def _guard(order: Doc, data: Doc) -> None:
    """No payment gives back more than it took, and the order not more than it received."""
    back = 0
    currency = order["presentment_currency"]
    by_parent: dict[str, int] = {}
    for row in data.get("transactions", []):
        amount = int(row["amount_minor"])
        if amount < 0 or (amount == 0 and row.get("parent_id")):
            raise Refused("Amount must be greater than 0", "INVALID", ["transactions", "amount"])
        back += amount
        if parent_id := row.get("parent_id"):
            by_parent[parent_id] = by_parent.get(parent_id, 0) + amount
    for parent_id, amount in by_parent.items():
        parent = find(order["transactions"], "parent transaction", id=parent_id)
        left = refundable_on(order, parent)["presentment"]
        if amount > left and not data.get("allow_over"):
            raise Refused(
                f"Refund amount {graphql_amount(amount, currency)} {currency} is greater than the refundable amount"
                f" {graphql_amount(left, currency)} {currency}",
                "INVALID",
                ["transactions", "amount"],
            )
    if gift := data.get("store_credit"):
        back += int(gift["amount_minor"])
    under_way = sum(
        row["amount"]["presentment"]
        for row in order["transactions"]
        if row["kind"] == "REFUND" and row["status"] == "PENDING"
    )
    net = received(order)["presentment"] - refunded(order)["presentment"] - under_way
    if back > net and not data.get("allow_over"):
        raise Refused(
            f"Refund {graphql_amount(back, currency)} {currency} is greater than net payment received"
            f" {graphql_amount(net, currency)} {currency}",
            "INVALID",
            ["transactions"],
        )


def _transaction(shop: Shop, order: Doc, refund: Doc, row: Doc, by: str) -> Bag:
    parent = find(order["transactions"], "parent transaction", id=row["parent_id"]) if row.get("parent_id") else None
    gateway = row.get("gateway") or (parent or {}).get("gateway") or "manual"
    status, later = "SUCCESS", None
    if shop.world.take_fault("refund_failure", by):
        status = "FAILURE"
    elif fault := shop.world.take_fault("refund_pending", by):
        status, later = "PENDING", ("SUCCESS", fault["seconds"])
    elif fault := shop.world.take_fault("refund_fails", by):
        status, later = "PENDING", ("FAILURE", fault["seconds"])
    if gateway == "gift_card" and parent and status == "SUCCESS":
        status = _reload(shop, parent, int(row["amount_minor"]))
    more = {
        "parent_id": row.get("parent_id"), "refund_id": refund["id"], "payment_id": row.get("payment_id"),
        "error_code": "GENERIC_ERROR" if status == "FAILURE" else None, "gift_card": (parent or {}).get("gift_card"),
    }  # fmt: skip
    transaction = add_transaction(shop, order, "REFUND", gateway, int(row["amount_minor"]), more, status)
    refund["transaction_ids"].append(transaction["id"])
    if later:
        due = shop.world.now() + timedelta(seconds=later[1] or _LATER_SECONDS)
        shop.world.at(due, AGENDA, {"order": order["id"], "transaction": transaction["id"], "status": later[0]})
    if parent and gateway not in (*RECORDED_ONLY, "gift_card") and status != "FAILURE":
        movement = {
            "id": transaction["id"], "order": order["name"], "gateway": gateway, "payment_id": parent["payment_id"],
            "amount_minor": transaction["amount"]["presentment"], "currency": order["presentment_currency"], "by": by,
        }  # fmt: skip
        shop.world.put("gateway_movements", transaction["id"], movement)
    return transaction["amount"] if status != "FAILURE" else NOTHING


def _reload(shop: Shop, parent: Doc, amount_minor: int) -> str:
    """A gift card payment goes back on its card; on an expired or disabled one it fails."""
    try:
        credit.load(shop, credit.card(shop, parent["gift_card"]), amount_minor, "refund")
    except (Refused, LookupError):
        return "FAILURE"
    return "SUCCESS"


def _store_credit(shop: Shop, order: Doc, gift: Doc) -> Bag:
    if order["customer_id"] is None:
        raise Refused("Store credit refunds need a customer", "INVALID", ["refundMethods"])
    credit.grant(shop, order["customer_id"], gift, gift.get("expires_at"), "ORDER_REFUND")
    return bag(order, int(gift["amount_minor"]))


def settle(shop: Shop, payload: Doc) -> None:
    """A transaction that was pending has its result."""
    order = shop.order(payload["order"])
    transaction = find(order["transactions"], "transaction", id=payload["transaction"])
    transaction["status"] = payload["status"]
    transaction["error_code"] = "GENERIC_ERROR" if payload["status"] == "FAILURE" else None
    shop.save_order(order)
    shop.tell("ORDER_TRANSACTIONS_CREATE", payloads.transaction(transaction, order))
