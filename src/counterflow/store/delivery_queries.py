"""Deliveries as people look for them: those that could not be read, and those whose topic says nothing to us."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row

from counterflow.store.deliveries import Kept


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A delivery without its body."""

    delivery_id: str
    connection: str
    received_at: datetime
    status: str
    facts: int
    size: int  # bytes
    reason: str


async def page(
    conn: AsyncConnection, *, connection: str = "", status: str = "", limit: int = 100
) -> Sequence[DeliveryRow]:
    """The newest first."""
    async with conn.cursor(row_factory=class_row(DeliveryRow)) as cursor:
        await cursor.execute(
            """
            SELECT delivery_id, connection, received_at, status, facts, octet_length(body) AS size, reason
            FROM deliveries
            WHERE (%(connection)s = '' OR connection = %(connection)s) AND (%(status)s = '' OR status = %(status)s)
            ORDER BY received_at DESC, delivery_id LIMIT %(limit)s
            """,
            {"connection": connection, "status": status, "limit": limit},
        )
        return await cursor.fetchall()


async def get(conn: AsyncConnection, delivery_id: str) -> Kept | None:
    """One delivery with its body and headers."""
    async with conn.cursor(row_factory=class_row(Kept)) as cursor:
        await cursor.execute("SELECT * FROM deliveries WHERE delivery_id = %s", (delivery_id,))
        return await cursor.fetchone()


async def odd(conn: AsyncConnection) -> list[tuple[str, str, int]]:
    """(connection, ignored or malformed, how many): the index has only these."""
    found = await conn.execute(
        "SELECT connection, status, count(*) FROM deliveries WHERE status <> 'translated' GROUP BY 1, 2 ORDER BY 1, 2"
    )
    return [(row[0], row[1], row[2]) for row in await found.fetchall()]
