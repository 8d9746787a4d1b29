"""Reading: one order or return fresh, and page by page what changed. There are no webhooks: nothing else tells us.

A page is asked for by time and not by offset, since rows that change move to the end of the list and would shift others
across a page's border. The row at the border comes twice; where a whole page has one time, its offset is counted too.

    cursor = <time of the newest row>[|<rows of exactly this time that were told>]
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from counterflow.connectors.medusa.client import Client
from counterflow.connectors.medusa.manifest import Config
from counterflow.connectors.medusa.mapping import Mapper
from counterflow.connectors.medusa.sale import ORDER_FIELDS, return_ref, sale_ref
from counterflow.core.facts import Fact
from counterflow.core.money import MoneyError
from counterflow.sdk.connector import Page, Signal
from counterflow.sdk.outcomes import Malformed, NotFound

Json = dict[str, Any]
T = TypeVar("T")

RETURN_FIELDS = (
    "id,display_id,status,order_id,exchange_id,claim_id,location_id,created_by,created_at,updated_at,requested_at,canceled_at,"
    "*items,*items.reason"
)
EXCHANGE_FIELDS = "id,order_id,return_id,canceled_at,created_at,*additional_items"
PAYMENT_FIELDS = (
    "id,amount,currency_code,provider_id,data,created_at,*refunds,payment_collection.order.id,"
    "payment_collection.order.display_id"
)
# feed -> (where it is read, by which time, with which fields)
_LISTS = {
    "returns": ("returns", "updated_at", "id,updated_at"),
    "orders": ("orders", "updated_at", "id,updated_at"),
    "refunds": ("payments", "created_at", PAYMENT_FIELDS),
}


async def order(client: Client, mapper: Mapper, ref: str, now: datetime) -> Sequence[Fact]:
    """`ref`: an id, `<connection>:order:<id>` or `<connection>:order:<number>`. Raises NotFound, Malformed."""
    found = await read_order(client, await order_id(client, ref))
    exchanges = await exchanges_of(client, found)
    return mapped(ref, lambda: mapper.order(found, exchanges, now))


async def ret(client: Client, mapper: Mapper, ref: str, now: datetime) -> Sequence[Fact]:
    found = await read_return(client, ref)
    its_order = await read_order(client, found["order_id"])
    exchanges = await exchanges_of(client, its_order)
    changes: Sequence[Json] = ()
    if mapper.config.places:
        changes = await client.get(f"/admin/orders/{its_order['id']}/changes", "order_changes")
    return mapped(ref, lambda: mapper.ret(found, its_order, exchanges, changes, now))


async def payment(client: Client, mapper: Mapper, ref: str, now: datetime) -> Sequence[Fact]:
    found = await client.get(f"/admin/payments/{last(ref)}", "payment", fields=PAYMENT_FIELDS)
    return mapped(ref, lambda: _refunds(mapper, found, now))


async def pull(client: Client, mapper: Mapper, config: Config, feed: str, cursor: str, now: datetime) -> Page:
    """Signals for orders and returns that changed since the cursor; the refunds of payments as facts."""
    path, clock, fields = _LISTS[feed]
    since, _, told = cursor.partition("|")
    if not since and config.since is not None:
        since = config.since.astimezone(UTC).isoformat()
    offset, most = int(told or 0), config.page_size
    query = {f"{clock}[$gte]": since} if since else {}
    rows = await client.get(f"/admin/{path}", path, fields=fields, order=clock, limit=most, offset=offset, **query)
    items = tuple(item for row in rows for item in _items(mapper, feed, row, now))
    if not rows:
        return Page(items, cursor, False)
    newest, more = str(rows[-1][clock]), len(rows) == most
    if not more or newest != since:
        return Page(items, newest, more)
    return Page(items, f"{newest}|{offset + len(rows)}", more)


def _items(mapper: Mapper, feed: str, row: Json, now: datetime) -> Sequence[Fact | Signal]:
    connection = mapper.connection
    if feed == "returns":
        return [Signal(feed, row["id"], (return_ref(connection, row["id"]),))]
    if feed == "orders":
        return [Signal(feed, row["id"], (sale_ref(connection, row["id"]),))]
    try:
        return mapped(row["id"], lambda: _refunds(mapper, row, now))
    except Malformed:  # it does not stop the others: a person is shown what the look at it says
        return [Signal(feed, row["id"], (f"{connection}:payment:{row['id']}",))]


def _refunds(mapper: Mapper, payment: Json, now: datetime) -> list[Fact]:
    """A payment of a cart that never became an order has none."""
    its_order = (payment.get("payment_collection") or {}).get("order")
    if not its_order:
        return []
    ref, number = sale_ref(mapper.connection, its_order["id"]), f"#{its_order['display_id']}"
    return list(mapper.refunds(payment, ref, number, now))


# ---- one object ------------------------------------------------------------------------------------------------------


async def read_order(client: Client, id_: str) -> Json:
    found: Json = await client.get(f"/admin/orders/{id_}", "order", fields=ORDER_FIELDS)
    return found


async def read_return(client: Client, ref: str) -> Json:
    found: Json = await client.get(f"/admin/returns/{last(ref)}", "return", fields=RETURN_FIELDS)
    return found


async def exchanges_of(client: Client, order: Json) -> list[Json]:
    """The exchanges of an order; only an order with returns has any."""
    if not order["returns"]:
        return []
    query = {"order_id": order["id"], "fields": EXCHANGE_FIELDS, "limit": 100}
    return list(await client.get("/admin/exchanges", "exchanges", **query))


async def order_id(client: Client, ref: str) -> str:
    """The id for a reference; a number that people read ("#7") is searched. Raises NotFound."""
    name = last(ref)
    number = name.removeprefix("#")
    if not number.isdigit():
        return name
    found = await client.get("/admin/orders", "orders", q=number, fields="id,display_id", limit=100)
    named = [str(row["id"]) for row in found if str(row["display_id"]) == number]
    if len(named) != 1:
        raise NotFound(f"{len(named)} orders of the shop have the number {number}: name one by its id")
    return named[0]


def last(ref: str) -> str:
    return ref.rpartition(":")[2]


def mapped(ref: str, make: Callable[[], T]) -> T:
    """Raises Malformed for what is not as Medusa describes it, or no money of its currency."""
    try:
        return make()
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, MoneyError) as error:
        raise Malformed(f"{ref} cannot be read: {type(error).__name__}: {error}") from error
