"""Webhooks whose bodies have forms of their own, and what is looked at because of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from counterflow.connectors.shopify.manifest import MANIFEST
from counterflow.connectors.shopify.references import THE_APP
from counterflow.connectors.shopify.simulator.shop import TOPICS, topic_path
from counterflow.core.facts import ParcelMoved, ReturnRequested, SaleRecorded
from counterflow.sdk.connector import Signal
from counterflow.sdk.outcomes import AuthFailed, Malformed
from tests.connectors.shopify.shop import Shop, bodies

SHIRT = {"sku": "SHIRT", "quantity": 2, "unit_price_minor": 19_90}


async def said(shop: Shop, topic: str) -> list[Signal]:
    """What the deliveries of one topic point at."""
    found = [each for each in await shop.told() if each.header("x-shopify-topic") == topic]
    assert found, f"nothing was delivered on {topic}"
    return [signal for each in found for signal in shop.connector.translate(each)]  # type: ignore[misc]


async def test_an_edited_order_is_named_inside_its_edit():
    shop = Shop()
    order = await shop.place(SHIRT)
    await shop.act("edit_order", order=order["name"], note="gift wrapped")
    [signal] = await said(shop, "orders/edited")
    assert (signal.feed, signal.ref) == ("orders", order["id"])


async def test_a_fulfilment_order_leads_to_its_order():
    shop = Shop()
    order = await shop.place(SHIRT)
    await shop.act("subscribe", topics=["FULFILLMENT_ORDERS_PLACED_ON_HOLD"], uri="http://receiver.test/webhooks/here")
    await shop.act("hold", order=order["name"])
    [signal] = await said(shop, "fulfillment_orders/placed_on_hold")
    assert signal.feed == "orders" and "/FulfillmentOrder/" in signal.ref
    [body] = bodies(list(await shop.connector.fetch(signal.feed, signal.ref)), SaleRecorded)
    assert body.sale.order_number == order["name"]


@pytest.mark.parametrize("body", [b"{}", b'{"moved_fulfillment_order": {"id": 5}}'])
async def test_a_fulfilment_order_without_a_name_is_malformed(body: bytes):
    shop = Shop()
    delivery = shop.delivery_of({"X-Shopify-Topic": "fulfillment_orders/moved"}, body)
    with pytest.raises(Malformed, match="names no FulfillmentOrder"):
        shop.connector.translate(delivery)


async def test_a_tender_transaction_is_a_look_at_its_order():
    shop = Shop()
    await shop.act("subscribe", topics=["TENDER_TRANSACTIONS_CREATE"], uri="http://receiver.test/webhooks/here")
    order = await shop.place(SHIRT)
    assert await said(shop, "tender_transactions/create") == [
        Signal("orders", order["id"], (f"here:order:{order['id'].rpartition('/')[2]}",))
    ]


async def test_a_label_is_told_with_its_number():
    shop = Shop()
    ret = await shop.request(await shop.place(SHIRT), "SHIRT")
    await shop.act("approve_return", **{"return": ret["name"]})
    await shop.act("send_back", **{"return": ret["name"], "number": "JJD0001", "label_url": "https://l.test/1"})
    [signal] = await said(shop, "reverse_deliveries/attach_deliverable")
    assert (signal.feed, signal.ref) == ("returns", ret["id"])
    facts = await shop.facts("returns", ret)
    assert bodies(facts, ParcelMoved) == [ParcelMoved("label_issued", "JJD0001")]
    assert any("tracking:JJD0001" in fact.refs for fact in facts)
    assert [f.fact_id for f in facts] == [f.fact_id for f in await shop.facts("returns", ret)]


async def test_a_disposition_leads_to_its_return():
    shop = Shop()
    order = await shop.place(SHIRT)
    returns = [await shop.request(order, "SHIRT") for _ in range(2)]
    for ret in returns:
        await shop.act("approve_return", **{"return": ret["name"]})
    await shop.act("dispose", **{"return": returns[1]["name"], "sku": "SHIRT", "quantity": 1, "type": "NOT_RESTOCKED"})
    [signal] = await said(shop, "reverse_fulfillment_orders/dispose")
    facts = list(await shop.connector.fetch(signal.feed, signal.ref))
    assert [body.rma_number for body in bodies(facts, ReturnRequested)] == [returns[1]["name"]]


async def test_an_uninstalled_app_stops_its_connection():
    """The look that the webhook asks for is refused, which is what stops a connection and tells somebody."""
    shop = Shop()
    await shop.told()
    await shop.act("uninstall_app")
    signals = await said(shop, "app/uninstalled")
    assert signals == [Signal("orders", THE_APP)]
    with pytest.raises(AuthFailed):
        await shop.connector.fetch("orders", THE_APP)
    await shop.act("reinstall_app")
    assert await shop.connector.fetch("orders", THE_APP) == ()


async def test_stock_levels_say_nothing_that_we_take():
    shop = Shop()
    await shop.place(SHIRT)
    assert await said(shop, "inventory_levels/update") == []


def test_the_simulated_shop_tells_every_topic_of_the_manifest():
    assert set(MANIFEST.topics) <= set(TOPICS)


def test_topics_are_written_as_shopify_does():
    written = {topic_path(topic) for topic in TOPICS}
    assert {"orders/partially_fulfilled", "reverse_deliveries/attach_deliverable", "app/uninstalled"} <= written


# ---- bodies as Shopify documents them --------------------------------------------------------------------------------


def sample(folder: Path, topic: str) -> dict[str, Any]:
    return dict(json.loads((folder / f"{topic.replace('/', '-')}.json").read_text())["response"])


@pytest.mark.parametrize("topic", [each for each in MANIFEST.topics if each != "RETURNS_PROCESS"])  # it has no sample
def test_every_topic_is_understood_as_shopify_documents_it(samples: Path, topic: str):
    path = topic_path(topic)
    body = json.dumps(sample(samples, path)).encode()
    shop = Shop()
    [signal] = shop.connector.translate(shop.delivery_of({"X-Shopify-Topic": path}, body))
    assert isinstance(signal, Signal) and signal.ref.startswith("gid://shopify/")


def test_every_topic_of_fulfilment_orders_leads_to_one(samples: Path):
    shop = Shop()
    paths = sorted(samples.glob("fulfillment_orders-*.json"))
    assert len(paths) >= 15
    for file in paths:
        topic = file.stem.replace("-", "/")
        delivery = shop.delivery_of({"X-Shopify-Topic": topic}, json.dumps(sample(samples, topic)).encode())
        [signal] = shop.connector.translate(delivery)
        assert isinstance(signal, Signal) and "/FulfillmentOrder/" in signal.ref, topic


async def test_the_simulated_bodies_have_nothing_that_shopify_does_not_send(samples: Path):
    shop = Shop()
    order = await shop.place(SHIRT, gateway="shopify_payments")
    ret = await shop.request(order, "SHIRT")
    await shop.act("approve_return", **{"return": ret["name"]})
    await shop.act("send_back", **{"return": ret["name"], "number": "JJD0001", "label_url": "https://l.test/1"})
    await shop.act("dispose", **{"return": ret["name"], "sku": "SHIRT", "quantity": 1, "type": "NOT_RESTOCKED"})
    await shop.act("edit_order", order=order["name"])
    await shop.act("refund_in_admin", order=order["name"], amount_minor=5_00)
    await shop.act("open_dispute", order=order["name"])
    strange: dict[str, set[str]] = {}
    for delivery in await shop.told():
        topic = delivery.header("x-shopify-topic")
        more = json.loads(delivery.body).keys() - sample(samples, topic).keys()
        if more:
            strange[topic] = more
    assert strange == {}
