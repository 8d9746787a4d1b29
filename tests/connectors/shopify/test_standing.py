"""Our standing in the shop: tokens that end, versions that fall forward, webhooks that are silently dropped."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from pydantic import ValidationError
from starlette.applications import Starlette

from counterflow.connectors.shopify import connector
from counterflow.connectors.shopify.conformance import SECRET
from counterflow.connectors.shopify.manifest import MANIFEST
from counterflow.connectors.shopify.simulator import create_app
from counterflow.engine.credentials import Credentials
from counterflow.engine.live import Live
from counterflow.sdk.connector import Context, Renewable
from counterflow.sdk.http import Unlimited
from counterflow.sdk.outcomes import AuthFailed, Done, Rejected, Transient
from counterflow.sdk.simulator import World
from counterflow.sdk.testing.harness import WEBHOOK_URL
from counterflow.store.pool import make_pool
from tests.connectors.shopify.shop import Shop

FETCHED = {"access_token": "", "client_id": "app_simulated"}


# ---- tokens ----------------------------------------------------------------------------------------------------------


class Expiring(Shop):
    """A shop that knows no token for ever. Counts what it is asked for."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**{**FETCHED, **config})

    def simulator(self, world: World, webhook_url: str) -> Starlette:
        return create_app(world, access_token="", api_secret=SECRET, webhook_url=webhook_url)

    @property
    def issued(self) -> int:
        return len(self.world.all("tokens"))


async def test_a_token_is_fetched_once_for_many_calls():
    shop = Expiring()
    effects = [await shop.sample("ReadSale") for _ in range(5)]
    sent = await asyncio.gather(*(shop.connector.send([effect]) for effect in effects))
    assert all(isinstance(outcome, Done) for [outcome] in sent) and shop.issued == 1


async def test_the_next_is_fetched_before_it_ends_and_no_call_fails():
    shop = Expiring()
    effect = await shop.sample("ReadSale")
    for hours in (0, 23, 23, 23):
        shop.clock.advance(hours * 3600)
        before = shop.network.requests
        [outcome] = await shop.connector.send([effect])
        assert isinstance(outcome, Done)
    shop.clock.advance(86_399 - 60)  # still good, but not for long
    before, issued = shop.network.requests, shop.issued
    [outcome] = await shop.connector.send([effect])
    assert isinstance(outcome, Done) and shop.issued == issued + 1
    assert shop.network.requests == before + 2, "one for the token, one for the call: none was refused"


async def test_a_token_that_was_revoked_is_replaced_once():
    shop = Expiring()
    effect = await shop.sample("ReadSale")
    await shop.connector.send([effect])
    await shop.act("revoke_tokens")
    before = shop.network.requests
    [outcome] = await shop.connector.send([effect])
    assert isinstance(outcome, Done) and shop.network.requests == before + 3, "refused, a token, answered"


async def test_a_write_that_was_refused_for_its_token_is_done_once():
    shop = Expiring()
    effect = await shop.sample("PayLeg")
    await shop.connector.send([await shop.sample("ReadSale")])
    await shop.act("revoke_tokens")
    [outcome] = await shop.connector.send([effect])
    assert isinstance(outcome, Done) and await shop.applied(effect) == 1


async def test_there_is_no_loop_when_every_token_is_refused():
    shop = Expiring()
    effect = await shop.sample("ReadSale")
    await shop.connector.send([effect])
    shop.world.fault("unauthorized", match="graphql", times=-1)
    before = shop.network.requests
    [outcome] = await shop.connector.send([effect])
    assert isinstance(outcome, AuthFailed) and shop.network.requests - before == 3


async def test_wrong_credentials_are_told():
    shop = Expiring(client_id="somebody-else")
    with pytest.raises(AuthFailed, match="Client authentication failed"):
        await shop.connector.pull("orders", "")


async def test_a_given_token_is_never_replaced():
    shop = Shop(access_token="shpat_wrong")
    before = shop.network.requests
    with pytest.raises(AuthFailed):
        await shop.connector.pull("orders", "")
    assert shop.network.requests == before + 1


def test_one_way_in_is_needed():
    for config in ({"access_token": ""}, {"client_id": "app"}):
        with pytest.raises(ValidationError, match="one of them"):
            Shop(**config)


# ---- pairs that all processes share ----------------------------------------------------------------------------------


async def test_a_refresh_token_gives_the_next_pair_and_a_lost_answer_locks_nobody_out():
    shop = Expiring()
    first = await shop.act("install_expiring")
    config = {**FETCHED, "refresh_token": first["refresh_token"]}
    one = shop.connect(**config)
    assert isinstance(one, Renewable)
    with pytest.raises(Transient, match="is being fetched"):
        await one.pull("orders", "")
    old = await one.credential()
    assert old is not None and old.ends_at <= shop.clock.now()
    lost = await one.renew(old)  # as if nobody had read the answer
    new = await one.renew(old)
    assert lost.secret != new.secret and new.ends_at - new.made_at == timedelta(hours=1)
    other = shop.connect(**{**config, "refresh_token": new.secret})
    await other.pull("orders", "")
    with pytest.raises(Rejected, match="install the app again"):
        await one.renew(old)  # the new access token was used
    assert isinstance(other, Renewable)
    assert (await other.renew(new)).secret != new.secret


async def test_a_token_for_good_does_not_end():
    connected = Shop().connector
    assert isinstance(connected, Renewable) and await connected.credential() is None


