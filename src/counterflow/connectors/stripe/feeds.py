"""Reading: one object fresh, and what has changed since a cursor.

A cursor is the creation time (Unix seconds) of the newest row that a walk saw, by Stripe's clock; rows of that second
come again. A walk goes from the newest row back to the cursor, page by page, so rows that appear meanwhile shift
nothing and belong to the next walk. The first walk lists the objects; later ones list events, since an object may
change long after it was made. Events are kept for 30 days: after a longer silence the objects are listed again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from counterflow.connectors.stripe import mapping, settlement, webhooks
from counterflow.connectors.stripe.client import Client
from counterflow.connectors.stripe.manifest import DISPUTE_TOPICS, PAYOUT_TOPICS, REFUND_TOPICS
from counterflow.core.facts import Fact
from counterflow.sdk.connector import Page, Signal
from counterflow.sdk.outcomes import Malformed, NotFound

EVENTS_KEPT = timedelta(days=29)
LATE_CHANGES = timedelta(days=60)  # a refund fails at most 30 days later, a dispute takes longer and then moves again
PENDING_MOST = timedelta(days=30)  # from a transaction to the day on which it is available

# feed -> (list of its objects, what they are in a reference, events that tell of them)
_FEEDS = {
    "refunds": ("/v1/refunds", "refund", REFUND_TOPICS),
    "payouts": ("/v1/payouts", "payout", PAYOUT_TOPICS),
    "disputes": ("/v1/disputes", "dispute", DISPUTE_TOPICS),
}


async def fetch(client: Client, connection: str, feed: str, ref: str, now: datetime) -> Sequence[Fact]:
    """One object, fresh; for a charge or payment all its refunds. Raises NotFound and the other words."""
    id_ = mapping.their_id(ref)
    if feed == "refunds":
        expand = ("balance_transaction", "failure_balance_transaction")
        if id_.partition("_")[0] in ("re", "pyr"):
            return mapping.refund_facts(connection, await client.get(f"/v1/refunds/{id_}", *expand), now)
        params = [("expand[]", f"data.{name}") for name in expand]
        rows = client.rows("/v1/refunds", mapping.payment_param(id_), *params)
        return [fact async for refund in rows for fact in mapping.refund_facts(connection, refund, now)]
    if feed == "disputes":
        return mapping.dispute_facts(connection, await client.get(f"/v1/disputes/{id_}"), now)
    if feed == "payouts":
        payout = await client.get(f"/v1/payouts/{id_}")
        if payout.get("reconciliation_status") == "in_progress":
            return []  # its members are not final: an event tells when they are
        if payout.get("automatic"):
            rows = client.rows("/v1/balance_transactions", ("payout", id_), ("expand[]", "data.source"))
            members = [txn async for txn in rows]
        else:
            members = await _became_available(client, payout)
        return settlement.payout_facts(connection, payout, members, now)
    raise NotFound(f"Stripe has no feed {feed!r}: use one of {', '.join(_FEEDS)}")


async def _became_available(client: Client, payout: mapping.Doc) -> list[mapping.Doc]:
    """What a manual payout consists of, which Stripe does not say; nothing unless it is proven to the cent.

    Who pays out by hand mostly pays out all. So it is what became available since the payout before, of any kind, if
    exactly that sums up to it; if it does not, nobody knows, and one adjustment says so.
    """
    id_, currency, made_at = str(payout["id"]), str(payout.get("currency")), mapping.created(payout)
    earlier, _ = await client.page("/v1/payouts", [], id_)
    since = next((mapping.created(each) for each in earlier if each.get("currency") == currency), 0)
    oldest = max(0, since - int(PENDING_MOST.total_seconds()))
    rows = client.rows(
        "/v1/balance_transactions",
        ("currency", currency),
        ("created[gte]", str(oldest)),
        ("created[lte]", str(made_at)),
        ("expand[]", "data.source"),
    )
    found = [txn async for txn in rows if since < settlement.available(txn) <= made_at and txn.get("type") != "payout"]
    return found if sum(settlement.net(txn) for txn in found) == payout.get("amount") else []


async def pull(client: Client, connection: str, feed: str, cursor: str, now: datetime) -> Page:
    """One page of a walk, as signals: what they point at is fetched fresh."""
    if feed not in _FEEDS:
        raise NotFound(f"Stripe has no feed {feed!r}: use one of {', '.join(_FEEDS)}")
    path, kind, topics = _FEEDS[feed]
    walk = Walk.read(cursor, now)
    since = [("created[gte]", str(walk.since))] if walk.since else []
    if walk.events:
        rows, more = await client.page("/v1/events", [*since, *(("types[]", topic) for topic in topics)], walk.after)
        signals = [webhooks.point(connection, str(row.get("type")), row.get("data")) for row in rows]
    else:
        rows, more = await client.page(path, since, walk.after)
        signals = [Signal(feed, ref, (ref,)) for row in rows for ref in [f"{connection}:{kind}:{row['id']}"]]
    newest = walk.newest or (mapping.created(rows[0]) if rows else walk.since)
    after = rows[-1]["id"] if rows and more else ""
    following = f"{walk.since}:{newest}:{'e' if walk.events else 'o'}:{after}" if after else str(newest or "")
    return Page(tuple(dict.fromkeys(signals)), following, bool(after))


@dataclass(frozen=True, slots=True)
class Walk:
    since: int  # Unix seconds; 0: from the beginning
    newest: int = 0
    events: bool = False
    after: str = ""  # their id of the last row of the page before

    @classmethod
    def read(cls, cursor: str, now: datetime) -> "Walk":
        """A cursor of ours: "" or "<since>" begins a walk, "<since>:<newest>:<e|o>:<after>" goes on with one."""
        parts = cursor.split(":")
        try:
            if len(parts) == 4:
                return cls(int(parts[0]), int(parts[1]), parts[2] == "e", parts[3])
            since = int(cursor or 0)
        except ValueError:
            raise Malformed(f"{cursor!r} is no cursor of this connector: pull from the beginning") from None
        if since and since < (now - EVENTS_KEPT).timestamp():
            return cls(max(1, since - int(LATE_CHANGES.total_seconds())))
        return cls(since, events=bool(since))
