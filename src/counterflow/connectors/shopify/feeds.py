"""Reading: one order or return fresh, and page by page what changed, so that nothing hangs on a webhook."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from counterflow.connectors.shopify import documents, settlement
from counterflow.connectors.shopify.client import Client, next_page
from counterflow.connectors.shopify.mapping import Mapper
from counterflow.connectors.shopify.references import THE_APP, gid, instant, number, return_ref, sale_ref
from counterflow.core.facts import Fact
from counterflow.core.money import MoneyError
from counterflow.sdk.connector import Page, Signal
from counterflow.sdk.outcomes import Malformed, NotFound

Json = dict[str, Any]
_NODES = 250  # ids that one look may name


async def order(client: Client, mapper: Mapper, ref: str, now: datetime) -> Sequence[Fact]:
    """`ref`: gid, number, `<connection>:order:<number>` or `<connection>:order:<name>`. Raises NotFound, Malformed."""
    if ref == THE_APP:  # the shop says that the app was uninstalled: refused by now, unless it is back
        await client.data(documents.CHECK)
        return ()
    found = await _order(client, await order_gid(client, ref))
    return _mapped(ref, lambda: mapper.order(found, now))


async def ret(client: Client, mapper: Mapper, ref: str, now: datetime) -> Sequence[Fact]:
    """`ref`: of a return, or the gid of its reverse fulfilment order. Raises NotFound, Malformed."""
    found = await client.call(documents.RETURN, id=await _return_gid(client, ref))
    if found is None:
        raise NotFound(f"the shop has no return {ref}: was it deleted?")
    _whole(found["returnLineItems"], f"return {ref}")
    found["order"] = await _all_lines(client, found["order"])
    picked = {row["variantId"] for row in found["exchangeLineItems"]["nodes"] if row["variantId"]}
    variants = {id_: await client.call(documents.VARIANT, id=id_) or {} for id_ in sorted(picked)}
    return _mapped(ref, lambda: mapper.ret(found, variants, now))


async def _return_gid(client: Client, ref: str) -> str:
    if not ref.startswith("gid://shopify/ReverseFulfillmentOrder/"):
        return gid("Return", ref)
    found = await client.call(documents.REVERSE, id=ref)
    for each in ((found or {}).get("order") or {"returns": {"nodes": ()}})["returns"]["nodes"]:
        if any(row["id"] == ref for row in each["reverseFulfillmentOrders"]["nodes"]):
            return str(each["id"])
    raise NotFound(f"no return of the shop has {ref}: was it deleted?")


async def order_gid(client: Client, ref: str) -> str:
    """The gid for a reference; a name ("#1001") is searched, a fulfilment order asked for its own. Raises NotFound."""
    if ref.startswith("gid://shopify/FulfillmentOrder/"):
        found = await client.call(documents.FULFILLMENT_ORDER, id=ref)
        if found is None:
            raise NotFound(f"the shop has no fulfilment order {ref}: was it merged?")
        return str(found["orderId"])
    last = ref.rpartition(":")[2] if not ref.startswith("gid://") else ref
    if last.startswith("gid://") or last.isdigit():
        return gid("Order", last)
    quoted = last.replace("\\", "").replace("'", "")
    found = (await client.call(documents.ORDERS_BY_NAME, query=f"name:'{quoted}'"))["nodes"]
    named = [row["id"] for row in found if row["name"].lstrip("#") == last.lstrip("#")]
    if len(named) != 1:
        raise NotFound(f"{len(named)} orders of the shop are named {last}: name one by its number")
    return str(named[0])


async def pull(client: Client, feed: str, cursor: str, connection: str, page_size: int) -> Page:
    """Signals for what was updated since the cursor: `<time>` between sweeps, `<time>|<place>` within one."""
    since, _, after = cursor.partition("|")
    query = f"updated_at:>='{since}'" if since else ""
    found = await client.call(documents.CHANGED_ORDERS, query=query, after=after or None, first=page_size)
    rows, info = found["nodes"], found["pageInfo"]
    items: list[Signal] = []
    for row in rows:
        if feed == "orders" or (feed == "refunds" and row["refunds"]):
            items.append(Signal("orders", row["id"], (sale_ref(connection, row["id"]),)))
        if feed == "returns":
            returns = row["returns"]["nodes"]
            items += [Signal("returns", each["id"], (return_ref(connection, each["id"]),)) for each in returns]
    if info["hasNextPage"]:
        return Page(tuple(items), f"{since}|{info['endCursor']}", True)
    newest = max((instant(row["updatedAt"]) for row in rows), default=None)
    stamp = newest.strftime("%Y-%m-%dT%H:%M:%SZ") if newest else since
    return Page(tuple(items), max(stamp, since), False)


async def _order(client: Client, id_: str) -> Json:
    found = await client.call(documents.ORDER, id=id_)
    if found is None:
        raise NotFound(f"the shop has no order {id_}: is it older than 60 days and read_all_orders not granted?")
    return await _all_lines(client, found)


async def _all_lines(client: Client, found: Json) -> Json:
    """The order with the further pages of its lines and of what was shipped."""
    lines = await _pages(client, documents.ORDER_LINES, found["id"], found["lineItems"], "lineItems")
    moves = []
    for move in found["fulfillments"]:
        name = "fulfillmentLineItems"
        moves.append({**move, name: await _pages(client, documents.SHIPPED_LINES, move["id"], move[name], name)})
    return {**found, "lineItems": lines, "fulfillments": moves}


async def _pages(client: Client, document: str, id_: str, page: Json, name: str) -> Json:
    nodes, after = list(page["nodes"]), ""
    while after := next_page(page["pageInfo"], after):
        page = (await client.call(document, id=id_, after=after))[name]
        nodes += page["nodes"]
    return {"nodes": nodes}


def _whole(connection: Json, what: str) -> None:
    """A part is never taken for the whole."""
    if connection["pageInfo"]["hasNextPage"]:
        raise Malformed(f"{what} has more than {len(connection['nodes'])} lines, more than we read: handle it by hand")


def _mapped(ref: str, make: Any) -> Sequence[Fact]:
    try:
        return make()  # type: ignore[no-any-return]
    except (KeyError, TypeError, ValueError, AttributeError, MoneyError) as error:
        raise Malformed(f"{ref} is not as Shopify describes it: {type(error).__name__}: {error}") from error


# ---- Shopify Payments ------------------------------------------------------------------------------------------------


async def payout(client: Client, mapper: Mapper, ref: str, now: datetime) -> Sequence[Fact]:
    """`ref`: gid, number, or `<connection>:payout:<number>`. Raises NotFound, Malformed."""
    found = await client.call(documents.PAYOUT, id=gid("ShopifyPaymentsPayout", ref))
    if not found:
        raise NotFound(f"the shop has no payout {ref}")
    rows: list[Json] = []
    after = ""
    while True:
        query = f"payments_transfer_id:{number(found['id'])}"
        page = ((await client.call(documents.BALANCE, query=query, after=after or None)) or {}).get(
            "balanceTransactions"
        )
        if page is None:
            raise NotFound("the shop has no Shopify Payments: turn off shopify_payments")
        rows += page["nodes"]
        after = next_page(page["pageInfo"], after)
        if not after:
            break
    wanted = settlement.sources_of(rows)
    sources: dict[str, Json] = {}
    for start in range(0, len(wanted), _NODES):
        nodes = await client.call(documents.TRANSACTIONS, ids=wanted[start : start + _NODES])
        sources |= {node["id"]: node for node in nodes if node}
    return _mapped(ref, lambda: settlement.payout_facts(mapper, found, rows, sources, now))


async def dispute(client: Client, mapper: Mapper, ref: str, now: datetime) -> Sequence[Fact]:
    found = await client.call(documents.DISPUTE, id=gid("ShopifyPaymentsDispute", ref))
    if found is None:
        raise NotFound(f"the shop has no dispute {ref}")
    return _mapped(ref, lambda: settlement.dispute_facts(mapper, found, now))


Fetch = Callable[[Client, Mapper, str, datetime], Awaitable[Sequence[Fact]]]
FETCH: dict[str, Fetch] = {"orders": order, "returns": ret, "refunds": order, "payouts": payout, "disputes": dispute}
