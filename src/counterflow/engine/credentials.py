"""Credentials of connections: taken anew when their file changes, renewed before they end, and told when nobody can.

A renewed one is stored sealed before it is used, every process takes it within a second, and the one before is revoked
a quarter of an hour later: no call is ever made with a revoked key. `due_at` makes it one worker that renews.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import psycopg
import structlog
from pydantic import BaseModel, SecretStr

from counterflow.core.ids import make_id
from counterflow.engine.live import Live
from counterflow.engine.parked import By, resume_connection
from counterflow.sdk.connector import Clock, Credential, Renewable
from counterflow.sdk.outcomes import ConnectorError, Rejected
from counterflow.store import connections, credentials, exceptions
from counterflow.store.credentials import Stored
from counterflow.store.exceptions import Raised
from counterflow.store.pool import Pool
from counterflow.store.secret import SecretError, digest, seal, unseal

EVERY_SECONDS = 1.0
LOOK_SECONDS = 60.0  # how often a worker asks whether a look is due
CHECK_SECONDS = 6 * 3600.0
FAILED_SECONDS = 1800.0
HOLD_SECONDS = 300.0  # a worker that dies while it renews is followed after this
RETIRE_SECONDS = 900.0  # every process has the new one long before
RENEW_BEFORE = timedelta(days=30)
WARN_BEFORE = timedelta(days=14)

logger = structlog.get_logger(__name__)


@dataclass
class Credentials:
    """Of all connections of one process. `read` gives their configuration anew if its files changed, else None."""

    pool: Pool
    live: Mapping[str, Live]
    configured: Mapping[str, BaseModel]
    secret: bytes
    clock: Clock
    read: Callable[[], Mapping[str, BaseModel] | None] = lambda: None
    _told: set[str] = field(default_factory=set)

    @asynccontextmanager
    async def watching(self, *, renewing: bool = False) -> AsyncIterator[None]:
        """Keep the connections' credentials current until the end; a worker also renews them."""
        stop = asyncio.Event()
        task = asyncio.create_task(self._watch(stop, renewing))
        try:
            yield
        finally:
            stop.set()
            await task  # a renewal that is under way is stored

    async def _watch(self, stop: asyncio.Event, renewing: bool) -> None:
        look_at = self.clock()
        while not stop.is_set():
            try:
                await self.refresh()
                if renewing and self.clock() >= look_at:
                    await self.look()
                    look_at = self.clock() + timedelta(seconds=LOOK_SECONDS)
            except (psycopg.Error, OSError) as error:
                logger.warning("credentials.not_watched", reason=str(error))
            try:
                await asyncio.wait_for(stop.wait(), EVERY_SECONDS)
            except TimeoutError:
                continue

    async def refresh(self) -> list[str]:
        """Take what is new, and let calls out again where the old credential was refused; the connections' names."""
        self.configured = {**self.configured, **(self.read() or {})}
        changed = []
        async with self.pool.connection() as conn:
            stored = await credentials.stored(conn)
            for name, live in self.live.items():
                if not await live.put(self.in_use(name, stored.get(name))):
                    continue
                changed.append(name)
                logger.info("connection.configured_anew", connection=name)
                row = await connections.get(conn, name)
                if row is not None and row.circuit == "stopped":
                    await resume_connection(conn, name, By("counterflow", "new credentials"), self.clock())
        return changed

    def in_use(self, name: str, row: Stored | None) -> BaseModel:
        """The connection's configuration, with our renewed credential unless somebody has configured another since."""
        config = self.configured[name]
        if row is None or not self._counts(config, row):
            return config
        try:
            value = unseal(self.secret, row.sealed, _about(row))
        except SecretError as error:
            if str(error) not in self._told:
                logger.error("credentials.sealed", reason=str(error))
                self._told.add(str(error))
            return config
        return config.model_copy(update={row.field: SecretStr(value)})

    def _counts(self, config: BaseModel, row: Stored) -> bool:
        return digest(self.secret, _value(config, row.field)) == row.replaces

    # ---- looking after them ------------------------------------------------------------------------------------------

    async def look(self) -> None:
        """Renew, revoke and tell, as far as it is time, for all connections whose credential ends."""
        for name, live in self.live.items():
            if isinstance(live.connector, Renewable):
                async with self.pool.connection() as conn:
                    mine = await credentials.take_due(conn, name, self.clock(), HOLD_SECONDS)
                if mine:
                    await self._look(name, live.connector)

    async def _look(self, name: str, connector: Renewable) -> None:
        try:
            again = await self._step(name, connector)
        except (ConnectorError, SecretError) as error:
            logger.warning("credentials.not_renewed", connection=name, reason=str(error))
            again = FAILED_SECONDS
        async with self.pool.connection() as conn:
            await credentials.set_due(conn, name, self.clock() + timedelta(seconds=again))

    async def _step(self, name: str, connector: Renewable) -> float:
        """What is due now; seconds until the next look."""
        now = self.clock()
        async with self.pool.connection() as conn:
            row = (await credentials.stored(conn)).get(name)
        if row is not None and not self._counts(self.configured[name], row):
            await self._forget(connector, row)
            row = None
        if row is not None and row.retiring is not None:
            rest = (row.made_at + timedelta(seconds=RETIRE_SECONDS) - now).total_seconds()
            if rest > 0:
                return rest
            await self._retire(connector, row, row.retiring)
            async with self.pool.connection() as conn:
                await credentials.retired(conn, name)
        current = Credential(row.field, row.made_at, row.ends_at) if row else await connector.credential()
        if current is None:
            await self._tell(name, None, "", now)
            return CHECK_SECONDS
        why = ""
        rest = (current.ends_at - min(RENEW_BEFORE, _life(current) * 2 / 3) - now).total_seconds()
        if rest <= 0:
            try:
                new = await connector.renew(current)
            except Rejected as error:
                why = error.message
            else:
                await self._keep(name, new, row)
                await self._tell(name, None, "", now)
                return RETIRE_SECONDS
        await self._tell(name, current, why, now)
        return min(rest, CHECK_SECONDS) if rest > 0 else CHECK_SECONDS

    async def _keep(self, name: str, new: Credential, before: Stored | None) -> None:
        config = self.configured[name]
        old = _value(self.in_use(name, before), new.field)
        about = f"{name}.{new.field}"
        replaces = digest(self.secret, _value(config, new.field))
        sealed, retiring = seal(self.secret, new.secret, about), seal(self.secret, old, about)
        async with self.pool.connection() as conn:
            await credentials.keep(conn, Stored(name, new.field, replaces, sealed, retiring, new.made_at, new.ends_at))
        logger.info("credentials.renewed", connection=name, ends_at=new.ends_at.isoformat())
        await self.refresh()

    async def _forget(self, connector: Renewable, row: Stored) -> None:
        """Somebody configured another one: ours, and what it replaced, are of no use any more."""
        for sealed in (row.sealed, row.retiring):
            if sealed is not None:
                await self._retire(connector, row, sealed)
        async with self.pool.connection() as conn:
            await credentials.forget(conn, row.connection)

    async def _retire(self, connector: Renewable, row: Stored, sealed: bytes) -> None:
        try:
            await connector.retire(unseal(self.secret, sealed, _about(row)))
        except Rejected as error:  # it ends by itself
            logger.warning("credentials.not_revoked", connection=row.connection, reason=str(error))

    async def _tell(self, name: str, current: Credential | None, why: str, now: datetime) -> None:
        async with self.pool.connection() as conn, conn.transaction():
            if current is not None and now >= current.ends_at - min(WARN_BEFORE, _life(current) / 2):
                await exceptions.put(conn, [ending_exception(name, current, why, now)])
            else:
                await exceptions.end(conn, {make_id("ex", "credential_ending", name): ""}, now)


def ending_exception(name: str, current: Credential, why: str, now: datetime) -> Raised:
    return Raised(
        make_id("ex", "credential_ending", name),
        "credential_ending",
        "high",
        "operations",
        name,
        now,
        current.ends_at,
        f"The {current.field} of {name} ends on {current.ends_at:%Y-%m-%d %H:%M} UTC; then nothing can be sent there. "
        "Make a new one and put it where counterflow.toml names it: from a file it is taken without a restart"
        + (f". It cannot be renewed by itself: {why}" if why else ""),
    )


def _life(credential: Credential) -> timedelta:
    return credential.ends_at - credential.made_at


def _about(row: Stored) -> str:
    return f"{row.connection}.{row.field}"


def _value(config: BaseModel, field: str) -> str:
    value = getattr(config, field, "")
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
