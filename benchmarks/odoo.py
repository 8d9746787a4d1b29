"""Whole returns in a real Odoo: calls and CPU of both lanes beside a person's clicks, in one run, turn by turn.

    make bench ARGS="odoo --url http://127.0.0.1:8069 --db stories --key KEY"

A return is looked up, received into quarantine, credited and paid back, matched with its credit note. The database is
one that `examples/real-odoo/seed.py` has made, or has those names; the fast lane is measured where it is installed.
CPU is that of Odoo's processes (whoever holds the socket that listens on the port) and of the PostgreSQL backends of
the database, read from /proc: of a server on another machine only the calls are told. At the end the documents of both
lanes are compared, field by field.
"""

import argparse
import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2

from benchmarks import lab
from benchmarks.odoo_clicks import Clicks, Row
from counterflow.connectors.odoo import Config, OdooConnector
from counterflow.core.effects import (
    Command,
    CreditLine,
    Effect,
    PostCreditNote,
    PostRefundPayment,
    ReceiveGoods,
    StockItem,
)
from counterflow.core.ids import make_id
from counterflow.core.sale import Tax
from counterflow.sdk.connector import Context
from counterflow.sdk.http import Unlimited
from counterflow.sdk.outcomes import Done

BATCH = 20
PRICE, TAX = 2000, 319  # minor units, tax of 19 % inside
NAMES: dict[str, Any] = {
    "places": {"wh-1": {"warehouse": "WH", "locations": {"returns": "WH/Quarantine"}}},
    "journals": {"psp": "STRIP"},
}


class Counting(httpx2.AsyncBaseTransport):
    """How many calls went out."""

    def __init__(self) -> None:
        self.inner, self.calls = httpx2.AsyncHTTPTransport(), 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.calls += 1
        return await self.inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self.inner.aclose()


class Tally:
    """What one way of working took, summed over its turns."""

    def __init__(self) -> None:
        self.returns, self.calls, self.cpu, self.seconds = 0, 0, 0.0, 0.0

    def per_return(self) -> Row:
        figures = {"calls": self.calls, "cpu_seconds": self.cpu, "wall_seconds": self.seconds}
        return {name: round(value / self.returns, 3) for name, value in figures.items()}


class Meter:
    """CPU seconds of a server on this machine; None where its processes cannot be seen."""

    def __init__(self, port: int, database: str) -> None:
        self.port, self.database = port, database

    def read(self) -> dict[str, float] | None:
        found = {}
        sockets = self._sockets()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                backend = command.startswith("postgres:") and f" {self.database} " in command
                if backend or (sockets and self._holds(process, sockets)):
                    fields = (process / "stat").read_text().rpartition(")")[2].split()
                    found[process.name] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            except OSError:
                continue  # it has ended, or is somebody else's
        return found if sockets else None

    def _sockets(self) -> set[str]:
        found = set()
        for name in ("tcp", "tcp6"):
            rows = Path(f"/proc/net/{name}")
            for row in rows.read_text().splitlines()[1:] if rows.exists() else ():
                columns = row.split()
                if columns[3] == "0A" and int(columns[1].rpartition(":")[2], 16) == self.port:
                    found.add(f"socket:[{columns[9]}]")
        return found

    @staticmethod
    def _holds(process: Path, sockets: set[str]) -> bool:
        return any(os.readlink(link) in sockets for link in (process / "fd").iterdir())


@asynccontextmanager
async def turn(tally: Tally, meter: Meter, wire: Counting, returns: int) -> AsyncIterator[None]:
    before, calls, began = meter.read(), wire.calls, time.perf_counter()
    yield
    tally.seconds += time.perf_counter() - began
    after = meter.read()
    tally.returns += returns
    tally.calls += wire.calls - calls
    if before is not None and after is not None:
        tally.cpu += sum(seconds - before.get(process, 0.0) for process, seconds in after.items())


