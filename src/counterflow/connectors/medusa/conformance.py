"""The kit's view of a shop: orders, returns and payments to act on, and what the shop has really done.

The truth is read from the shop's own API, past the wire and never through the connector: so a real server may stand in
for the simulator.
"""

from dataclasses import replace
from typing import Any, ClassVar

import httpx2
from starlette.types import ASGIApp

from counterflow.connectors.medusa import connector
from counterflow.connectors.medusa.mapping import answered_key, key_in
from counterflow.connectors.medusa.sale import KEY, return_ref, sale_ref, stated
from counterflow.connectors.medusa.simulator import create_api, create_app
from counterflow.core.effects import (
    AllocationRow,
    AnswerReturn,
    CreateReplacement,
    Effect,
    PayLeg,
    ReadSale,
    ReplacementLine,
    UnitResult,
    UpdateChannel,
)
from counterflow.core.ids import make_id
from counterflow.core.money import to_major
from counterflow.sdk import testing
from counterflow.sdk.connector import Maker
from counterflow.sdk.simulator import Doc, World
from counterflow.sdk.testing import CONNECTION

EMAIL, PASSWORD, API_KEY = "counterflow@example.com", "pw-conformance", "sk_conformance"


class Harness(testing.Harness):
    maker: ClassVar[Maker] = connector
    config = {"base_url": "http://medusa.test", "email": EMAIL, "password": PASSWORD, "page_size": 2}
    writes = {
        "AnswerReturn": r"^POST /admin/orders/[^/]+$",
        "UpdateChannel": r"^POST /admin/returns/[^/]+/receive/confirm$",
        "CreateReplacement": r"^POST /admin/draft-orders/[^/]+/convert-to-order$",
        "PayLeg": r"^POST /admin/payments/[^/]+/refund$",
    }

    def simulator(self, world: World, webhook_url: str) -> ASGIApp:
        return create_app(world, email=EMAIL, password=PASSWORD, api_key=API_KEY)

    async def read(self, path: str, name: str, **query: Any) -> Any:
        """What the shop's API holds, without faults and uncounted."""
        network = httpx2.ASGITransport(create_api(self.world, email=EMAIL, password=PASSWORD, api_key=API_KEY))
        async with httpx2.AsyncClient(transport=network, base_url="http://medusa.test", auth=(API_KEY, "")) as client:
            return (await client.get(path, params=query)).raise_for_status().json()[name]

    # ---- effects -----------------------------------------------------------------------------------------------------

    async def sample(self, kind: str, currency: str = "EUR", amount_minor: int = 19_90) -> Effect:
        if kind == "PayLeg":
            return await self.leg(currency, amount_minor, paid=amount_minor * 3)
        sold = await self.sell(currency if kind != "CreateReplacement" else "EUR", amount_minor)
        order = sale_ref(CONNECTION, sold["order"])
        if kind == "ReadSale":
            return self.effect(ReadSale(order))
        ret = await self.act("request_return", order=sold["order"], lines=[{"sku": "TEE", "quantity": 1}])
        ref, item = return_ref(CONNECTION, ret["return"]), sold["items"][0]["id"]
        if kind == "AnswerReturn":
            return self.effect(AnswerReturn(ref, "approve", "within the return window", "RMA-1"))
        if kind == "CreateReplacement":
            line = ReplacementLine("TEE-L", 1, 21_90, item)
            return self.effect(CreateReplacement(order, ref, (line,), "EUR", 19_90, 2_00))
        result = UnitResult(item, "TEE", 1, "restock")
        return self.effect(UpdateChannel(order, ref, "dispositioned", (result,)))

    async def sell(self, currency: str = "EUR", amount_minor: int = 19_90, **more: Any) -> Doc:
        line = {"sku": "TEE", "quantity": 1, "price": float(to_major(amount_minor, currency))}
        return dict(await self.act("sell", lines=[line], currency=currency, **more))

    async def leg(self, currency: str, amount_minor: int, paid: int) -> Effect:
        sold = await self.sell(currency, paid)
        rows = (AllocationRow(sold["items"][0]["id"], "goods", amount_minor),)
        order, payment = sale_ref(CONNECTION, sold["order"]), sold["payment"]
        leg, intent = make_id("rl", payment), make_id("ri", payment)
        return self.effect(
            PayLeg(leg, intent, "bank", payment, order, "", amount_minor, currency, rows, reason="changed_mind")
        )

    async def over(self, kind: str) -> Effect | None:
        if kind == "PayLeg":
            return await self.leg("EUR", 50_01, paid=50_00)
        if kind == "CreateReplacement":
            effect = await self.sample(kind)
            assert isinstance(effect.command, CreateReplacement)
            lines = tuple(replace(line, sku="NOBODY-SELLS-THIS") for line in effect.command.lines)
            return replace(effect, command=replace(effect.command, lines=lines))
        return None

    async def stale(self, kind: str) -> Effect | None:
        if kind not in ("AnswerReturn", "UpdateChannel"):
            return None
        effect = await self.sample(kind)
        assert isinstance(effect.command, AnswerReturn | UpdateChannel)
        await self.act("cancel_return", **{"return": _last(effect.command.return_ref)})
        return effect

    # ---- the truth ---------------------------------------------------------------------------------------------------

    async def applied(self, effect: Effect) -> int:
        command = effect.command
        if isinstance(command, PayLeg):
            return len(await self._refunds(effect))
        if isinstance(command, CreateReplacement):
            since = effect.decided_at.isoformat()
            query = {"created_at[$gte]": since, "fields": "id,metadata", "limit": 1000}
            rows = await self.read("/admin/orders", "orders", **query)
            return sum(key_in((row["metadata"] or {}).get(KEY)) == effect.effect_id for row in rows)
        assert isinstance(command, AnswerReturn | UpdateChannel)
        id_ = _last(command.return_ref)
        ret = await self.read(f"/admin/returns/{id_}", "return", fields="id,order_id,*items")
        if isinstance(command, UpdateChannel):
            changes = await self.read(f"/admin/orders/{ret['order_id']}/changes", "order_changes")
            confirmed = [change for change in changes if change["status"] == "confirmed" and change["return_id"] == id_]
            return sum(change["change_type"] == "return_receive" for change in confirmed)
        order = await self.read(f"/admin/orders/{ret['order_id']}", "order", fields="id,metadata")
        return int(answered_key(id_) in (order["metadata"] or {}))

    async def amount(self, effect: Effect) -> tuple[int, str] | None:
        if not isinstance(effect.command, PayLeg):
            return None
        [row] = await self._refunds(effect)
        return stated(row, "amount", effect.command.currency), effect.command.currency

    async def _refunds(self, effect: Effect) -> list[Doc]:
        assert isinstance(effect.command, PayLeg)
        payment = await self.read(f"/admin/payments/{effect.command.payment_ref}", "payment", fields="id,*refunds")
        return [row for row in payment["refunds"] if key_in(row["note"]) == effect.effect_id]

    # ---- feeds -------------------------------------------------------------------------------------------------------

    async def happen(self, feed: str) -> str:
        return await self._happen(feed)

    async def late(self, feed: str, seconds: float) -> str | None:
        """A payment of some time ago is refunded now; what else is late has the time of its writing."""
        return await self._happen(feed, created_seconds_ago=seconds) if feed == "refunds" else None

    async def _happen(self, feed: str, **sold: Any) -> str:
        order = await self.sell(**sold)
        if feed == "orders":
            return str(order["order"])
        if feed == "refunds":
            return str((await self.act("refund_by_hand", payment=order["payment"], amount=5))["refund"])
        lines = [{"sku": "TEE", "quantity": 1}]
        return str((await self.act("request_return", order=order["order"], lines=lines))["return"])

    def missing(self, feed: str) -> str | None:
        return {"orders": "order_none", "returns": "return_none", "refunds": "pay_none"}[feed]


def _last(ref: str) -> str:
    return ref.rpartition(":")[2]
