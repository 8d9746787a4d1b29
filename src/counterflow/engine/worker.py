"""A worker: shards, connections, timers and feeds in one process. Start more of them on one Postgres to share the work.

Waking is by NOTIFY inside the inserting transaction; a sweep every second finds what a lost notification, a dead
worker or the time has made due. Drains hold the event loop for tens of milliseconds: never inside a web process.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

import psycopg
import structlog
from psycopg import AsyncConnection

from counterflow.core.ids import make_id
from counterflow.core.returns.case import Setting
from counterflow.engine import timers
from counterflow.engine.batch import Decide
from counterflow.engine.cases import CaseDrain, Handler
from counterflow.engine.effects import EffectDrain, recover
from counterflow.engine.feeds import FeedPuller
from counterflow.sdk.connector import Clock, Connector
from counterflow.store import connections, cursors, effects, exceptions, inbox, meta
from counterflow.store.cases import Stale
from counterflow.store.exceptions import Raised
from counterflow.store.pool import Pool, connect, mend
from counterflow.store.rows import array
from counterflow.store.shards import CHANNEL, LOCK_DUTY, LOCK_SHARD, LOCK_WORKER, lock_number

SWEEP_SECONDS = 1.0
SHARDS_AT_ONCE = 16  # one transaction for several shards, and some left for the other drainers and workers
AGAIN_SECONDS = 1.0  # after the database was gone
GRACE_SECONDS = 10.0  # calls under way when the worker is told to stop may end and be recorded

# Something that belongs to no case and no connection: a checkpoint of the log.
Duty = Callable[[AsyncConnection, datetime], Awaitable[None]]

logger = structlog.get_logger(__name__)


@dataclass(slots=True)
class Worker:
    """One worker process. `drainers` is how many shards it drains at once: waiting overlaps, decisions do not."""

    pool: Pool
    url: str
    setting: Setting
    connectors: Mapping[str, Connector]
    clock: Clock
    decide: Decide
    handlers: Mapping[str, Handler] = field(default_factory=dict)
    duties: Sequence[Duty] = ()  # once a sweep, by every worker: they look themselves whether something is due
    drainers: int = 2
    feeds: bool = True
    worker_id: str = field(default_factory=lambda: uuid4().hex)
    cases: CaseDrain = field(init=False)
    pumps: dict[str, EffectDrain] = field(init=False, default_factory=dict)
    pullers: dict[tuple[str, str], FeedPuller] = field(init=False, default_factory=dict)
    pulling: set[tuple[str, str]] = field(init=False, default_factory=set)
    dirty: asyncio.Queue[int] = field(init=False, default_factory=asyncio.Queue)
    queued: set[int] = field(init=False, default_factory=set)
    again: set[int] = field(init=False, default_factory=set)  # woken while they were drained
    sweep_now: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    draining: set[int] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self.cases = CaseDrain(self.decide, self.setting, self.clock, self.handlers)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; a database that goes away is waited for, under a new name."""
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                working = asyncio.create_task(self._work())
                await asyncio.wait({stopping, working}, return_when=asyncio.FIRST_COMPLETED)
                if working.done():
                    _log_end(working)
                    await asyncio.wait({stopping}, timeout=AGAIN_SECONDS)
                    await mend(self.pool)
                    self.worker_id = uuid4().hex  # what the old name was sending is unknown now
                else:
                    for pump in self.pumps.values():
                        pump.grace_seconds = GRACE_SECONDS
                    working.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await working
        finally:
            stopping.cancel()

    async def prepare(self) -> None:
        """Rows for the connections and a pump for each. `run` does it; a test that steps by hand calls it."""
        now = self.clock()
        async with self.pool.connection() as conn:
            await meta.check(conn)
            for name, connector in self.connectors.items():
                await connections.ensure(conn, name, connector.manifest.limits.burst, now)
                for feed in connector.manifest.feeds:
                    await cursors.ensure(conn, name, feed.name, now)
            stranded = await effects.stranded(conn, list(self.connectors))
            await exceptions.put(conn, [missing_exception(name, count, now) for name, count in stranded.items()])
        self.pullers = {
            (name, feed.name): FeedPuller(name, connector, feed, self.pool, self.clock)
            for name, connector in self.connectors.items()
            for feed in connector.manifest.feeds
            if self.feeds
        }
        self.pumps = {
            name: EffectDrain(name, connector, self.pool, self.clock, self.worker_id)
            for name, connector in self.connectors.items()
        }

    async def _work(self) -> None:
        await self.prepare()
        self.dirty = asyncio.Queue()
        self.queued, self.draining, self.again, self.pulling = set(), set(), set(), set()
        async with await connect(self.url) as control, contextlib.AsyncExitStack() as stack:
            await self.sign_in(control)
            drains = [await stack.enter_async_context(await connect(self.url)) for _ in range(self.drainers)]
            sweeps = await stack.enter_async_context(await connect(self.url))
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listen(control))
                group.create_task(self._sweeps(sweeps, group))
                for conn in drains:
                    group.create_task(self._drain_shards(conn))
                for pump in self.pumps.values():
                    group.create_task(pump.run())

    async def sign_in(self, control: AsyncConnection) -> None:
        """Hold the lock by which others know that this worker lives, and listen. Both end with the connection."""
        await control.execute("SELECT pg_advisory_lock(%s, %s)", (LOCK_WORKER, lock_number(self.worker_id)))
        await control.execute(f"LISTEN {CHANNEL}")

    # ---- waking ------------------------------------------------------------------------------------------------------

    async def _listen(self, conn: AsyncConnection) -> None:
        async for note in conn.notifies():
            self.hear(note.payload)
        raise psycopg.OperationalError("the connection that listens has ended")

    def hear(self, payload: str) -> None:
        """A notification: who has work now."""
        kind, _, name = payload.partition(":")
        if kind == "s":
            self._wake_shard(int(name))
        elif kind == "t":
            self.sweep_now.set()
        elif name in self.pumps:
            self.pumps[name].wake.set()

    async def look(self, conn: AsyncConnection) -> list[tuple[str, str]]:
        """One sweep: wake whoever has work, recover what dead workers left; the feeds that are due."""
        for shard in await sweep(conn, self.clock):
            self._wake_shard(shard)
        for name in sorted(await effects.due_connections(conn, list(self.pumps), self.clock())):
            self.pumps[name].wake.set()
        await recover(self.pool, dict(self.connectors), self.worker_id, self.clock())
        for duty in self.duties:
            await duty(conn, self.clock())
        due = await cursors.due(conn, self.clock()) if self.pullers else ()
        return [feed for feed in due if feed in self.pullers and feed not in self.pulling]

    async def _sweeps(self, conn: AsyncConnection, group: asyncio.TaskGroup) -> None:
        while True:
            for feed in await self.look(conn):
                self.pulling.add(feed)
                group.create_task(self._pull(feed))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.sweep_now.wait(), SWEEP_SECONDS)
            self.sweep_now.clear()

    async def _pull(self, feed: tuple[str, str]) -> None:
        try:
            await self.pullers[feed].pull_if_due()
        finally:
            self.pulling.discard(feed)

    def _wake_shard(self, shard: int) -> None:
        if shard in self.draining:  # by a drainer that may be about to end: once more then
            self.again.add(shard)
        elif shard not in self.queued:
            self.queued.add(shard)
            self.dirty.put_nowait(shard)

    # ---- shards ------------------------------------------------------------------------------------------------------

    async def _drain_shards(self, conn: AsyncConnection) -> None:
        while True:
            shards = [await self.dirty.get()]
            while len(shards) < SHARDS_AT_ONCE and not self.dirty.empty():
                shards.append(self.dirty.get_nowait())
            self.queued.difference_update(shards)
            self.draining.update(shards)
            try:
                await drain_shards(conn, self.cases, shards)
            except Stale as error:
                logger.warning("shards.stale", shards=shards, reason=str(error))  # the next sweep tries again
            finally:
                self.draining.difference_update(shards)
            for shard in self.again.intersection(shards):
                self.again.discard(shard)
                self._wake_shard(shard)


