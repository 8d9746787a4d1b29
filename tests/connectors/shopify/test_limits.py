"""Limits are points: a document's cost is learned, few points left pause everybody, a refusal names the wait."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.applications import Starlette

from counterflow.connectors.shopify import connector, documents
from counterflow.connectors.shopify.client import Client
from counterflow.connectors.shopify.conformance import SECRET
from counterflow.connectors.shopify.simulator import create_app
from counterflow.sdk.connector import Context
from counterflow.sdk.outcomes import RateLimited
from counterflow.sdk.simulator import World
from tests.connectors.shopify.shop import Shop


@dataclass
class Watched:
    """A limiter that lets everything through and remembers."""

    spent: list[float] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    async def acquire(self, cost: float = 1.0) -> None:
        self.spent.append(cost)

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


class Small(Shop):
    """A shop on a plan of twenty points a second: 400 at most."""

    def simulator(self, world: World, webhook_url: str) -> Starlette:
        return create_app(
            world, access_token="shpat_conformance", api_secret=SECRET, webhook_url=webhook_url, points_per_second=20.0
        )


def client(shop: Shop) -> tuple[Client, Watched]:
    limiter = Watched()
    config = connector.Config.model_validate(dict(shop.config))
    made = connector.make(config, Context("here", limiter, shop.clock.now, shop.network))
    return made.client, limiter


async def orders(client: Client, first: int) -> Any:
    return await client.call(documents.CHANGED_ORDERS, query="", after=None, first=first)


async def test_the_cost_of_a_document_is_what_the_shop_last_charged():
    shop = Shop()
    for _ in range(9):
        await shop.order()
    calls, limiter = client(shop)
    for _ in range(2):
        await orders(calls, 50)
    first, second = limiter.spent
    assert first == 20.0 and second > 20.0 and limiter.pauses == []
    await calls.call(documents.RETURN_STATE, id="gid://shopify/Return/1")
    await calls.call(documents.RETURN_STATE, id="gid://shopify/Return/1")
    assert limiter.spent[2:] == [20.0, 1.0], "each document has its own"


async def test_everybody_waits_before_the_shop_refuses():
    shop = Small()
    for _ in range(9):
        await shop.order()
    calls, limiter = client(shop)
    while not limiter.pauses:
        await orders(calls, 50)
    assert 0 < limiter.pauses[0] <= 20
    shop.clock.advance(limiter.pauses[0])
    await orders(calls, 50)  # and then it fits


async def test_a_refusal_names_the_seconds_until_the_document_fits():
    shop = Small()
    for _ in range(9):
        await shop.order()
    calls, _ = client(shop)
    shop.world.fault("throttled", match="ChangedOrders")
    with pytest.raises(RateLimited) as refused:
        await orders(calls, 50)
    assert refused.value.code == "THROTTLED" and 0 < refused.value.retry_after <= 20
    shop.clock.advance(refused.value.retry_after + 0.1)
    await orders(calls, 50)
