"""The kit's view of Stripe: payments to refund, and what the simulated account has really done."""

from datetime import timedelta
from typing import ClassVar

from starlette.applications import Starlette

from counterflow.connectors.stripe import connector
from counterflow.connectors.stripe.mapping import KEY, to_stripe
from counterflow.connectors.stripe.simulator import create_app, sign
from counterflow.core.effects import AllocationRow, Effect, PayLeg
from counterflow.core.ids import make_id
from counterflow.sdk import testing
from counterflow.sdk.connector import Delivery, Maker
from counterflow.sdk.simulator import Doc, World


class Harness(testing.Harness):
    maker: ClassVar[Maker] = connector
    config = {
        "api_key": "sk_test_counterflow",
        "webhook_secret": "whsec_counterflow",
        "base_url": "http://stripe.test",
        "page_size": 2,
    }
    writes = {"PayLeg": "^POST /v1/refunds$"}

    def simulator(self, world: World, webhook_url: str) -> Starlette:
        return create_app(world, webhook_url=webhook_url)

    async def sample(self, kind: str, currency: str = "EUR", amount_minor: int = 19_90) -> Effect:
        return await self._leg(amount_minor, currency, paid=amount_minor * 3)

    async def over(self, kind: str) -> Effect | None:
        return await self._leg(50_01, "EUR", paid=50_00)

    async def applied(self, effect: Effect) -> int:
        return len(self._refunds(effect))

    async def amount(self, effect: Effect) -> tuple[int, str] | None:
        [refund] = self._refunds(effect)
        return refund["amount"], refund["currency"].upper()

    async def happen(self, feed: str) -> str:
        paid = await self.act("pay", amount_minor=50_00, currency="eur")
        intent = paid["payment_intent"]
        if feed == "refunds":
            refund = await self.act("refund_in_dashboard", payment_intent=intent, amount_minor=10_00)
            return str(refund["id"])
        if feed == "disputes":
            return str((await self.act("open_dispute", payment_intent=intent))["dispute"])
        [payout] = (await self.act("make_payout", pending_too=True))["payouts"]
        return str(payout["id"])

    async def late(self, feed: str, seconds: float) -> str | None:
        if feed != "refunds":
            return None
        paid = await self.act("pay", amount_minor=50_00, currency="eur", payment_method="sepa_debit")
        refund = await self.act("refund_in_dashboard", payment_intent=paid["payment_intent"])
        planned = {"refund": refund["id"], "what": "fail"}
        self.world.at(self.world.now() - timedelta(seconds=seconds), "refund_follow_up", planned)
        return str(refund["id"])

    def sign(self, body: bytes) -> Delivery:
        return self.delivery_of(sign(self.config["webhook_secret"], {}, body, self.clock.now()), body)

    def missing(self, feed: str) -> str | None:
        return {"refunds": "re_none", "payouts": "po_none", "disputes": "dp_none"}[feed]

    async def _leg(self, amount_minor: int, currency: str, paid: int) -> Effect:
        ref = (await self.act("pay", amount_minor=to_stripe(paid, currency), currency=currency))["payment_intent"]
        rows = (AllocationRow("line-1", "goods", amount_minor),)
        intent = make_id("ri", ref)
        command = PayLeg(
            make_id("rl", ref), intent, "card", ref, "shop:order:1", "shop:return:1", amount_minor, currency, rows
        )
        return self.effect(command)

    def _refunds(self, effect: Effect) -> list[Doc]:
        return [doc for doc in self.world.all("refunds") if doc["metadata"].get(KEY) == effect.effect_id]
