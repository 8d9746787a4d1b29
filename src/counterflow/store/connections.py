"""One row per connection, shared by all workers: circuit, pause, and the token bucket of its rate limit."""

from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class ConnectionRow:
    """What all workers share of a connection."""

    name: str
    circuit: str  # closed | open | stopped
    failures: int
    opened_at: datetime | None
    paused_until: datetime | None
    reason: str
    tokens: float
    refilled_at: datetime


async def ensure(conn: AsyncConnection, name: str, burst: float, now: datetime) -> None:
    """Make its row, with a full bucket."""
    await conn.execute(
        "INSERT INTO connections (name, tokens, refilled_at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        (name, burst, now),
    )


async def page(conn: AsyncConnection) -> list[ConnectionRow]:
    """All of them, by name."""
    async with conn.cursor(row_factory=class_row(ConnectionRow)) as cursor:
        await cursor.execute("SELECT * FROM connections ORDER BY name")
        return await cursor.fetchall()


async def get(conn: AsyncConnection, name: str) -> ConnectionRow | None:
    """One, or None."""
    async with conn.cursor(row_factory=class_row(ConnectionRow)) as cursor:
        await cursor.execute("SELECT * FROM connections WHERE name = %s", (name,), prepare=True)
        return await cursor.fetchone()


async def spend(conn: AsyncConnection, name: str, cost: float, rate: float, burst: float, now: datetime) -> float:
    """Take `cost` tokens, on credit if need be; seconds to wait until they are really there (0 = go)."""
    found = await conn.execute(
        """
        UPDATE connections SET refilled_at = greatest(refilled_at, %(now)s), tokens = least(%(burst)s, tokens +
            %(rate)s * greatest(0, extract(epoch FROM %(now)s - refilled_at)::float8)) - %(cost)s
        WHERE name = %(name)s
        RETURNING tokens, greatest(0, extract(epoch FROM paused_until - %(now)s)::float8)
        """,
        {"name": name, "cost": cost, "rate": rate, "burst": burst, "now": now},
        prepare=True,
    )
    row = await found.fetchone()
    if row is None:
        return 0.0
    tokens, pause = row
    return max(0.0 if tokens >= 0 else -tokens / rate, pause or 0.0)


async def give_back(conn: AsyncConnection, name: str, cost: float) -> None:
    """Tokens that were not needed."""
    await conn.execute("UPDATE connections SET tokens = tokens + %s WHERE name = %s", (cost, name))


async def pause(conn: AsyncConnection, name: str, until: datetime) -> None:
    """Hold all calls back until then; an earlier end does not shorten a pause."""
    await conn.execute(
        "UPDATE connections SET paused_until = greatest(paused_until, %s) WHERE name = %s", (until, name)
    )


async def set_circuit(
    conn: AsyncConnection,
    name: str,
    circuit: str,
    *,
    failures: int = 0,
    opened_at: datetime | None = None,
    paused_until: datetime | None = None,
    reason: str = "",
) -> None:
    """Open, close or stop it."""
    await conn.execute(
        "UPDATE connections SET circuit = %s, failures = %s, opened_at = %s, paused_until = %s, reason = %s "
        "WHERE name = %s",
        (circuit, failures, opened_at, paused_until, reason, name),
    )
