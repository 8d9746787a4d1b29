"""Time in the simulated world: it runs with real time, and jumps whenever everything waits for later.

Nothing is waited for that does not have to be: when no fact, effect or webhook is due and every story waits, the
clock goes to the next instant at which something happens (a webhook, a timer, a payout at midnight).
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx2

from counterflow.sandbox.estate import SYSTEMS
from counterflow.sdk.simulator import Clock
from counterflow.store.pool import Pool
from counterflow.store.shards import wake_sweep

LOOK_SECONDS = 0.05
MOST = timedelta(days=60)  # a story that needs longer is stuck

_BUSY = """
SELECT EXISTS (SELECT 1 FROM inbox WHERE status = 'ready')
    OR EXISTS (SELECT 1 FROM effects
               WHERE status = 'sending' OR (status IN ('planned', 'unknown') AND not_before <= %(now)s))
"""
_NEXT = """
SELECT least(
    (SELECT min(due_at) FROM timers WHERE fired_at IS NULL),
    (SELECT min(not_before) FROM effects WHERE status IN ('planned', 'unknown', 'accepted') AND not_before > %(now)s),
    (SELECT min(opens_at) FROM inbox WHERE status = 'waiting' AND opens_at > %(now)s)
)
"""


@dataclass(slots=True)
class Conductor:
    """`playing` and `waiting` count the stories; when all that play wait and the world is idle, the clock jumps."""

    clock: Clock
    pool: Pool
    outside: httpx2.AsyncClient
    playing: int = 0
    waiting: int = 0
    started: datetime = field(init=False)
    jumps: int = 0

    def __post_init__(self) -> None:
        self.started = self.clock.now()

    async def conduct(self) -> None:
        """Run beside the stories; cancelled when they have ended."""
        quiet = 0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            idle = self.playing > 0 and self.waiting == self.playing and await self._idle()
            quiet = quiet + 1 if idle else 0
            if quiet >= 2:  # twice in a row: what a webhook has just started is seen
                quiet = 0
                await self._jump()

    async def _idle(self) -> bool:
        async with self.pool.connection() as conn:
            found = await conn.execute(_BUSY, {"now": self.clock.now()})
            row = await found.fetchone()
        if row is None or row[0]:
            return False
        due = await self._outside_due()
        return due is None or due > self.clock.now()

    async def _outside_due(self) -> datetime | None:
        """The next instant at which something happens in any simulator."""
        answers = await asyncio.gather(*(self.outside.get(f"/{name}/_sim/next_due") for name in SYSTEMS))
        dues = [answer.json()["next_due"] for answer in answers]
        return min((datetime.fromisoformat(due) for due in dues if due), default=None)

    async def _jump(self) -> None:
        now = self.clock.now()
        async with self.pool.connection() as conn:
            found = await conn.execute(_NEXT, {"now": now})
            row = await found.fetchone()
            ours = row[0] if row else None
            dues = [due for due in (ours, await self._outside_due()) if due is not None]
            if not dues or min(dues) - self.started > MOST:
                return
            self.clock.advance(max(0.0, (min(dues) - now).total_seconds()) + 0.001)
            self.jumps += 1
            await wake_sweep(conn)
