"""Running: the API with worker processes beside it, or a worker alone."""

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from counterflow.cli.failures import UNAVAILABLE, USAGE, Stop

if TYPE_CHECKING:
    import uvicorn

STOP_SECONDS = 15
AGAIN_SECONDS = 1.0  # at most so often is a worker started again


async def worker() -> None:
    """Run one worker until it is told to stop; start as many as you like on one database."""
    from counterflow.runtime import run_worker
    from counterflow.settings import Settings

    await run_worker(Settings())


async def serve(*, host: str | None = None, port: int | None = None, workers: int | None = None) -> None:
    """Run the API, and worker processes beside it (COUNTERFLOW_WORKERS); stop them all with Ctrl-C.

    Parameters
    ----------
    host
        Address to listen on; else COUNTERFLOW_HOST.
    port
        Port to listen on; else COUNTERFLOW_PORT.
    workers
        How many worker processes; else COUNTERFLOW_WORKERS.
    """
    import uvicorn

    from counterflow.engine.quiet import quiet
    from counterflow.runtime import make_api, open_runtime
    from counterflow.settings import Settings

    settings = Settings()
    host, port = host or settings.host, settings.port if port is None else port
    count = settings.workers if workers is None else workers
    if not 0 <= count <= 64:
        raise Stop(USAGE, f"--workers is {count}: use 0 to 64")
    async with open_runtime(settings) as opened, opened.credentials.watching():
        try:
            listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        except OSError as error:
            raise Stop(
                UNAVAILABLE, f"cannot listen on {host}:{port} ({error.strerror}): free it, or use --port"
            ) from None
        config = uvicorn.Config(make_api(opened), log_level=settings.log_level, lifespan="on", server_header=False)
        quiet()
        with listening:
            async with _workers(count):
                where = f"http://{host}:{listening.getsockname()[1]}"
                print(f"Counterflow listens on {where}, with {count} worker process(es)", flush=True)
                await _until_told(uvicorn.Server(config), listening)


async def _until_told(server: "uvicorn.Server", listening: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM, and end well: uvicorn's own way raises the signal again at the end."""

    def end() -> None:
        server.force_exit = server.should_exit  # the second time it does not wait for requests
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end)
    await server._serve([listening])


@asynccontextmanager
async def _workers(count: int) -> AsyncIterator[None]:
    """Worker processes: started again when they die, told to stop at the end and waited for."""
    # A session of their own: Ctrl-C reaches this process, which then stops them in order.
    processes = [_start() for _ in range(count)]
    watching = asyncio.create_task(_watch(processes))
    try:
        yield
    finally:
        watching.cancel()
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                await asyncio.to_thread(process.wait, STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


async def _watch(processes: "list[subprocess.Popen[bytes]]") -> None:
    while True:
        await asyncio.sleep(AGAIN_SECONDS)
        for n, process in enumerate(processes):
            if (code := process.poll()) is not None:
                print(f"worker {process.pid} ended with {code}: another one is started", file=sys.stderr, flush=True)
                processes[n] = _start()


def _start() -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "counterflow", "worker"], start_new_session=True)