def return_of(number: str) -> list[Effect]:
    """Receipt, credit note, and the payment of that credit note."""
    now = datetime.now(UTC)

    def effect(command: Command) -> Effect:
        id = make_id("ef", type(command).__name__, number)
        return Effect(id, "rc_bench", "odoo", command, now, f"sale:shop:order:{number}")

    ref, rma = f"shop:order:{number}", f"RMA-{number}"
    line = CreditLine("l1", "TEE", "goods", 1, PRICE, (Tax("DE-19", 190_000, TAX),), "T-shirt")
    note = effect(PostCreditNote(ref, number, make_id("ri", number), rma, "EUR", PRICE, (line,), "too small", now))
    leg, made = f"rl_{number}", f"effect:{note.effect_id}"
    return [
        effect(ReceiveGoods(ref, number, rma, "wh-1", "returns", (StockItem("TEE", 1, "l1"),), now)),
        note,
        effect(PostRefundPayment(leg, made, "ch", f"psp:refund:re_{number}", "card", "psp", PRICE, "EUR", now)),
    ]


async def send(connector: OdooConnector, numbers: Sequence[str]) -> None:
    effects = [effect for number in numbers for effect in return_of(number)]
    for effect, outcome in zip(effects, await connector.send(effects), strict=True):
        if not isinstance(outcome, Done):
            raise SystemExit(f"bench odoo: {effect.kind} of {effect.effect_id} ended as {outcome!r}")


async def bench(url: str, database: str, key: str, rounds: int) -> None:
    wire = Counting()
    base = {"base_url": url, "database": database, "api_key": key, **NAMES}

    def lane(name: str) -> OdooConnector:
        config = Config.model_validate({**base, "lane": name})
        return OdooConnector(config, Context("odoo", Unlimited(), lambda: datetime.now(UTC), wire))

    plain, fast = lane("plain"), lane("fast")
    assert fast.odoo.fast_lane is not None
    missing = await fast.odoo.fast_lane.problem()
    clicks = Clicks(url, database, key, wire)
    meter = Meter(httpx2.URL(url).port or 80, database)
    ways: dict[str, OdooConnector] = {"plain": plain} | ({} if missing else {"fast": fast})
    tallies = {name: Tally() for name in ("clicks", *(f"{n}_{size}" for n in ways for size in ("single", "batch")))}
    run = f"bench-{time.time_ns() // 1_000_000}"
    samples: dict[str, str] = {}
    for name, connector in ways.items():  # names are looked up once in a process; Odoo's own caches get warm too
        (samples[name],) = await clicks.sell(f"{run}-warm-{name}", 1)
        await send(connector, [samples[name]])
    (samples["clicks"],) = await clicks.sell(f"{run}-warm-clicks", 1)
    await clicks.take_back(samples["clicks"])
    for n in range(rounds):
        numbers = await clicks.sell(f"{run}-{n}", 3 + len(ways) * (3 + BATCH))
        own = [numbers.pop() for _ in range(3)]
        async with turn(tallies["clicks"], meter, wire, len(own)):
            for number in own:
                await clicks.take_back(number)
        for name, connector in ways.items():
            single, batch = [numbers.pop() for _ in range(3)], [numbers.pop() for _ in range(BATCH)]
            async with turn(tallies[f"{name}_single"], meter, wire, len(single)):
                for number in single:
                    await send(connector, [number])
            async with turn(tallies[f"{name}_batch"], meter, wire, len(batch)):
                await send(connector, batch)
            samples[f"{name}_batch"] = batch[BATCH // 2]
    left = {name: await clicks.documents(number) for name, number in samples.items()}
    for name, documents in left.items():
        if documents != left["plain"]:
            raise SystemExit(f"bench odoo: {name} leaves {documents}, the plain lane {left['plain']}")
    figures = {name: tally.per_return() for name, tally in tallies.items()}
    cpu = figures["clicks"]["cpu_seconds"]
    for name, figure in figures.items():
        more = {"returns_per_cpu_second_x": round(cpu / figure["cpu_seconds"], 2) if cpu else None}
        target = {"plain_single": 12, "fast_single": 1, "plain_batch": 0.7, "fast_batch": 0.1}.get(name)
        lab.emit(f"odoo_{name}_calls", figure["calls"], target, **more, **figure, returns=tallies[name].returns)
    if missing:
        lab.emit("odoo_fast", 0, None, skipped=missing)
    for connector in (plain, fast):
        await connector.aclose()


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks odoo", description=__doc__)
    for name in ("url", "db", "key"):
        parser.add_argument(f"--{name}", default=os.environ.get(f"COUNTERFLOW_ODOO_{name.upper()}", ""))
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    if not (given.url and given.key):
        lab.emit("odoo", 0, None, skipped="no real Odoo: give --url, --db and --key")
        return
    asyncio.run(bench(given.url, given.db, given.key, given.rounds))