async def drain_shards(conn: AsyncConnection, cases: CaseDrain, shards: Sequence[int]) -> int:
    """Drain those of the shards whose locks are free, in common batches. Another worker at one was notified, too."""
    found = await conn.execute(
        "SELECT s FROM unnest(%s::integer[]) s WHERE pg_try_advisory_lock(%s, s)",
        (array(shards), LOCK_SHARD),
        prepare=True,
    )
    held = [row[0] for row in await found.fetchall()]
    if not held:
        return 0
    try:
        return await cases.drain(conn, held)
    finally:
        if not conn.closed:
            await conn.execute(
                "SELECT pg_advisory_unlock(%s, s) FROM unnest(%s::integer[]) s", (LOCK_SHARD, array(held)), prepare=True
            )


async def sweep(conn: AsyncConnection, clock: Clock) -> set[int]:
    """What the time has made due, by one worker at a time; then all shards that have something ready."""
    async with conn.transaction():
        found = await conn.execute("SELECT pg_try_advisory_xact_lock(%s, 0)", (LOCK_DUTY,), prepare=True)
        row = await found.fetchone()
        if row and row[0]:
            await timers.fire(conn, clock())
            await inbox.open_due(conn, clock())
            await inbox.recheck_waiting(conn)
    return await inbox.ready_shards(conn)


def missing_exception(name: str, effects_waiting: int, now: datetime) -> Raised:
    """Effects for a connection that this worker does not know: it was renamed or taken out of the configuration."""
    return Raised(
        make_id("ex", "connection_missing", name),
        "connection_missing",
        "high",
        "operations",
        name,
        now,
        now + timedelta(hours=4),
        f"{effects_waiting} effects are for {name}, which is not configured. Configure it again, or discard them",
    )


def _log_end(working: "asyncio.Task[None]") -> None:
    error = working.exception()
    if error is None:
        return
    fatal = [e for e in _leaves(error) if not isinstance(e, (psycopg.OperationalError, psycopg.InterfaceError))]
    if fatal:
        raise fatal[0]  # ours to mend, not to wait for
    logger.warning("worker.database_lost", reason=str(error))


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]
