"""Exceptions as people work through them, and approvals, which are exceptions that ask for a second person."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

# Engine exceptions belong to no sale: "" among the channels shows them.
_SEEN = (
    "(%(channels)s::text[] IS NULL OR e.case_id = '' AND '' = ANY(%(channels)s) OR e.case_id <> '' AND EXISTS "
    "(SELECT 1 FROM cases c WHERE c.case_id = e.case_id AND split_part(c.sale_ref, ':', 1) = ANY(%(channels)s)))"
)


async def page(
    conn: AsyncConnection,
    *,
    channels: Sequence[str] | None = None,
    status: str = "open",
    kind: str = "",
    owner: str = "",
    case_id: str = "",
    awake_at: datetime | None = None,
    after: tuple[datetime, str] | None = None,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """The most urgent first. With `awake_at`, those parked until later are left out."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            f"""
            SELECT * FROM exceptions e
            WHERE {_SEEN} AND (%(status)s = '' OR status = %(status)s) AND (%(kind)s = '' OR kind = %(kind)s)
              AND (%(owner)s = '' OR owner = %(owner)s) AND (%(case)s = '' OR case_id = %(case)s)
              AND (%(awake)s::timestamptz IS NULL OR parked_until IS NULL OR parked_until <= %(awake)s)
              AND (%(at)s::timestamptz IS NULL OR (due_at, exception_id) > (%(at)s, %(id)s))
            ORDER BY due_at, exception_id LIMIT %(limit)s
            """,
            {
                "channels": None if channels is None else list(channels),
                "status": status,
                "kind": kind,
                "owner": owner,
                "case": case_id,
                "awake": awake_at,
                "at": after[0] if after else None,
                "id": after[1] if after else "",
                "limit": limit,
            },
        )
        return await cursor.fetchall()


async def get(conn: AsyncConnection, exception_id: str, channels: Sequence[str] | None = None) -> dict[str, Any] | None:
    """One exception; None where there is none, or none that may be seen."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            f"SELECT * FROM exceptions e WHERE exception_id = %(id)s AND {_SEEN}",
            {"id": exception_id, "channels": None if channels is None else list(channels)},
        )
        return await cursor.fetchone()


async def approvals(
    conn: AsyncConnection,
    *,
    channels: Sequence[str] | None = None,
    intent_id: str = "",
    after: tuple[datetime, str] | None = None,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """Open intents that wait for approval, the most urgent first, each with the intent as the case sees it."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            f"""
            SELECT e.exception_id, e.case_id, e.raised_at, e.due_at, e.message, c.view->>'currency' AS currency,
                   c.view->>'order_number' AS order_number, intent
            FROM exceptions e JOIN cases c USING (case_id), jsonb_array_elements(c.view->'intents') intent
            WHERE e.status = 'open' AND e.kind = 'approval_needed' AND intent->>'intent_id' = e.subject AND {_SEEN}
              AND (%(intent)s = '' OR e.subject = %(intent)s)
              AND (%(at)s::timestamptz IS NULL OR (e.due_at, e.exception_id) > (%(at)s, %(id)s))
            ORDER BY e.due_at, e.exception_id LIMIT %(limit)s
            """,
            {
                "channels": None if channels is None else list(channels),
                "intent": intent_id,
                "at": after[0] if after else None,
                "id": after[1] if after else "",
                "limit": limit,
            },
        )
        return await cursor.fetchall()


async def park(conn: AsyncConnection, exception_id: str, until: datetime, how: str) -> bool:
    """Out of sight until then; it stays open. Whether it was open."""
    found = await conn.execute(
        "UPDATE exceptions SET parked_until = %s, resolution = %s WHERE exception_id = %s AND status = 'open'",
        (until, how, exception_id),
    )
    return found.rowcount > 0
