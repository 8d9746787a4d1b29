"""The kit's view of a shop: orders and returns to act on, and what the simulated shop has really done."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

from starlette.applications import Starlette

from counterflow.connectors.shopify import connector
from counterflow.connectors.shopify.references import number, return_ref, sale_ref
from counterflow.connectors.shopify.simulator import create_app
from counterflow.connectors.shopify.simulator.shop import sign, stamp
from counterflow.core.effects import (
    AllocationRow,
    AnswerReturn,
    CreateReplacement,
    Effect,
    OpenReturn,
    PayLeg,
    ReadSale,
    ReplacementLine,
    ReturnedItem,
    SetStock,
    UnitResult,
    UpdateChannel,
)
from counterflow.core.ids import make_id
from counterflow.sdk import testing
from counterflow.sdk.connector import Delivery, Maker
from counterflow.sdk.simulator import Doc, World
from counterflow.sdk.testing import CONNECTION

SECRET = "shpss_conformance"


class Harness(testing.Harness):
    maker: ClassVar[Maker] = connector
    config = {
        "base_url": "http://shop.test",
        "access_token": "shpat_conformance",
        "webhook_secret": SECRET,
        "gateways": {"stripe": "psp"},
        "restock_location": "5000000001",
        "page_size": 2,
        "shopify_payments": True,
    }
    writes = {
        "AnswerReturn": "returnApproveRequest",
        "OpenReturn": "returnCreate",
        "UpdateChannel": "reverseFulfillmentOrderDispose",
        "CreateReplacement": "orderCreate",
        "PayLeg": "refundCreate",
        "SetStock": "inventorySetQuantities",
    }
    retry_after_seconds = 2.0
    signs_time = False

    def simulator(self, world: World, webhook_url: str) -> Starlette:
        return create_app(world, access_token="shpat_conformance", api_secret=SECRET, webhook_url=webhook_url)

    async def sample(self, kind: str, currency: str = "EUR", amount_minor: int = 19_90) -> Effect:
        if kind == "PayLeg":
            return await self._leg(currency, amount_minor, paid=amount_minor * 3)
        if kind == "SetStock":
            sku = f"CAP-{self.world.next_id('_skus')}"
            await self.act("add_product", sku=sku, price_minor=9_90, stock={"Warehouse": 5})
            return self.effect(SetStock(sku, 7, expected=5))
        order = await self.order(currency if kind != "CreateReplacement" else "EUR", amount_minor)
        if kind == "ReadSale":
            return self.effect(ReadSale(sale_ref(CONNECTION, order["id"])))
        if kind == "OpenReturn":
            item = ReturnedItem(number(order["lines"][0]["id"]), "SHIRT", 1, "changed_mind")
            return self.effect(OpenReturn(sale_ref(CONNECTION, order["id"]), (item,)))
        if kind == "CreateReplacement":
            await self.act(
                "add_product", sku="SHIRT-L", title="Shirt, large", price_minor=21_90, stock={"Warehouse": 99}
            )
            line = ReplacementLine("SHIRT-L", 1, 21_90, number(order["lines"][0]["id"]))
            command = CreateReplacement(sale_ref(CONNECTION, order["id"]), "", (line,), "EUR", 19_90, 2_00)
            return self.effect(command)
        ret = await self.act("request_return", order=order["name"], lines=[{"sku": "SHIRT", "quantity": 1}])
        ref = return_ref(CONNECTION, ret["id"])
        if kind == "AnswerReturn":
            return self.effect(AnswerReturn(ref, "approve", "within the return window"))
        await self.act("approve_return", **{"return": ret["name"]})
        result = UnitResult(number(order["lines"][0]["id"]), "SHIRT", 1, "restock")
        return self.effect(UpdateChannel(sale_ref(CONNECTION, order["id"]), ref, "dispositioned", (result,)))

    async def order(self, currency: str = "EUR", amount_minor: int = 19_90, **more: Any) -> Doc:
        """A shirt, sold and shipped."""
        line = {"sku": "SHIRT", "quantity": 1, "unit_price_minor": amount_minor}
        given = {
            "lines": [line],
            "presentment_currency": currency,
            "fulfil": True,
            "customer": {"email": "ada@example.com"},
            "gateway": "stripe",
            "payment_id": f"pi_{self.world.next_id('_payments')}",
        }
        return dict(await self.act("place_order", **{**given, **more}))

    async def _leg(self, currency: str, amount_minor: int, paid: int) -> Effect:
        """Back on the gift card that the order was paid with."""
        card = await self.act("issue_gift_card", amount_minor=paid, currency=currency)
        tenders = [{"gateway": "gift_card", "amount_minor": paid, "gift_card": card["id"]}]
        order = await self.order(currency, paid, tenders=tenders)
        payment, ref = order["transactions"][0]["id"], sale_ref(CONNECTION, order["id"])
        rows = (AllocationRow(number(order["lines"][0]["id"]), "goods", amount_minor),)
        leg, intent = make_id("rl", payment), make_id("ri", payment)
        return self.effect(
            PayLeg(leg, intent, "gift_card", payment, ref, "", amount_minor, currency, rows, reason="changed_mind")
        )

    async def over(self, kind: str) -> Effect | None:
        if kind == "PayLeg":
            effect = await self._leg("EUR", 50_01, paid=50_00)
            return effect
        if kind == "CreateReplacement":
            effect = await self.sample(kind)
            assert isinstance(effect.command, CreateReplacement)
            lines = tuple(replace(line, sku="NOBODY-SELLS-THIS") for line in effect.command.lines)
            return replace(effect, command=replace(effect.command, lines=lines))
        if kind == "OpenReturn":
            effect = await self.sample(kind)
            assert isinstance(effect.command, OpenReturn)
            items = tuple(replace(item, quantity=2) for item in effect.command.items)
            return replace(effect, command=replace(effect.command, items=items))
        if kind == "SetStock":
            effect = await self.sample(kind)
            return replace(effect, command=replace(effect.command, quantity=-1))  # type: ignore[arg-type]
        return None

    def altered(self, effect: Effect) -> Effect | None:
        if isinstance(effect.command, SetStock):
            return replace(effect, command=replace(effect.command, quantity=8))
        return super().altered(effect)

    async def stale(self, kind: str) -> Effect | None:
        if kind == "SetStock":
            effect = await self.sample(kind)
            assert isinstance(effect.command, SetStock)
            await self.act("restock", sku=effect.command.sku, location="Warehouse", delta=-1)
            return effect
        if kind != "AnswerReturn":
            return None
        effect = await self.sample(kind)
        assert isinstance(effect.command, AnswerReturn)
        await self.act("decline_return", **{"return": number(effect.command.return_ref.replace(":", "/"))})
        return effect

    async def applied(self, effect: Effect) -> int:
        command = effect.command
        if isinstance(command, PayLeg):
            return len(self._refunds(effect))
        if isinstance(command, OpenReturn):
            return sum(effect.effect_id in ret["lines"][0]["note"] for ret in self.world.all("returns"))
        if isinstance(command, CreateReplacement):
            return sum(order["source_identifier"] == effect.effect_id for order in self.world.all("orders"))
        if isinstance(command, SetStock):
            return sum(effect.effect_id in (row["reference"] or "") for row in self.world.all("adjustments"))
        ref = getattr(command, "return_ref", "").rpartition(":")[2]
        ret = self.world.get("returns", f"gid://shopify/Return/{ref}") or {}
        if isinstance(command, AnswerReturn):
            return int(ret["status"] == "OPEN")
        return sum(len(row["dispositions"]) for reverse in ret["reverse"] for row in reverse["lines"])

    async def amount(self, effect: Effect) -> tuple[int, str] | None:
        if isinstance(effect.command, CreateReplacement):
            return None
        if not isinstance(effect.command, PayLeg):
            return None
        [(order, refund)] = self._refunds(effect)
        moved = [row for row in order["transactions"] if row["id"] in refund["transaction_ids"]]
        return sum(row["amount"]["presentment"] for row in moved), order["presentment_currency"]

    def _refunds(self, effect: Effect) -> list[tuple[Doc, Doc]]:
        orders = self.world.all("orders")
        return [(o, r) for o in orders for r in o["refunds"] if effect.effect_id in (r["note"] or "")]

    async def happen(self, feed: str) -> str:
        own: dict[str, Any] = {"gateway": "shopify_payments"} if feed not in ("orders", "returns") else {}
        order = await self.order(**own)
        self.clock.advance(1)  # the shop's times are whole seconds
        if feed == "returns":
            ret = await self.act("request_return", order=order["name"], lines=[{"sku": "SHIRT", "quantity": 1}])
            return number(ret["id"])
        if feed == "payouts":
            return number((await self.act("pay_out"))["id"])
        if feed == "disputes":
            return number((await self.act("open_dispute", order=order["name"]))["id"])
        if feed == "refunds":
            await self.act("refund_in_admin", order=order["name"], amount_minor=5_00)
        return number(order["id"])

    async def late(self, feed: str, seconds: float) -> str | None:
        """The search index of the shop lags: an order that was changed then is found only now."""
        then = self.clock.now() - timedelta(seconds=seconds)
        if feed == "payouts":
            await self.order(gateway="shopify_payments")
            return number((await self.act("pay_out", issued_at=stamp(then)))["id"])
        name = await self.happen(feed)
        kind = "disputes" if feed == "disputes" else "orders"
        doc = self.world.all(kind)[-1]
        field = "at" if feed == "disputes" else "updated_at"
        self.world.put(kind, doc["id"], {**doc, field: stamp(then)})
        return name

    def sign(self, body: bytes) -> Delivery:
        headers = {
            "X-Shopify-Topic": "things/happen" if b"/Thing/" in body else "returns/request",
            "X-Shopify-Event-Id": f"event-{self.world.next_id('_signed')}",
            "X-Shopify-Hmac-Sha256": sign(body, SECRET),
        }
        return self.delivery_of(headers, body)

    def unknown_topic(self) -> bytes:
        return b'{"id": 1, "admin_graphql_api_id": "gid://shopify/Thing/1"}'

    def missing(self, feed: str) -> str | None:
        kinds = {"returns": "Return", "payouts": "ShopifyPaymentsPayout", "disputes": "ShopifyPaymentsDispute"}
        return f"gid://shopify/{kinds.get(feed, 'Order')}/1"
