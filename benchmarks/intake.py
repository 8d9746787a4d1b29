"""Durable intake over HTTP, 32 clients: grouped commits against a transaction per request, and not storing.

The three differ in nothing but the last step of intake: each is the whole application in a process of its own.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from benchmarks import lab
from counterflow.api.app import make_app
from counterflow.api.services import Account, Services
from counterflow.core.effects import Effect
from counterflow.core.facts import Fact
from counterflow.engine.quiet import quiet
from counterflow.intake.pressure import Bounds, Pressure
from counterflow.intake.receive import Intake, Job, Receipt
from counterflow.sandbox.town import free_port
from counterflow.sdk.manifest import Limits
from counterflow.store import secret
from counterflow.store.deliveries import Kept

CLIENTS, SECONDS, WARM_SECONDS = 32, 5.0, 1.0


class Single(Intake):
    """One transaction per request."""

    async def _enqueue(self, kept: Kept | None, facts: Sequence[Fact], looks: Sequence[Effect]) -> Receipt:
        answer: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        return (await self._commit([Job(kept, facts, looks, answer)]))[0]


class Forgetful(Intake):
    """Everything but the storing."""

    async def _enqueue(self, kept: Kept | None, facts: Sequence[Fact], looks: Sequence[Effect]) -> Receipt:
        assert kept is not None
        return Receipt(kept.delivery_id, kept.status, kept.facts)


INTAKES: dict[str, type[Intake]] = {"group": Intake, "single": Single, "none": Forgetful}


async def serve(url: str, port: str, intake: str) -> None:
    async with lab.opened(url, CLIENTS) as pool:
        taking = INTAKES[intake](pool, {"shop": lab.Nothing()}, lab.now, Pressure(pool, Bounds(inbox=10**9)))
        accounts = {"shop": Account("shop", "nothing", "live", frozenset(), Limits())}
        with tempfile.TemporaryDirectory() as home:
            pepper = secret.load_or_create(Path(home))
        app = make_app(Services(pool, taking, lab.SETTING, accounts, lab.now, pepper))
        config = uvicorn.Config(app, port=int(port), log_level="warning", access_log=False, lifespan="on")
        quiet()
        await uvicorn.Server(config).serve()


async def load(port: int, first: int, seconds: float) -> list[float]:
    """Seconds of each answer to 32 clients with one connection each. Raises RuntimeError for any answer but 202."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    numbers = iter(range(first, first + 10_000_000))

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < end:
            body = json.dumps({"id": str(next(numbers)), "padding": "x" * 1200}).encode()
            began = time.perf_counter()
            writer.write(
                b"POST /webhooks/shop HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 202"):
                raise RuntimeError(head.decode("latin-1").splitlines()[0])
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))
            times.append(time.perf_counter() - began)
        writer.close()

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return times


async def measure(url: str, intake: str, first: int) -> tuple[float, float]:
    """(answers per second, p99 ms). Raises RuntimeError when what was answered is not there, or is there uninvited."""
    port = free_port()
    with lab.processes(1, "benchmarks.intake", url, str(port), intake):
        await _listening(port)
        before = await _stored(url)
        warm = await load(port, first, WARM_SECONDS)
        times = await load(port, first + 5_000_000, SECONDS)
    kept, facts = (after - was for after, was in zip(await _stored(url), before, strict=True))
    answered = 0 if intake == "none" else len(warm) + len(times)
    if (kept, facts) != (answered, 2 * answered):
        raise RuntimeError(f"{intake}: {answered} answered, but {kept} deliveries and {facts} facts were stored")
    return len(times) / SECONDS, 1000 * sorted(times)[int(len(times) * 0.99)]


async def _listening(port: int) -> None:
    for _ in range(200):
        try:
            (await asyncio.open_connection("127.0.0.1", port))[1].close()
            return
        except OSError:
            await asyncio.sleep(0.05)
    raise RuntimeError("the application does not listen")


async def _stored(url: str) -> tuple[int, int]:
    async with lab.opened(url, 1) as pool, pool.connection() as conn:
        found = await conn.execute("SELECT (SELECT count(*) FROM deliveries), (SELECT count(*) FROM inbox)")
        row = await found.fetchone()
    assert row is not None
    return int(row[0]), int(row[1])


async def bench(server: str) -> None:
    with lab.database(server, "bench_intake") as url:
        none, _ = await measure(url, "none", 0)
        single, single_p99 = await measure(url, "single", 20_000_000)
        group, group_p99 = await measure(url, "group", 40_000_000)
    lab.emit(
        "intake_vs_single",
        group / single,
        2,
        per_s=round(group),
        single_per_s=round(single),
        not_stored_per_s=round(none),
        vs_not_stored=round(group / none, 2),
        p99_ms=round(group_p99, 1),
        single_p99_ms=round(single_p99, 1),
        clients=CLIENTS,
    )


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
