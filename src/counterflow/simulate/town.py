"""The retailer's whole world in one process: every outside system, its clock, and the ground that all runs share.

A run gets the world as it was founded (company, goods, another customer's payments) as a copy in memory, and an empty
database; so a run costs what happens in it and no more.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx2
from starlette.applications import Starlette

from counterflow.configuration import Configuration, load
from counterflow.sandbox import estate
from counterflow.sandbox.home import write_home
from counterflow.sandbox.outside import simulators
from counterflow.sdk.simulator import Clock, World
from counterflow.sdk.simulator.wire import together
from counterflow.settings import Settings
from counterflow.simulate.loop import VirtualLoop
from counterflow.simulate.network import ask
from counterflow.simulate.oracle import Oracle
from counterflow.simulate.store import Connections, Server, Watch, empty
from counterflow.store import api_keys, migrate, secret

OUTSIDE, API = "http://outside.simulated", "http://api.simulated"
STARTED = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)  # a Monday morning
# Who sits at the console: name -> role; of each role there are two, who do not always talk to each other.
PEOPLE = {
    "ada": "agent", "bea": "agent", "walt": "warehouse", "wilma": "warehouse", "fred": "finance", "frieda": "finance",
    "ivo": "integration", "ida": "integration",
}  # fmt: skip


class VirtualClock(Clock):
    """The loop's time as an instant of that world."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def now(self) -> datetime:
        return STARTED + timedelta(seconds=round(self._loop.virtual, 6))


class Broken(Exception):
    """An invariant does not hold, or the product failed in a way that it must not."""

    def __init__(self, invariant: str, what: str) -> None:
        super().__init__(f"{invariant}: {what}")
        self.invariant, self.what = invariant, what


@dataclass(frozen=True, eq=False)
class Ground:
    """What all runs of a process share: configuration and keys, an empty database, the worlds as they begin."""

    home: Path
    url: str
    configuration: Configuration
    pepper: bytes
    tokens: Mapping[str, str]  # name -> API key
    images: Mapping[str, bytes] = field(repr=False)

    @cached_property
    def oracle(self) -> Oracle:
        """Reads the retailer's tables as they are on disk."""
        return Oracle(self.policies)

    @property
    def policies(self) -> str:
        """The retailer's tables as text."""
        return (self.home / "policies" / "retailer.toml").read_text("utf-8")

    @property
    def settings(self) -> Settings:
        return Settings(home=self.home, database_url=self.url)

    @classmethod
    def prepare(cls, home: Path, url: str) -> "Ground":
        """Write the configuration, migrate and empty the database, and found the world."""
        write_home(home, OUTSIDE)
        migrate.upgrade(url)
        empty(url, keep=())
        pepper = secret.load_or_create(home)
        with running(VirtualLoop()) as loop:
            tokens = loop.run_until_complete(_keys(url, pepper))
            images = loop.run_until_complete(_founded(loop))
        return cls(home, url, load(home), pepper, tokens, images)


@contextmanager
def running(loop: VirtualLoop) -> Iterator[VirtualLoop]:
    """The loop as this thread's, closed at the end with all that still waits in it."""
    try:
        asyncio.set_event_loop(loop)
        yield loop
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.forever_idle()
        loop.run_until_complete(asyncio.sleep(0))
        asyncio.set_event_loop(None)
        loop.close()


@dataclass
class Outside:
    """All outside systems of one run."""

    worlds: Mapping[str, World]
    app: Starlette

    @classmethod
    def open(cls, loop: VirtualLoop, seed: int, images: Mapping[str, bytes]) -> "Outside":
        clock = VirtualClock(loop)
        worlds: dict[str, World] = {}

        def world(name: str) -> World:
            worlds[name] = World(name, None, clock, seed, image=images.get(name))
            return worlds[name]

        return cls(worlds, together(simulators(world, OUTSIDE, f"{API}/webhooks")))

    def close(self) -> None:
        for world in self.worlds.values():
            world.close()

    async def act(self, system: str, act: str, payload: Mapping[str, Any]) -> None:
        """Something happens inside an outside system that no story tells of."""
        (await ask(self.app, acting(system, act, payload))).raise_for_status()

    def next_due(self) -> datetime | None:
        dues = [due for world in self.worlds.values() if (due := world.next_due()) is not None]
        return min(dues, default=None)


async def _founded(loop: VirtualLoop) -> dict[str, bytes]:
    outside = Outside.open(loop, 0, {})
    for system, act, payload in estate.founding():
        await outside.act(system, act, payload)
    return {name: world.copy() for name, world in outside.worlds.items()}


def acting(system: str, act: str, payload: Any) -> httpx2.Request:
    """Somebody does something inside an outside system."""
    return httpx2.Request("POST", f"{OUTSIDE}/{system}/_sim/do/{act}", json=payload)


async def _keys(url: str, pepper: bytes) -> dict[str, str]:
    """A key for each of the people. What they do is identified by its id, so that is no chance, as it is elsewhere."""
    tokens = {}
    async with Connections(Server(url), Watch()).connection() as conn:
        for name, role in PEOPLE.items():
            await api_keys.issue(conn, pepper, name=name, role=role, environment="test", now=STARTED)
            tokens[name] = f"cf_test_{name}_simulated"
            await conn.execute(
                "UPDATE api_keys SET key_id = %s, secret_hash = %s WHERE name = %s",
                (f"key_{name}", api_keys.digest(pepper, tokens[name]), name),
            )
    return tokens
