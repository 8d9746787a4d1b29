"""Answers and deliveries that once were taken for what they do not say: found by the kit's checks of bad input."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from counterflow.core.effects import Effect
from counterflow.sdk.outcomes import AuthFailed, Malformed
from counterflow.sdk.testing import harness_of
from counterflow.sdk.testing.harness import Harness
from counterflow.sdk.testing.rule import attempt
from counterflow.sdk.testing.webhooks import deliveries

Change = Callable[[Any], None]


class Changing(httpx2.AsyncBaseTransport):
    """Every JSON answer, changed."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, change: Change) -> None:
        self.inner, self.change = inner, change

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self.inner.handle_async_request(request)
        body = json.loads(await answer.aread())
        self.change(body)
        return httpx2.Response(answer.status_code, json=body)


def without(name: str) -> Change:
    """Objects at any depth lose what has this name."""

    def change(value: Any) -> None:
        if isinstance(value, dict):
            value.pop(name, None)
        for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            change(each)

    return change


def with_more_pages(value: Any) -> None:
    """There is always another page, and it begins where this one did."""
    if isinstance(value, dict) and "hasNextPage" in value:
        value |= {"hasNextPage": True, "endCursor": "MDAwMDAwMDAw"}
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        with_more_pages(each)


def no_costs(value: Any) -> None:
    value["extensions"] = {"cost": {"actualQueryCost": "many", "throttleStatus": {"restoreRate": None}}}


async def done(harness: Harness, kind: str) -> Effect:
    effect = await harness.sample(kind)
    await attempt(harness, effect)
    return effect


@pytest.mark.parametrize(
    ("name", "feed", "rows"),
    [("bank", "lines", "lines"), ("pos", "receipts", "events"), ("warehouse", "receipts", "events")],
)
async def test_a_page_without_its_rows_does_not_move_the_cursor_over_them(name: str, feed: str, rows: str):
    harness = harness_of(name)()
    await harness.happen(feed)
    connector = harness.connect(network=Changing(harness.network, without(rows)))
    with pytest.raises(Malformed):
        await connector.pull(feed, "")


@pytest.mark.parametrize(
    ("name", "kind", "gone"),
    [
        ("pos", "PayLeg", "refunds"),
        ("pos", "AnswerReturn", "holds"),
        ("medusa", "PayLeg", "refunds"),
        ("stripe", "PayLeg", "metadata"),
        ("shopify", "AnswerReturn", "return"),
    ],
)
async def test_a_look_up_that_cannot_see_is_not_surely_not_there(name: str, kind: str, gone: str):
    harness = harness_of(name)()
    effect = await done(harness, kind)
    with pytest.raises(Malformed):
        await harness.connect(network=Changing(harness.network, without(gone))).find(effect)
    assert await harness.connector.find(effect) is not None


@pytest.mark.parametrize("feed", ["orders", "payouts"])
async def test_pages_of_a_shop_that_do_not_end_are_malformed(feed: str):
    harness = harness_of("shopify")()
    name = await harness.happen(feed)
    with pytest.raises(Malformed, match="not where it begins"):
        await harness.connect(network=Changing(harness.network, with_more_pages)).fetch(feed, name)


async def test_gift_cards_that_do_not_end_are_malformed():
    harness = harness_of("shopify")()
    effect = await harness.sample("PayLeg")
    with pytest.raises(Malformed, match="not where it begins"):
        await harness.connect(network=Changing(harness.network, with_more_pages)).find(effect)


@pytest.mark.parametrize(("column", "cell"), [(b"Interchange (NC)", b"9223372036854775808"), (b"Psp Reference", b"\0")])
async def test_a_cell_of_a_report_that_no_database_holds_is_malformed(column: bytes, cell: bytes):
    harness = harness_of("adyen")()
    file = await harness.file("payouts")
    assert file is not None
    rows = [line.split(b",") for line in file.body.splitlines()]
    rows[1][rows[0].index(column)] = cell
    await harness.replace_file(file.name, b"\n".join(map(b",".join, rows)))
    with pytest.raises(Malformed):
        await harness.connector.fetch("payouts", file.name)


async def test_costs_that_a_shop_does_not_tell_are_no_reason_to_refuse_its_answer():
    harness = harness_of("shopify")()
    name = await harness.happen("orders")
    assert await harness.connect(network=Changing(harness.network, no_costs)).fetch("orders", name)


async def test_half_a_character_in_an_item_of_adyens_is_refused_and_no_crash():
    harness = harness_of("adyen")()
    delivery = next(each for each in await deliveries(harness) if harness.connector.translate(each))
    body = json.loads(delivery.body)
    item = body["notificationItems"][0]["NotificationRequestItem"]
    item["merchantReference"] = item["eventDate"] = "\ud800"
    forged = replace(delivery, body=json.dumps(body).encode())
    with pytest.raises(AuthFailed):
        harness.connector.verify(forged)
    assert harness.connector.identify(forged)
    with pytest.raises(Malformed):
        harness.connector.translate(forged)


@pytest.mark.parametrize("name", ["shopify", "odoo", "stripe", "adyen"])
async def test_a_delivery_that_is_nested_too_deep_is_malformed(name: str):
    harness = harness_of(name)()
    delivery = (await deliveries(harness))[-1]
    with pytest.raises(Malformed):
        harness.connector.translate(replace(delivery, body=b"[" * 100_000))