@contextlib.asynccontextmanager
async def processes(url: str, shop: Shop, count: int, **config: Any) -> AsyncIterator[list[Credentials]]:
    """Several processes of ours over one database, each with its own connector of the one shop."""
    checked = connector.Config.model_validate({**shop.config, **FETCHED, **config})
    context = Context("here", Unlimited(), shop.clock.now, shop.network)
    async with make_pool(url, max_size=4) as pool:
        yield [
            Credentials(
                pool, {"here": Live(partial(connector.make, context=context), checked)}, {"here": checked}, b"s" * 32,
                shop.clock.now,
            )
            for _ in range(count)
        ]  # fmt: skip


async def test_no_call_ever_fails_while_tokens_of_an_hour_go_round(fresh_database: str):
    shop = Expiring()
    await shop.order()
    given = await shop.act("install_expiring")
    async with processes(fresh_database, shop, 2, refresh_token=given["refresh_token"]) as (one, two):
        await asyncio.gather(one.look(), two.look())
        for minute in range(300):
            for process in (one, two):
                await process.refresh()
                if minute % 7 == 0:
                    assert len((await process.live["here"].pull("orders", "")).items) == 1
            shop.clock.advance(60)
            await (one if minute % 2 else two).look()
        pairs = [row for row in shop.world.all("tokens") if row["kind"] == "access"]
        assert 10 <= len(pairs) <= 20, "each was renewed once, by one of the two"


# ---- versions --------------------------------------------------------------------------------------------------------


async def test_a_version_that_fell_forward_is_a_warning_and_the_sweep_goes_on():
    shop = Shop(api_version="2024-01")
    await shop.request(await shop.place({"sku": "SHIRT", "unit_price_minor": 10_00}), "SHIRT")
    page = await shop.connector.pull("returns", "")
    assert len(page.items) == 1 and "answered as 2025-10" in page.warning
    assert "upgrade-check shopify 2024-01 2025-10" in page.warning
    assert (await Shop().connector.pull("returns", "")).warning == ""


# ---- webhooks --------------------------------------------------------------------------------------------------------


def heard(shop: Shop) -> set[str]:
    return {row["topic"] for row in shop.world.all("subscriptions") if row["uri"] == WEBHOOK_URL}


async def test_webhooks_that_shopify_dropped_are_made_again():
    """Eight refused deliveries in four hours, and the subscription is gone without a word."""
    shop = Shop(webhook_url=WEBHOOK_URL)
    assert (await shop.connector.pull("returns", "")).warning == ""
    shop.receiver_status = 500
    await shop.place({"sku": "SHIRT", "unit_price_minor": 10_00})
    for _ in range(20):
        shop.clock.advance(3600)
        await shop.told()
    shop.receiver_status = 202
    await shop.act("restock", sku="SHIRT", quantity=5)  # the shop looks at its failures when it next tells something
    assert "ORDERS_CREATE" not in heard(shop)
    page = await shop.connector.pull("returns", "")
    assert "had dropped our webhooks" in page.warning and "ORDERS_CREATE" in page.warning
    assert set(MANIFEST.topics) <= heard(shop)
    shop.clock.advance(60)
    assert (await shop.connector.pull("returns", page.cursor)).warning == page.warning, "told until the next look"
    shop.clock.advance(3600)
    assert (await shop.connector.pull("returns", page.cursor)).warning == ""


async def test_a_new_app_is_subscribed_without_an_alarm():
    shop = Shop(webhook_url=WEBHOOK_URL, shopify_payments=False)
    for row in shop.world.all("subscriptions"):
        shop.world.delete("subscriptions", row["id"])
    assert (await shop.connector.pull("returns", "")).warning == ""
    wanted = {topic for topic in MANIFEST.topics if not topic.startswith("DISPUTES_")}
    assert heard(shop) == wanted, "disputes need a scope that only Shopify Payments needs"


async def test_a_sweep_goes_on_when_nothing_can_be_subscribed():
    shop = Shop(webhook_url=WEBHOOK_URL)
    await shop.request(await shop.place({"sku": "SHIRT", "unit_price_minor": 10_00}), "SHIRT")
    shop.world.fault("access_denied", match="Check")
    page = await shop.connector.pull("returns", "")
    assert len(page.items) == 1 and "could not be looked after" in page.warning and "scope" in page.warning


async def test_two_that_subscribe_at_once_do_no_harm():
    shop = Shop(webhook_url=WEBHOOK_URL)
    [lost] = [row for row in shop.world.all("subscriptions") if row["topic"] == "RETURNS_REQUEST"]
    shop.world.delete("subscriptions", lost["id"])
    other = shop.connect(webhook_url=WEBHOOK_URL)
    await asyncio.gather(shop.connector.pull("returns", ""), other.pull("returns", ""))
    topics = [row["topic"] for row in shop.world.all("subscriptions")]
    assert topics.count("RETURNS_REQUEST") == 1


async def test_without_an_address_nothing_is_subscribed():
    shop = Shop()
    for row in shop.world.all("subscriptions"):
        shop.world.delete("subscriptions", row["id"])
    await shop.connector.pull("returns", "")
    assert shop.world.all("subscriptions") == []


async def test_the_look_is_made_once_an_hour():
    shop = Shop(webhook_url=WEBHOOK_URL)
    await shop.connector.pull("returns", "2026-01-01T00:00:00Z")
    before = shop.network.requests
    await shop.connector.pull("returns", "2026-01-01T00:00:00Z")
    assert shop.network.requests == before + 1
    shop.clock.advance(timedelta(hours=1).total_seconds())
    await shop.connector.pull("returns", "2026-01-01T00:00:00Z")
    assert shop.network.requests == before + 3
