"""Timers that are due become facts of their cases. The decision checks the state first."""

from datetime import datetime

from psycopg import AsyncConnection

from counterflow.core.facts import OURSELVES, Fact, TimerFired
from counterflow.core.ids import fact_id
from counterflow.store import inbox, timers
from counterflow.store.inbox import Incoming
from counterflow.store.shards import wake


async def fire(conn: AsyncConnection, now: datetime) -> set[int]:
    """Tell the cases whose timers are due; their shards. Repeated until nothing is due."""
    shards: set[int] = set()
    while True:
        async with conn.transaction():
            due = await timers.fire(conn, now)
            if not due:
                return shards
            told = [
                Incoming(
                    Fact(
                        fact_id(OURSELVES, "TimerFired", timer.timer_id),
                        OURSELVES,
                        timer.due_at,
                        now,
                        (f"case:{timer.case_id}",),
                        TimerFired(timer.timer_id, timer.name),
                        "ours",
                    ),
                    timer.shard,
                    timer.case_id,
                )
                for timer in due
            ]
            await inbox.add(conn, told)
            await wake(conn, {timer.shard for timer in due})
            shards |= {timer.shard for timer in due}
