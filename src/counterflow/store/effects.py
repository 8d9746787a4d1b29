"""Effects: what is to be done outside, from plan to outcome. What an outcome means, the engine says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from counterflow.core.effects import PRIORITY_CLASSES, Effect
from counterflow.store.codec import decode_command, encode_command
from counterflow.store.rows import array, columns
from counterflow.store.shards import LOCK_CONNECTION, LOCK_WORKER, lock_number

RANK = {name: rank for rank, name in enumerate(PRIORITY_CLASSES)}

READS = ("Look", "ReadSale")  # nothing changes outside: a lost answer is asked for again


@dataclass(frozen=True, slots=True)
class Candidate:
    """A due effect that may be claimed."""

    effect_id: str
    kind: str
    scope: str
    priority: int
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class Claimed:
    """An effect with its row's counters, while a worker deals with it."""

    effect: Effect
    status: str
    lease: str
    attempts: int
    looks: int
    first_sent_at: datetime | None
    ref: str = ""
    word: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one attempt or look-up, as the row shall show it. `counted`: the attempt counts."""

    effect_id: str
    lease: str
    act: str  # send | find
    status: str
    not_before: datetime | None
    started_at: datetime
    ended_at: datetime
    attempt: int
    word: str = ""
    message: str = ""
    code: str = ""
    ref: str = ""
    counted: bool = True


async def plan(conn: AsyncConnection, effects: Sequence[Effect]) -> set[str]:
    """Store the intentions; the ids of the new ones. A known id is the same intention and stays as it is."""
    if not effects:
        return set()
    found = await conn.execute(
        """
        INSERT INTO effects (effect_id, owner, connection, kind, priority, scope, command, because, after, not_before,
                             decided_at)
        SELECT id, owner, connection, kind, priority, scope, command, because, after::text[], decided_at, decided_at
        FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::smallint[], %s::text[], %s::text[], %s::text[],
                    %s::text[], %s::timestamptz[])
             AS t (id, owner, connection, kind, priority, scope, command, because, after, decided_at)
        ON CONFLICT DO NOTHING RETURNING effect_id
        """,
        columns(
            [
                (
                    e.effect_id,
                    e.owner,
                    e.connection,
                    e.kind,
                    RANK[e.priority],
                    e.scope,
                    encode_command(e.command),
                    e.because,
                    array(e.after),
                    e.decided_at,
                )
                for e in effects
            ]
        ),
    )
    return {row[0] for row in await found.fetchall()}


async def lock_connection(conn: AsyncConnection, connection: str) -> None:
    """Until the transaction ends nobody else claims for this connection: its slots and scopes can be counted."""
    await conn.execute("SELECT pg_advisory_xact_lock(%s, %s)", (LOCK_CONNECTION, lock_number(connection)), prepare=True)


async def calls_under_way(conn: AsyncConnection, connection: str) -> int:
    found = await conn.execute(
        "SELECT count(DISTINCT lease) FROM effects WHERE connection = %s AND status = 'sending'",
        (connection,),
        prepare=True,
    )
    row = await found.fetchone()
    return int(row[0]) if row else 0


async def candidates(conn: AsyncConnection, connection: str, now: datetime, per_class: int) -> list[Candidate]:
    """Due effects, the oldest `per_class` of each priority class, whose predecessors are done and whose scope is free.

    An unknown outcome keeps its scope busy: until a look-up says what happened, no other writer may assume anything.
    """
    found = await conn.execute(
        """
        SELECT p.* FROM generate_series(0, %(classes)s) class CROSS JOIN LATERAL (
            SELECT e.effect_id, e.kind, e.scope, e.priority, e.decided_at FROM effects e
            WHERE e.connection = %(connection)s AND e.status = 'planned' AND e.priority = class
              AND e.not_before <= %(now)s
              AND (e.after = '{}' OR NOT EXISTS (SELECT 1 FROM effects d WHERE d.effect_id = ANY(e.after)
                                                 AND d.status NOT IN ('done', 'discarded')))
              AND (e.scope = '' OR NOT EXISTS (SELECT 1 FROM effects b WHERE b.scope = e.scope AND b.scope <> ''
                                               AND b.connection = e.connection AND b.status IN ('sending', 'unknown')))
            ORDER BY e.decided_at, e.effect_id LIMIT %(limit)s) p
        """,
        {"classes": len(PRIORITY_CLASSES) - 1, "connection": connection, "now": now, "limit": per_class},
        prepare=True,
    )
    return [Candidate(*row) for row in await found.fetchall()]


async def claim(
    conn: AsyncConnection, lease_by_effect: Sequence[tuple[str, str]], worker: str, now: datetime
) -> dict[str, Claimed]:
    """Mark them as being sent by this worker. Committed before the call, so that a crash leaves a trace."""
    found = await conn.execute(
        f"""
        UPDATE effects e SET status = 'sending', worker = %s, lease = t.lease, attempts = e.attempts + 1,
               first_sent_at = coalesce(e.first_sent_at, %s)
        FROM unnest(%s::text[], %s::text[]) AS t (effect_id, lease)
        WHERE e.effect_id = t.effect_id AND e.status = 'planned'
        RETURNING {_CLAIMED}
        """,
        (worker, now, *columns(lease_by_effect)),
        prepare=True,
    )
    return {row[0]: _claimed(row) for row in await found.fetchall()}


async def claim_to_look(
    conn: AsyncConnection, connection: str, now: datetime, again_at: datetime, limit: int
) -> list[Claimed]:
    """Effects to ask about. They are due again at `again_at` if this worker dies: asking twice does no harm."""
    found = await conn.execute(
        f"""
        UPDATE effects e SET not_before = %s FROM (
            SELECT effect_id FROM effects WHERE connection = %s AND status IN ('unknown', 'accepted')
            AND not_before <= %s ORDER BY not_before, effect_id LIMIT %s FOR UPDATE SKIP LOCKED) due
        WHERE e.effect_id = due.effect_id RETURNING {_CLAIMED}
        """,
        (again_at, connection, now, limit),
        prepare=True,
    )
    return sorted((_claimed(row) for row in await found.fetchall()), key=lambda claimed: claimed.effect.effect_id)


async def record(conn: AsyncConnection, results: Sequence[Result]) -> dict[str, int]:
    """Write outcomes and attempts; {effect id: shard of its case or -1} of those that were still ours to write."""
    found = await conn.execute(
        """
        UPDATE effects e SET status = t.status, not_before = coalesce(t.not_before, e.not_before), word = t.word,
               message = t.message, code = t.code, ref = CASE WHEN t.ref = '' THEN e.ref ELSE t.ref END,
               attempts = e.attempts - t.uncounted,
               first_sent_at = CASE WHEN e.attempts > t.uncounted OR e.kind = 'Look' THEN e.first_sent_at END,
               looks = e.looks + t.looked, worker = '', lease = '',
               done_at = CASE WHEN t.status = 'done' THEN t.ended_at ELSE e.done_at END
        FROM unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::text[], %s::text[], %s::text[],
                    %s::text[], %s::integer[], %s::integer[], %s::timestamptz[])
             AS t (effect_id, lease, status, not_before, word, message, code, ref, uncounted, looked, ended_at)
        WHERE e.effect_id = t.effect_id
          AND (e.status = 'sending' AND e.lease = t.lease OR e.status IN ('unknown', 'accepted'))
        RETURNING e.effect_id, coalesce((SELECT c.shard FROM cases c WHERE c.case_id = e.owner), -1)
        """,
        columns(
            [
                (
                    r.effect_id,
                    r.lease,
                    r.status,
                    r.not_before,
                    r.word,
                    r.message,
                    r.code,
                    r.ref,
                    0 if r.counted else 1,
                    1 if r.act == "find" else 0,
                    r.ended_at,
                )
                for r in results
            ]
        ),
        prepare=True,
    )
    written = {row[0]: int(row[1]) for row in await found.fetchall()}
    await conn.execute(
        "INSERT INTO attempts (effect_id, n, act, started_at, ended_at, outcome, message) "
        "SELECT * FROM unnest(%s::text[], %s::integer[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::text[], "
        "%s::text[])",
        columns([(r.effect_id, r.attempt, r.act, r.started_at, r.ended_at, r.word, r.message) for r in results]),
        prepare=True,
    )
    return written


async def dependents(conn: AsyncConnection, effect_ids: Iterable[str]) -> set[str]:
    """Connections with effects that come after these."""
    found = await conn.execute(
        "SELECT DISTINCT connection FROM effects WHERE status = 'planned' AND after <> '{}' AND after && %s::text[]",
        (list(effect_ids),),
        prepare=True,
    )
    return {row[0] for row in await found.fetchall()}


async def due_connections(conn: AsyncConnection, names: Sequence[str], now: datetime) -> set[str]:
    """Which of these connections have something to send or to ask about."""
    found = await conn.execute(
        """
        SELECT name FROM unnest(%(names)s::text[]) name
        WHERE EXISTS (SELECT 1 FROM effects e
                      WHERE e.connection = name AND e.status = 'planned' AND e.not_before <= %(now)s)
           OR EXISTS (SELECT 1 FROM effects e
                      WHERE e.connection = name AND e.status IN ('unknown', 'accepted') AND e.not_before <= %(now)s)
        """,
        {"names": list(names), "now": now},
        prepare=True,
    )
    return {row[0] for row in await found.fetchall()}


async def stranded(conn: AsyncConnection, known: Sequence[str]) -> dict[str, int]:
    """How many open effects are for connections that are not among the known ones. Each half has its partial index."""
    found = await conn.execute(
        """
        SELECT connection, count(*) FROM (
            SELECT connection FROM effects WHERE status = 'planned'
            UNION ALL SELECT connection FROM effects WHERE status IN ('unknown', 'accepted')) open
        WHERE connection <> ALL(%s) GROUP BY 1
        """,
        (list(known),),
    )
    return {row[0]: int(row[1]) for row in await found.fetchall()}


async def next_due(conn: AsyncConnection) -> datetime | None:
    """When the next waiting effect is due: where a demo or a simulation may jump to."""
    found = await conn.execute("SELECT min(not_before) FROM effects WHERE status IN ('planned', 'unknown', 'accepted')")
    row = await found.fetchone()
    return row[0] if row else None


async def backlog(conn: AsyncConnection, at_most: int) -> dict[str, int]:
    """Planned effects per priority class, in one pass over at most so many."""
    found = await conn.execute(
        "SELECT priority, count(*) FROM (SELECT priority FROM effects WHERE status = 'planned' LIMIT %s) t GROUP BY 1",
        (at_most,),
    )
    counts: dict[int, int] = dict(await found.fetchall())
    return {name: int(counts.get(rank, 0)) for rank, name in enumerate(PRIORITY_CLASSES)}


# ---- workers that died -----------------------------------------------------------------------------------------------


async def sending_workers(conn: AsyncConnection) -> set[str]:
    found = await conn.execute("SELECT DISTINCT worker FROM effects WHERE status = 'sending'")
    return {row[0] for row in await found.fetchall()}


async def is_dead(conn: AsyncConnection, worker: str) -> bool:
    """Its lock is free: Postgres frees it with the worker's connection. Holds it till the commit."""
    found = await conn.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", (LOCK_WORKER, lock_number(worker)))
    row = await found.fetchone()
    return bool(row and row[0])


