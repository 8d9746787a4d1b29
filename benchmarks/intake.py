"""Durable intake over HTTP, 32 clients: grouped commits against a transaction per request, and not storing."""

import asyncio
import gc
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import uvicorn
from fastapi import FastAPI, Request, Response

from benchmarks import lab
from counterflow.intake.pressure import Bounds, Pressure
from counterflow.intake.receive import Intake
from counterflow.sandbox.town import free_port
from counterflow.sdk.connector import Delivery

CLIENTS, SECONDS = 32, 4.0
_SOLE = """
INSERT INTO deliveries (delivery_id, connection, delivery_key, headers, body, received_at, status, facts)
VALUES (%s, 'shop', %s, '{}', %s, %s, 'translated', 2)
"""


def make_app(url: str) -> FastAPI:
    """Three routes: `none` only reads, `single` is one transaction per request, `group` is our intake."""
    connectors = {"shop": lab.Nothing()}

    def now() -> datetime:
        return datetime.now(UTC)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with lab.opened(url, 32) as pool:
            pressure = Pressure(pool, Bounds(inbox=10**9))
            async with Intake(pool, connectors, now, pressure) as intake:
                app.state.pool, app.state.intake = pool, intake
                gc.collect()
                gc.freeze()
                yield

    app = FastAPI(lifespan=lifespan)

    async def delivery(request: Request) -> Delivery:
        headers = {name: (value,) for name, value in request.headers.items()}
        return Delivery("shop", headers, await request.body(), now())

    @app.post("/none")
    async def none(request: Request) -> Response:
        connectors["shop"].translate(await delivery(request))
        return Response(status_code=202)

    @app.post("/single")
    async def single(request: Request) -> Response:
        arrived = await delivery(request)
        facts = connectors["shop"].translate(arrived)
        key = connectors["shop"].identify(arrived)
        async with app.state.pool.connection() as conn, conn.transaction():
            await conn.execute(_SOLE, (f"dl_{key}", key, arrived.body, arrived.received_at), prepare=True)
            await lab.accept(conn, facts)
        return Response(status_code=202)

    @app.post("/group")
    async def group(request: Request) -> Response:
        await app.state.intake.receive(await delivery(request))
        return Response(status_code=202)

    return app


async def load(port: int, path: str, first: int) -> tuple[float, float]:
    """(answers per second, p99 ms) of 32 clients with one connection each."""
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    numbers = iter(range(first, first + 10_000_000))

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < end:
            body = json.dumps({"id": str(next(numbers)), "padding": "x" * 1200}).encode()
            began = time.perf_counter()
            writer.write(
                b"POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                % (path.encode(), len(body), body)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 202"):
                raise RuntimeError(head.decode("latin-1").splitlines()[0])
            times.append(time.perf_counter() - began)
        writer.close()

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return len(times) / SECONDS, 1000 * sorted(times)[int(len(times) * 0.99)]


async def bench(server: str) -> None:
    with lab.database(server, "bench_intake") as url:
        port = free_port()
        process = subprocess.Popen([sys.executable, "-m", "benchmarks.intake", url, str(port)])
        try:
            for _ in range(200):
                try:
                    (await asyncio.open_connection("127.0.0.1", port))[1].close()
                    break
                except OSError:
                    await asyncio.sleep(0.05)
            await load(port, "/none", 0)  # warm
            none, _ = await load(port, "/none", 0)
            single, single_p99 = await load(port, "/single", 20_000_000)
            group, group_p99 = await load(port, "/group", 40_000_000)
        finally:
            process.terminate()
            process.wait()
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
    uvicorn.run(make_app(sys.argv[1]), port=int(sys.argv[2]), log_level="warning", access_log=False)
