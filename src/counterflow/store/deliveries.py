"""Raw deliveries as they arrived, each once; and counts with a few samples of those that nobody vouched for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from counterflow.store.codec import encode
from counterflow.store.rows import columns

SAMPLES = 3
SAMPLE_BYTES = 2000


@dataclass(frozen=True, slots=True)
class Kept:
    """A delivery as it came, with what was made of it."""

    delivery_id: str
    connection: str
    delivery_key: str
    headers: dict[str, tuple[str, ...]]
    body: bytes
    received_at: datetime
    status: str  # translated | ignored | malformed
    facts: int
    reason: str = ""


async def keep(conn: AsyncConnection, deliveries: Sequence[Kept]) -> set[str]:
    """Store them raw; the ids of the new ones. A repeat of a connection's delivery key is not new."""
    found = await conn.execute(
        """
        INSERT INTO deliveries
            (delivery_id, connection, delivery_key, headers, body, received_at, status, facts, reason)
        SELECT id, connection, key, headers::jsonb, body, received_at, status, facts, reason
        FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::bytea[], %s::timestamptz[], %s::text[],
                    %s::integer[], %s::text[])
             AS t (id, connection, key, headers, body, received_at, status, facts, reason)
        ON CONFLICT (connection, delivery_key) DO NOTHING RETURNING delivery_id
        """,
        columns(
            [
                (
                    d.delivery_id,
                    d.connection,
                    d.delivery_key,
                    encode(d.headers),
                    d.body,
                    d.received_at,
                    d.status,
                    d.facts,
                    d.reason,
                )
                for d in deliveries
            ]
        ),
    )
    return {row[0] for row in await found.fetchall()}


async def known(conn: AsyncConnection, connection: str, delivery_key: str) -> tuple[str, str, int] | None:
    """(delivery id, status, facts) of the first one with this key."""
    found = await conn.execute(
        "SELECT delivery_id, status, facts FROM deliveries WHERE connection = %s AND delivery_key = %s",
        (connection, delivery_key),
    )
    row = await found.fetchone()
    return (row[0], row[1], row[2]) if row else None


async def get(conn: AsyncConnection, delivery_id: str) -> Kept | None:
    """One delivery, locked."""
    async with conn.cursor(row_factory=class_row(Kept)) as cursor:
        await cursor.execute("SELECT * FROM deliveries WHERE delivery_id = %s FOR UPDATE", (delivery_id,))
        kept = await cursor.fetchone()
    if kept is None:
        return None
    return replace(kept, headers={name: tuple(values) for name, values in kept.headers.items()})


async def set_status(conn: AsyncConnection, delivery_id: str, status: str, facts: int, reason: str) -> None:
    """What a later translation made of it."""
    await conn.execute(
        "UPDATE deliveries SET status = %s, facts = %s, reason = %s WHERE delivery_id = %s",
        (status, facts, reason, delivery_id),
    )


async def reject(conn: AsyncConnection, connection: str, reason: str, sample: dict[str, str], at: datetime) -> None:
    """Count a delivery that was refused; the first few of a day and reason are kept, cut short."""
    await conn.execute(
        """
        INSERT INTO rejected_deliveries AS r (connection, day, reason, count, last_at, samples)
        VALUES (%(c)s, %(day)s, %(reason)s, 1, %(at)s, %(sample)s)
        ON CONFLICT (connection, day, reason) DO UPDATE SET count = r.count + 1, last_at = excluded.last_at,
            samples = CASE WHEN jsonb_array_length(r.samples) < %(most)s THEN r.samples || excluded.samples
                           ELSE r.samples END
        """,
        {
            "c": connection,
            "day": at.date(),
            "reason": reason,
            "at": at,
            "sample": Jsonb([{name: value[:SAMPLE_BYTES] for name, value in sample.items()}]),
            "most": SAMPLES,
        },
    )