async def sent_by(conn: AsyncConnection, worker: str) -> list[Claimed]:
    """What it was sending when it died, locked."""
    found = await conn.execute(
        f"SELECT {_CLAIMED} FROM effects e WHERE e.status = 'sending' AND e.worker = %s "
        "ORDER BY e.effect_id FOR UPDATE",
        (worker,),
    )
    return [_claimed(row) for row in await found.fetchall()]


# ---- rows ------------------------------------------------------------------------------------------------------------

_CLAIMED = (
    "e.effect_id, e.owner, e.connection, e.kind, e.command, e.decided_at, e.scope, e.because, e.after, e.status, "
    "e.lease, e.attempts, e.looks, e.first_sent_at, e.ref, e.word"
)

_Row = tuple[Any, ...]


def _claimed(row: _Row) -> Claimed:
    effect_id, owner, connection, kind, command, decided_at, scope, because, after, *rest = row
    effect = Effect(
        effect_id, owner, connection, decode_command(kind, command), decided_at, scope, because, tuple(after)
    )
    return Claimed(effect, *rest)


async def get(conn: AsyncConnection, effect_id: str) -> Claimed | None:
    """One effect, locked for a change by a person."""
    found = await conn.execute(f"SELECT {_CLAIMED} FROM effects e WHERE e.effect_id = %s FOR UPDATE", (effect_id,))
    row = await found.fetchone()
    return _claimed(row) if row else None


