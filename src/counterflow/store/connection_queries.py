"""How each connection is doing: its circuit, and what waits for it."""

from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class Standing:
    """A connection's row with its backlog. `oldest_at` is when the oldest effect that waits was decided."""

    name: str
    circuit: str
    failures: int
    paused_until: datetime | None
    reason: str
    tokens: float
    refilled_at: datetime
    planned: int
    sending: int
    unknown: int
    accepted: int
    parked: int
    oldest_at: datetime | None


async def standing(conn: AsyncConnection) -> list[Standing]:
    """Every connection with its circuit and what waits for it."""
    async with conn.cursor(row_factory=class_row(Standing)) as cursor:
        await cursor.execute(
            """
            SELECT c.name, c.circuit, c.failures, c.paused_until, c.reason, c.tokens, c.refilled_at,
                   coalesce(e.planned, 0) AS planned, coalesce(e.sending, 0) AS sending,
                   coalesce(e.unknown, 0) AS unknown, coalesce(e.accepted, 0) AS accepted,
                   coalesce(e.parked, 0) AS parked, e.oldest_at
            FROM connections c LEFT JOIN (
                SELECT connection, count(*) FILTER (WHERE status = 'planned') AS planned,
                       count(*) FILTER (WHERE status = 'sending') AS sending,
                       count(*) FILTER (WHERE status = 'unknown') AS unknown,
                       count(*) FILTER (WHERE status = 'accepted') AS accepted,
                       count(*) FILTER (WHERE status = 'parked') AS parked,
                       min(decided_at) FILTER (WHERE status IN ('planned', 'sending', 'unknown')) AS oldest_at
                FROM effects WHERE status IN ('planned', 'sending', 'unknown', 'accepted', 'parked') GROUP BY connection
            ) e ON e.connection = c.name
            ORDER BY c.name
            """
        )
        return await cursor.fetchall()
