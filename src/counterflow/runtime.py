"""The composition root: settings become a database, connections and a worker. Nothing below knows how."""

import asyncio
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from psycopg import AsyncConnection
from pydantic import BaseModel

from counterflow.configuration import Configuration, ConfigurationError, load, seen
from counterflow.core.returns.case import Setting
from counterflow.core.returns.decide import decide
from counterflow.engine.credentials import Credentials
from counterflow.engine.limits import Bucket
from counterflow.engine.live import Live
from counterflow.engine.quiet import quiet
from counterflow.engine.worker import Duty, Worker
from counterflow.intake.pressure import Pressure
from counterflow.intake.receive import Intake
from counterflow.reconcile.payouts import Payouts
from counterflow.sdk.connector import Connector, Context
from counterflow.sdk.simulator.clock import Clock as JumpableClock
from counterflow.settings import Settings
from counterflow.store import checkpoints, keys, secret
from counterflow.store.embedded import Embedded
from counterflow.store.migrate import upgrade
from counterflow.store.pool import Pool, make_pool

if TYPE_CHECKING:
    from fastapi import FastAPI

    from counterflow.api.services import Services

logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Runtime:
    """Everything that a process of ours works with."""

    settings: Settings
    url: str
    pool: Pool
    configuration: Configuration
    connectors: Mapping[str, Connector]
    clock: "Clock"
    credentials: Credentials

    @property
    def setting(self) -> Setting:
        return self.configuration.setting


class Clock:
    """`now` for the whole process: real time, or the jumpable clock of a simulated world (COUNTERFLOW_CLOCK_FILE)."""

    def __init__(self, settings: Settings) -> None:
        self._clock = JumpableClock(settings.clock_file)

    def __call__(self) -> datetime:
        return self._clock.now()


def database_url(settings: Settings) -> str:
    """The given server, or the embedded one under the home, started if it is not running; the schema is current.

    Raises EmbeddedError or MigrationError; their messages name the next move.
    """
    url = settings.database_url or Embedded.start(settings.home / "postgres")
    upgrade(url)
    return url


@asynccontextmanager
async def open_runtime(settings: Settings, *, pool_size: int = 16) -> AsyncIterator[Runtime]:
    """Start what is needed and close it again; the embedded server goes on for whoever else uses it.

    Raises ConfigurationError when the retailer's configuration cannot be used.
    """
    configuration = load(settings.home)
    url = await asyncio.to_thread(database_url, settings)
    clock = Clock(settings)
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(make_pool(url, max_size=pool_size))
        connectors = {}
        for name, connection in configuration.connections.items():
            context = Context(name, Bucket(pool, name, connection.maker.manifest.limits, clock), clock)
            live = Live(partial(connection.maker.make, context=context), connection.config)
            connectors[name] = live
            stack.push_async_callback(live.aclose)
        credentials = Credentials(
            pool,
            connectors,
            {name: connection.config for name, connection in configuration.connections.items()},
            secret.load_or_create(settings.home),
            clock,
            Reread(settings.home, configuration),
        )
        await credentials.refresh()
        yield Runtime(settings, url, pool, configuration, connectors, clock, credentials)


class Reread:
    """The connections' configuration again when one of its files changed. What cannot be used is told and passed over.

    Connections that are new, and everything that is not of a connection, wait for the next start.
    """

    def __init__(self, home: Path, configuration: Configuration) -> None:
        self._home, self._files = home, configuration.files
        self._seen = seen(self._files)

    def __call__(self) -> Mapping[str, BaseModel] | None:
        if (now := seen(self._files)) == self._seen:
            return None
        self._seen = now
        try:
            configuration = load(self._home)
        except (ConfigurationError, OSError, UnicodeDecodeError) as error:
            logger.error("configuration.refused", reason=str(error))
            return None
        self._files = configuration.files
        self._seen = seen(self._files)
        return {name: connection.config for name, connection in configuration.connections.items()}


def make_worker(runtime: Runtime, *, signs: bool = True) -> Worker:
    """`signs`: checkpoints of the log. What they cover depends on what else runs on the server: no seed repeats it."""
    payouts = Payouts(runtime.setting.routes.erp, runtime.setting.payout_days)
    signing = (_checkpoints(runtime.settings),) if signs else ()
    return Worker(
        runtime.pool,
        runtime.url,
        runtime.setting,
        runtime.connectors,
        runtime.clock,
        decide,
        payouts.handlers,
        (*signing, payouts.overdue, payouts.match_again),
    )


def _checkpoints(settings: Settings) -> Duty:
    """Sign the heads of the log when it is time. What keeps us from it is told in the log and tried again."""
    signing = keys.load_or_create(settings.home)

    async def checkpoint(conn: AsyncConnection, now: datetime) -> None:
        try:
            await checkpoints.checkpoint_if_due(conn, signing, now, settings.checkpoints)
        except (checkpoints.CheckpointError, OSError) as error:
            logger.error("checkpoint.refused", reason=str(error))

    return checkpoint


def make_intake(runtime: Runtime) -> Intake:
    return Intake(
        runtime.pool,
        runtime.connectors,
        runtime.clock,
        Pressure(runtime.pool),
        runtime.settings.max_body_bytes,
    )


def make_api(runtime: Runtime) -> "FastAPI":
    """The API over this runtime; its lifespan runs intake's committers."""
    from counterflow.api.app import make_app

    return make_app(make_services(runtime))


def make_services(runtime: Runtime) -> "Services":
    """What the API works with."""
    from counterflow.api.services import Account, Services

    accounts = {
        name: Account(
            name,
            each.maker.manifest.name,
            each.environment,
            each.functions,
            runtime.connectors[name].manifest.limits,
        )
        for name, each in runtime.configuration.connections.items()
    }
    return Services(
        runtime.pool,
        make_intake(runtime),
        runtime.setting,
        accounts,
        runtime.clock,
        secret.load_or_create(runtime.settings.home),
        runtime.settings.max_body_bytes,
    )


async def run_worker(settings: Settings) -> None:
    """One worker until SIGTERM or SIGINT; the work that is under way is finished or handed over."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with open_runtime(settings) as runtime, runtime.credentials.watching(renewing=True):
        quiet()
        await make_worker(runtime).run(stop)
