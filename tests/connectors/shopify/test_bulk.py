"""The first sweep of a large shop: one bulk operation, read in parts, resumed anywhere, followed by pages."""

import httpx2
import pytest

from counterflow.connectors.shopify import bulk
from counterflow.sdk.connector import Signal
from counterflow.sdk.outcomes import ConnectorError, Malformed
from tests.connectors.shopify.shop import Shop

SHIRT = {"sku": "SHIRT", "quantity": 1, "unit_price_minor": 19_90}


async def large(**config: object) -> Shop:
    """Six orders are many here: two with a return, one of them refunded."""
    shop = Shop(bulk_from=5, **config)
    for number in range(6):
        order = await shop.place(SHIRT)
        shop.clock.advance(1)
        if number in (1, 4):
            await shop.request(order, "SHIRT")
        if number == 4:
            await shop.act("refund_in_admin", order=order["name"], amount_minor=5_00)
    return shop


async def sweep(shop: Shop, feed: str, cursor: str = "") -> tuple[list[str], str]:
    """As the engine sweeps: until there is no more, or the cursor stands."""
    refs: list[str] = []
    while True:
        page = await shop.connector.pull(feed, cursor)
        refs += [item.ref for item in page.items if isinstance(item, Signal)]
        stuck, cursor = page.cursor == cursor, page.cursor
        if stuck or not page.more:
            return refs, cursor


def all_of(shop: Shop, kind: str) -> list[str]:
    return sorted(row["id"] for row in shop.world.all(kind))


async def test_a_few_orders_are_read_by_page():
    shop = Shop(bulk_from=5)
    await shop.place(SHIRT)
    refs, _ = await sweep(shop, "orders")
    assert len(refs) == 1 and shop.world.all("bulk_operations") == []


async def test_all_feeds_of_orders_share_one_operation():
    shop = await large()
    cursors = {feed: (await sweep(shop, feed))[1] for feed in ("orders", "returns", "refunds")}
    assert len(shop.world.all("bulk_operations")) == 1
    for feed, cursor in cursors.items():
        assert await sweep(shop, feed, cursor) == ([], cursor), "it works still"
    shop.clock.advance(120)
    await shop.told()
    found = {feed: await sweep(shop, feed, cursor) for feed, cursor in cursors.items()}
    assert sorted(found["orders"][0]) == all_of(shop, "orders")
    assert sorted(found["returns"][0]) == all_of(shop, "returns")
    assert found["refunds"][0] == [row["id"] for row in shop.world.all("orders") if row["refunds"]]
    late = await shop.place(SHIRT)
    for feed in ("orders", "returns"):
        refs, _ = await sweep(shop, feed, found[feed][1])
        assert (late["id"] in refs) == (feed == "orders")


async def test_what_changes_while_it_works_is_found_afterwards():
    shop = await large()
    _, cursor = await sweep(shop, "orders")
    shop.clock.advance(10)
    changed = await shop.place(SHIRT)
    shop.clock.advance(120)
    await shop.told()
    operation = shop.world.all("bulk_operations")[0]
    lines = [line for line in operation["lines"].splitlines() if changed["id"] not in line]
    text = "".join(f"{line}\n" for line in lines)
    shop.world.put("bulk_operations", operation["id"], {**operation, "lines": text})
    refs, cursor = await sweep(shop, "orders", cursor)
    assert changed["id"] not in refs
    refs, _ = await sweep(shop, "orders", cursor)
    assert changed["id"] in refs


