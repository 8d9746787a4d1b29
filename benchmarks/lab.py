"""What the benchmarks share: a database, a connector that does nothing, cases decided for real, CPU readings."""

import asyncio
import json
import os
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
from counterflow.core.effects import Effect
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
from counterflow.engine.worker import Worker
from counterflow.intake.accept import accept
from counterflow.policies import default
from counterflow.sdk.connector import Delivery, Page
from counterflow.sdk.manifest import Idempotency, Limits, Manifest, Support
from counterflow.sdk.outcomes import Done, Outcome
from counterflow.store import migrate
from counterflow.store.embedded import Embedded
from counterflow.store.pool import Pool, make_pool

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
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
    """A connector whose other side does everything at once and keeps nothing."""

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
        body = json.loads(delivery.body)
        return a_request(int(body["id"]), body["padding"][:0])

    async def fetch(self, feed: str, ref: str) -> Sequence[Fact]:
        return ()

    async def pull(self, feed: str, cursor: str) -> Page:
        return Page((), cursor, False)

    async def send(self, batch: Sequence[Effect]) -> Sequence[Outcome]:
        return [Done(effect.effect_id[:12]) for effect in batch]

    async def find(self, effect: Effect) -> Outcome | None:
        return Done(effect.effect_id[:12])

    async def check(self) -> Sequence[tuple[str, bool, str]]:
        return ()

    async def aclose(self) -> None: ...


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


def a_request(n: int, prefix: str = "") -> list[Fact]:
    """The sale and the return request of one case."""
    order, ref = f"shop:order:{n}", f"shop:return:{n}"
    request = ReturnRequested(ref, order, (RequestedLine("L1", 1),), rma_number=f"RMA-{n}")
    return [_fact(n, 0, SaleRecorded(sale(n)), order), _fact(n, 1, request, ref, order)]


def a_return(n: int) -> list[Fact]:
    """All that is told from outside of one return; the rest are outcomes of its effects."""
    item = (Counted("TEE", 1),)
    return [
        *a_request(n),
        _fact(n, 2, ItemsReceived(f"r{n}", "wh-1", item), f"rma:RMA-{n}"),
        _fact(n, 3, ItemInspected(f"i{n}", "wh-1", "TEE", "A"), f"rma:RMA-{n}"),
    ]


def _fact(n: int, minute: int, body: Body, *refs: str) -> Fact:
    at = START + timedelta(minutes=minute)
    return Fact(fact_id("shop", type(body).__name__, str(n)), "shop", at, at, refs, body)


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


def worker_of(pool: Pool, url: str) -> Worker:
    return Worker(pool, url, SETTING, {name: Nothing() for name in CONNECTIONS}, lambda: datetime.now(UTC), decide)


@contextmanager
def workers(url: str, count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Worker processes with the connector that does nothing."""
    started = [subprocess.Popen([sys.executable, "-m", "benchmarks.lab", url]) for _ in range(count)]
    try:
        yield started
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


async def _main(url: str) -> None:
    import signal

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with opened(url) as pool:
        await worker_of(pool, url).run(stop)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