async def set_by_person(conn: AsyncConnection, effect_id: str, status: str, message: str, now: datetime) -> int:
    """Write what a person decided, starting the count of attempts anew; a number that is new for each such act.

    Who takes up what was parked or refused has looked that it did not happen: it counts as not sent yet.
    """
    found = await conn.execute(
        """
        UPDATE effects SET status = %s, message = %s, attempts = 0, not_before = %s, looks = looks + 1,
               first_sent_at = CASE WHEN status NOT IN ('parked', 'rejected') OR kind = 'Look' THEN first_sent_at END
        WHERE effect_id = %s RETURNING looks
        """,
        (status, message, now, effect_id),
    )
    row = await found.fetchone()
    return int(row[0]) if row else 0


async def shard_of_owner(conn: AsyncConnection, owner: str) -> int:
    found = await conn.execute("SELECT shard FROM cases WHERE case_id = %s", (owner,))
    row = await found.fetchone()
    return int(row[0]) if row else -1


async def page(
    conn: AsyncConnection, *, owner: str = "", connection: str = "", status: str = "", limit: int = 100
) -> list[dict[str, Any]]:
    """Effects with their rows' state, the oldest first."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """
            SELECT * FROM effects
            WHERE (%(owner)s = '' OR owner = %(owner)s) AND (%(status)s = '' OR status = %(status)s)
              AND (%(connection)s = '' OR connection = %(connection)s)
            ORDER BY decided_at, effect_id LIMIT %(limit)s
            """,
            {"owner": owner, "connection": connection, "status": status, "limit": limit},
        )
        return await cursor.fetchall()
