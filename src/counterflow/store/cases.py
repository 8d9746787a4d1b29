"""The case rows: where a case lives, its version, and the read model that people see."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row, dict_row

from counterflow.store.rows import array, columns


@dataclass(frozen=True, slots=True)
class CaseRow:
    """What the drain needs of a case beside its log."""

    case_id: str
    shard: int
    version: int
    sale_ref: str
    root_sale: str
    claims: str
    states: str
    exceptions: tuple[str, ...]
    head_hash: bytes


@dataclass(frozen=True, slots=True)
class CaseWrite:
    """One case after a batch. `before` is the version it was read at, 0 for one that is opened."""

    case_id: str
    before: int
    version: int
    shard: int
    kind: str
    status: str
    attention: bool
    sale_ref: str
    root_sale: str
    view: str
    claims: str
    states: str
    exceptions: tuple[str, ...]
    head_hash: bytes
    opened_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    closed_at: datetime | None


class Stale(Exception):
    """Another transaction has written one of these cases (first argument): read again, decide again."""


async def load(
    conn: AsyncConnection, case_ids: Sequence[str], sales: Sequence[str] = (), roots: Sequence[str] = ()
) -> list[CaseRow]:
    """The named cases, those over the named sales, and all over the named root sales."""
    found = await conn.execute(
        """
        SELECT case_id, shard, version, sale_ref, root_sale, claims, states, exceptions, head_hash FROM cases
        WHERE case_id = ANY(%(ids)s::text[])
        UNION SELECT case_id, shard, version, sale_ref, root_sale, claims, states, exceptions, head_hash FROM cases
        WHERE sale_ref = ANY(%(sales)s::text[]) AND sale_ref <> ''
        UNION SELECT case_id, shard, version, sale_ref, root_sale, claims, states, exceptions, head_hash FROM cases
        WHERE root_sale IN (SELECT root_sale FROM cases WHERE case_id = ANY(%(ids)s::text[])
                            UNION SELECT unnest(%(roots)s::text[]))
          AND root_sale <> ''
        ORDER BY case_id
        """,
        {"ids": array(case_ids), "sales": array(sales), "roots": array(roots)},
        prepare=True,
    )
    return [
        CaseRow(case_id, shard, version, sale_ref, root, claims, states, tuple(open_), digest)
        for case_id, shard, version, sale_ref, root, claims, states, open_, digest in await found.fetchall()
    ]


async def insert(conn: AsyncConnection, writes: Sequence[CaseWrite]) -> int:
    """Open cases; how many were new."""
    found = await conn.execute(
        f"INSERT INTO cases ({_NAMES}, shard) SELECT {_VALUES}, shard FROM {_UNNEST} ON CONFLICT DO NOTHING",
        columns([_row(write) for write in writes]),
    )
    return found.rowcount


async def update(conn: AsyncConnection, writes: Sequence[CaseWrite]) -> int:
    """Write cases whose version is still what it was; how many were. The caller compares (version guard)."""
    found = await conn.execute(
        f"UPDATE cases c SET ({_NAMES}, shard) = ROW({_VALUES}, t.shard) FROM {_UNNEST} "
        "WHERE c.case_id = t.case_id AND c.version = t.before",
        columns([_row(write) for write in writes]),
    )
    return found.rowcount


# column, type as it travels, cast
_COLUMNS = (
    ("case_id", "text", ""),
    ("version", "integer", ""),
    ("kind", "text", ""),
    ("status", "text", ""),
    ("attention", "boolean", ""),
    ("sale_ref", "text", ""),
    ("root_sale", "text", ""),
    ("view", "text", "::jsonb"),
    ("claims", "text", ""),
    ("states", "text", ""),
    ("exceptions", "text", "::text[]"),
    ("head_hash", "bytea", ""),
    ("opened_at", "timestamptz", ""),
    ("updated_at", "timestamptz", ""),
    ("resolved_at", "timestamptz", ""),
    ("closed_at", "timestamptz", ""),
)
_NAMES = ", ".join(name for name, _, _ in _COLUMNS)
_VALUES = ", ".join(f"t.{name}{cast}" for name, _, cast in _COLUMNS)
_UNNEST = (
    "unnest(%s::integer[], %s::smallint[], "
    + ", ".join(f"%s::{kind}[]" for _, kind, _ in _COLUMNS)
    + ") AS t (before, shard, "
    + _NAMES
    + ")"
)


def _row(write: CaseWrite) -> tuple[Any, ...]:
    values = [getattr(write, name) for name, _, _ in _COLUMNS]
    values[10] = array(write.exceptions)
    return (write.before, write.shard, *values)


# ---- reading for people ----------------------------------------------------------------------------------------------


async def get(conn: AsyncConnection, case_id: str) -> dict[str, Any] | None:
    """One case with its view, or None."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT * FROM cases WHERE case_id = %s", (case_id,))
        return await cursor.fetchone()


@dataclass(frozen=True, slots=True)
class CaseSummary:
    """What a list needs of a case."""

    case_id: str
    kind: str
    status: str
    attention: bool
    sale_ref: str
    version: int
    opened_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    closed_at: datetime | None


async def page(
    conn: AsyncConnection, *, status: str = "", attention: bool | None = None, before: str = "", limit: int = 50
) -> list[CaseSummary]:
    """Cases, last changed first; `before` is the case id that ended the last page."""
    async with conn.cursor(row_factory=class_row(CaseSummary)) as cursor:
        await cursor.execute(
            """
            SELECT case_id, kind, status, attention, sale_ref, version, opened_at, updated_at, resolved_at, closed_at
            FROM cases
            WHERE (%(status)s = '' OR status = %(status)s)
              AND (%(attention)s::boolean IS NULL OR attention = %(attention)s)
              AND (%(before)s = '' OR (updated_at, case_id) < (SELECT updated_at, case_id FROM cases
                                                              WHERE case_id = %(before)s))
            ORDER BY updated_at DESC, case_id DESC LIMIT %(limit)s
            """,
            {"status": status, "attention": attention, "before": before, "limit": limit},
        )
        return await cursor.fetchall()
