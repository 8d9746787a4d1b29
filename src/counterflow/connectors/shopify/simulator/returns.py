"""Returns: requested, approved, declined, cancelled, closed, reopened, processed; and where the goods went.

A return is REQUESTED, OPEN, DECLINED, CANCELED or CLOSED. Approval makes a reverse fulfilment order with one line for
each return line. Each unit gets one disposition, once: there is no "processing required" now and "restocked" later.
"""

from decimal import Decimal

from counterflow.connectors.shopify.simulator import inventory, payloads, refunds
from counterflow.connectors.shopify.simulator.money import Bag, part
from counterflow.connectors.shopify.simulator.orders import add_exchange_line
from counterflow.connectors.shopify.simulator.shop import Refused, Shop, bag, find
from counterflow.connectors.shopify.simulator.sums import line_net
from counterflow.sdk.simulator import Doc

_FROM = {  # verb: (states it may start from, state it ends in, topic)
    "approve": (("REQUESTED",), "OPEN", "RETURNS_APPROVE"),
    "decline": (("REQUESTED",), "DECLINED", "RETURNS_DECLINE"),
    "cancel": (("REQUESTED", "OPEN"), "CANCELED", "RETURNS_CANCEL"),
    "close": (("OPEN",), "CLOSED", "RETURNS_CLOSE"),
    "reopen": (("CLOSED",), "OPEN", "RETURNS_REOPEN"),
    "process": (("OPEN",), "OPEN", "RETURNS_PROCESS"),
}


def create(shop: Shop, order: Doc, data: Doc, status: str) -> Doc:
    """REQUESTED or OPEN, of lines [{fulfillment_line_id | line_id | sku, quantity, reason, note, fee_percent}].

    Also shipping_fee_minor and exchange. Raises Refused when more comes back than was shipped and is not yet returned.
    """
    if order["cancelled_at"]:
        raise Refused("Order has been cancelled", "INVALID_STATE", ["orderId"])
    count = len(order["return_ids"]) + 1
    ret = {
        "id": shop.gid("Return"), "name": f"{order['name']}-R{count}", "order_id": order["id"], "status": status,
        "at": data.get("requested_at") or shop.now(), "approved_at": None, "closed_at": None, "decline": None,
        "lines": [],
        "exchange": [], "fees": [], "reverse": [], "refund_ids": [],
    }  # fmt: skip
    if not data.get("lines"):
        raise Refused("Return line items can't be blank", "BLANK", ["returnLineItems"])
    for row in data["lines"]:
        _add_line(shop, order, ret, row)
    for item in data.get("exchange", []):
        add_exchange(shop, ret, item)
    if fee := data.get("shipping_fee_minor"):
        ret["fees"].append({"id": shop.gid("ReturnShippingFee"), "amount": bag(order, int(fee))})
    order["return_ids"].append(ret["id"])
    shop.save_order(order)
    shop.remember(ret["name"], ret["id"])
    if status == "OPEN":
        _open(shop, ret)
    shop.save_return(ret)
    topic = "RETURNS_APPROVE" if status == "OPEN" else "RETURNS_REQUEST"
    shop.tell(topic, payloads.ret(topic, ret["id"]))
    return ret


def _add_line(shop: Shop, order: Doc, ret: Doc, row: Doc) -> None:
    found = [
        item for item in returnable(shop, order)
        if row.get("fulfillment_line_id") == item["item"]["id"]
        or (row.get("line_id") or row.get("sku")) in (item["line"]["id"], item["line"]["sku"])
    ]  # fmt: skip
    if not found:
        raise Refused("Return line item has an invalid fulfillment line item", "NOT_FOUND", ["returnLineItems"])
    item, quantity = found[0], int(row["quantity"])
    taken = sum(line["quantity"] for line in ret["lines"] if line["item_id"] == item["item"]["id"])
    if quantity < 1 or quantity + taken > item["quantity"]:
        raise Refused(
            "Return line item has an invalid quantity.",
            "INVALID",
            ["returnLineItems", str(len(ret["lines"])), "quantity"],
        )
    note = row.get("note") or ""
    if len(note) > 255:
        raise Refused("Return reason note is too long (maximum is 255 characters)", "TOO_LONG", ["returnLineItems"])
    line = {
        "id": shop.gid("ReturnLineItem"), "line_id": item["line"]["id"], "item_id": item["item"]["id"],
        "quantity": quantity,
        "reason": row.get("reason") or "UNKNOWN", "note": note, "customer_note": row.get("customer_note"),
        "processed": 0,
        "fee": None,
    }  # fmt: skip
    if percent := row.get("fee_percent"):
        amount = part(value(order, line), Decimal(str(percent)), 100)
        line["fee"] = {"id": shop.gid("RestockingFee"), "percentage": float(percent), "amount": amount}
    ret["lines"].append(line)


