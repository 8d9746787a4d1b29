"""The till against its simulator, for the conformance kit."""

from dataclasses import replace
from typing import Any

from starlette.types import ASGIApp

from counterflow.connectors.pos import connector
from counterflow.connectors.pos.simulator import create_app
from counterflow.core.effects import AnswerReturn, Effect, PayLeg, ReadSale, UpdateChannel
from counterflow.sdk import testing
from counterflow.sdk.connector import Delivery
from counterflow.sdk.signed_json import sign
from counterflow.sdk.simulator import World
from counterflow.sdk.simulator.site import secret_of
from counterflow.sdk.testing import CONNECTION

SECRET = secret_of("conformance of the till")


class Harness(testing.Harness):
    maker = connector
    config = {
        "base_url": "http://till.test",
        "token": "pos_conformance_token",
        "webhook_secret": SECRET,
        "page_size": 2,
    }
    writes = {"PayLeg": r"^POST /refunds", "AnswerReturn": r"^POST /holds", "UpdateChannel": r"^POST /holds"}
    retry_after_seconds = 3.0

    def simulator(self, world: World, webhook_url: str) -> ASGIApp:
        return create_app(
            world,
            token=str(self.config["token"]),
            secret=SECRET,
            webhook_url=webhook_url,
            drawer_minor=10_000_000,
        )

    async def sample(self, kind: str, currency: str = "EUR", amount_minor: int = 19_90) -> Effect:
        sale = await self.sell(currency, amount_minor)
        order_ref = f"{CONNECTION}:order:{sale['sale_id']}"
        match kind:
            case "PayLeg":
                rail = "cash" if currency == "EUR" else "card"
                payment = f"{CONNECTION}:payment:{sale['sale_id']}/{rail}"
                return self.effect(
                    PayLeg("rl_1", "ri_1", rail, payment, order_ref, "", amount_minor, currency, (), "changed_mind")
                )
            case "ReadSale":
                return self.effect(ReadSale(order_ref))
            case "AnswerReturn":
                return self.effect(AnswerReturn(f"{CONNECTION}:return:RR-1", "approve", "within 30 days", "RMA-1"))
            case _:
                return self.effect(UpdateChannel(order_ref, "", "refunded", (), amount_minor, currency))

    async def sell(self, currency: str, amount_minor: int) -> Any:
        line = {"sku": "TEE", "quantity": 1, "unit_price_minor": amount_minor}
        return await self.act("sell", lines=[line], currency=currency)

    async def applied(self, effect: Effect) -> int:
        rows = "refunds" if effect.kind == "PayLeg" else "holds"
        return sum(row["key"] == effect.effect_id for row in self.world.all(rows))

    async def amount(self, effect: Effect) -> tuple[int, str] | None:
        row = next((row for row in self.world.all("refunds") if row["key"] == effect.effect_id), None)
        return (row["amount_minor"], row["currency"]) if row else None

    async def over(self, kind: str) -> Effect | None:
        if kind != "PayLeg":
            return None
        effect = await self.sample(kind)
        return replace(effect, command=replace(effect.command, amount_minor=20_00))  # type: ignore[arg-type]

    async def happen(self, feed: str) -> str:
        receipt = await self.act("receive", order_number="#1001", lines=[{"sku": "TEE", "quantity": 1}])
        return str(receipt["receipt_id"])

    def missing(self, feed: str) -> str | None:
        return "7@"

    def sign(self, body: bytes) -> Delivery:
        return self.delivery_of(sign(SECRET, "evt_signed", self.clock.now(), body), body)
