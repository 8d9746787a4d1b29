"""Webhook bodies, in the REST-like shapes that Shopify sends (its own sample payloads of 2026-07 were the model).

Each function gives a builder that runs at the moment of sending only; nothing is computed for a topic nobody hears.
"""

from collections.abc import Callable

from counterflow.connectors.shopify.simulator.money import Bag, rest_amount
from counterflow.connectors.shopify.simulator.shop import Shop, find, number
from counterflow.connectors.shopify.simulator.sums import (
    financial_status,
    fulfillment_status,
    line_net,
    outstanding,
    refunded_units,
    tax_of,
    total,
)
from counterflow.sdk.simulator import Doc

Build = Callable[[Shop], Doc]


def both(order: Doc, bag: Bag) -> Doc:
    return {
        "shop_money": {"amount": rest_amount(bag["shop"], order["currency"]), "currency_code": order["currency"]},
        "presentment_money": {
            "amount": rest_amount(bag["presentment"], order["presentment_currency"]),
            "currency_code": order["presentment_currency"],
        },
    }


def ids(gid: str) -> Doc:
    return {"id": number(gid), "admin_graphql_api_id": gid}


def order(order_id: str) -> Build:
    return lambda shop: _order(shop, shop.order(order_id))


def _order(shop: Shop, doc: Doc) -> Doc:
    customer = shop.world.get("customers", doc["customer_id"] or "")
    return {
        **ids(doc["id"]), "name": doc["name"], "order_number": doc["number"], "created_at": doc["created_at"],
        "updated_at": doc["updated_at"], "processed_at": doc["processed_at"], "cancelled_at": doc["cancelled_at"],
        "cancel_reason": doc["cancel_reason"] and doc["cancel_reason"].lower(), "closed_at": doc["closed_at"],
        "currency": doc["currency"], "presentment_currency": doc["presentment_currency"],
        "taxes_included": doc["taxes_included"], "financial_status": financial_status(doc).lower(),
        "fulfillment_status": _rest_fulfillment(doc), "source_name": doc["source_name"], "email": doc["email"],
        "source_identifier": doc["source_identifier"], "tags": ", ".join(doc["tags"]), "note": doc["note"],
        "note_attributes": [{"name": row["key"], "value": row["value"]} for row in doc["attributes"]],
        "total_price": rest_amount(total(doc)["shop"], doc["currency"]), "total_price_set": both(doc, total(doc)),
        "total_tax_set": both(doc, tax_of([*doc["lines"], *doc["shipping"]])),
        "total_outstanding": rest_amount(outstanding(doc)["shop"], doc["currency"]), "test": doc["test"],
        "customer": customer and {**ids(customer["id"]), "email": customer["email"]},
        "payment_gateway_names": sorted({row["gateway"] for row in doc["transactions"]}),
        "line_items": [_line(doc, line) for line in doc["lines"]],
        "fulfillments": [_fulfillment(doc, row) for row in doc["fulfillments"]],
        "refunds": [_refund(doc, row) for row in doc["refunds"]],
    }  # fmt: skip


def _rest_fulfillment(doc: Doc) -> str | None:
    return {"UNFULFILLED": None, "PARTIALLY_FULFILLED": "partial", "FULFILLED": "fulfilled"}[fulfillment_status(doc)]


def _line(doc: Doc, line: Doc) -> Doc:
    return {
        **ids(line["id"]), "sku": line["sku"], "title": line["title"], "name": line["title"],
        "quantity": line["quantity"],
        "current_quantity": line["quantity"] - line["removed"] - refunded_units(doc, line["id"]),
        "price": rest_amount(line["unit_price"]["shop"], doc["currency"]), "price_set": both(doc, line["unit_price"]),
        "properties": [{"name": row["key"], "value": row["value"]} for row in line["attributes"]],
        "discount_allocations": [
            {"discount_application_index": row["index"], "amount_set": both(doc, row["amount"])}
            for row in line["allocations"]
        ],
        "tax_lines": [
            {"title": row["title"], "rate": float(row["rate"]), "price_set": both(doc, row["price"])}
            for row in line["tax_lines"]
        ],
        "total_discount_set": both(
            doc,
            {side: line["unit_price"][side] * line["quantity"] - line_net(line)[side] for side in line["unit_price"]}
        ),
    }  # fmt: skip


