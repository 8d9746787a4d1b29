"""What the benchmarks share: a database, a connector that does nothing, cases decided for real, CPU readings."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from counterflow.core import effects
from counterflow.core.effects import AnnounceReturn, Command, Effect
from counterflow.core.facts import (
    Body,
    Counted,
    Fact,
    ItemInspected,
    ItemsReceived,
    RequestedLine,
    ReturnRequested,
    SaleRecorded,
)
from counterflow.core.ids import fact_id
from counterflow.core.returns.case import Place, Routes, Setting
from counterflow.core.returns.decide import decide
from counterflow.core.sale import Payment, Sale, SoldLine, Tax
from counterflow.engine.quiet import quiet
from counterflow.engine.worker import Worker
from counterflow.intake.accept import accept
from counterflow.policies import default
from counterflow.sdk.connector import Delivery, Page
from counterflow.sdk.manifest import Idempotency, Limits, Manifest, Support
from counterflow.sdk.outcomes import Done, Outcome
from counterflow.store import migrate
from counterflow.store.embedded import Embedded
from counterflow.store.pool import Pool, make_pool

START = datetime.now(UTC) - timedelta(hours=1)
COMMANDS = tuple(name for name in effects.COMMANDS if name != "Look")
CONNECTIONS = ("shop", "psp", "odoo", "wms", "mail")
SETTING = Setting(
    (default(),),
    Routes("odoo", "mail", (Place("wh-1", "wms"),), {"shop": "psp"}, "", "", "wh-1"),
)


def emit(name: str, value: float, target: float | None, **more: Any) -> None:
    """One figure on standard output."""
    print(json.dumps({"bench": name, "value": round(value, 3), "target": target, **more}), flush=True)


@dataclass(slots=True)
class Nothing:
    """A connector whose other side does everything at once and keeps nothing.

    A warehouse that is told of a return has received and inspected it in the same moment, unless it is `silent`.
    """

    silent: bool = False
    manifest: Manifest = field(
        default_factory=lambda: Manifest(
            "nothing",
            "Nothing",
            (),
            {name: Support(Idempotency.NATIVE, key_retention_seconds=86_400, batch=200) for name in COMMANDS},
            limits=Limits(concurrency=4, per_second=1e9, burst=1e9),
        )
    )

    def verify(self, delivery: Delivery) -> None: ...

    def identify(self, delivery: Delivery) -> str:
        return json.loads(delivery.body)["id"]  # type: ignore[no-any-return]

    def translate(self, delivery: Delivery) -> Sequence[Fact]:
        return a_request(int(json.loads(delivery.body)["id"]))

    async def fetch(self, feed: str, ref: str) -> Sequence[Fact]:
        return ()

    async def pull(self, feed: str, cursor: str) -> Page:
        return Page((), cursor, False)

    async def send(self, batch: Sequence[Effect]) -> Sequence[Outcome]:
        return [Done(effect.effect_id[:12], facts=self._answer(effect.command)) for effect in batch]

    async def find(self, effect: Effect) -> Outcome | None:
        return Done(effect.effect_id[:12])

    async def check(self) -> Sequence[tuple[str, bool, str]]:
        return ()

    async def aclose(self) -> None: ...

    def _answer(self, command: Command) -> tuple[Fact, ...]:
        return () if self.silent or not isinstance(command, AnnounceReturn) else arrival(command.rma_number)


def sale(n: int) -> Sale:
    line = SoldLine("L1", "TEE", 1, 1, 2000, 2000, (Tax("DE-19", 190_000, 319),))
    return Sale(
        f"shop:order:{n}",
        "shop",
        "web",
        "EUR",
        START - timedelta(days=4),
        (line,),
        (Payment(f"pi_{n}", "card", 2000, "psp"),),
        delivered_at=START - timedelta(days=1),
        order_number=f"#{n}",
        customer_ref=f"shop:customer:{n}",
    )


def a_request(n: int) -> list[Fact]:
    """What is told from outside of one return: its sale and its request."""
    order, ref = f"shop:order:{n}", f"shop:return:{n}"
    request = ReturnRequested(ref, order, (RequestedLine("L1", 1),), rma_number=f"RMA-{n}")
    return [_fact(str(n), 0, SaleRecorded(sale(n)), order), _fact(str(n), 1, request, ref, order)]


def arrival(rma: str) -> tuple[Fact, ...]:
    """What the warehouse says; all else are outcomes of effects."""
    received = ItemsReceived(f"receipt:{rma}", "wh-1", (Counted("TEE", 1),))
    inspected = ItemInspected(f"inspection:{rma}", "wh-1", "TEE", "A")
    return (_fact(rma, 2, received, f"rma:{rma}"), _fact(rma, 3, inspected, f"rma:{rma}"))


def _fact(name: str, minute: int, body: Body, *refs: str) -> Fact:
    at = START + timedelta(minutes=minute)
    return Fact(fact_id("shop", type(body).__name__, name), "shop", at, at, refs, body)


@contextmanager
def server() -> Iterator[str]:
    """An embedded server of the benchmark's own (or COUNTERFLOW_BENCH_DATABASE_URL)."""
    given = os.environ.get("COUNTERFLOW_BENCH_DATABASE_URL")
    if given:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="counterflow-bench-") as folder, Embedded(Path(folder)) as url:
        yield url


@contextmanager
def database(url: str, name: str) -> Iterator[str]:
    """A fresh, migrated database on the server."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        conn.execute(f"CREATE DATABASE {name}")
    mine = url.replace("/postgres?", f"/{name}?") if "/postgres?" in url else url.rpartition("/")[0] + f"/{name}"
    migrate.upgrade(mine)
    try:
        yield mine
    finally:
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@asynccontextmanager
async def opened(url: str, size: int = 16) -> AsyncIterator[Pool]:
    async with make_pool(url, max_size=size) as pool:
        yield pool


async def tell(pool: Pool, facts: Sequence[Fact]) -> None:
    async with pool.connection() as conn, conn.transaction():
        await accept(conn, facts)


def now() -> datetime:
    return datetime.now(UTC)


def worker_of(pool: Pool, url: str, connector: Nothing) -> Worker:
    return Worker(pool, url, SETTING, dict.fromkeys(CONNECTIONS, connector), now, decide)


@contextmanager
def processes(count: int, *command: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that work until they are told to stop. Raises RuntimeError when one has ended before."""
    started = [subprocess.Popen([sys.executable, "-m", *command]) for _ in range(count)]
    try:
        yield started
        if any(process.poll() is not None for process in started):
            raise RuntimeError(f"{' '.join(command)} has ended by itself")
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait()


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time of processes so far; Linux only, 0 elsewhere."""
    total = 0.0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def rss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def commits_per_second(url: str, seconds: float = 2.0) -> float:
    """One connection, one INSERT of 1.5 kB and one fsynced COMMIT at a time: the yardstick of this disk."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("CREATE TABLE IF NOT EXISTS yardstick (body text)")
        count, end = 0, time.perf_counter() + seconds
        while time.perf_counter() < end:
            conn.execute("INSERT INTO yardstick VALUES (%s)", ("x" * 1500,), prepare=True)
            count += 1
    return count / seconds


async def _main(url: str, *how: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with opened(url) as pool:
        quiet()
        await worker_of(pool, url, Nothing(silent="silent" in how)).run(stop)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
