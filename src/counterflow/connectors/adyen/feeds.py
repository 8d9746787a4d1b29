"""Reading: the settlement batches, one report after the other. They tell payouts, and refunds that no webhook told.

A cursor is the number of the next batch. Reports of a merchant account are numbered without gaps, so the first one that
is not there yet is the end of a walk.
"""

from collections.abc import Sequence
from datetime import datetime

from counterflow.connectors.adyen.client import Client
from counterflow.connectors.adyen.manifest import MANIFEST
from counterflow.connectors.adyen.settlement import batch_facts, name_of
from counterflow.core.facts import Fact
from counterflow.sdk.connector import Page
from counterflow.sdk.outcomes import Malformed, NotFound


async def fetch(client: Client, connection: str, feed: str, ref: str, now: datetime) -> Sequence[Fact]:
    """One batch, `<connection>:batch:<number>`: Adyen shows neither a refund nor a payout by its reference."""
    _known(feed)
    kind, _, number = ref.rpartition(":")
    if not (kind.endswith("batch") and number.isascii() and number.isdigit()):
        raise NotFound(f"{ref!r} cannot be read from Adyen: its webhooks and the settlement report tell of it")
    return await _read(client, connection, int(number), now)


async def pull(client: Client, connection: str, feed: str, cursor: str, now: datetime, first: int, most: int) -> Page:
    """Up to `most` batches from the cursor on. Raises Malformed if one is missing and a later one is there."""
    _known(feed)
    if cursor and not (cursor.isascii() and cursor.isdigit()):
        raise Malformed(f"{cursor!r} is no cursor of this connector: pull from the beginning")
    start = int(cursor or first)
    facts: list[Fact] = []
    for batch in range(start, start + most):
        try:
            facts += await _read(client, connection, batch, now)
        except NotFound:
            if await _is_there(client, batch + 1):
                raise Malformed(
                    f"{name_of(batch)} is missing and the next one is there: generate it again in the Customer Area, "
                    "or set first_batch behind it"
                ) from None
            return Page(tuple(facts), str(batch), False)
    return Page(tuple(facts), str(start + most), True)


async def _read(client: Client, connection: str, batch: int, now: datetime) -> list[Fact]:
    return batch_facts(connection, batch, await client.report(name_of(batch)), now)


async def _is_there(client: Client, batch: int) -> bool:
    try:
        await client.report(name_of(batch))
    except NotFound:
        return False
    return True


def _known(feed: str) -> None:
    if MANIFEST.feed(feed) is None:
        names = ", ".join(each.name for each in MANIFEST.feeds)
        raise NotFound(f"Adyen has no feed {feed!r}: use one of {names}")
