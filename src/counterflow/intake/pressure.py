"""Back-pressure: how full the tables are, read once a second, so that intake says "later" before anything is lost."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from counterflow.store import effects, inbox
from counterflow.store.pool import Pool

REFRESH_SECONDS = 1.0
COST_MOST = 20  # counting takes at most a twentieth of the time, however much waits


class Busy(Exception):
    """Too much is waiting: nothing of this delivery was kept, it has to come again after `retry_after` seconds."""

    def __init__(self, what: str, retry_after: int) -> None:
        super().__init__(f"{what}: try again in {retry_after} s")
        self.what, self.retry_after = what, retry_after


# Seconds to stay away when this is full: the longer, the slower it empties.
RETRY_AFTER = {"inbox": 5, "customer": 5, "money": 10, "stock": 15, "books": 30, "background": 60}


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may wait: facts, and effects per priority class."""

    inbox: int = 50_000
    customer: int = 50_000
    money: int = 50_000
    stock: int = 100_000
    books: int = 100_000
    background: int = 500_000


@dataclass(slots=True)
class Pressure:
    """Whether more can be taken, read from the tables now and then."""

    pool: Pool
    bounds: Bounds = Bounds()
    full: dict[str, int] = field(default_factory=dict)  # what is full -> how much waits there
    read_at: float = float("-inf")
    pause: float = REFRESH_SECONDS
    seconds: Callable[[], float] = time.monotonic

    async def check(self) -> None:
        """Raise Busy when a bound is reached. Reads at most once a second, and counts no further than the bound."""
        if self.seconds() - self.read_at >= self.pause:
            self.read_at = started = self.seconds()
            await self.refresh()
            self.pause = max(REFRESH_SECONDS, COST_MOST * (self.seconds() - started))
        if self.full:
            what = max(self.full, key=lambda name: RETRY_AFTER[name])
            raise Busy(f"{self.full[what]} wait in {what}", RETRY_AFTER[what])

    async def refresh(self) -> None:
        """Count what waits."""
        bounds = asdict(self.bounds)
        async with self.pool.connection() as conn:
            waiting = {"inbox": await inbox.backlog(conn, self.bounds.inbox)}
            waiting |= await effects.backlog(conn, sum(bounds.values()))
        self.full = {name: count for name, count in waiting.items() if count >= bounds[name]}
