"""Figures for the metrics page. Each costs what is open, never what is done."""

from datetime import datetime

from psycopg import AsyncConnection

from counterflow.store.shards import LOCK_SHARD, LOCK_WORKER


async def inbox(conn: AsyncConnection) -> dict[str, tuple[int, datetime | None]]:
    """{status: (how many, seen_at of the oldest)} of the facts that no case has taken."""
    found = await conn.execute(
        "SELECT status, count(*), min(seen_at) FROM inbox WHERE status = 'ready' GROUP BY status UNION ALL "
        "SELECT status, count(*), min(seen_at) FROM inbox WHERE status = 'waiting' GROUP BY status UNION ALL "
        "SELECT status, count(*), min(seen_at) FROM inbox WHERE status = 'parked' GROUP BY status"
    )
    rows = {row[0]: (row[1], row[2]) for row in await found.fetchall()}
    return {status: rows.get(status, (0, None)) for status in ("ready", "waiting", "parked")}


async def effects(conn: AsyncConnection) -> list[tuple[str, str, int]]:
    """(connection, status, how many) of the effects that are not finished."""
    found = await conn.execute(
        "SELECT connection, status, count(*) FROM effects WHERE status IN ('planned', 'sending', 'unknown', "
        "'accepted', 'parked') GROUP BY connection, status ORDER BY 1, 2"
    )
    return [(row[0], row[1], row[2]) for row in await found.fetchall()]


async def exceptions(conn: AsyncConnection) -> list[tuple[str, str, int, int]]:
    """(kind, currency, how many, impact in minor units) of the open exceptions."""
    found = await conn.execute(
        "SELECT kind, currency, count(*), coalesce(sum(impact_minor), 0)::bigint FROM exceptions WHERE status = 'open' "
        "GROUP BY kind, currency ORDER BY 1, 2"
    )
    return [(row[0], row[1], row[2], row[3]) for row in await found.fetchall()]


async def written(conn: AsyncConnection) -> dict[str, int]:
    """Rows ever written, by Postgres's own count since its statistics began: deliveries, facts, decisions, attempts."""
    found = await conn.execute(
        "SELECT relname, n_tup_ins FROM pg_stat_user_tables WHERE relname IN ('deliveries', 'inbox', 'log', 'attempts')"
    )
    return dict(await found.fetchall())


async def at_work(conn: AsyncConnection) -> tuple[int, int]:
    """(workers alive, shards being drained now), from the advisory locks that they hold."""
    found = await conn.execute(
        "SELECT count(*) FILTER (WHERE classid = %s), count(*) FILTER (WHERE classid = %s) FROM pg_locks "
        "WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        (LOCK_WORKER, LOCK_SHARD),
    )
    row = await found.fetchone()
    return (row[0], row[1]) if row else (0, 0)


async def rejected(conn: AsyncConnection) -> list[tuple[str, str, int]]:
    """(connection, reason, how many) of deliveries that nobody vouched for."""
    found = await conn.execute(
        "SELECT connection, reason, sum(count)::bigint FROM rejected_deliveries GROUP BY 1, 2 ORDER BY 1, 2"
    )
    return [(row[0], row[1], row[2]) for row in await found.fetchall()]
