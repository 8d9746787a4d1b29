"""The inbox: facts that no case has taken yet. Added by intake, outcomes and timers; drained by shard."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from counterflow.core.facts import OPENS_AFTER_SECONDS, Fact
from counterflow.store.codec import encode_fact
from counterflow.store.rows import array, columns
from counterflow.store.shards import SHARDS

UNMATCHED_SECONDS = 86_400  # so long a fact may wait for its case before a person is told


@dataclass(frozen=True, slots=True)
class Incoming:
    """A fact with where it goes. `case_id` is known for our own facts; else the drain finds it by the references."""

    fact: Fact
    shard: int
    case_id: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row as the drain reads it."""

    fact_id: str
    case_id: str
    fact: str
    opens_at: datetime | None


async def add(conn: AsyncConnection, incoming: Sequence[Incoming]) -> set[str]:
    """Store them; the ids of those that are new. A known id is the same fact again and changes nothing."""
    if not incoming:
        return set()
    rows = [
        (
            item.fact.fact_id,
            item.shard,
            item.fact.kind,
            item.case_id or None,
            encode_fact(item.fact),
            array(item.fact.refs),
            item.fact.seen_at,
            opens_at(item.fact),
            item.fact.delivery_id,
        )
        for item in incoming
    ]
    found = await conn.execute(
        """
        INSERT INTO inbox (fact_id, shard, kind, case_id, status, fact, refs, seen_at, opens_at, delivery_id)
        SELECT fact_id, shard, kind, case_id, 'ready', fact, refs::text[], seen_at, opens_at, delivery_id
        FROM unnest(%s::text[], %s::smallint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[],
                    %s::timestamptz[], %s::text[])
             AS t (fact_id, shard, kind, case_id, fact, refs, seen_at, opens_at, delivery_id)
        ON CONFLICT (fact_id) DO NOTHING RETURNING fact_id
        """,
        columns(rows),
    )
    return {row[0] for row in await found.fetchall()}


def opens_at(fact: Fact) -> datetime:
    """When the fact opens a case of its own; for kinds that never do, when a person is told that it waits."""
    return fact.seen_at + timedelta(seconds=OPENS_AFTER_SECONDS.get(fact.kind, UNMATCHED_SECONDS))


async def claim(conn: AsyncConnection, shards: Sequence[int], limit: int) -> list[Waiting]:
    """The next ready facts of these shards, each shard's oldest insertion first; the first shards fill the limit first.

    The caller holds the locks of the shards, so no row is locked.
    """
    found = await conn.execute(
        """
        SELECT f.* FROM unnest(%(shards)s::smallint[]) s CROSS JOIN LATERAL (
            SELECT fact_id, case_id, fact, opens_at FROM inbox
            WHERE shard = s AND status = 'ready' ORDER BY position LIMIT %(limit)s) f
        LIMIT %(limit)s
        """,
        {"shards": array(shards), "limit": limit},
        prepare=True,
    )
    return [Waiting(fact_id, case or "", fact, opens) for fact_id, case, fact, opens in await found.fetchall()]


async def done(conn: AsyncConnection, fact_ids: Sequence[str]) -> None:
    """The log has them now; the id stays, so that a repeat is known."""
    await conn.execute(
        "UPDATE inbox SET status = 'done', fact = '', reason = '' WHERE fact_id = ANY(%s::text[])", (array(fact_ids),)
    )


async def wait(conn: AsyncConnection, fact_ids: Sequence[str]) -> None:
    """Nobody knows their references yet: they wait for a case, or for the time when they open one."""
    await conn.execute("UPDATE inbox SET status = 'waiting' WHERE fact_id = ANY(%s::text[])", (array(fact_ids),))


async def stay(conn: AsyncConnection, fact_ids: Sequence[str]) -> None:
    """They wait on, without a time: a person was told."""
    await conn.execute(
        "UPDATE inbox SET status = 'waiting', opens_at = NULL WHERE fact_id = ANY(%s::text[])", (array(fact_ids),)
    )


async def move(conn: AsyncConnection, shard_by_fact: Sequence[tuple[str, int]]) -> None:
    """Their case lives in another shard."""
    await conn.execute(
        "UPDATE inbox SET shard = t.shard FROM unnest(%s::text[], %s::smallint[]) AS t (fact_id, shard) "
        "WHERE inbox.fact_id = t.fact_id",
        columns(shard_by_fact),
    )


async def park(conn: AsyncConnection, reasons: Sequence[tuple[str, str]]) -> None:
    """They stop with a reason until a person says what to do."""
    await conn.execute(
        "UPDATE inbox SET status = 'parked', reason = t.reason FROM unnest(%s::text[], %s::text[]) "
        "AS t (fact_id, reason) WHERE inbox.fact_id = t.fact_id",
        columns(reasons),
    )


