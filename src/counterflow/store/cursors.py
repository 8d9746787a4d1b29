"""How far each feed was read. Cursors of the last while are kept, since rows may appear late behind the newest one."""

from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row

# A stopped connection is not asked for anything: its feeds are due again when somebody resumes it.
_GOES = "NOT EXISTS (SELECT FROM connections WHERE name = {} AND circuit = 'stopped')"


async def take_due(conn: AsyncConnection, connection: str, feed: str, now: datetime, held_until: datetime) -> bool:
    """True for exactly one worker when the feed is due; until `held_until` no other one may pull."""
    found = await conn.execute(
        "INSERT INTO pulls AS p (connection, feed, due_at) SELECT %(c)s, %(f)s, %(hold)s "
        f"WHERE {_GOES.format('%(c)s')} "
        "ON CONFLICT (connection, feed) DO UPDATE SET due_at = excluded.due_at WHERE p.due_at <= %(now)s RETURNING 1",
        {"c": connection, "f": feed, "now": now, "hold": held_until},
    )
    return await found.fetchone() is not None


async def ensure(conn: AsyncConnection, connection: str, feed: str, now: datetime) -> None:
    """The feed is due at once unless it is known."""
    await conn.execute(
        "INSERT INTO pulls (connection, feed, due_at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        (connection, feed, now),
    )


async def due(conn: AsyncConnection, now: datetime) -> list[tuple[str, str]]:
    """(connection, feed) of all that should be pulled."""
    found = await conn.execute(
        f"SELECT connection, feed FROM pulls WHERE due_at <= %s AND {_GOES.format('connection')} "
        "ORDER BY due_at, connection, feed",
        (now,),
        prepare=True,
    )
    return [(row[0], row[1]) for row in await found.fetchall()]


@dataclass(frozen=True, slots=True)
class Pull:
    """A feed, when a cursor of it was last kept, and what its last pull failed with."""

    connection: str
    feed: str
    pulled_at: datetime | None
    message: str


async def make_due(conn: AsyncConnection, connection: str, feed: str, now: datetime) -> list[Pull]:
    """Make the feeds of a connection ("": of all), or one of them, due now; those that it concerns.

    One that is being pulled is pulled once more after that: its pages may be older than what is looked for.
    """
    async with conn.cursor(row_factory=class_row(Pull)) as cursor:
        await cursor.execute(
            """
            UPDATE pulls p SET due_at = least(p.due_at, %(now)s)
            WHERE (%(connection)s = '' OR connection = %(connection)s) AND (%(feed)s = '' OR feed = %(feed)s)
            RETURNING connection, feed, message, (
                SELECT max(pulled_at) FROM cursors c WHERE c.connection = p.connection AND c.feed = p.feed) AS pulled_at
            """,
            {"connection": connection, "feed": feed, "now": now},
        )
        return sorted(await cursor.fetchall(), key=lambda pull: (pull.connection, pull.feed))


async def ended(
    conn: AsyncConnection, connection: str, feed: str, due_at: datetime, message: str, *, held_until: datetime
) -> None:
    """A pull is over, the next one is due then; at once if somebody has made the feed due meanwhile."""
    await conn.execute(
        "UPDATE pulls SET due_at = CASE WHEN due_at < %s THEN due_at ELSE %s END, message = %s "
        "WHERE connection = %s AND feed = %s",
        (held_until, due_at, message, connection, feed),
    )


async def behind(conn: AsyncConnection, connection: str, feed: str, at_latest: datetime) -> str:
    """The newest cursor that was kept at or before `at_latest`; "" (the beginning) while there is none as old as that.

    A row that appears late lies behind the cursors of its own time: only an older one finds it.
    """
    found = await conn.execute(
        "SELECT cursor FROM cursors WHERE connection = %s AND feed = %s AND pulled_at <= %s "
        "ORDER BY pulled_at DESC LIMIT 1",
        (connection, feed, at_latest),
    )
    row = await found.fetchone()
    return row[0] if row else ""


async def keep(
    conn: AsyncConnection, connection: str, feed: str, cursor: str, pulled_at: datetime, *, forget_before: datetime
) -> None:
    """Keep this cursor, and forget those that no overlap reaches back to (always keeping one before the horizon)."""
    await conn.execute(
        "INSERT INTO cursors (connection, feed, cursor, pulled_at) VALUES (%s, %s, %s, %s) "
        "ON CONFLICT (connection, feed, pulled_at) DO UPDATE SET cursor = excluded.cursor",
        (connection, feed, cursor, pulled_at),
    )
    await conn.execute(
        "DELETE FROM cursors WHERE connection = %(c)s AND feed = %(f)s AND pulled_at < (SELECT max(pulled_at) "
        "FROM cursors WHERE connection = %(c)s AND feed = %(f)s AND pulled_at <= %(t)s)",
        {"c": connection, "f": feed, "t": forget_before},
    )
