"""What shoppers and agents do in the shop and its admin: the acts of the simulator."""

from datetime import timedelta
from decimal import Decimal

from counterflow.connectors.medusa.simulator.shapes import at, fulfillment, item, number, shipping_method
from counterflow.connectors.medusa.simulator.shop import ADMIN, LOCATION, PROVIDER, Shop
from counterflow.sdk.simulator import Doc


class People(Shop):
    """Amounts are major units, as in the shop."""

    def sell(self, data: Doc) -> Doc:
        """A shopper pays, and the parcel is delivered."""
        currency = data.get("currency", "EUR").lower()
        ago = timedelta(seconds=data.get("created_seconds_ago", 0))
        time = at(self.world.now() - ago)
        exclusive = data.get("exclusive", False)
        rows = [
            item(self.id("ordli"), line["sku"], line["sku"], line["quantity"], line["price"], time,
                 discount=data.get("discount", 0), inclusive=not exclusive)
            for line in data["lines"]
        ]  # fmt: skip
        order = self.new_order({"email": "kim@example.com"}, rows, "pending", currency, time)
        rate = Decimal("1.19") if exclusive else 1
        total = sum(Decimal(str(line["price"])) * line["quantity"] for line in data["lines"]) * rate
        total -= Decimal(str(data.get("discount", 0))) * len(rows) * rate
        payment = {
            "id": self.id("pay"), "currency_code": currency, "provider_id": PROVIDER, "data": {},
            "payment_collection_id": order["collection"]["id"], "created_at": time, "updated_at": time,
            **number("amount", total), "refunds": [],
            "captures": [{"id": self.id("capt"), **number("amount", total)}],
        }  # fmt: skip
        self.put("payments", payment, touch=False)
        self.fulfil({"order": order["id"]})
        self.deliver({"order": order["id"]})
        items = [{"id": row["id"], "sku": row["variant_sku"]} for row in rows]
        return {"order": order["id"], "number": f"#{order['display_id']}", "payment": payment["id"], "items": items}

    def fulfil(self, data: Doc) -> Doc:
        order = self.get("orders", data["order"], "Order")
        left = [(row["id"], row["quantity"] - row["detail"]["fulfilled_quantity"]) for row in order["items"]]
        left = [(id_, quantity) for id_, quantity in left if quantity]
        for row in order["items"]:
            row["detail"] |= dict.fromkeys(("fulfilled_quantity", "shipped_quantity"), row["quantity"])
        order["fulfillments"].append(fulfillment(self.id("ful"), left, self.time) | {"shipped_at": self.time})
        return {"order": self.put("orders", order)["id"]}

    def deliver(self, data: Doc) -> Doc:
        order = self.get("orders", data["order"], "Order")
        for row in order["fulfillments"]:
            row["delivered_at"] = row["delivered_at"] or self.time
        for row in order["items"]:
            row["detail"]["delivered_quantity"] = row["detail"]["fulfilled_quantity"]
        return {"order": self.put("orders", order)["id"]}

    def request_return(self, data: Doc) -> Doc:
        return self._return(data, None, label=True)

    def agent_return(self, data: Doc) -> Doc:
        return self._return(data, ADMIN, label=False)

    def _return(self, data: Doc, by: str | None, *, label: bool, exchange: str | None = None) -> Doc:
        order = self.get("orders", data["order"], "Order")
        self.confirm(self.change(order, "return_request", created_by=by))
        id_, rows = self.id("return"), []
        for line in data["lines"]:
            sold = next(row for row in order["items"] if row["variant_sku"] == line["sku"])
            sold["detail"]["return_requested_quantity"] += line["quantity"]
            reason = line.get("reason")
            rows.append({
                "id": self.id("retitem"), "item_id": sold["id"], "return_id": id_, "note": None,
                "quantity": line["quantity"], "received_quantity": 0, "damaged_quantity": 0,
                "reason": {"id": f"rr_{reason}", "value": reason, "label": reason} if reason else None,
            })  # fmt: skip
        ret = {
            "id": id_, "display_id": self.world.next_id("returns"), "status": "requested", "order_id": order["id"],
            "location_id": LOCATION, "created_by": by, "created_at": self.time,
            "requested_at": self.time, "canceled_at": None, "items": rows,
            "fulfillments": [fulfillment(self.id("ful"), [], self.time, packed=False)] if label else [],
        }  # fmt: skip
        if exchange:  # a link to nothing is left out
            ret["exchange_id"] = exchange
        order["shipping_methods"].append(shipping_method(self.id("ordsm"), "so_return", "return", 0, self.time, id_))
        self.put("orders", order)
        self.put("returns", ret)
        return {"return": id_, "number": f"R{ret['display_id']}"}

    def exchange(self, data: Doc) -> Doc:
        """An agent takes goods back and sends others, in one change of the order."""
        id_, time = self.id("oexc"), self.time
        ret = self._return(data, None, label=True, exchange=id_)
        order = self.get("orders", data["order"], "Order")
        rows = [item(self.id("ordli"), x["sku"], x["sku"], x["quantity"], x["price"], time) for x in data["outbound"]]
        order["items"] += rows
        self.put("orders", order)
        extra = [{"id": self.id("oexcitem"), "item_id": row["id"], "quantity": row["quantity"]} for row in rows]
        exchange = {
            "id": id_, "order_id": order["id"], "return_id": ret["return"], "canceled_at": None, "created_at": time,
            "additional_items": extra,
        }  # fmt: skip
        self.put("exchanges", exchange)
        return {"exchange": id_, **ret}

    def cancel_return(self, data: Doc) -> Doc:
        for row in self.get("returns", data["return"], "Return")["fulfillments"]:
            self.cancel_fulfillment(row["id"], {})
        self.cancel(data["return"], {})
        return {"return": data["return"]}

    def edit(self, data: Doc) -> Doc:
        """Somebody begins to change the order, and leaves it at that."""
        return {"change": self.change(self.get("orders", data["order"], "Order"), "edit", created_by=ADMIN)["id"]}

    def refund_by_hand(self, data: Doc) -> Doc:
        body = {"amount": data["amount"], "note": data.get("note", "by hand")}
        return {"refund": self.refund(data["payment"], body)["payment"]["refunds"][-1]["id"]}

    def receive_by_hand(self, data: Doc) -> Doc:
        self.begin_receive(data["return"], {})
        order = self.get("orders", self.get("returns", data["return"], "Return")["order_id"], "Order")
        ids = {row["variant_sku"]: row["id"] for row in order["items"]}
        for line in data["lines"]:
            act = self.dismiss_items if line.get("damaged") else self.receive_items
            act(data["return"], {"items": [{"id": ids[line["sku"]], "quantity": line["quantity"]}]})
        self.confirm_receive(data["return"], {})
        return {"return": data["return"]}