async def wake_waiting(conn: AsyncConnection, refs: Iterable[str]) -> set[int]:
    """Facts that waited for one of these references are ready; their shards, where the drain finds the case anew."""
    found = await conn.execute(
        "UPDATE inbox SET status = 'ready', rechecks = 0 WHERE status = 'waiting' AND refs && %s::text[] "
        "RETURNING shard",
        (array(refs),),
        prepare=True,
    )
    return {row[0] for row in await found.fetchall()}


async def recheck_waiting(conn: AsyncConnection) -> set[int]:
    """Wake facts whose reference became known while they went to wait (neither transaction saw the other).

    Each waiting fact is looked at three times, by sweeps a second apart: longer than such a transaction lasts.
    Returns the shards with something ready.
    """
    found = await conn.execute(
        """
        WITH young AS (
            SELECT fact_id, refs FROM inbox WHERE status = 'waiting' AND rechecks < 3 LIMIT 1000 FOR UPDATE SKIP LOCKED
        ), known AS (
            SELECT DISTINCT ON (y.fact_id) y.fact_id, c.shard FROM young y
            JOIN xref x ON x.ref = ANY(y.refs) AND x.kind = 'case' JOIN cases c ON c.case_id = x.target
        )
        UPDATE inbox i SET rechecks = i.rechecks + 1,
               status = CASE WHEN k.fact_id IS NULL THEN 'waiting' ELSE 'ready' END, shard = coalesce(k.shard, i.shard)
        FROM young y LEFT JOIN known k USING (fact_id) WHERE i.fact_id = y.fact_id
        RETURNING CASE WHEN k.fact_id IS NULL THEN -1 ELSE i.shard END
        """
    )
    return {row[0] for row in await found.fetchall()} - {-1}


async def open_due(conn: AsyncConnection, now: datetime) -> set[int]:
    """Facts that have waited long enough for a case are ready to open their own. Returns their shards."""
    found = await conn.execute(
        "UPDATE inbox SET status = 'ready' WHERE fact_id IN (SELECT fact_id FROM inbox WHERE status = 'waiting' AND "
        "opens_at <= %s ORDER BY opens_at LIMIT 1000 FOR UPDATE SKIP LOCKED) RETURNING shard",
        (now,),
    )
    return {row[0] for row in await found.fetchall()}


async def ready_shards(conn: AsyncConnection) -> set[int]:
    """Which shards have work: one index probe per shard, whatever the backlog."""
    found = await conn.execute(
        "SELECT s FROM generate_series(0, %s) s WHERE EXISTS "
        "(SELECT 1 FROM inbox WHERE status = 'ready' AND shard = s::smallint)",
        (SHARDS - 1,),
        prepare=True,
    )
    return {row[0] for row in await found.fetchall()}


async def state(conn: AsyncConnection, fact_id: str) -> tuple[str, int]:
    """(status, shard) of a fact, locked. Raises KeyError."""
    found = await conn.execute("SELECT status, shard FROM inbox WHERE fact_id = %s FOR UPDATE", (fact_id,))
    row = await found.fetchone()
    if row is None:
        raise KeyError(fact_id)
    return row[0], row[1]


async def set_status(conn: AsyncConnection, fact_id: str, status: str, reason: str) -> None:
    """Park it, give it free or discard it, with the reason."""
    await conn.execute("UPDATE inbox SET status = %s, reason = %s WHERE fact_id = %s", (status, reason, fact_id))


async def page(conn: AsyncConnection, status: str, limit: int = 100) -> list[dict[str, Any]]:
    """Facts in this status, the oldest first, with what they say and why they stopped."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT fact_id, kind, case_id, status, fact, refs, seen_at, opens_at, reason, delivery_id FROM inbox "
            "WHERE status = %s ORDER BY seen_at, fact_id LIMIT %s",
            (status, limit),
        )
        return await cursor.fetchall()


async def backlog(conn: AsyncConnection, at_most: int) -> int:
    """How many facts are ready or waiting, counted up to `at_most`: the count never costs more than the bound."""
    found = await conn.execute(
        """
        SELECT (SELECT count(*) FROM (SELECT 1 FROM inbox WHERE status = 'ready' LIMIT %(most)s) r)
             + (SELECT count(*) FROM (SELECT 1 FROM inbox WHERE status = 'waiting' LIMIT %(most)s) w)
        """,
        {"most": at_most},
    )
    row = await found.fetchone()
    return int(row[0]) if row else 0