def value(order: Doc, line: Doc) -> Bag:
    sold = find(order["lines"], "line", id=line["line_id"])
    return part(line_net(sold), line["quantity"], sold["quantity"])


def add_exchange(shop: Shop, ret: Doc, item: Doc) -> None:
    """item: {variant_id, quantity, discount: {percentage | amount_minor}}."""
    if inventory.by_id(shop, item["variant_id"]) is None:
        raise Refused("Variant does not exist", "NOT_FOUND", ["exchangeLineItems", "variantId"])
    row = {
        "id": shop.gid("ExchangeLineItem"), "variant_id": item["variant_id"], "quantity": int(item["quantity"]),
        "processed": 0, "discount": item.get("discount"), "line_ids": [],
    }  # fmt: skip
    ret["exchange"].append(row)


def returnable(shop: Shop, order: Doc) -> list[Doc]:
    """What is shipped, in no living return and not refunded without one: [{fulfillment, item, line, quantity}]."""
    refunded: dict[str, int] = {}
    for refund in order["refunds"]:
        for row in refund["lines"] if refund["return_id"] is None else ():
            if row["restock_type"] != "CANCEL":
                refunded[row["line_id"]] = refunded.get(row["line_id"], 0) + row["quantity"]
    taken: dict[str, int] = {}
    for ret in shop.returns_of(order):
        if ret["status"] not in ("CANCELED", "DECLINED"):
            for line in ret["lines"]:
                taken[line["item_id"]] = taken.get(line["item_id"], 0) + line["quantity"]
    rows = [
        {
            "fulfillment": fulfillment, "item": item, "line": find(order["lines"], "line", id=item["line_id"]),
            "quantity": item["quantity"] - taken.get(item["id"], 0),
        }
        for fulfillment in order["fulfillments"]
        for item in fulfillment["items"]
    ]  # fmt: skip
    for row in rows:
        gone = max(0, min(row["quantity"], refunded.get(row["line"]["id"], 0)))
        row["quantity"] -= gone
        refunded[row["line"]["id"]] = refunded.get(row["line"]["id"], 0) - gone
    return [row for row in rows if row["quantity"] > 0]


def move(shop: Shop, ret: Doc, verb: str, decline: Doc | None = None) -> Doc:
    """approve, decline, cancel, close or reopen. Raises Refused from a state that does not allow it."""
    allowed, state, topic = _FROM[verb]
    if ret["status"] not in allowed:
        raise Refused(f"Return status is invalid: it is {ret['status']}", "INVALID_STATE", ["id"])
    worked = ret["refund_ids"] or any(line["processed"] for line in ret["lines"])
    disposed = any(row["dispositions"] for order in ret["reverse"] for row in order["lines"])
    if verb == "cancel" and (worked or disposed):
        raise Refused("Return cannot be canceled because it has been processed", "INVALID_STATE", ["id"])
    if verb == "decline" and len((decline or {}).get("note") or "") > 500:
        raise Refused("Decline note is too long (maximum is 500 characters)", "TOO_LONG", ["declineNote"])
    ret["status"] = state
    if verb == "approve":
        _open(shop, ret)
    if verb == "cancel":
        for order in ret["reverse"]:
            order["status"] = "CANCELED"
    ret["decline"] = decline if verb == "decline" else ret["decline"]
    ret["closed_at"] = shop.now() if verb == "close" else None
    shop.save_return(ret)
    shop.tell(topic, payloads.ret(topic, ret["id"]))
    return ret


def _open(shop: Shop, ret: Doc) -> None:
    ret["approved_at"] = shop.now()
    reverse: Doc = {"id": shop.gid("ReverseFulfillmentOrder"), "status": "OPEN", "lines": [], "deliveries": []}
    for line in ret["lines"]:
        row = {
            "id": shop.gid("ReverseFulfillmentOrderLineItem"), "return_line_id": line["id"], "line_id": line["line_id"],
            "item_id": line["item_id"], "quantity": line["quantity"], "dispositions": [],
        }  # fmt: skip
        reverse["lines"].append(row)
        shop.remember(row["id"], ret["id"])
    shop.remember(reverse["id"], ret["id"])
    ret["reverse"].append(reverse)


