"""`serve` for real: the API with a worker beside it, a worker that is killed, and Ctrl-C."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.cli.conftest import Command

PATIENCE_S = 60.0


@contextmanager
def serving(home: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    command = [sys.executable, "-m", "counterflow", "serve", "--port", "0", "--workers", "1"]
    log = home.parent / "serve.log"
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out, text=True) as process:
        try:
            url = wait_for(lambda: re.search(r"http://[\d.]+:\d+", log.read_text()))
            yield process, url[0]
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE_S) == 0, log.read_text()


def wait_for(found):
    """What it gives once it gives something."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if result := found():
            return result
        time.sleep(0.05)
    raise AssertionError("it did not come to pass in time")


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads /proc to see the processes")
def test_it_answers_replaces_a_dead_worker_and_ends_clean(home: Path, command: Command) -> None:
    token = command("keys", "create", "ops", "--role", "admin", "-o", "json").json["key"]
    with serving(home) as (process, url), httpx2.Client(base_url=url) as client:

        def workers() -> list[int]:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            return [int(pid) for pid in children.read_text().split()]

        def metric() -> bool:
            text = client.get("/metrics", headers={"Authorization": f"Bearer {token}"}).text
            return "counterflow_workers 1.0" in text

        assert wait_for(lambda: client.get("/readyz").status_code == 200)
        assert wait_for(metric)
        [worker] = workers()
        os.kill(worker, signal.SIGKILL)
        assert wait_for(lambda: (now := workers()) and worker not in now)
        assert wait_for(metric)
        last = workers()
    assert not any(Path(f"/proc/{pid}").exists() for pid in last)
