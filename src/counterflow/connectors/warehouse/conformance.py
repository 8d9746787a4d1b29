"""The warehouse against its simulator, for the conformance kit."""

from dataclasses import replace

from starlette.types import ASGIApp

from counterflow.connectors.warehouse import connector
from counterflow.connectors.warehouse.simulator import create_app
from counterflow.core.effects import AnnounceReturn, Effect, ExpectedItem, InstructDisposition
from counterflow.sdk import testing
from counterflow.sdk.connector import Delivery
from counterflow.sdk.signed_json import sign
from counterflow.sdk.simulator import World
from counterflow.sdk.simulator.site import secret_of

SECRET = secret_of("conformance of the warehouse")


class Harness(testing.Harness):
    maker = connector
    config = {
        "base_url": "http://wms.test",
        "token": "wms_conformance_token",
        "webhook_secret": SECRET,
        "page_size": 2,
    }
    writes = {"AnnounceReturn": r"^POST /announcements", "InstructDisposition": r"^POST /instructions"}
    retry_after_seconds = 3.0

    def simulator(self, world: World, webhook_url: str) -> ASGIApp:
        return create_app(world, token=str(self.config["token"]), secret=SECRET, webhook_url=webhook_url)

    async def sample(self, kind: str, currency: str = "EUR", amount_minor: int = 19_90) -> Effect:
        number = self.world.next_id("_samples")
        if kind == "AnnounceReturn":
            return self.effect(AnnounceReturn(f"RMA-{number}", "#1001", (ExpectedItem("L1", f"TEE-{number}", 2),)))
        await self.act("receive", rma_number=f"RMA-{number}", lines=[{"sku": f"TEE-{number}", "quantity": 1}])
        return self.effect(InstructDisposition(f"RMA-{number}", f"TEE-{number}", 1, "restock", "grade A"))

    def altered(self, effect: Effect) -> Effect | None:
        return replace(effect, command=replace(effect.command, rma_number="RMA-other"))  # type: ignore[arg-type]

    async def over(self, kind: str) -> Effect | None:
        if kind == "AnnounceReturn":
            return None
        return self.effect(InstructDisposition("RMA-0", "NOTHING-OF-IT", 1, "restock", "grade A"))

    async def applied(self, effect: Effect) -> int:
        rows = "announcements" if effect.kind == "AnnounceReturn" else "instructions"
        return sum(row["key"] == effect.effect_id for row in self.world.all(rows))

    async def happen(self, feed: str) -> str:
        receipt = await self.act("receive", rma_number="RMA-1", lines=[{"sku": "TEE", "quantity": 1}])
        return str(receipt["receipt_id"])

    def missing(self, feed: str) -> str | None:
        return "7@"

    def sign(self, body: bytes) -> Delivery:
        return self.delivery_of(sign(SECRET, "evt_signed", self.clock.now(), body), body)