def send_back(shop: Shop, ret: Doc, data: Doc) -> Doc:
    """A label or tracking number for the parcel that comes back: {number, url, label_url}."""
    if ret["status"] != "OPEN":
        raise Refused(
            f"Return status is invalid: it is {ret['status']}", "INVALID_STATE", ["reverseFulfillmentOrderId"]
        )
    delivery = {"id": shop.gid("ReverseDelivery"), "at": shop.now(), **data}
    ret["reverse"][0]["deliveries"].append(delivery)
    shop.remember(delivery["id"], ret["id"])
    shop.save_return(ret)
    shop.tell("REVERSE_DELIVERIES_ATTACH_DELIVERABLE", payloads.reverse_delivery(ret["id"], delivery))
    return delivery


def dispose(shop: Shop, rows: list[Doc]) -> list[Doc]:
    """rows: [{row_id, quantity, type, location_id}] of reverse fulfilment order lines; all or none."""
    done = []
    for row in rows:
        owner = shop.owner(row["row_id"])
        if owner is None:
            raise Refused("Reverse fulfillment order line item does not exist.", "NOT_FOUND", ["dispositionInputs"])
        ret = shop.ret(owner)
        line = _dispose(shop, ret, row)
        shop.save_return(ret)
        shop.tell("REVERSE_FULFILLMENT_ORDERS_DISPOSE", payloads.disposition(ret["id"], row["row_id"]))
        done.append(line)
    return done


def _dispose(shop: Shop, ret: Doc, row: Doc) -> Doc:
    reverse = next(order for order in ret["reverse"] if any(line["id"] == row["row_id"] for line in order["lines"]))
    line = find(reverse["lines"], "row", id=row["row_id"])
    if reverse["status"] == "CANCELED":
        raise Refused("Reverse fulfillment order is canceled.", "INVALID_STATE", ["dispositionInputs"])
    left = line["quantity"] - sum(done["quantity"] for done in line["dispositions"])
    if row["quantity"] < 1 or row["quantity"] > left:
        raise Refused(
            f"Quantity exceeds what can still be disposed ({left}).", "INVALID", ["dispositionInputs", "quantity"]
        )
    location = row.get("location_id")
    if row["type"] == "RESTOCKED":
        if location is None:
            raise Refused("Location is required when restocking.", "BLANK", ["dispositionInputs", "locationId"])
        sold = find(shop.order(ret["order_id"])["lines"], "line", id=line["line_id"])
        inventory.restock(shop, sold["sku"], shop.location(location)["id"], row["quantity"])
    line["dispositions"].append(
        {
            "id": shop.gid("ReverseFulfillmentOrderDisposition"),
            "type": row["type"],
            "quantity": row["quantity"],
            "location_id": location,
            "at": shop.now(),
        }
    )
    if all(sum(d["quantity"] for d in other["dispositions"]) == other["quantity"] for other in reverse["lines"]):
        reverse["status"] = "CLOSED"
    return line


def process(shop: Shop, ret: Doc, data: Doc) -> Doc:
    """Confirm quantities, dispose, ship exchanges, refund, in one go or not at all.

    lines: [{id, quantity, dispositions}], exchange: [{id, quantity}], refund: what `refunds.create` takes, or None.
    """
    if ret["status"] not in _FROM["process"][0]:
        raise Refused(f"Return status is invalid: it is {ret['status']}", "INVALID_STATE", ["returnId"])
    order = shop.order(ret["order_id"])
    refund_lines = []
    for row in data.get("lines", []):
        line = find(ret["lines"], "return line", id=row["id"])
        if row["quantity"] < 1 or row["quantity"] > line["quantity"] - line["processed"]:
            raise Refused("Quantity exceeds the unprocessed quantity.", "INVALID", ["returnLineItems", "quantity"])
        line["processed"] += row["quantity"]
        for step in row.get("dispositions", []):
            _dispose(shop, ret, step)
        refund_lines.append({"line_id": line["line_id"], "quantity": row["quantity"], "restock_type": "NO_RESTOCK"})
    for row in data.get("exchange", []):
        item = find(ret["exchange"], "exchange line", id=row["id"])
        if row["quantity"] < 1 or row["quantity"] > item["quantity"] - item["processed"]:
            raise Refused("Quantity exceeds the unprocessed quantity.", "INVALID", ["exchangeLineItems", "quantity"])
        item["processed"] += row["quantity"]
        item["line_ids"].append(add_exchange_line(shop, order, item, row["quantity"])["id"])
    if refund_lines or data.get("refund"):
        spec = {**(data.get("refund") or {}), "lines": refund_lines, "return_id": ret["id"]}
        ret["refund_ids"].append(refunds.create(shop, order, spec, "returnProcess")["id"])
    shop.save_order(order)
    shop.save_return(ret)
    shop.tell("RETURNS_PROCESS", payloads.ret("RETURNS_PROCESS", ret["id"]))
    return ret
