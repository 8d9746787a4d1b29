"""Sweeps: feeds are pulled page by page, so that what webhooks lost is found, and late rows behind the cursor too."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from counterflow.core.ids import make_id
from counterflow.engine.effects import auth_exception, unreadable, where_raw
from counterflow.intake.accept import accept, look, split
from counterflow.sdk.connector import Clock, Connector
from counterflow.sdk.http import hearing
from counterflow.sdk.manifest import Feed
from counterflow.sdk.outcomes import ConnectorError, MissingRight, legible
from counterflow.sdk.reading import DRIFT
from counterflow.store import connections, cursors, deliveries, exceptions
from counterflow.store.exceptions import Raised
from counterflow.store.pool import Pool

HOLD_SECONDS = 120.0  # a worker that dies while pulling is followed after this
PAGES_MOST = 1000  # one sweep; the next one goes on from the cursor
FAILED_SECONDS = 30.0
NOT_ALLOWED_SECONDS = 900.0  # a person has to give us a right


@dataclass(slots=True)
class FeedPuller:
    """One feed of one connection in one worker; the table `pulls` makes it one pull at a time over all workers."""

    name: str
    connector: Connector
    feed: Feed
    pool: Pool
    clock: Clock
    warning: str = ""  # of the last sweep

    async def pull_if_due(self) -> int:
        """Facts and signals that were new; 0 when it was not due, is stopped, or the other side did not answer.

        Refused credentials stop the connection, as any refused call does: nothing is asked until it is resumed. A right
        that is missing for one list stops that list alone: refunds do not wait for a scope that only payouts need.
        """
        now = self.clock()
        held_until = now + timedelta(seconds=HOLD_SECONDS)
        async with self.pool.connection() as conn:
            if not await cursors.take_due(conn, self.name, self.feed.name, now, held_until):
                return 0
        message, again = "", float(self.feed.every_seconds)
        found, drifted, refused = 0, False, ""
        with hearing() as last:
            try:
                found = await self.pull()
            except ConnectorError as error:
                message, drifted = f"{error.word}: {error.message}", error.word == "malformed"
                again = FAILED_SECONDS
                if isinstance(error, MissingRight):
                    again = NOT_ALLOWED_SECONDS
                elif error.word == "auth_failed":
                    refused = error.message
            except Exception as error:  # a bug of the connector stops its feed, not the worker
                message, again, drifted = (
                    legible(f"{type(error).__name__}: {error}", 500),
                    FAILED_SECONDS,
                    isinstance(error, DRIFT),
                )
        now = self.clock()
        due = now + timedelta(seconds=again)
        kept = unreadable(self.name, last[0], message, now) if drifted and last else None
        async with self.pool.connection() as conn, conn.transaction():
            await cursors.ended(conn, self.name, self.feed.name, due, message, held_until=held_until)
            if kept is not None:
                await deliveries.keep(conn, [kept])
            if refused:
                await connections.set_circuit(conn, self.name, "stopped", reason=refused)
                await exceptions.put(conn, [auth_exception(self.name, refused, now)])
            elif message:
                await exceptions.put(conn, [self._failed(f"{message}{where_raw(kept)}", now, again)])
            else:
                await exceptions.end(conn, {self._failed("", now).exception_id: ""}, now)
                if self.warning:
                    await exceptions.put(conn, [self._warned(now)])
                else:
                    await exceptions.end(conn, {self._warned(now).exception_id: ""}, now)
        return found

    def _failed(self, message: str, now: datetime, again: float = FAILED_SECONDS) -> Raised:
        return Raised(
            make_id("ex", "feed_failed", self.name, self.feed.name),
            "feed_failed",
            "medium",
            "integration",
            f"{self.name}:{self.feed.name}",
            now,
            now + timedelta(hours=4),
            f"The sweep of {self.feed.name} at {self.name} fails ({message}). It is tried again every "
            f"{again:.0f} s and loses nothing; look at the connection if it does not end by itself",
        )

    def _warned(self, now: datetime) -> Raised:
        return Raised(
            make_id("ex", "connection_warning", self.name, self.feed.name),
            "connection_warning",
            "high",
            "operations",
            self.name,
            now,
            now + timedelta(hours=24),
            f"{self.name}: {self.warning}",
        )

    async def pull(self) -> int:
        """All pages there are. Each page's facts and the cursor behind them are one transaction."""
        started = self.clock()
        async with self.pool.connection() as conn:
            overlap = started - timedelta(seconds=self.feed.lag_seconds)
            cursor = await cursors.behind(conn, self.name, self.feed.name, overlap)
        found = 0
        for _ in range(PAGES_MOST):
            page = await self.connector.pull(self.feed.name, cursor)
            facts, signals = split(page.items)
            now = self.clock()
            looks = [look(self.name, signal, f"{self.feed.name}:{page.cursor}", now) for signal in signals]
            async with self.pool.connection() as conn, conn.transaction():
                new_facts, new_looks = await accept(conn, facts, looks)
                await cursors.keep(conn, self.name, self.feed.name, page.cursor, started, forget_before=overlap)
            found += len(new_facts) + len(new_looks)
            self.warning = page.warning
            stuck, cursor = page.cursor == cursor, page.cursor
            if not page.more or stuck:
                break
        return found
