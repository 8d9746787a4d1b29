"""Processes of ours as the simulation runs them: production objects, their connections, their tasks, and their end."""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from fastapi import FastAPI

from counterflow.api.app import make_app
from counterflow.api.services import Services
from counterflow.engine.credentials import Credentials
from counterflow.engine.limits import Bucket
from counterflow.engine.worker import Worker
from counterflow.intake.pressure import Pressure
from counterflow.intake.receive import COMMITTERS
from counterflow.runtime import Clock as RealClock
from counterflow.runtime import Runtime, make_services, make_worker
from counterflow.sdk.connector import Clock, Connector, Context
from counterflow.simulate.loop import VirtualLoop
from counterflow.simulate.network import Network
from counterflow.simulate.store import Connection, Connections, Server, Watch
from counterflow.simulate.town import STARTED, Ground
from counterflow.store.pool import Pool


@dataclass
class Process:
    """What every process has. `skew_seconds`: how far its clock is off."""

    name: str
    ground: Ground
    loop: VirtualLoop
    network: Network
    server: Server
    watch: Watch
    skew_seconds: float = 0.0
    tasks: dict["asyncio.Task[Any]", str] = field(default_factory=dict)
    connections: Connections = field(init=False)
    runtime: Runtime = field(init=False)
    numbers: int = 0
    kind = "process"

    def __post_init__(self) -> None:
        self.connections = Connections(self.server, self.watch)
        self.runtime = self._runtime()

    def now(self) -> datetime:
        return STARTED + timedelta(seconds=round(self.loop.virtual + self.skew_seconds, 6))

    def new_id(self) -> str:
        """In place of chance: a number of this process."""
        self.numbers += 1
        return f"{self.name}-{self.numbers}"

    def start(self, what: str, work: Coroutine[Any, Any, Any]) -> None:
        self.tasks[self.loop.create_task(work)] = what

    def ended(self) -> list[tuple[str, BaseException | None]]:
        """Tasks that have ended since, and how."""
        done = [(task, what) for task, what in self.tasks.items() if task.done()]
        for task, _ in done:
            del self.tasks[task]
        return [(what, None if task.cancelled() else task.exception()) for task, what in done]

    def renew(self) -> None:
        """Other connections, other objects: what `begin` needs after an end."""
        self.tasks = {}
        self.connections = Connections(self.server, self.watch)
        self.runtime = self._runtime()

    def stop(self) -> None:
        """At once, without any goodbye."""
        self.connections.cut()
        for task in self.tasks:
            task.cancel()

    def _runtime(self) -> Runtime:
        pool = cast(Pool, self.connections)
        connectors: dict[str, Connector] = {}
        for name, connection in self.ground.configuration.connections.items():
            limits = connection.maker.manifest.limits
            context = Context(name, Bucket(pool, name, limits, self.now), self.now, self.network.of(self.name))
            connectors[name] = connection.maker.make(connection.config, context)
        return composed(self.ground, pool, connectors, self.now)


@dataclass
class WorkerProcess(Process):
    """A worker. Its loops run as they are; what wakes them, and when it sweeps, the kernel decides."""

    kind = "worker"
    worker: Worker = field(init=False)
    control: Connection = field(init=False)
    sweeps: Connection = field(init=False)
    must_look: bool = True
    looking: bool = False

    async def begin(self) -> None:
        """As `Worker.run` does it, again after every loss of the database."""
        self.worker = make_worker(self.runtime, signs=False)
        self.worker.worker_id = f"{self.name}-{self.new_id()}"
        self.worker.cases.breath_seconds = float("inf")  # by real time: it would decide who comes first
        await self.worker.prepare()
        self.control = await self.connections.take()
        await self.worker.sign_in(self.control)
        self.sweeps = await self.connections.take()
        for n in range(self.worker.drainers):
            self.start(f"drain-{n}", self.worker._drain_shards(await self.connections.take()))
        for name, pump in self.worker.pumps.items():
            pump.new_lease = self.new_id
            self.start(f"effects {name}", pump.run())
        self.must_look = True

    async def look(self) -> list[tuple[str, str]]:
        return await self.worker.look(self.sweeps)

    def pull(self, feed: tuple[str, str]) -> None:
        self.worker.pulling.add(feed)
        self.start(f"feed {feed[0]}:{feed[1]}", self.worker._pull(feed))

    def stop(self) -> None:
        super().stop()
        for pump in self.worker.pumps.values() if hasattr(self, "worker") else ():
            for call in pump.calls:
                call.cancel()


@dataclass
class ApiProcess(Process):
    """The API, with intake's committers. The application is made once and serves every run: its services change."""

    kind = "api"
    app: FastAPI = field(init=False)

    async def begin(self) -> None:
        services = make_services(self.runtime)
        services.throttle.per_second = 1e9
        intake = services.intake
        intake.new_id = self.new_id
        intake.pressure = Pressure(self.runtime.pool, seconds=self.loop.time)
        for n in range(COMMITTERS):
            self.start(f"intake-{n}", intake._commit_waiting())
        self.app = _application(self.ground, services)
        self.app.state.services = services


def _application(ground: Ground, services: Services) -> FastAPI:
    if ground.home not in _made:
        _made[ground.home] = make_app(services)
    return _made[ground.home]


_made: dict[Path, FastAPI] = {}


def composed(ground: Ground, pool: Pool, connectors: Mapping[str, Connector], clock: Clock) -> Runtime:
    """What `runtime.py` composes, over a database and a network of the simulation."""
    credentials = Credentials(pool, {}, {}, ground.pepper, clock)
    return Runtime(
        ground.settings, ground.url, pool, ground.configuration, connectors, cast(RealClock, clock), credentials
    )