def fulfillment(row: Doc, doc: Doc) -> Build:
    return lambda shop: _fulfillment(doc, row)


def _fulfillment(doc: Doc, row: Doc) -> Doc:
    return {
        **ids(row["id"]), "order_id": number(doc["id"]), "name": row["name"], "status": row["status"].lower(),
        "created_at": row["at"], "location_id": number(row["location_id"]),
        "tracking_number": row["tracking"].get("number"), "tracking_company": row["tracking"].get("company"),
        "line_items": [
            {**_line(doc, find(doc["lines"], "line", id=item["line_id"])), "quantity": item["quantity"]}
            for item in row["items"]
        ],
    }  # fmt: skip


def transaction(row: Doc, doc: Doc) -> Build:
    return lambda shop: _transaction(doc, row)


def _transaction(doc: Doc, row: Doc) -> Doc:
    return {
        **ids(row["id"]), "order_id": number(doc["id"]), "kind": row["kind"].lower(), "gateway": row["gateway"],
        "status": row["status"].lower(), "message": None, "created_at": row["at"], "processed_at": row["at"],
        "test": True,
        "parent_id": row["parent_id"] and number(row["parent_id"]), "source_name": doc["source_name"],
        "error_code": row["error_code"] and row["error_code"].lower(), "receipt": row["receipt"],
        "amount": rest_amount(row["amount"]["presentment"], doc["presentment_currency"]),
        "currency": doc["presentment_currency"], "payment_id": row["payment_id"],
        "manual_payment_gateway": row["gateway"] in ("manual", "cash"),
    }  # fmt: skip


def refund(order_id: str, refund_id: str) -> Build:
    def build(shop: Shop) -> Doc:
        doc = shop.order(order_id)
        return _refund(doc, find(doc["refunds"], "refund", id=refund_id))

    return build


def _refund(doc: Doc, row: Doc) -> Doc:
    return {
        **ids(row["id"]), "order_id": number(doc["id"]), "created_at": row["at"], "processed_at": row["processed_at"],
        "note": row["note"], "restock": any(line["restock_type"] in ("RETURN", "CANCEL") for line in row["lines"]),
        "return": row["return_id"] and ids(row["return_id"]), "duties": [],
        "refund_shipping_lines": [
            {"id": number(ship["id"]), "subtotal_amount_set": both(doc, ship["amount"])} for ship in row["shipping"]
        ],
        "refund_line_items": [
            {
                "id": number(line["id"]), "quantity": line["quantity"], "line_item_id": number(line["line_id"]),
                "location_id": line["location_id"] and number(line["location_id"]),
                "restock_type": line["restock_type"].lower(), "subtotal_set": both(doc, line["subtotal"]),
                "total_tax_set": both(doc, line["tax"]),
                "line_item": _line(doc, find(doc["lines"], "line", id=line["line_id"])),
            }
            for line in row["lines"]
        ],
        "order_adjustments": [
            {"id": number(adj["id"]), "kind": "refund_discrepancy", "amount_set": both(doc, adj["amount"])}
            for adj in row["adjustments"]
        ],
        "transactions": [
            _transaction(doc, find(doc["transactions"], "transaction", id=id)) for id in row["transaction_ids"]
        ],
    }  # fmt: skip


def ret(topic: str, return_id: str) -> Build:
    """Each topic has its own shape: who was told once that a return was requested sees the rest only by fetching it."""

    def build(shop: Shop) -> Doc:
        doc = shop.ret(return_id)
        sold = shop.order(doc["order_id"])
        head = {**ids(doc["id"]), "status": doc["status"].lower()}
        if topic in ("RETURNS_REQUEST", "RETURNS_APPROVE"):
            return {**head, "order": ids(sold["id"]), "name": doc["name"], **_return_lines(doc, sold)}
        if topic == "RETURNS_DECLINE":
            decline = {"reason": doc["decline"]["reason"].lower(), "note": doc["decline"]["note"]}
            return {**head, "order": ids(sold["id"]), "decline": decline}
        if topic == "RETURNS_UPDATE":
            no_change: Doc = {"updates": [], "removals": []}
            return {
                "admin_graphql_api_id": doc["id"], "return_line_items": {"removals": []}, "restocking_fees": no_change,
                "return_shipping_fees": no_change,
            }  # fmt: skip
        return {**head, "order_id": number(sold["id"])}

    return build


