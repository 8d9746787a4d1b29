"""The kit's view of the notifier: a mailbox, and what it has kept."""

from starlette.applications import Starlette

from counterflow.connectors.notify import connector
from counterflow.connectors.notify.simulator import create_app
from counterflow.core.effects import Effect, NotifyCustomer
from counterflow.sdk import testing
from counterflow.sdk.simulator import World

SECRET = "whsec_Y291bnRlcmZsb3ctbm90aWZ5LXNlY3JldA=="


class Harness(testing.Harness):
    maker = connector
    config = {"url": "http://mailbox.test/messages", "signing_secret": SECRET}

    def simulator(self, world: World, webhook_url: str) -> Starlette:
        return create_app(world, secret=SECRET)

    async def sample(self, kind: str, currency: str = "EUR", amount_minor: int = 19_90) -> Effect:
        return self.effect(NotifyCustomer("refund_sent", "shop:customer:1", "#1001", amount_minor, currency))

    async def applied(self, effect: Effect) -> int:
        return int(self.world.get("messages", effect.effect_id) is not None)

    async def amount(self, effect: Effect) -> tuple[int, str] | None:
        data = (self.world.get("messages", effect.effect_id) or {})["data"]
        return data["amount_minor"], data["currency"]
