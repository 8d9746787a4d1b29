"""Cases as people look for them: lists with filters, and the case that any identifier means.

`channels` everywhere: the connections whose sales may be seen, "" for cases without a sale; None sees all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row, dict_row

from counterflow.core.ids import email_ref

_KINDS = (
    *("order", "return", "payment", "refund", "fulfillment", "parcel", "receipt", "document", "customer"),
    *("dispute", "payout"),
)
_EVERYWHERE = ("order", "rma", "serial", "sku", "tracking", "document", "leg", "effect", "case")


@dataclass(frozen=True, slots=True)
class CaseRow:
    """One line of a list of cases."""

    case_id: str
    kind: str
    status: str
    attention: bool
    channel: str  # the connection of the sale; empty for a blind return
    order_number: str
    rma_number: str
    currency: str
    entitled_minor: int
    paid_minor: int
    opened_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    closed_at: datetime | None


_ROW = """
    case_id, kind, status, attention, split_part(sale_ref, ':', 1) AS channel,
    coalesce(view->>'order_number', '') AS order_number, coalesce(view->>'rma_number', '') AS rma_number,
    coalesce(view->>'currency', '') AS currency, coalesce((view->>'entitled_minor')::bigint, 0) AS entitled_minor,
    coalesce((view->>'paid_minor')::bigint, 0) AS paid_minor, opened_at, updated_at, resolved_at, closed_at
"""
_SEEN = "(%(channels)s::text[] IS NULL OR split_part(sale_ref, ':', 1) = ANY(%(channels)s))"


async def page(
    conn: AsyncConnection,
    *,
    channels: Sequence[str] | None = None,
    status: str = "",
    kind: str = "",
    attention: bool | None = None,
    channel: str = "",
    opened_since: datetime | None = None,
    after: tuple[datetime, str] | None = None,
    limit: int = 50,
) -> list[CaseRow]:
    """Cases, last changed first. `after` is (updated_at, case_id) of the last row of the page before."""
    async with conn.cursor(row_factory=class_row(CaseRow)) as cursor:
        await cursor.execute(
            f"""
            SELECT {_ROW} FROM cases
            WHERE {_SEEN} AND (%(status)s = '' OR status = %(status)s) AND (%(kind)s = '' OR kind = %(kind)s)
              AND (%(attention)s::boolean IS NULL OR attention = %(attention)s)
              AND (%(channel)s = '' OR split_part(sale_ref, ':', 1) = %(channel)s)
              AND (%(since)s::timestamptz IS NULL OR opened_at >= %(since)s)
              AND (%(at)s::timestamptz IS NULL OR (updated_at, case_id) < (%(at)s, %(id)s))
            ORDER BY updated_at DESC, case_id DESC LIMIT %(limit)s
            """,
            {
                "channels": None if channels is None else list(channels),
                "status": status,
                "kind": kind,
                "attention": attention,
                "channel": channel,
                "since": opened_since,
                "at": after[0] if after else None,
                "id": after[1] if after else "",
                "limit": limit,
            },
        )
        return await cursor.fetchall()


async def get(conn: AsyncConnection, case_id: str, channels: Sequence[str] | None = None) -> dict[str, Any] | None:
    """One case with its view; None where there is none, or none that may be seen."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            f"SELECT * FROM cases WHERE case_id = %(id)s AND {_SEEN}",
            {"id": case_id, "channels": None if channels is None else list(channels)},
        )
        return await cursor.fetchone()


async def find(
    conn: AsyncConnection,
    query: str,
    connections: Sequence[str],
    *,
    channels: Sequence[str] | None = None,
    limit: int = 50,
) -> list[CaseRow]:
    """The cases that any identifier means: order, RMA, e-mail, SKU, serial, tracking, payment, document, case."""
    async with conn.cursor(row_factory=class_row(CaseRow)) as cursor:
        await cursor.execute(
            f"""
            WITH hit AS (SELECT target, kind FROM xref WHERE ref = ANY(%(refs)s))
            SELECT {_ROW} FROM cases
            WHERE {_SEEN} AND (case_id IN (SELECT target FROM hit WHERE kind = 'case') OR case_id = %(query)s
                               OR sale_ref <> '' AND sale_ref IN (SELECT target FROM hit WHERE kind = 'sale'))
            ORDER BY updated_at DESC, case_id DESC LIMIT %(limit)s
            """,
            {
                "refs": forms(query, connections),
                "query": query.strip(),
                "channels": None if channels is None else list(channels),
                "limit": limit,
            },
        )
        return await cursor.fetchall()


def forms(query: str, connections: Sequence[str]) -> list[str]:
    """Every reference that somebody who types this may mean."""
    text = query.strip()
    spellings = {text, text.upper(), text.lower(), text.lstrip("#"), f"#{text.lstrip('#')}"}
    refs = set(spellings)
    for each in spellings:
        refs |= {f"{kind}:{each}" for kind in _EVERYWHERE}
        refs |= {f"{name}:{kind}:{each}" for name in connections for kind in _KINDS}
    if "@" in text:
        refs.add(email_ref(text))
    return sorted(refs)


async def sales_of(conn: AsyncConnection, order_number: str) -> list[str]:
    """The sales that people know by this number."""
    found = await conn.execute(
        "SELECT target FROM xref WHERE ref = ANY(%s) AND kind = 'sale' ORDER BY target",
        ([f"order:{order_number}", f"order:#{order_number.lstrip('#')}"],),
    )
    return [row[0] for row in await found.fetchall()]


async def legs(
    conn: AsyncConnection,
    *,
    channels: Sequence[str] | None = None,
    states: Sequence[str] = (),
    case_id: str = "",
    after: tuple[datetime, str] | None = None,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """Refund legs, of the cases last changed first: each {case_id, currency, updated_at, leg}.

    Without `case_id` only cases that are not closed are looked at: they hold every leg that still moves. A page holds
    whole cases, so it may be longer than `limit`.
    """
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            f"""
            SELECT c.case_id, c.view->>'currency' AS currency, c.updated_at, leg FROM (
                SELECT case_id, view, updated_at FROM cases
                WHERE {_SEEN} AND (%(case)s = '' AND closed_at IS NULL OR case_id = %(case)s)
                  AND (%(at)s::timestamptz IS NULL OR (updated_at, case_id) < (%(at)s, %(id)s))
                  AND EXISTS (SELECT 1 FROM jsonb_array_elements(view->'legs') l
                              WHERE %(states)s::text[] = '{{}}' OR l->>'state' = ANY(%(states)s))
                ORDER BY updated_at DESC, case_id DESC LIMIT %(limit)s) c,
                jsonb_array_elements(c.view->'legs') leg
            WHERE %(states)s::text[] = '{{}}' OR leg->>'state' = ANY(%(states)s)
            ORDER BY c.updated_at DESC, c.case_id DESC, leg->>'leg_id'
            """,
            {
                "channels": None if channels is None else list(channels),
                "states": list(states),
                "case": case_id,
                "at": after[0] if after else None,
                "id": after[1] if after else "",
                "limit": limit,
            },
        )
        return await cursor.fetchall()
