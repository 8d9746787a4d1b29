"""The log: append-only rows of a case in a hash chain. The database refuses UPDATE, DELETE and TRUNCATE."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from psycopg import AsyncConnection
from psycopg.rows import class_row

from counterflow.store.rows import array, columns

GENESIS = bytes(32)  # the hash before the first row

_COLUMNS = "case_id, seq, body, prev_hash, hash, recorded_at"  # not `tx`, which is for checkpoints alone


@dataclass(frozen=True, slots=True)
class LogRow:
    """`body` is the canonical JSON of {case, seq, recorded_at, fact, effects, changes, hits, because, status}."""

    case_id: str
    seq: int
    body: str
    prev_hash: bytes
    hash: bytes
    recorded_at: datetime


def chain(prev_hash: bytes, body: str) -> bytes:
    """A row's hash: over the one before and its own body."""
    return sha256(prev_hash + body.encode()).digest()


async def append(conn: AsyncConnection, rows: Sequence[LogRow]) -> None:
    """Add rows; the database refuses to change them later."""
    await conn.execute(
        "INSERT INTO log (case_id, seq, body, prev_hash, hash, recorded_at) "
        "SELECT * FROM unnest(%s::text[], %s::integer[], %s::text[], %s::bytea[], %s::bytea[], %s::timestamptz[])",
        columns([(r.case_id, r.seq, r.body, r.prev_hash, r.hash, r.recorded_at) for r in rows]),
    )


async def bodies(conn: AsyncConnection, case_ids: Sequence[str]) -> dict[str, list[str]]:
    """The log of each named case, in order."""
    found = await conn.execute(
        "SELECT case_id, body FROM log WHERE case_id = ANY(%s::text[]) ORDER BY case_id, seq",
        (array(case_ids),),
        prepare=True,
    )
    result: dict[str, list[str]] = {case_id: [] for case_id in case_ids}
    for case_id, body in await found.fetchall():
        result[case_id].append(body)
    return result


async def rows(conn: AsyncConnection, case_ids: Sequence[str]) -> dict[str, list[LogRow]]:
    """The whole rows of each named case, in order."""
    result: dict[str, list[LogRow]] = {case_id: [] for case_id in case_ids}
    async with conn.cursor(row_factory=class_row(LogRow)) as cursor:
        await cursor.execute(
            f"SELECT {_COLUMNS} FROM log WHERE case_id = ANY(%s) ORDER BY case_id, seq", (list(case_ids),)
        )
        async for row in cursor:
            result[row.case_id].append(row)
    return result


async def of_case(conn: AsyncConnection, case_id: str) -> list[LogRow]:
    """The rows of a case, the first one first."""
    async with conn.cursor(row_factory=class_row(LogRow)) as cursor:
        await cursor.execute(f"SELECT {_COLUMNS} FROM log WHERE case_id = %s ORDER BY seq", (case_id,))
        return await cursor.fetchall()


async def heads(conn: AsyncConnection) -> AsyncIterator[tuple[str, int, bytes]]:
    """(case id, last seq, last hash) of every case, by case id; what a checkpoint signs."""
    async with conn.transaction(), conn.cursor(name="heads") as cursor:
        await cursor.execute(
            'SELECT DISTINCT ON (case_id) case_id, seq, hash FROM log ORDER BY case_id COLLATE "C", seq DESC'
        )
        async for case_id, seq, digest in cursor:
            yield case_id, seq, bytes(digest)


async def cases_since(conn: AsyncConnection, since: datetime | None) -> list[str]:
    """Cases with something recorded at or after `since` (None: all)."""
    found = await conn.execute(
        "SELECT DISTINCT case_id FROM log WHERE %(since)s::timestamptz IS NULL OR recorded_at >= %(since)s ORDER BY 1",
        {"since": since},
    )
    return [row[0] for row in await found.fetchall()]
