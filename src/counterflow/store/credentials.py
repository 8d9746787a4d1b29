"""Credentials that we renewed: one row per connection whose credential ends. Values come here sealed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg import AsyncConnection
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class Stored:
    """A renewed credential. It counts as long as the configured value is the one that it `replaces`."""

    connection: str
    field: str
    replaces: str  # digest of that configured value
    sealed: bytes
    retiring: bytes | None
    made_at: datetime
    ends_at: datetime


_COLUMNS = "connection, field, replaces, sealed, retiring, made_at, ends_at"


async def take_due(conn: AsyncConnection, connection: str, now: datetime, hold_seconds: float) -> bool:
    """True for exactly one worker when it is time to look; it then has `hold_seconds` before another one may."""
    found = await conn.execute(
        "INSERT INTO credentials AS c (connection, due_at) VALUES (%(c)s, %(hold)s) "
        "ON CONFLICT (connection) DO UPDATE SET due_at = excluded.due_at WHERE c.due_at <= %(now)s RETURNING 1",
        {"c": connection, "now": now, "hold": now + timedelta(seconds=hold_seconds)},
    )
    return await found.fetchone() is not None


async def set_due(conn: AsyncConnection, connection: str, due_at: datetime) -> None:
    """Look again then."""
    await conn.execute("UPDATE credentials SET due_at = %s WHERE connection = %s", (due_at, connection))


async def stored(conn: AsyncConnection) -> Mapping[str, Stored]:
    """All renewed ones, by connection."""
    async with conn.cursor(row_factory=class_row(Stored)) as cursor:
        await cursor.execute(f"SELECT {_COLUMNS} FROM credentials WHERE sealed IS NOT NULL", prepare=True)
        return {row.connection: row for row in await cursor.fetchall()}


async def keep(conn: AsyncConnection, row: Stored) -> None:
    """Use this one from now on; what was in use is retiring."""
    await conn.execute(
        "UPDATE credentials SET field = %s, replaces = %s, sealed = %s, retiring = %s, made_at = %s, ends_at = %s "
        "WHERE connection = %s",
        (row.field, row.replaces, row.sealed, row.retiring, row.made_at, row.ends_at, row.connection),
    )


async def retired(conn: AsyncConnection, connection: str) -> None:
    """The one before is revoked."""
    await conn.execute("UPDATE credentials SET retiring = NULL WHERE connection = %s", (connection,))


async def forget(conn: AsyncConnection, connection: str) -> None:
    """None of ours is in use any more."""
    await conn.execute(
        "UPDATE credentials SET field = '', replaces = '', sealed = NULL, retiring = NULL, made_at = NULL, "
        "ends_at = NULL WHERE connection = %s",
        (connection,),
    )
