"""Sweeps of what has a state and no time of change: payouts and disputes.

Shopify finds them by when they began, and tells no one when their state moved. So the cursor keeps the states of
all since the oldest that can still move, and only a state that is not in it is told.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from counterflow.connectors.shopify import documents
from counterflow.connectors.shopify.client import Client
from counterflow.connectors.shopify.manifest import Config
from counterflow.connectors.shopify.references import instant
from counterflow.sdk.connector import Page, Signal
from counterflow.sdk.outcomes import Malformed

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Watched:
    """One list. What is `open`, or younger than `days`, can still move."""

    document: str
    begins: str  # its field and filter
    days: int
    open: frozenset[str]


WATCHED = {
    "payouts": Watched(documents.PAYOUTS, "issuedAt", 14, frozenset(("SCHEDULED", "IN_TRANSIT"))),
    "disputes": Watched(documents.DISPUTES, "initiatedAt", 90, frozenset(("NEEDS_RESPONSE", "UNDER_REVIEW"))),
}
_FILTER = {"issuedAt": "issued_at", "initiatedAt": "initiated_at"}


async def pull(client: Client, config: Config, feed: str, cursor: str, now: datetime) -> Page:
    """Signals for states that are new. Raises Malformed for a cursor that is none of ours."""
    if not config.shopify_payments:
        return Page((), cursor, False)
    watched = WATCHED[feed]
    since, after, seen = _read(cursor)
    query = f"{_FILTER[watched.begins]}:>='{since}'" if since else ""
    found = await client.call(watched.document, query=query, after=after or None, first=config.page_size)
    page = (found or {}).get("payouts", found) or {"nodes": [], "pageInfo": {"hasNextPage": False}}
    items = [Signal(feed, row["id"]) for row in page["nodes"] if seen.get(row["id"], ["", ""])[0] != row["status"]]
    seen |= {row["id"]: [row["status"], row[watched.begins]] for row in page["nodes"]}
    young = now - timedelta(days=watched.days)
    moving = [at for status, at in seen.values() if status in watched.open or instant(at) >= young]
    newest = max((at for _, at in seen.values()), key=instant, default=since)
    begin = min([*moving, newest], key=lambda at: instant(at) if at else now)
    kept = {id_: told for id_, told in seen.items() if instant(told[1]) >= instant(begin)}
    if page["pageInfo"]["hasNextPage"]:
        return Page(tuple(items), _cursor(since, page["pageInfo"]["endCursor"], kept), True)
    return Page(tuple(items), _cursor(begin, "", kept), False)


def _cursor(since: str, after: str, seen: dict[str, list[str]]) -> str:
    return json.dumps([since, after, seen], separators=(",", ":"))


def _read(cursor: str) -> tuple[str, str, dict[str, list[str]]]:
    try:
        since, after, seen = json.loads(cursor or '["","",{}]')
        return str(since), str(after), dict(seen)
    except (ValueError, TypeError):
        raise Malformed(f"{cursor[:80]!r} is no cursor of this connector: pull from the beginning") from None