def _return_lines(doc: Doc, sold: Doc) -> Doc:
    return {
        "total_return_line_items": len(doc["lines"]),
        "return_line_items": [
            {
                **ids(line["id"]), "quantity": line["quantity"], "return_reason": line["reason"].lower(),
                "return_reason_note": line["note"], "customer_note": line["customer_note"],
                "fulfillment_line_item": {**ids(line["item_id"]), "line_item": ids(line["line_id"])},
            }
            for line in doc["lines"]
        ],
        "return_shipping_fees": [{**ids(fee["id"]), "price": both(sold, fee["amount"])} for fee in doc["fees"]],
        "exchange_line_items": [{**ids(item["id"]), "line_item": None} for item in doc["exchange"]],
        "total_exchange_line_items": len(doc["exchange"]),
    }  # fmt: skip


def disposition(return_id: str, row_id: str) -> Build:
    def build(shop: Shop) -> Doc:
        doc = shop.ret(return_id)
        reverse = next(order for order in doc["reverse"] if any(line["id"] == row_id for line in order["lines"]))
        rows = [
            {
                "reverse_fulfillment_order_line_item": ids(line["id"]), "reverse_delivery_line_item": None,
                "type": done["type"].lower(), "location": done["location_id"] and ids(done["location_id"]),
                "quantity": done["quantity"],
            }
            for line in reverse["lines"] for done in line["dispositions"]
        ]  # fmt: skip
        return {**ids(reverse["id"]), "dispositions": rows, "total_dispositions": len(rows)}

    return build


def inventory_level(doc: Doc, location_id: str) -> Build:
    row = doc["levels"][location_id]
    return lambda shop: {
        "inventory_item_id": number(doc["item_id"]), "location_id": number(location_id), "available": row["available"],
        "updated_at": row["at"], "admin_graphql_api_id": row["id"],
    }  # fmt: skip


def dispute(doc: Doc, currency: str) -> Build:
    return lambda shop: {
        "id": number(doc["id"]), "order_id": number(doc["order_id"]), "type": doc["type"].lower(),
        "amount": rest_amount(doc["amount"], currency), "currency": currency, "reason": "fraudulent",
        "network_reason_code": "4837", "status": doc["status"].lower(), "evidence_due_by": None,
        "evidence_sent_on": None, "finalized_on": doc["finalized_at"], "initiated_at": doc["at"],
    }  # fmt: skip


def reverse_delivery(return_id: str, doc: Doc) -> Build:
    return lambda shop: {
        **ids(doc["id"]), "return": ids(return_id),
        "shipping_deliverable": {
            "tracking": {"carrier_name": None, "tracking_number": doc.get("number"), "tracking_url": doc.get("url")},
            "label": {"public_file_url": doc.get("label_url"), "created_at": doc["at"], "updated_at": doc["at"]},
        },
    }  # fmt: skip


def order_edit(order: Doc) -> Build:
    return lambda shop: {
        "order_edit": {
            "id": shop.world.next_id("order_edit"), "app_id": None, "created_at": shop.now(),
            "committed_at": shop.now(), "notify_customer": False, "order_id": number(order["id"]), "staff_note": "",
            "user_id": None, "line_items": {"additions": [], "removals": []},
        }
    }  # fmt: skip


def tender_transaction(doc: Doc, order: Doc) -> Build:
    sign = "-" if doc["kind"] == "REFUND" else ""
    return lambda shop: {
        "id": number(doc["id"]), "order_id": number(order["id"]),
        "amount": sign + rest_amount(doc["amount"]["presentment"], order["presentment_currency"]),
        "currency": order["presentment_currency"], "user_id": None, "test": True, "processed_at": doc["at"],
        "remote_reference": doc["payment_id"], "payment_details": None, "payment_method": "unknown",
    }  # fmt: skip


def fulfillment_order(order: Doc, status: str) -> Build:
    return lambda shop: {
        "fulfillment_order": {"id": order["id"].replace("/Order/", "/FulfillmentOrder/"), "status": status.lower()},
    }
