"""Timers: rows with a due time. A decision names the complete set; what it no longer names is taken away."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection

from counterflow.core.returns.case import Timer
from counterflow.store.rows import columns


@dataclass(frozen=True, slots=True)
class Due:
    """A timer to be set: it fires as a fact for its case."""

    timer_id: str
    case_id: str
    shard: int
    name: str
    due_at: datetime


async def open_of(conn: AsyncConnection, case_ids: Sequence[str]) -> dict[str, set[Timer]]:
    """The timers that have not fired, per case."""
    found = await conn.execute(
        "SELECT case_id, timer_id, name, due_at FROM timers WHERE case_id = ANY(%s) AND fired_at IS NULL",
        (list(case_ids),),
        prepare=True,
    )
    result: dict[str, set[Timer]] = {case_id: set() for case_id in case_ids}
    for case_id, timer_id, name, due_at in await found.fetchall():
        result[case_id].add(Timer(timer_id, name, due_at))
    return result


async def replace(conn: AsyncConnection, wanted: Mapping[str, tuple[int, Sequence[Timer]]]) -> None:
    """The complete set per case: {case id: (shard, timers)}. A fired one stays fired, a moved one gets its time."""
    rows = [(t.timer_id, case_id, shard, t.name, t.due_at) for case_id, (shard, ts) in wanted.items() for t in ts]
    await conn.execute(
        "DELETE FROM timers WHERE case_id = ANY(%s) AND fired_at IS NULL AND timer_id <> ALL(%s)",
        (list(wanted), [row[0] for row in rows]),
    )
    if rows:
        await conn.execute(
            "INSERT INTO timers (timer_id, case_id, shard, name, due_at) "
            "SELECT * FROM unnest(%s::text[], %s::text[], %s::smallint[], %s::text[], %s::timestamptz[]) "
            "ON CONFLICT (timer_id) DO UPDATE SET due_at = excluded.due_at "
            "WHERE timers.fired_at IS NULL AND timers.due_at <> excluded.due_at",
            columns(rows),
        )


async def fire(conn: AsyncConnection, now: datetime, limit: int = 500) -> list[Due]:
    """Mark what is due as fired; the caller tells the cases in the same transaction."""
    found = await conn.execute(
        """
        UPDATE timers t SET fired_at = %(now)s FROM (
            SELECT timer_id, c.shard FROM timers JOIN cases c USING (case_id)
            WHERE fired_at IS NULL AND due_at <= %(now)s ORDER BY due_at, timer_id LIMIT %(limit)s
            FOR UPDATE OF timers SKIP LOCKED) due
        WHERE t.timer_id = due.timer_id RETURNING t.timer_id, t.case_id, due.shard, t.name, t.due_at
        """,
        {"now": now, "limit": limit},
        prepare=True,
    )
    return sorted((Due(*row) for row in await found.fetchall()), key=lambda due: (due.due_at, due.timer_id))


async def next_due(conn: AsyncConnection) -> datetime | None:
    """When the next timer is due: where a demo or a simulation may jump to."""
    row = await (await conn.execute("SELECT min(due_at) FROM timers WHERE fired_at IS NULL")).fetchone()
    return row[0] if row else None
