"""Time in the simulated world: it runs with real time, and jumps whenever everything waits for later.

Nothing is waited for that does not have to be: when no fact, effect or webhook is due and every story waits, the
clock goes to the next instant at which something happens (a webhook, a timer, a payout at midnight).
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx2
import psycopg

from counterflow.sandbox.estate import SYSTEMS
from counterflow.sdk.simulator import Clock
from counterflow.store.pool import Pool
from counterflow.store.shards import wake_sweep

LOOK_SECONDS = 0.02
# What is due within so much of the next instant happens with it: fewer jumps, and every message still comes late.
AT_ONCE_SECONDS = 2.0
MOST = timedelta(days=60)  # a story that needs longer is stuck

# Whether anything is under way, and a number that changes with every case. What is due and cannot go out (its
# connection pauses, another effect comes first) waits for the time like everything else.
_BUSY = """
SELECT EXISTS (SELECT 1 FROM inbox WHERE status = 'ready')
    OR EXISTS (SELECT 1 FROM effects WHERE status = 'sending')
    OR EXISTS (
        SELECT 1 FROM effects e JOIN connections c ON c.name = e.connection
        WHERE e.not_before <= %(now)s AND c.circuit <> 'stopped' AND coalesce(c.paused_until <= %(now)s, true)
          AND (e.status IN ('unknown', 'accepted')
               OR e.status = 'planned'
                  AND NOT EXISTS (SELECT 1 FROM effects d
                                  WHERE d.effect_id = ANY(e.after) AND d.status NOT IN ('done', 'discarded'))
                  AND NOT EXISTS (SELECT 1 FROM effects b WHERE b.scope = e.scope AND b.scope <> ''
                                  AND b.connection = e.connection AND b.status = 'unknown'))),
    (SELECT coalesce(sum(version), 0) FROM cases)
"""
_NEXT = """
SELECT least(
    (SELECT min(due_at) FROM timers WHERE fired_at IS NULL),
    (SELECT min(not_before) FROM effects WHERE status IN ('planned', 'unknown', 'accepted') AND not_before > %(now)s),
    (SELECT min(c.paused_until) FROM connections c
     WHERE c.paused_until > %(now)s AND EXISTS (SELECT 1 FROM effects e WHERE e.connection = c.name
                                                AND e.status IN ('planned', 'unknown', 'accepted'))),
    (SELECT min(opens_at) FROM inbox WHERE status = 'waiting' AND opens_at > %(now)s)
)
"""


@dataclass(slots=True)
class Conductor:
    """`playing` and `waiting` count the stories; when all that play wait and the world is idle, the clock jumps.

    `news` is set, and a new one put in its place, whenever a case has changed.
    """

    clock: Clock
    pool: Pool
    outside: httpx2.AsyncClient
    playing: int = 0
    waiting: int = 0
    started: datetime = field(init=False)
    news: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    jumps: int = 0
    _stamp: int = -1

    def __post_init__(self) -> None:
        self.started = self.clock.now()

    async def conduct(self) -> None:
        """Run beside the stories; cancelled when they have ended. While something is being started again, time runs."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                # Idle before and after the outside was asked: what a webhook or a call has just started is seen.
                if await self._idle():
                    due = await self._outside_due()
                    if (due is None or due > self.clock.now()) and await self._idle():
                        await self._jump(due)
            except (psycopg.OperationalError, httpx2.HTTPError):
                continue

    async def _idle(self) -> bool:
        """Nothing is due, every story waits, and no case has changed since the last time."""
        async with self.pool.connection() as conn:
            found = await conn.execute(_BUSY, {"now": self.clock.now()})
            busy, stamp = await found.fetchone() or (True, self._stamp)
        if stamp != self._stamp:
            self._stamp, news = stamp, self.news
            self.news = asyncio.Event()
            news.set()
            return False
        return not busy and 0 < self.playing == self.waiting

    async def _outside_due(self) -> datetime | None:
        """The next instant at which something happens in any simulator."""
        answers = await asyncio.gather(*(self.outside.get(f"/{name}/_sim/next_due") for name in SYSTEMS))
        dues = [answer.raise_for_status().json()["next_due"] for answer in answers]
        return min((datetime.fromisoformat(due) for due in dues if due), default=None)

    async def _jump(self, outside_due: datetime | None) -> None:
        now = self.clock.now()
        async with self.pool.connection() as conn:
            found = await conn.execute(_NEXT, {"now": now})
            row = await found.fetchone()
            ours = row[0] if row else None
            dues = [due for due in (ours, outside_due) if due is not None]
            if not dues or min(dues) - self.started > MOST:
                return
            self.clock.advance(max(0.0, (min(dues) - now).total_seconds()) + AT_ONCE_SECONDS)
            self.jumps += 1
            await wake_sweep(conn)
