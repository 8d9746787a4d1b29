"""Exceptions: what needs a person. Those of a case follow its view; the others are raised by the engine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from counterflow.store.rows import columns


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception as it is stored; `impact_minor` is in the currency of its case."""

    exception_id: str
    kind: str
    severity: str
    owner: str
    subject: str
    raised_at: datetime
    due_at: datetime
    message: str
    case_id: str = ""
    impact_minor: int = 0
    currency: str = ""


async def put(conn: AsyncConnection, raised: Sequence[Raised]) -> None:
    """Raise them; one that is open already gets the new words, one that had ended is open again."""
    rows = {r.exception_id: r for r in raised}
    if not rows:
        return
    await conn.execute(
        """
        INSERT INTO exceptions AS e (exception_id, kind, severity, owner, subject, raised_at, due_at, message, case_id,
                                     impact_minor, currency)
        SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[],
                             %s::timestamptz[], %s::text[], %s::text[], %s::bigint[], %s::text[])
        ON CONFLICT (exception_id) DO UPDATE SET severity = excluded.severity, due_at = excluded.due_at,
            message = excluded.message, impact_minor = excluded.impact_minor, status = 'open', resolution = '',
            ended_at = NULL
        WHERE (e.status, e.message, e.impact_minor, e.severity, e.due_at)
              IS DISTINCT FROM ('open', excluded.message, excluded.impact_minor, excluded.severity, excluded.due_at)
        """,
        columns(
            [
                (
                    r.exception_id,
                    r.kind,
                    r.severity,
                    r.owner,
                    r.subject,
                    r.raised_at,
                    r.due_at,
                    r.message,
                    r.case_id,
                    r.impact_minor,
                    r.currency,
                )
                for r in rows.values()
            ]
        ),
    )


async def end(conn: AsyncConnection, resolutions: Mapping[str, str], now: datetime) -> None:
    """{exception id: how it was resolved, or empty when it went away by itself}."""
    if resolutions:
        await conn.execute(
            "UPDATE exceptions e SET status = CASE WHEN t.how = '' THEN 'withdrawn' ELSE 'resolved' END, "
            "resolution = t.how, ended_at = %s FROM unnest(%s::text[], %s::text[]) AS t (id, how) "
            "WHERE e.exception_id = t.id AND e.status = 'open'",
            (now, list(resolutions), list(resolutions.values())),
        )


async def page(
    conn: AsyncConnection, *, status: str = "open", kind: str = "", owner: str = "", case_id: str = "", limit: int = 100
) -> list[dict[str, Any]]:
    """Exceptions, the most urgent first."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            SELECT * FROM exceptions
            WHERE (%(status)s = '' OR status = %(status)s) AND (%(kind)s = '' OR kind = %(kind)s)
              AND (%(owner)s = '' OR owner = %(owner)s) AND (%(case_id)s = '' OR case_id = %(case_id)s)
            ORDER BY due_at, exception_id LIMIT %(limit)s
            """,
            {"status": status, "kind": kind, "owner": owner, "case_id": case_id, "limit": limit},
        )
        return await cursor.fetchall()


async def get(conn: AsyncConnection, exception_id: str) -> dict[str, Any] | None:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT * FROM exceptions WHERE exception_id = %s", (exception_id,))
        return await cursor.fetchone()
