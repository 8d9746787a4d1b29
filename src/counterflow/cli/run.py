"""Running: the API with worker processes beside it, or a worker alone."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from counterflow.cli.failures import UNAVAILABLE, USAGE, Stop

STOP_SECONDS = 15


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
    import socket

    import uvicorn

    from counterflow.runtime import make_api, open_runtime
    from counterflow.settings import Settings

    settings = Settings()
    host, port = host or settings.host, settings.port if port is None else port
    count = settings.workers if workers is None else workers
    if not 0 <= count <= 64:
        raise Stop(USAGE, f"--workers is {count}: use 0 to 64")
    async with open_runtime(settings) as opened:
        try:
            listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        except OSError as error:
            raise Stop(
                UNAVAILABLE, f"cannot listen on {host}:{port} ({error.strerror}): free it, or use --port"
            ) from None
        with listening, _workers(count):
            config = uvicorn.Config(make_api(opened), log_level=settings.log_level, lifespan="on", server_header=False)
            print(
                f"Counterflow listens on http://{host}:{listening.getsockname()[1]} with {count} worker(s)", flush=True
            )
            await uvicorn.Server(config).serve([listening])


@contextmanager
def _workers(count: int) -> Iterator[None]:
    """Worker processes, told to stop at the end and waited for."""
    with ExitStack() as stack:
        # A session of their own: Ctrl-C reaches this process, which then stops them in order.
        command = [sys.executable, "-m", "counterflow", "worker"]
        started = [stack.enter_context(subprocess.Popen(command, start_new_session=True)) for _ in range(count)]
        try:
            yield
        finally:
            for process in started:
                process.terminate()
            for process in started:
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
