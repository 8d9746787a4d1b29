"""What shoppers and agents do in a real Medusa: the acts of the connector's simulator, as calls of its own API.

The first act makes what the stories need and the server does not have: regions, a warehouse, goods, ways to ship.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2

from counterflow.connectors.medusa.mapping import key_in
from counterflow.core.money import to_minor

_TRIES, _AGAIN_SECONDS = 100, 0.2
_PROVIDER = "pp_system_default"
_SALES = "id,*items,*items.detail,*fulfillments,*payment_collections,*payment_collections.payments"
Doc = dict[str, Any]

# currency -> country of the region that sells in it
REGIONS = {"eur": "de", "jpy": "jp", "kwd": "kw"}
# sku -> price in EUR, tax included
GOODS = {"TEE": 20, "TEE-L": 20, "HOODIE": 50}


class People:
    """What shoppers and agents do in a real server, over its store and admin API. Raises ValueError with its words."""

    def __init__(self, wire: httpx2.AsyncClient, email: str, password: str, ids: dict[str, str]) -> None:
        self.wire, self.email, self.password = wire, email, password
        self.ids = ids  # what `prepare` found or made, and the token of the agent

    # ---- calls -------------------------------------------------------------------------------------------------------

    async def call(self, method: str, path: str, *, headers: dict[str, str], **kwargs: Any) -> Doc:
        answer = await self.wire.request(method, path, headers=headers, **kwargs)
        if answer.status_code >= 400:
            raise ValueError(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        found: Doc = answer.json()
        return found

    async def get(self, path: str, **query: Any) -> Doc:
        return await self.call("GET", path, headers=await self._headers(), params=query)

    async def post(self, path: str, **body: Any) -> Doc:
        return await self.call("POST", path, headers=await self._headers(), json=body)

    async def insist(self, path: str, **body: Any) -> Doc:
        """A call that an order change of somebody else holds off: it is made again until that is confirmed."""
        for _ in range(_TRIES):
            try:
                return await self.post(path, **body)
            except ValueError as error:
                if "existing active order change" not in str(error):
                    raise
                await asyncio.sleep(_AGAIN_SECONDS)
        raise ValueError(f"POST {path}: an order change of somebody else stays open")

    async def store(self, path: str, **body: Any) -> Doc:
        """A call of the storefront."""
        return await self.call("POST", path, headers={"x-publishable-api-key": self.ids["key"]}, json=body)

    async def _headers(self) -> dict[str, str]:
        if "token" not in self.ids:
            body = {"email": self.email, "password": self.password}
            self.ids["token"] = (await self.call("POST", "/auth/user/emailpass", headers={}, json=body))["token"]
        return {"Authorization": f"Bearer {self.ids['token']}"}

    # ---- what is there -----------------------------------------------------------------------------------------------

    async def prepare(self, payload: Doc) -> Doc:
        """Make what the stories need and the server does not have: regions, taxes, goods in stock, ways to ship."""
        if "key" in self.ids:
            return {}
        store = (await self.get("/admin/stores"))["stores"][0]
        channel = (await self.get("/admin/sales-channels"))["sales_channels"][0]["id"]
        currencies = [{"currency_code": code, "is_default": code == "eur"} for code in REGIONS]
        await self.post(f"/admin/stores/{store['id']}", supported_currencies=currencies)
        ids = self.ids
        ids["channel"] = channel
        for code, country in REGIONS.items():
            name = f"Stories {code}"
            found = await self._named("/admin/regions", "regions", "name", name)
            if not found:
                given = {"name": name, "currency_code": code, "countries": [country]}
                found = (await self.post("/admin/regions", **given, payment_providers=[_PROVIDER]))["region"]
                rate = {"rate": 19, "name": "DE-19", "code": "DE-19"}
                tax = {"default_tax_rate": rate} if country == "de" else {}
                await self.post("/admin/tax-regions", country_code=country, provider_id="tp_system", **tax)
            ids[code] = found["id"]
        for row in (await self.get("/admin/price-preferences", limit=100))["price_preferences"]:
            await self.post(f"/admin/price-preferences/{row['id']}", is_tax_inclusive=True)
        await self._ways(ids)
        await self._goods(ids)
        keys = await self._named("/admin/api-keys", "api_keys", "title", "Stories", type="publishable")
        if not keys:
            keys = (await self.post("/admin/api-keys", title="Stories", type="publishable"))["api_key"]
            await self.post(f"/admin/api-keys/{keys['id']}/sales-channels", add=[channel])
        ids["key"] = keys["token"]
        return {}

    async def _ways(self, ids: Doc) -> None:
        """A warehouse, from which parcels go out and to which they come back, for nothing."""
        location = await self._named("/admin/stock-locations", "stock_locations", "name", "Stories")
        profile = await self._named("/admin/shipping-profiles", "shipping_profiles", "name", "Stories")
        if not profile:
            made = await self.post("/admin/shipping-profiles", name="Stories", type="stories")
            profile = made["shipping_profile"]
        if not location:
            location = (await self.post("/admin/stock-locations", name="Stories"))["stock_location"]
            base = f"/admin/stock-locations/{location['id']}"
            await self.post(f"{base}/sales-channels", add=[ids["channel"]])
            await self.post(f"{base}/fulfillment-providers", add=["manual_manual"])
            await self.post(f"{base}/fulfillment-sets", name="Stories", type="shipping")
            (sets,) = (await self.get(base, fields="*fulfillment_sets"))["stock_location"]["fulfillment_sets"]
            zones = [{"type": "country", "country_code": country} for country in REGIONS.values()]
            zone = await self.post(f"/admin/fulfillment-sets/{sets['id']}/service-zones", name="all", geo_zones=zones)
            for name, comes_back in (("stories-out", "false"), ("stories-back", "true")):
                rules = {"is_return": comes_back, "enabled_in_store": "true"}
                await self.post(
                    "/admin/shipping-options",
                    name=name,
                    service_zone_id=zone["fulfillment_set"]["service_zones"][0]["id"],
                    shipping_profile_id=profile["id"],
                    provider_id="manual_manual",
                    price_type="flat",
                    type={"label": name, "description": name, "code": name},
                    prices=[{"currency_code": code, "amount": 0} for code in REGIONS],
                    rules=[{"attribute": key, "value": value, "operator": "eq"} for key, value in rules.items()],
                )
        options = (await self.get("/admin/shipping-options", limit=100))["shipping_options"]
        ids |= {row["name"].removeprefix("stories-"): row["id"] for row in options}
        ids |= {"location": location["id"], "profile": profile["id"]}

    async def _goods(self, ids: Doc) -> None:
        for sku, price in GOODS.items():
            found = (await self.get("/admin/product-variants", sku=sku))["variants"]
            if not found:
                prices = [{"currency_code": code, "amount": price} for code in REGIONS]
                variant = {"title": sku, "sku": sku, "options": {"Piece": sku}, "prices": prices}
                made = await self.post(
                    "/admin/products",
                    title=f"{sku} of the stories",
                    status="published",
                    shipping_profile_id=ids["profile"],
                    options=[{"title": "Piece", "values": [sku]}],
                    variants=[{**variant, "manage_inventory": True}],
                    sales_channels=[{"id": ids["channel"]}],
                )
                found = made["product"]["variants"]
                (stock,) = (await self.get("/admin/inventory-items", sku=sku))["inventory_items"]
                level = {"location_id": ids["location"], "stocked_quantity": 100_000}
                await self.post(f"/admin/inventory-items/{stock['id']}/location-levels", **level)
            ids[sku] = found[0]["id"]

    async def _named(self, path: str, name: str, field: str, value: str, **query: Any) -> Doc:
        rows = (await self.get(path, limit=1000, **query))[name]
        return next((row for row in rows if row[field] == value), {})

    async def _reason(self, value: str) -> str:
        found = await self._named("/admin/return-reasons", "return_reasons", "value", value)
        if not found:
            found = (await self.post("/admin/return-reasons", value=value, label=value))["return_reason"]
        return str(found["id"])

    # ---- selling -----------------------------------------------------------------------------------------------------

    async def order(self, data: Doc) -> Doc:
        """A shopper fills a cart, pays by hand, and the payment is captured; nothing is sent yet."""
        await self.prepare({})
        address = {"first_name": "Kim", "last_name": "Example", "address_1": "Market 1", "city": "Town"}
        cart = await self.store(
            "/store/carts",
            region_id=self.ids["eur"],
            sales_channel_id=self.ids["channel"],
            email=data.get("email", "kim@example.com"),
            items=[{"variant_id": self.ids[line["sku"]], "quantity": line["quantity"]} for line in data["lines"]],
            shipping_address={**address, "country_code": "de", "postal_code": "10115"},
            promo_codes=data.get("promotions", []),
        )
        id_ = cart["cart"]["id"]
        await self.store(f"/store/carts/{id_}/shipping-methods", option_id=self.ids["out"])
        collection = (await self.store("/store/payment-collections", cart_id=id_))["payment_collection"]["id"]
        await self.store(f"/store/payment-collections/{collection}/payment-sessions", provider_id=_PROVIDER)
        order = (await self.store(f"/store/carts/{id_}/complete"))["order"]
        sold = await self._sold(order["id"])
        await self.post(f"/admin/payments/{sold['payment']}/capture")
        return {**sold, "total": order["total"]}

    async def sell(self, data: Doc) -> Doc:
        """An agent enters an order at any price, and it is paid; sent when something is to come back of it."""
        await self.prepare({})
        code = data.get("currency", "EUR").lower()
        lines = [
            {"variant_id": self.ids[line["sku"]], "quantity": line["quantity"], "unit_price": line["price"]}
            for line in data["lines"]
        ]
        draft = await self.post(
            "/admin/draft-orders",
            region_id=self.ids[code],
            sales_channel_id=self.ids["channel"],
            email=data.get("email", "kim@example.com"),
            items=lines,
            shipping_address={"first_name": "Kim", "country_code": REGIONS[code]},
            shipping_methods=[{"shipping_option_id": self.ids["out"], "name": "standard", "amount": 0}],
        )
        id_ = draft["draft_order"]["id"]
        total = (await self.post(f"/admin/draft-orders/{id_}/convert-to-order"))["order"]["total"]
        made = await self.post("/admin/payment-collections", order_id=id_, amount=total)
        await self.post(f"/admin/payment-collections/{made['payment_collection']['id']}/mark-as-paid", order_id=id_)
        return await self._sold(id_)

    async def _sold(self, id_: str) -> Doc:
        order = (await self.get(f"/admin/orders/{id_}", fields=f"{_SALES},display_id"))["order"]
        (payment,) = [row for each in order["payment_collections"] for row in each["payments"]]
        items = [{"id": row["id"], "sku": row["variant_sku"]} for row in order["items"]]
        return {"order": id_, "number": f"#{order['display_id']}", "payment": payment["id"], "items": items}

    async def fulfil(self, data: Doc) -> Doc:
        """Pack and send what is not sent."""
        await self.prepare({})
        order = (await self.get(f"/admin/orders/{data['order']}", fields=_SALES))["order"]
        left = [(row["id"], row["quantity"] - row["detail"]["fulfilled_quantity"]) for row in order["items"]]
        items = [{"id": id_, "quantity": quantity} for id_, quantity in left if quantity]
        if items:
            base, known = f"/admin/orders/{data['order']}/fulfillments", {row["id"] for row in order["fulfillments"]}
            made = await self.insist(base, location_id=self.ids["location"], items=items)
            parcels = (await self.get(f"/admin/orders/{data['order']}", fields=_SALES))["order"]["fulfillments"]
            (new,) = [row["id"] for row in parcels if row["id"] not in known]
            await self.insist(f"{base}/{new}/shipments", items=items)
            return {"order": made["order"]["id"]}
        return {"order": data["order"]}

    async def deliver(self, data: Doc) -> Doc:
        order = (await self.get(f"/admin/orders/{data['order']}", fields=_SALES))["order"]
        for row in order["fulfillments"]:
            if not row["delivered_at"]:
                await self.insist(f"/admin/orders/{data['order']}/fulfillments/{row['id']}/mark-as-delivered")
        return {"order": data["order"]}

    # ---- coming back -------------------------------------------------------------------------------------------------

    async def _lines(self, data: Doc) -> list[Doc]:
        await self.fulfil(data)
        order = (await self.get(f"/admin/orders/{data['order']}", fields=_SALES))["order"]
        ids = {row["variant_sku"]: row["id"] for row in order["items"]}
        lines = [{"id": ids[line["sku"]], "quantity": line["quantity"]} for line in data["lines"]]
        for line, given in zip(lines, data["lines"], strict=True):
            if reason := given.get("reason"):
                line["reason_id"] = await self._reason(reason)
        return lines

    async def request_return(self, data: Doc) -> Doc:
        """The shopper asks in the storefront."""
        lines = await self._lines(data)
        way = {"option_id": self.ids["back"]}
        given = {"order_id": data["order"], "items": lines, "return_shipping": way, "location_id": self.ids["location"]}
        return _named((await self.store("/store/returns", **given))["return"])

    async def agent_return(self, data: Doc) -> Doc:
        lines = await self._lines(data)
        given = {"order_id": data["order"], "location_id": self.ids["location"]}
        ret = (await self.post("/admin/returns", **given))["return"]
        await self.post(f"/admin/returns/{ret['id']}/request-items", items=lines)
        return _named((await self.post(f"/admin/returns/{ret['id']}/request"))["return"])

    async def exchange(self, data: Doc) -> Doc:
        """An agent takes goods back and sends others."""
        lines = await self._lines(data)
        made = (await self.post("/admin/exchanges", order_id=data["order"]))["exchange"]["id"]
        base, out = f"/admin/exchanges/{made}", data["outbound"]
        await self.post(f"{base}/inbound/items", location_id=self.ids["location"], items=lines)
        await self.post(f"{base}/inbound/shipping-method", shipping_option_id=self.ids["back"])
        items = [{"variant_id": self.ids[x["sku"]], "quantity": x["quantity"], "unit_price": x["price"]} for x in out]
        await self.post(f"{base}/outbound/items", items=items)
        await self.post(f"{base}/outbound/shipping-method", shipping_option_id=self.ids["out"])
        return {"exchange": made, **_named((await self.post(f"{base}/request"))["return"])}

    async def cancel_return(self, data: Doc) -> Doc:
        path = f"/admin/returns/{data['return']}"
        for row in (await self.get(path, fields="id,*fulfillments"))["return"]["fulfillments"]:
            await self.post(f"/admin/fulfillments/{row['id']}/cancel")
        await self.post(f"{path}/cancel")
        return {"return": data["return"]}

    async def edit(self, data: Doc) -> Doc:
        """Somebody begins to change the order, and leaves it at that."""
        return {"change": (await self.post("/admin/order-edits", order_id=data["order"]))["order_change"]["id"]}

    async def refund_by_hand(self, data: Doc) -> Doc:
        body = {"amount": data["amount"], "note": data.get("note", "by hand")}
        made = await self.post(f"/admin/payments/{data['payment']}/refund", **body)
        return {"refund": made["payment"]["refunds"][-1]["id"]}

    async def receive_by_hand(self, data: Doc) -> Doc:
        path = f"/admin/returns/{data['return']}"
        ret = (await self.get(path, fields="id,order_id"))["return"]
        order = (await self.get(f"/admin/orders/{ret['order_id']}", fields=_SALES))["order"]
        ids = {row["variant_sku"]: row["id"] for row in order["items"]}
        await self.post(f"{path}/receive")
        for line in data["lines"]:
            act = "dismiss-items" if line.get("damaged") else "receive-items"
            await self.post(f"{path}/{act}", items=[{"id": ids[line["sku"]], "quantity": line["quantity"]}])
        await self.post(f"{path}/receive/confirm")
        return {"return": data["return"]}

    # ---- for the proof -----------------------------------------------------------------------------------------------

    async def orders(self, since: str) -> list[Doc]:
        """What the proof asks of a shop: pieces that left it, and money that went back, of the orders since then.

        Replacements are left out, as the warehouse of the stories ships them.
        """
        fields = f"{_SALES},currency_code,metadata,*payment_collections.payments.refunds"
        query = {"created_at[$gte]": since, "fields": fields, "limit": 1000}
        extra = (await self.get("/admin/exchanges", fields="id,*additional_items", limit=1000))["exchanges"]
        sent_instead = {item["item_id"] for exchange in extra for item in exchange["additional_items"]}
        return [
            {
                "source_identifier": (row["metadata"] or {}).get("counterflow_key"),
                "presentment_currency": row["currency_code"].upper(),
                "lines": [
                    {"sku": item["variant_sku"], "fulfilled": int(item["detail"]["fulfilled_quantity"])}
                    for item in row["items"]
                    if item["id"] not in sent_instead
                ],
                "transactions": [
                    {
                        "kind": "REFUND",
                        "status": "SUCCESS",
                        "gateway": payment["provider_id"],
                        "id": refund["id"],
                        "key": key_in(refund["note"]),
                        "amount": {"presentment": to_minor(str(refund["amount"]), row["currency_code"].upper())},
                    }
                    for each in row["payment_collections"]
                    for payment in each["payments"]
                    for refund in payment["refunds"]
                ],
            }
            for row in (await self.get("/admin/orders", **query))["orders"]
        ]


def _named(ret: Doc) -> Doc:
    return {"return": ret["id"], "number": f"R{ret['display_id']}"}


ACTS: tuple[Callable[..., Any], ...] = (
    People.prepare,
    People.order,
    People.sell,
    People.fulfil,
    People.deliver,
    People.request_return,
    People.agent_return,
    People.exchange,
    People.cancel_return,
    People.edit,
    People.refund_by_hand,
    People.receive_by_hand,
)
