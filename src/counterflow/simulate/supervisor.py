"""Our processes in a run: who starts them, what fails inside them, and who sees that they have ended."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psycopg
from starlette.types import ASGIApp

from counterflow.simulate.process import ApiProcess, Process, WorkerProcess
from counterflow.simulate.store import Connection, Died, Watch
from counterflow.simulate.town import Broken

if TYPE_CHECKING:
    from counterflow.simulate.kernel import Kernel

_WRITE_CASES = ("drain", "call")  # the tasks whose commits may change a case: after any other nothing is to be checked


@dataclass
class ProcessWatch(Watch):
    """What the connections of a process tell the kernel."""

    kernel: "Kernel"
    process: Process | None = None
    then: str = ""

    def _what(self) -> str:
        task = asyncio.current_task()
        assert self.process is not None
        return self.process.tasks.get(task, "call") if task is not None else "call"

    def statement(self, conn: Connection) -> None:
        if self.process is None:
            return
        kind = self.kernel.plan.at("statement", f"{self.process.kind} {self._what()}")
        if not kind:
            return
        self.kernel.note("fault", f"{kind} in {self.process.name} {self._what()}")
        if kind == "serialization":
            raise psycopg.errors.SerializationFailure("could not serialize access due to concurrent update")
        if kind == "disk_full":
            raise psycopg.errors.DiskFull("could not extend file: No space left on device")
        self.kernel.server.take_back(conn)
        raise psycopg.errors.AdminShutdown("terminating connection due to administrator command")

    def before_commit(self, conn: Connection) -> None:
        if self.process is None:
            return
        what = self._what()
        self.kernel.commits += what.startswith(_WRITE_CASES)
        self.then = self.kernel.plan.at("commit", f"{self.process.kind} {what}")
        if self.then:
            self.kernel.note("fault", f"{self.then} in {self.process.name} {what}")
        if self.then == "crash_before_commit":
            self._die()

    def after_commit(self, conn: Connection, told: Sequence[str]) -> None:
        then, self.then = self.then, ""
        self.kernel.notify(told)
        if then == "crash_after_commit":
            self._die()
        if then == "commit_unknown":
            self.kernel.server.take_back(conn)
            raise psycopg.OperationalError("the connection was lost")

    def _die(self) -> None:
        assert self.process is not None
        self.kernel.supervisor.dying.add(self.process.name)
        raise Died


@dataclass
class Supervisor:
    """The processes of one run. `dying`: the names of those that end with this turn."""

    kernel: "Kernel"
    api: ApiProcess = field(init=False)
    api_up: bool = False
    workers: list[WorkerProcess] = field(default_factory=list)
    dying: set[str] = field(default_factory=set)
    generation: int = 0

    @property
    def app(self) -> ASGIApp | None:
        """What answers at our address now; None while nobody does."""
        return self.api.app if self.api_up else None

    async def start_api(self) -> None:
        self.generation += 1
        kernel, watch = self.kernel, ProcessWatch(self.kernel)
        self.api = watch.process = ApiProcess(
            f"api{self.generation}", kernel.ground, kernel.loop, kernel.network, kernel.server, watch
        )
        await self.api.begin()
        self.api_up = True

    async def start_worker(self) -> WorkerProcess:
        self.generation += 1
        kernel, watch = self.kernel, ProcessWatch(self.kernel)
        worker = watch.process = WorkerProcess(
            f"w{self.generation}", kernel.ground, kernel.loop, kernel.network, kernel.server, watch
        )
        self.workers.append(worker)
        await self._begin(worker)
        return worker

    async def _begin(self, worker: WorkerProcess) -> None:
        while True:
            try:
                await worker.begin()
                return
            except (Died, psycopg.OperationalError) as error:
                self.kernel.note("begin", f"{worker.name}: {type(error).__name__}")
                worker.renew()
                self.dying.discard(worker.name)

    async def mind(self) -> None:
        """See what has ended, and start it again."""
        while True:
            again = False
            for worker in [*self.workers]:
                again |= await self._mind_worker(worker)
            failed = [(what, error) for what, error in self.api.ended() if error is not None]
            for what, error in failed:
                if not isinstance(error, Died):
                    raise Broken("process", f"the API's {what} ended with {type(error).__name__}: {error}") from error
            if self.api.name in self.dying or failed:
                self.kernel.note("died", self.api.name)
                await self.restart_api()
                again = True
            if not again:
                return
            await self.kernel.loop.quiet()

    async def _mind_worker(self, worker: WorkerProcess) -> bool:
        ended = worker.ended()
        if worker.name in self.dying:
            await self.kill(worker)
            return True
        for what, error in ended:
            if error is None and not what.startswith(("drain", "effects")):
                continue
            if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
                self.kernel.note("database lost", f"{worker.name} {what}")
                await self._restart(worker)
                return True
            raise Broken("process", f"{worker.name}: {what} ended with {type(error).__name__}: {error}") from error
        return False

    async def kill(self, worker: WorkerProcess, *, again: bool = True) -> None:
        """It ends at once; what it was sending may still arrive."""
        self.kernel.note("died", worker.name)
        self._gone(worker)
        self.workers.remove(worker)
        for other in self.workers:
            other.must_look = True
        if again:
            await self.start_worker()

    async def _restart(self, worker: WorkerProcess) -> None:
        """The process lives on, its work begins anew under another name."""
        self._gone(worker)
        worker.renew()
        await self._begin(worker)

    def _gone(self, worker: WorkerProcess) -> None:
        worker.stop()
        self.dying.discard(worker.name)
        self.kernel.forget(worker)
        worker.looking = False
        for flight in [flight for flight in self.kernel.network.flights if flight.origin == worker.name]:
            if not flight.delivered and self.kernel.rng.random() < 0.5:
                self.kernel.network.drop(flight)

    async def restart_api(self) -> None:
        self.dying.discard(self.api.name)
        self.api_up = False
        self.api.stop()
        for flight in self.kernel.network.flights:
            if flight.target == "api" and flight.task is not None and not flight.task.done():
                flight.task.cancel()
        await self.start_api()

    async def replace_processes(self) -> None:
        """Every process of ours by a new one, with work under way."""
        for worker in [*self.workers]:
            await self.kill(worker)
        await self.restart_api()

    def close(self) -> None:
        """Nothing of ours goes on."""
        for worker in self.workers:
            worker.stop()
        if self.api_up:
            self.api.stop()
