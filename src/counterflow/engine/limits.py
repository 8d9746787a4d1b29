"""The rate limit of a connection, shared by all workers: one row, one short statement per call (sdk.http.Limiter)."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from counterflow.sdk.connector import Clock
from counterflow.sdk.manifest import Limits
from counterflow.sdk.outcomes import RateLimited
from counterflow.store import connections
from counterflow.store.pool import Pool


@dataclass(frozen=True, slots=True)
class Bucket:
    """Takes tokens on credit and waits until they are there: first come, first served, without a queue in memory."""

    pool: Pool
    name: str
    limits: Limits
    clock: Clock
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def acquire(self, cost: float = 1.0) -> None:
        """Wait for `cost` tokens; raises RateLimited when that would take longer than a call may take."""
        async with self.pool.connection() as conn:
            wait = await connections.spend(
                conn, self.name, cost, self.limits.per_second, self.limits.burst, self.clock()
            )
            if wait > self.limits.timeout_seconds:
                await connections.give_back(conn, self.name, cost)
        if wait > self.limits.timeout_seconds:
            raise RateLimited(f"{self.name} is busy for {wait:.1f} s", retry_after=wait)
        if wait > 0:
            await self.sleep(wait)

    async def pause(self, seconds: float) -> None:
        """Nobody of this connection calls for so long: the other side said so."""
        async with self.pool.connection() as conn:
            await connections.pause(conn, self.name, self.clock() + timedelta(seconds=seconds))
