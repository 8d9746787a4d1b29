"""The kit's view of the bank: payouts that are credited, a day of which is booked at once."""

from starlette.applications import Starlette

from counterflow.connectors.bank import connector
from counterflow.connectors.bank.simulator import create_app
from counterflow.sdk import signed_json, testing
from counterflow.sdk.connector import Delivery
from counterflow.sdk.simulator import World

SECRET = "whsec_Y291bnRlcmZsb3ctYmFuay1mZWVkLXNlY3JldA=="


class Harness(testing.Harness):
    maker = connector
    config = {"base_url": "http://bank.test", "api_token": "bank_test_counterflow", "webhook_secret": SECRET}
    rows = 101  # the bank's pages have 100 lines

    def simulator(self, world: World, webhook_url: str) -> Starlette:
        return create_app(world, webhook_url=webhook_url, webhook_secret=SECRET)

    async def happen(self, feed: str) -> str:
        number = self.world.next_id("payouts")
        order = {"payout_ref": f"po_{number}", "amount_minor": 50_00 + number, "currency": "EUR", "text": "STRIPE"}
        await self.act("credit", **order, after_seconds=0)
        self.world.fire()
        return str(self.world.all("lines")[-1]["id"])

    def sign(self, body: bytes) -> Delivery:
        return self.delivery_of(signed_json.sign(SECRET, "msg_signed", self.clock.now(), body), body)
