"""What the kit needs to know of Acme: its simulator, a sample of each command, and the truth."""

from starlette.applications import Starlette

from counterflow.core.effects import AllocationRow, Effect, PayLeg
from counterflow.sdk import signed_json, testing
from counterflow.sdk.connector import Delivery
from counterflow.sdk.simulator import Doc, World
from counterflow_acme import connector
from counterflow_acme.simulator import SECRET, TOKEN, create_app


class Harness(testing.Harness):
    maker = connector
    config = {"base_url": "http://acme.test", "api_token": TOKEN, "webhook_secret": SECRET, "page_size": 2}
    writes = {"PayLeg": "^POST /refunds$"}

    def simulator(self, world: World, webhook_url: str) -> Starlette:
        return create_app(world, webhook_url)

    async def sample(self, kind: str, currency: str = "EUR", amount_minor: int = 19_90) -> Effect:
        payment = str((await self.act("pay", amount=amount_minor, currency=currency))["id"])
        rows = (AllocationRow("line-1", "goods", amount_minor),)
        return self.effect(PayLeg("rl_1", "ri_1", "pay_later", payment, "o:1", "r:1", amount_minor, currency, rows))

    async def applied(self, effect: Effect) -> int:
        return len(self._refunds(effect))

    async def amount(self, effect: Effect) -> tuple[int, str] | None:
        [refund] = self._refunds(effect)
        return refund["amount"], refund["currency"]

    async def over(self, kind: str) -> Effect | None:
        return self.altered(await self.sample(kind))  # ten cents more than was paid

    async def happen(self, feed: str) -> str:
        payment = await self.act("pay", amount=50_00, currency="EUR")
        refund = await self.act("refund_by_hand", payment=payment["id"], amount=10_00)
        return str((refund if feed == "refunds" else await self.act("pay_out"))["id"])

    def sign(self, body: bytes) -> Delivery:
        return self.delivery_of(signed_json.sign(SECRET, "msg_signed", self.clock.now(), body), body)

    def missing(self, feed: str) -> str | None:
        return "here:refund:rf_none"

    def _refunds(self, effect: Effect) -> list[Doc]:
        return [doc for doc in self.world.all("refunds") if doc["reference"] == effect.effect_id]
