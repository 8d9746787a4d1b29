"""The simulated town: its processes (outside world, API, workers) and its database, started, killed and stopped."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import httpx2

from counterflow.configuration import load
from counterflow.runtime import database_url
from counterflow.sandbox import estate
from counterflow.sandbox.conductor import Conductor
from counterflow.sandbox.home import write_home
from counterflow.sandbox.stage import Stage
from counterflow.sdk.simulator import Clock
from counterflow.settings import Settings
from counterflow.store.embedded import Embedded
from counterflow.store.pool import make_pool

START_SECONDS = 120.0  # a busy machine imports slowly
POSTGRES = "postgres"  # the embedded server, beside the processes of the town
SEED = 7  # of the outside world's chaos


class TownError(Exception):
    """A process of the town did not start; the message holds the end of its log and the next move."""


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@dataclass(slots=True)
class Town:
    """Processes by name; each may be killed and started again, which is what the soak does."""

    home: Path
    workers: int = 1
    seed: int = SEED
    outside_port: int = field(default_factory=free_port)
    api_port: int = field(default_factory=free_port)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    logs: dict[str, IO[bytes]] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        given = os.environ.get("COUNTERFLOW_SANDBOX_DATABASE_URL", "")
        return Settings(home=self.home, database_url=given, clock_file=self.home / "clock", port=self.api_port)

    @property
    def outside_url(self) -> str:
        return f"http://127.0.0.1:{self.outside_port}"

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    def command(self, name: str) -> list[str]:
        if name == "outside":
            numbers = [str(self.outside_port), str(self.api_port), str(self.seed)]
            return [sys.executable, "-m", "counterflow.sandbox.outside", str(self.home), *numbers]
        if name == "api":
            return [sys.executable, "-m", "counterflow", "serve", "--workers", "0"]
        return [sys.executable, "-m", "counterflow", "worker"]

    def start(self, name: str) -> None:
        """Start a process; its output goes to `<home>/logs/<name>.log`."""
        if name == POSTGRES:
            Embedded.start(self.home / "postgres")
            return
        folder = self.home / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        log = self.logs.get(name) or (folder / f"{name}.log").open("ab")
        self.logs[name] = log
        env = {
            **os.environ,
            "COUNTERFLOW_HOME": str(self.home),
            "COUNTERFLOW_DATABASE_URL": self.settings.database_url,
            "COUNTERFLOW_CLOCK_FILE": str(self.home / "clock"),
            "COUNTERFLOW_PORT": str(self.api_port),
            "COUNTERFLOW_LOG_LEVEL": os.environ.get("COUNTERFLOW_LOG_LEVEL", "warning"),
        }
        self.processes[name] = subprocess.Popen(
            self.command(name), stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env
        )

    def names(self) -> list[str]:
        return ["outside", "api", *(f"worker-{n}" for n in range(1, self.workers + 1))]

    def kill(self, name: str) -> None:
        """As the power cut does it: no chance to say goodbye. Raises TownError for a database that is not ours."""
        if name == POSTGRES:
            pid = None if self.settings.database_url else Embedded.status(self.home / "postgres")["pid"]
            if pid is None:
                raise TownError("only the embedded server can be killed: unset COUNTERFLOW_SANDBOX_DATABASE_URL")
            os.kill(pid, signal.SIGKILL)
            return
        self.processes[name].kill()
        self.processes[name].wait()

    def mind(self) -> list[tuple[str, int]]:
        """Start again whatever has ended by itself, as a supervisor does; names and exit codes."""
        codes = [(name, process.poll()) for name, process in self.processes.items()]
        ended = [(name, code) for name, code in codes if code is not None]
        for name, _ in ended:
            self.start(name)
        return ended

    def stop(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + 5
        for process in self.processes.values():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for log in self.logs.values():
            log.close()
        if not self.settings.database_url:
            Embedded.stop(self.home / "postgres")

    async def ready(self, name: str, url: str) -> None:
        """Wait until a process answers. Raises TownError with the end of its log."""
        deadline = time.monotonic() + START_SECONDS
        async with httpx2.AsyncClient() as client:
            while True:
                try:
                    if (await client.get(url)).status_code == 200:
                        return
                except httpx2.HTTPError:
                    pass
                if self.processes[name].poll() is not None or time.monotonic() > deadline:
                    raise TownError(f"{name} did not start: {self.tail(name)}")
                await asyncio.sleep(0.05)

    def tail(self, name: str, size: int = 2000) -> str:
        """The end of a process's log."""
        self.logs[name].flush()
        text = (self.home / "logs" / f"{name}.log").read_text("utf-8", "replace")
        return text[-size:] or f"its log is empty ({self.home / 'logs' / name}.log)"


@asynccontextmanager
async def open_town(home: Path, *, workers: int = 1, seed: int = SEED) -> AsyncIterator[tuple[Town, Stage]]:
    """Everything running and seeded, and the stage to act on; stopped at the end, whatever happened."""
    town = Town(home, workers, seed)
    api_key = write_home(home, town.outside_url)
    url = await asyncio.to_thread(database_url, town.settings)
    try:
        town.start("outside")
        await town.ready("outside", f"{town.outside_url}/shop/_sim/next_due")
        for name in town.names()[1:]:
            town.start(name)
        await town.ready("api", f"{town.api_url}/readyz")
        async with AsyncExitStack() as stack:
            pool = await stack.enter_async_context(make_pool(url, max_size=12))
            key = await api_key(pool)
            outside = await stack.enter_async_context(httpx2.AsyncClient(base_url=town.outside_url, timeout=30))
            api = await stack.enter_async_context(
                httpx2.AsyncClient(base_url=town.api_url, timeout=30, headers={"Authorization": f"Bearer {key}"})
            )
            conductor = Conductor(Clock(home / "clock"), pool, outside)
            stage = Stage(outside, api, pool, conductor, home, load(home).setting)
            await found(stage)
            yield town, stage
    finally:
        await asyncio.to_thread(town.stop)


async def found(stage: Stage) -> None:
    """The ERP's company and goods; a world that has them is left as it is."""
    for system, act, payload in estate.founding():
        await stage.act(system, act, **payload)
