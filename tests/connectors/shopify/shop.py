"""A simulated shop with the connector on it, and short ways to ask for the facts of one body."""

from typing import Any, TypeVar

from counterflow.connectors.shopify.conformance import Harness
from counterflow.core.facts import Fact, SaleRecorded
from counterflow.core.sale import Sale

B = TypeVar("B")


class Shop(Harness):
    """`config` given here is added to that of the kit."""

    def __init__(self, **config: Any) -> None:
        super().__init__()
        self.connector = self.connect(**config)

    async def place(self, *lines: dict[str, Any], **order: Any) -> dict[str, Any]:
        given = {"fulfil": True, "customer": {"email": "Ada@Example.com"}, "gateway": "stripe", "payment_id": "pi_1"}
        return dict(await self.act("place_order", lines=list(lines), **{**given, **order}))

    async def request(self, order: dict[str, Any], sku: str, quantity: int = 1, **more: Any) -> dict[str, Any]:
        line = {"sku": sku, "quantity": quantity, **more}
        return dict(await self.act("request_return", order=order["name"], lines=[line]))

    async def facts(self, feed: str, doc: dict[str, Any]) -> list[Fact]:
        return list(await self.connector.fetch(feed, doc["id"]))

    async def sale(self, order: dict[str, Any]) -> Sale:
        return next(f.body.sale for f in await self.facts("orders", order) if isinstance(f.body, SaleRecorded))


def bodies(facts: list[Fact], kind: type[B]) -> list[B]:
    return [fact.body for fact in facts if isinstance(fact.body, kind)]
