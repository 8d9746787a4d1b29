"""The shop behind the API: its documents, and what the API does to them. What people do is in `people.py`."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from counterflow.connectors.medusa.simulator.shapes import (
    ADDRESS,
    QUANTITIES,
    at,
    item,
    number,
    projected,
    shipping_method,
)
from counterflow.sdk.simulator import Doc, World

LOCATION, ADMIN, PROVIDER, STANDARD = "sloc_warehouse", "user_admin", "pp_system_default", "so_standard"
DIGITS = {"jpy": 0, "kwd": 3}  # after the point, where they are not two
ACTIVE = ("pending", "requested")
_ACTS = {"RECEIVE_RETURN_ITEM": "return_received_quantity", "RECEIVE_DAMAGED_RETURN_ITEM": "return_dismissed_quantity"}


class Refusal(ValueError):
    """An error of the server. `applied`: what was done before it stays done."""

    def __init__(self, message: str, type_: str = "invalid_data", status: int = 400, applied: bool = False) -> None:
        super().__init__(message)
        self.type, self.status, self.applied = type_, status, applied


class Shop:
    def __init__(self, world: World) -> None:
        self.world = world

    # ---- documents ---------------------------------------------------------------------------------------------------

    @property
    def time(self) -> str:
        return at(self.world.now())

    def id(self, prefix: str) -> str:
        return f"{prefix}_01SIM{self.world.next_id(prefix):08d}"

    def get(self, coll: str, id_: str, what: str) -> Doc:
        doc = self.world.get(coll, id_)
        if doc is None:
            raise Refusal(f"{what} id not found: {id_}", "not_found", 404)
        return doc

    def put(self, coll: str, doc: Doc, *, touch: bool = True) -> Doc:
        if touch:
            doc["updated_at"] = self.time
        self.world.put(coll, doc["id"], doc)
        return doc

    def listed(self, name: str, rows: Sequence[Doc], query: Doc) -> Doc:
        """A page: filtered and sorted by a time, cut by limit and offset."""
        clock = query.get("order", "").lstrip("-")
        rows = [row for row in rows if query.get("customer_id") in (None, row.get("customer_id"))]
        for key, value in query.items():
            if key.endswith("[$gte]"):
                field, since = key.removesuffix("[$gte]"), datetime.fromisoformat(value)
                rows = [row for row in rows if datetime.fromisoformat(row[field]) >= since]
        if clock:
            rows = sorted(rows, key=lambda row: row[clock], reverse=query["order"].startswith("-"))
        offset, limit = int(query.get("offset", 0)), int(query.get("limit", 20))
        page = [projected(row, query.get("fields")) for row in rows[offset : offset + limit]]
        return {name: page, "count": len(rows), "offset": offset, "limit": limit}

    def active(self, order_id: str) -> Doc | None:
        """The order change that is open; there is one at most."""
        rows = self.world.all("changes")
        return next((row for row in rows if row["order_id"] == order_id and row["status"] in ACTIVE), None)

    def change(self, order: Doc, kind: str | None, note: str | None = None, **about: Any) -> Doc:
        if self.active(order["id"]):
            raise Refusal(f"Order ({order['id']}) already has an existing active order change")
        doc = {
            "id": self.id("ordch"), "order_id": order["id"], "return_id": None, "exchange_id": None,
            "change_type": kind, "status": "pending", "internal_note": note, "created_by": None, "confirmed_by": None,
            "confirmed_at": None, "created_at": self.time, "actions": [], **about,
        }  # fmt: skip
        return self.put("changes", doc)

    def confirm(self, change: Doc) -> None:
        self.put("changes", change | {"status": "confirmed", "confirmed_by": ADMIN, "confirmed_at": self.time})

    # ---- what the shop shows -----------------------------------------------------------------------------------------

    def stores(self, query: Doc) -> Doc:
        return self.listed("stores", [{"id": "store_1", "name": "Simulated shop"}], query)

    def payment_providers(self, query: Doc) -> Doc:
        return self.listed("payment_providers", [{"id": PROVIDER, "is_enabled": True}], query)

    def stock_locations(self, query: Doc) -> Doc:
        return self.listed("stock_locations", [{"id": LOCATION}], query)

    def variants(self, query: Doc) -> Doc:
        rows = [{"id": f"variant_{sku}", "sku": sku} for sku in ("TEE", "TEE-L", "HOODIE")]
        return self.listed("variants", [row for row in rows if query.get("sku") in (None, row["sku"])], query)

    def inventory_items(self, query: Doc) -> Doc:
        level = self.stock(query["sku"])
        row = {"location_id": LOCATION, "stocked_quantity": level["stocked_quantity"]}
        return self.listed("inventory_items", [{"id": level["id"], "location_levels": [row]}], query)

    def orders(self, query: Doc) -> Doc:
        number_ = query.get("q")
        rows = [row for row in self.world.all("orders") if row["status"] != "draft"]
        rows = [self.whole(row) for row in rows if number_ in (None, str(row["display_id"]))]
        return self.listed("orders", rows, query)

    def draft_orders(self, query: Doc) -> Doc:
        rows = [self.whole(row) for row in self.world.all("orders") if row["status"] == "draft"]
        return self.listed("draft_orders", rows, query)

    def order(self, id_: str, query: Doc) -> Doc:
        return {"order": projected(self.whole(self.get("orders", id_, "Order")), query.get("fields"))}

    def whole(self, order: Doc) -> Doc:
        """The order with its payments and returns."""
        mine = [row for row in self.world.all("payments") if row["payment_collection_id"] == order["collection"]["id"]]
        returns = [row for row in self.world.all("returns") if row["order_id"] == order["id"]]
        collections = [{**order["collection"], "payments": mine}] if mine else []
        brief = [{k: v for k, v in row.items() if k not in ("items", "fulfillments")} for row in returns]
        return {**order, "payment_collections": collections, "returns": brief}

    def order_changes(self, id_: str, query: Doc) -> Doc:
        return {"order_changes": [row for row in self.world.all("changes") if row["order_id"] == id_]}

    def returns(self, query: Doc) -> Doc:
        return self.listed("returns", self.world.all("returns"), query)

    def ret(self, id_: str, query: Doc) -> Doc:
        return {"return": projected(self.get("returns", id_, "Return"), query.get("fields"))}

    def exchanges(self, query: Doc) -> Doc:
        rows = [row for row in self.world.all("exchanges") if query.get("order_id") in (None, row["order_id"])]
        return self.listed("exchanges", rows, query)

    def payments(self, query: Doc) -> Doc:
        return self.listed("payments", [self.with_order(row) for row in self.world.all("payments")], query)

    def payment(self, id_: str, query: Doc) -> Doc:
        found = self.world.get("payments", id_)
        return {"payment": projected(self.with_order(found), query.get("fields"))} if found else {}

    def with_order(self, payment: Doc) -> Doc:
        order = self.order_of(payment)
        link = {"id": order["id"], "display_id": order["display_id"]}
        return {**payment, "payment_collection": {"id": payment["payment_collection_id"], "order": link}}

    def order_of(self, payment: Doc) -> Doc:
        rows = self.world.all("orders")
        return next(row for row in rows if row["collection"]["id"] == payment["payment_collection_id"])

    # ---- orders ------------------------------------------------------------------------------------------------------

    def update_order(self, id_: str, body: Doc) -> Doc:
        order = self.get("orders", id_, "Order")
        merged = {**(order["metadata"] or {}), **body.get("metadata", {})}
        return {"order": brief(self.put("orders", order | {"metadata": merged}))}

    def add_credit_line(self, id_: str, body: Doc) -> Doc:
        order = self.get("orders", id_, "Order")
        amount = Decimal(str(body["amount"]))
        if not 0 < amount <= self.pending(order):
            raise Refusal("Cannot create more positive credit lines with amount more than the pending difference")
        self.confirm(self.change(order, "credit_line"))
        return {"order": brief(self.credit(order, amount, body.get("reference"), body.get("reference_id")))}

    def credit(self, order: Doc, amount: Decimal, reference: str | None, reference_id: str | None) -> Doc:
        line = {
            "id": self.id("ordcl"),
            "reference": reference,
            "reference_id": reference_id,
            **number("amount", amount),
        }
        order["credit_lines"].append(line)
        return self.put("orders", order)

    def pending(self, order: Doc) -> Decimal:
        """What the customer still has to pay; negative: what is owed to the customer."""
        total = Decimal(0)
        for row in order["items"]:
            detail = row["detail"]
            gone = sum(detail[name] for name in QUANTITIES if name.startswith("return_"))
            total += Decimal(row["raw_unit_price"]["value"]) * (row["quantity"] - gone)
        total -= sum(Decimal(row["raw_amount"]["value"]) for row in order["credit_lines"])
        for payment in self.whole(order)["payment_collections"]:
            for row in payment["payments"]:
                total -= captured(row) - refunded(row)
        return total

    def make_draft(self, body: Doc) -> Doc:
        rows = []
        for line in body["items"]:
            sku = line["variant_id"].removeprefix("variant_")
            if f"variant_{sku}" not in {row["id"] for row in self.variants({})["variants"]}:
                raise Refusal(f"Variants with ids: {line['variant_id']} not found", "not_found", 404)
            rows.append(item(self.id("ordli"), sku, sku, line["quantity"], line["unit_price"], self.time))
        return {"draft_order": brief(self.new_order(body, rows, "draft", "eur", self.time))}

    def convert(self, id_: str, body: Doc) -> Doc:
        order = self.get("orders", id_, "Order")
        if order["status"] != "draft":
            raise Refusal(f"Order {id_} is not a draft order", "not_allowed")
        return {"order": brief(self.put("orders", order | {"status": "pending"}))}

    def new_order(self, body: Doc, items: list[Doc], status: str, currency: str, time: str) -> Doc:
        id_ = self.id("order")
        order = {
            "id": id_, "display_id": self.world.next_id("display"), "status": status, "currency_code": currency,
            "email": body.get("email"), "customer_id": body.get("customer_id", "cus_kim"), "region_id": "reg_1",
            "sales_channel_id": "sc_1", "metadata": body.get("metadata"), "created_at": time, "updated_at": time,
            "canceled_at": None, "items": items, "credit_lines": [], "fulfillments": [],
            "shipping_methods": [shipping_method(f"ordsm_{id_}", STANDARD, "standard", 0, time)],
            "shipping_address": {"id": f"ordaddr_{id_}", **ADDRESS},
            "collection": {"id": f"pay_col_{id_}", "created_at": time, "updated_at": time},
        }  # fmt: skip
        return self.put("orders", order, touch=False)

    # ---- payments ----------------------------------------------------------------------------------------------------

    def refund(self, id_: str, body: Doc) -> Doc:
        amount = body.get("amount")
        if not isinstance(amount, int | float) or isinstance(amount, bool) or amount <= 0:
            raise Refusal("Invalid request: Value for field 'amount' too small, expected at least: '0'")
        if extra := sorted(set(body) - {"amount", "note", "refund_reason_id"}):
            raise Refusal(f"Invalid request: Unrecognized fields: '{', '.join(extra)}'")
        payment = self.get("payments", id_, "Payment")
        value = Decimal(str(amount))
        if refunded(payment) + value > captured(payment) + Decimal(1).scaleb(-DIGITS.get(payment["currency_code"], 2)):
            raise Refusal("You are not allowed to refund more than the captured amount")
        order = self.order_of(payment)
        owed = max(Decimal(0), -self.pending(order))
        row = {
            "id": self.id("ref"), "payment_id": id_, "note": body.get("note"), "created_by": ADMIN,
            "created_at": self.time, "updated_at": self.time, **number("amount", amount),
        }  # fmt: skip
        payment["refunds"].append(row)
        self.put("payments", payment, touch=False)
        order["collection"]["updated_at"] = self.time
        self.put("orders", order, touch=False)
        if value > owed:  # a credit line, which is an order change: the money has gone already
            try:
                self.confirm(self.change(order, "credit_line"))
            except Refusal as refusal:
                refusal.applied = True
                raise
            self.credit(order, value - owed, "payment_collection", order["collection"]["id"])
        return {"payment": paid(payment)}

    # ---- returns -----------------------------------------------------------------------------------------------------

    def update_return(self, id_: str, body: Doc) -> Doc:
        ret = self.get("returns", id_, "Return")
        self.open_change(ret)
        location = body.get("location_id", ret["location_id"])
        return {"return": brief(self.put("returns", ret | {"location_id": location}))}

    def begin_receive(self, id_: str, body: Doc) -> Doc:
        ret = self.get("returns", id_, "Return")
        if ret["status"] == "canceled":
            raise Refusal(f"Return with id {id_} has been canceled.")
        order = self.get("orders", ret["order_id"], "Order")
        self.change(order, "return_receive", body.get("internal_note"), return_id=id_)
        return {"return": brief(ret)}

    def open_change(self, ret: Doc) -> Doc:
        change = self.active(ret["order_id"])
        if change is None or change["return_id"] != ret["id"]:
            raise Refusal("An active Order Change is required to proceed")
        return change

    def receive_items(self, id_: str, body: Doc) -> Doc:
        return self.count(id_, body, "RECEIVE_RETURN_ITEM")

    def dismiss_items(self, id_: str, body: Doc) -> Doc:
        return self.count(id_, body, "RECEIVE_DAMAGED_RETURN_ITEM")

    def count(self, id_: str, body: Doc, act: str) -> Doc:
        ret = self.get("returns", id_, "Return")
        change = self.open_change(ret)
        for given in body["items"]:
            row = next((row for row in ret["items"] if row["item_id"] == given["id"]), None)
            if row is None:
                raise Refusal(f'Item ID "{given["id"]}" not found.')
            coming = sum(
                a["details"]["quantity"] for a in change["actions"] if a["details"]["reference_id"] == given["id"]
            )
            if given["quantity"] + coming > self.sold(ret, given["id"])["detail"]["return_requested_quantity"]:
                said = "Cannot receive more items than what was requested to be returned for item"
                raise Refusal(f"{said} {given['id']}.")
            details = {"reference_id": given["id"], "quantity": given["quantity"]}
            change["actions"].append({"id": self.id("ordchact"), "action": act, "details": details})
        self.put("changes", change)
        return {"return": brief(ret)}

    def sold(self, ret: Doc, item_id: str) -> Doc:
        order = self.get("orders", ret["order_id"], "Order")
        return next(row for row in order["items"] if row["id"] == item_id)

    def confirm_receive(self, id_: str, body: Doc) -> Doc:
        ret = self.get("returns", id_, "Return")
        change = self.open_change(ret)
        order = self.get("orders", ret["order_id"], "Order")
        if any(act["action"] == "RECEIVE_RETURN_ITEM" for act in change["actions"]) and not ret["location_id"]:
            raise Refusal("An unknown error occurred.", "unknown_error", 500)
        seen: dict[str, int] = {}
        damaged: dict[str, int] = {}
        for act in change["actions"]:
            item_id, quantity = act["details"]["reference_id"], act["details"]["quantity"]
            sold = next(row for row in order["items"] if row["id"] == item_id)
            seen[item_id] = seen.get(item_id, 0) + quantity
            damaged[item_id] = damaged.get(item_id, 0) + (0 if act["action"] == "RECEIVE_RETURN_ITEM" else quantity)
            sold["detail"][_ACTS[act["action"]]] += quantity
            sold["detail"]["return_requested_quantity"] -= quantity
            if act["action"] == "RECEIVE_RETURN_ITEM":
                self.stock(sold["variant_sku"], quantity)
        for row in ret["items"]:
            if row["item_id"] in seen:  # not added up: what an earlier receipt counted is no longer to be seen here
                row |= {"received_quantity": seen[row["item_id"]], "damaged_quantity": damaged[row["item_id"]]}
        complete = all(row["received_quantity"] == row["quantity"] for row in ret["items"])
        ret["status"] = "received" if complete else "partially_received"
        self.confirm(change)
        self.put("orders", order)
        return {"return": brief(self.put("returns", ret))}

    def stock(self, sku: str, more: int = 0) -> Doc:
        level = self.world.get("levels", sku) or {"id": sku, "sku": sku, "stocked_quantity": 100}
        level["stocked_quantity"] += more
        self.world.put("levels", sku, level)
        return level

    def cancel(self, id_: str, body: Doc) -> Doc:
        ret = self.get("returns", id_, "Return")
        if ret["status"] == "canceled":
            raise Refusal(f"Return with id {id_} has been canceled.")
        if any(not row["canceled_at"] for row in ret["fulfillments"]):
            raise Refusal("All fulfillments must be canceled before canceling a return", "not_allowed")
        if any(row["received_quantity"] for row in ret["items"]):
            raise Refusal("Can't cancel a return which has returned items", "not_allowed")
        order = self.get("orders", ret["order_id"], "Order")
        for row in ret["items"]:
            sold = next(each for each in order["items"] if each["id"] == row["item_id"])
            sold["detail"]["return_requested_quantity"] -= row["quantity"]
        self.put("orders", order)
        self.put("returns", ret | {"status": "canceled", "canceled_at": self.time})
        return {"return": {}}

    def cancel_fulfillment(self, id_: str, body: Doc) -> Doc:
        for ret in self.world.all("returns"):
            for row in ret["fulfillments"]:
                if row["id"] == id_:
                    row["canceled_at"] = self.time
                    self.put("returns", ret, touch=False)
                    return {"fulfillment": row}
        raise Refusal(f"Fulfillment with id: {id_} was not found", "not_found", 404)


def brief(doc: Doc) -> Doc:
    """What the answer to a write shows at least."""
    return {name: doc[name] for name in ("id", "display_id", "status")}


def paid(payment: Doc) -> Doc:
    """A payment as the answer to a refund shows it: without the digits of its amounts."""
    refunds = [{name: row[name] for name in ("id", "amount", "note", "payment_id")} for row in payment["refunds"]]
    shown = {name: payment[name] for name in ("id", "currency_code", "amount", "payment_collection_id")}
    return {
        **shown,
        "captures": [{k: row[k] for k in ("id", "amount")} for row in payment["captures"]],
        "refunds": refunds,
    }


def captured(payment: Doc) -> Decimal:
    return sum((Decimal(row["raw_amount"]["value"]) for row in payment["captures"]), Decimal(0))


def refunded(payment: Doc) -> Decimal:
    return sum((Decimal(row["raw_amount"]["value"]) for row in payment["refunds"]), Decimal(0))
