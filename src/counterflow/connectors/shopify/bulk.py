"""The first sweep of a shop with many orders: one bulk operation instead of thousands of pages, for all its feeds.

Shopify runs the query by itself, late, one at a time, and leaves a file of lines that can be read for seven days. The
cursor is the operation and how many bytes of its file have been read, so any worker goes on from there. What changes
after the operation began is found page by page from then on; an operation that fails is followed by pages, too.
"""

from datetime import datetime, timedelta
from typing import Any

from counterflow.connectors.shopify import documents
from counterflow.connectors.shopify.client import Client
from counterflow.connectors.shopify.references import instant, return_ref, sale_ref
from counterflow.sdk.connector import Page, Signal
from counterflow.sdk.fields import parsed
from counterflow.sdk.outcomes import Malformed, Rejected, Transient

Json = dict[str, Any]
PREFIX = "bulk|"
BY_PAGE = "|"  # the cursor of a sweep page by page from the beginning
CHUNK_BYTES = 100_000
YOUNG = timedelta(days=1)  # an operation of the same query is taken up instead of a second one
_WORKING = frozenset(("CREATED", "RUNNING", "CANCELING"))
_BUSY = frozenset(("OPERATION_IN_PROGRESS", "LIMIT_REACHED"))
_GONE = frozenset((400, 403, 404, 410))  # what a store answers for an address that has expired


async def wanted(client: Client, bulk_from: int) -> bool:
    """Whether the shop has so many orders."""
    count = await client.call(documents.ORDERS_COUNT, limit=bulk_from)
    return int((count or {}).get("count") or 0) >= bulk_from


async def start(client: Client, now: datetime) -> Page:
    """Begin an operation, or take up the one that is there; from the beginning again while the shop runs another."""
    found = await client.call(documents.BULK_OPERATIONS)
    ours = [row for row in found["nodes"] if " ".join(row["query"].split()) == documents.BULK_ORDERS]
    for row in ours:
        if row["status"] in (*_WORKING, "COMPLETED") and instant(row["createdAt"]) > now - YOUNG:
            return Page((), _cursor(row, 0), False)
    try:
        made = (await client.call(documents.RUN_BULK, query=documents.BULK_ORDERS))["bulkOperation"]
    except Rejected as error:
        if error.code not in _BUSY:
            raise
        return Page((), "", False)
    return Page((), _cursor(made, 0), False)


async def read(client: Client, feed: str, cursor: str, connection: str) -> Page:
    """The next lines of the file; nothing while the operation works. Raises Malformed for a cursor that is none."""
    try:
        _, id_, created, text = cursor.split("|")
        offset = int(text)
    except ValueError:
        raise Malformed(f"{cursor[:80]!r} is no cursor of this connector: pull from the beginning") from None
    operation = await client.call(documents.BULK_OPERATION, id=id_)
    if operation is None:
        return Page((), "", False)
    if operation["status"] in _WORKING:
        return Page((), cursor, False)
    if operation["status"] != "COMPLETED":
        return Page((), BY_PAGE, True)
    size = int(operation["fileSize"] or 0)
    if not operation["url"] or offset >= size:
        return Page((), created, False)
    body = await _chunk(client, operation["url"], offset)
    if body is None:
        return Page((), "", False)  # the file has expired: begin again
    end = body.rfind(b"\n") + 1
    if not end:
        if offset + len(body) < size:
            raise Malformed(f"a line of bulk operation {id_} is longer than {CHUNK_BYTES} bytes: pull page by page")
        end = len(body)
    items = [signal for line in body[:end].splitlines() for signal in _signals(feed, line, connection)]
    more = offset + end < size
    return Page(tuple(items), _cursor({"id": id_, "createdAt": created}, offset + end) if more else created, more)


def _cursor(operation: Json, offset: int) -> str:
    return f"{PREFIX}{operation['id']}|{operation['createdAt']}|{offset}"


async def _chunk(client: Client, url: str, offset: int) -> bytes | None:
    """Bytes of the file, which lies in a store of its own: it gets no token. None when it is gone."""
    span = {"Range": f"bytes={offset}-{offset + CHUNK_BYTES - 1}"}
    answer = await client.transport.request("GET", url, write=False, cost=0.0, headers=span)
    if answer.status_code in _GONE:
        return None
    if answer.status_code == 206:
        return answer.content
    if answer.status_code == 200:  # a store that knows no ranges gives the whole file
        return answer.content[offset : offset + CHUNK_BYTES]
    raise Transient(f"the file of the bulk operation was answered {answer.status_code}")


def _signals(feed: str, line: bytes, connection: str) -> list[Signal]:
    """One line is an order, or a return below it."""
    try:
        row: Json = parsed(line)
        id_, refunds = str(row["id"]), row.get("refunds") or ()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Malformed(f"a line of a bulk operation is no object: {type(error).__name__}") from None
    if feed == "returns":
        return [Signal("returns", id_, (return_ref(connection, id_),))] if "/Return/" in id_ else []
    if "/Order/" not in id_ or (feed == "refunds" and not refunds):
        return []
    return [Signal("orders", id_, (sale_ref(connection, id_),))]