@pytest.mark.parametrize("size", [200, 333, 1000])
async def test_it_is_resumed_from_every_cursor(size: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(bulk, "CHUNK_BYTES", size)
    shop = await large()
    _, cursor = await sweep(shop, "orders")
    shop.clock.advance(120)
    await shop.told()
    seen: dict[str, list[str]] = {}
    while cursor.startswith(bulk.PREFIX):
        page = await shop.connector.pull("orders", cursor)
        assert page.cursor != cursor
        seen = {kept: [*refs, *(item.ref for item in page.items)] for kept, refs in {**seen, cursor: []}.items()}  # type: ignore[union-attr]
        cursor = page.cursor
    assert len(seen) > 1 or size == 1000
    first = next(iter(seen))
    assert sorted(seen[first]) == all_of(shop, "orders")
    for kept, refs in seen.items():  # another worker, from there
        assert (await sweep(shop, "orders", kept))[0] == refs


async def test_the_store_of_files_gets_no_token():
    shop = await large()
    _, cursor = await sweep(shop, "orders")
    shop.clock.advance(120)
    await shop.told()
    asked: list[httpx2.Request] = []
    inner = shop.network.handle_async_request

    async def watched(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return await inner(request)

    shop.network.handle_async_request = watched  # type: ignore[method-assign]
    await sweep(shop, "orders", cursor)
    [file] = [request for request in asked if "/bulk/" in str(request.url)]
    assert "x-shopify-access-token" not in file.headers and file.headers["range"].startswith("bytes=0-")


async def test_another_operation_of_the_app_is_waited_for():
    shop = await large()
    query = "{ orders { edges { node { id name } } } }"
    document = (
        "mutation Other($q: String!) { bulkOperationRunQuery(query: $q, groupObjects: false) { userErrors { code } } }"
    )
    await shop.connector.client.data(document, q=query)  # type: ignore[attr-defined]
    assert await sweep(shop, "orders") == ([], "")
    shop.clock.advance(120)
    await shop.told()
    _, cursor = await sweep(shop, "orders")
    assert cursor.startswith(bulk.PREFIX) and len(shop.world.all("bulk_operations")) == 2


async def test_an_operation_that_fails_is_followed_by_pages():
    shop = await large()
    shop.world.fault("bulk_fails", match="bulkOperationRunQuery")
    _, cursor = await sweep(shop, "orders")
    shop.clock.advance(120)
    await shop.told()
    [operation] = shop.world.all("bulk_operations")
    assert operation["status"] == "FAILED" and operation["lines"]
    refs, cursor = await sweep(shop, "orders", cursor)
    assert sorted(refs) == all_of(shop, "orders") and not cursor.startswith(bulk.PREFIX)


async def test_a_file_that_has_expired_is_made_again():
    shop = await large()
    _, cursor = await sweep(shop, "orders")
    shop.clock.advance(8 * 86_400)
    await shop.told()
    shop.clock.advance(8 * 86_400)
    assert await sweep(shop, "orders", cursor) == ([], "")
    _, cursor = await sweep(shop, "orders")
    shop.clock.advance(120)
    await shop.told()
    assert sorted((await sweep(shop, "orders", cursor))[0]) == all_of(shop, "orders")
    assert len(shop.world.all("bulk_operations")) == 2


@pytest.mark.parametrize("fault", ["lost_reply", "error_after"])
async def test_an_operation_whose_answer_was_lost_is_taken_up(fault: str):
    shop = await large()
    shop.world.fault(fault, match="bulkOperationRunQuery")
    with pytest.raises(ConnectorError):
        await shop.connector.pull("orders", "")
    _, cursor = await sweep(shop, "orders")
    assert cursor.startswith(bulk.PREFIX) and len(shop.world.all("bulk_operations")) == 1


async def test_a_shop_that_lost_the_operation_begins_again():
    shop = await large()
    gone = f"{bulk.PREFIX}gid://shopify/BulkOperation/1|2026-01-01T00:00:00Z|0"
    assert await sweep(shop, "orders", gone) == ([], "")
    with pytest.raises(Malformed, match="no cursor"):
        await shop.connector.pull("orders", f"{bulk.PREFIX}x")


async def test_a_broken_line_is_told():
    shop = await large()
    _, cursor = await sweep(shop, "orders")
    shop.clock.advance(120)
    await shop.told()
    [operation] = shop.world.all("bulk_operations")
    shop.world.put("bulk_operations", operation["id"], {**operation, "lines": "<Error>busy</Error>\n"})
    with pytest.raises(Malformed, match="is no object"):
        await sweep(shop, "orders", cursor)
