"""Other people's programs and libraries, in an environment of their own: processes that tests talk to, never imports.

`make counterparts` installs them, by hash. Where they are not installed, a test that needs one is skipped, in CI fails.
"""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2
import pytest

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("COUNTERFLOW_COUNTERPARTS", ROOT / ".venv-counterparts")) / "bin"


def program(name: str) -> Path:
    """The path of an installed program. Skips the test, or fails it in CI."""
    path = BIN / name
    if not path.exists():
        why = f"{name} is not installed: run `make counterparts`"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    return path


@contextmanager
def server(name: str, *arguments: str, ready: str = "/") -> Iterator[str]:
    """A program that serves HTTP on a free port of this machine (`{port}` in its arguments); gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(program(name)), *(argument.format(port=port) for argument in arguments)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            assert process.poll() is None, f"{name} ended with {process.returncode}"
            try:
                httpx2.get(address + ready, verify=False)
                break
            except httpx2.TransportError:
                time.sleep(0.05)
        else:
            pytest.fail(f"{name} does not answer")
        yield address
    finally:
        process.terminate()
        process.wait(10)


class Script:
    """A script of ours run by their Python: one JSON line in, one JSON line out. What it raises is an `Answered`."""

    def __init__(self, path: Path, *arguments: str) -> None:
        command = [str(program("python")), str(path), *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, name: str, *arguments: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([name, *arguments]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise Answered(answer["error"], answer)
        return answer["ok"]

    def __enter__(self) -> "Script":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        self._process.wait(10)


class Answered(Exception):
    """The library raised this; `what` holds its code, message and status."""

    def __init__(self, kind: str, what: dict[str, Any]) -> None:
        super().__init__(f"{kind}: {what.get('message')}")
        self.kind, self.what = kind, what
