"""A real Medusa server for tests: installed from npm once, its database made fresh for each run, started and stopped.

Installed under `$XDG_CACHE_HOME/counterflow/medusa-<hash of these files>` (680 MB, a few minutes the first time).
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

HERE = Path(__file__).parent
FILES = ("package.json", "package-lock.json", "medusa-config.js")
NODE_LEAST = 20
EMAIL, PASSWORD = "counterflow@example.com", "made-up-password"
START_SECONDS = 180.0


class Missing(Exception):
    """What a Medusa server needs is not on this machine; the message says what."""


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    email: str = EMAIL
    password: str = PASSWORD


def installed() -> Path:
    """The folder of the installed server; the first call installs it. Raises Missing."""
    _needs_node()
    digest = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in FILES)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "counterflow"
    folder = cache / f"medusa-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    with (cache / f"medusa-{digest}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs at once install once
        done = folder / ".installed"
        if not done.exists():
            for name in FILES:
                shutil.copy(HERE / name, folder / name)
            command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
            answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if answer.returncode:
                raise Missing(f"npm could not install Medusa: {answer.stderr[-1500:]}")
            done.touch()
    return folder


def _needs_node() -> None:
    try:
        said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        raise Missing(f"a Medusa server needs Node {NODE_LEAST} or newer and npm: install them") from None
    if int(said.strip().removeprefix("v").partition(".")[0]) < NODE_LEAST or shutil.which("npm") is None:
        raise Missing(f"a Medusa server needs Node {NODE_LEAST} or newer and npm, here is Node {said.strip()}")


@contextmanager
def medusa(database_url: str, log: Path) -> Iterator[Server]:
    """A started server with one admin user, on a database of its own. Raises Missing."""
    folder = installed()
    with _database(database_url) as url, log.open("wb") as output:
        env = {**os.environ, "DATABASE_URL": url, "NODE_ENV": "production", "MEDUSA_DISABLE_TELEMETRY": "true"}
        program = str(folder / "node_modules" / ".bin" / "medusa")
        for arguments in (["db:migrate"], ["user", "-e", EMAIL, "-p", PASSWORD]):
            answer = subprocess.run([program, *arguments], cwd=folder, env=env, capture_output=True, check=False)
            assert answer.returncode == 0, (answer.stdout + answer.stderr)[-3000:]
        port = _free_port()
        process = subprocess.Popen(
            [program, "start", "--port", str(port)], cwd=folder, env=env, stdout=output, stderr=output,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            server = Server(f"http://127.0.0.1:{port}")
            _answers(server, process, log)
            yield server
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _answers(server: Server, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(httpx2.HTTPError):
            if httpx2.get(f"{server.url}/health", timeout=5).status_code == 200:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"Medusa did not start: {log.read_text('utf-8', 'replace')[-3000:]}")
        time.sleep(0.1)


@contextmanager
def _database(url: str) -> Iterator[str]:
    """A new database on the server of `url`, dropped afterwards; its URL as Node reads it."""
    name = f"medusa_{uuid.uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    given = conninfo_to_dict(url)
    user, password = given.get("user") or "postgres", given.get("password")
    at = f"{user}:{password}" if password else str(user)
    host, port = str(given.get("host") or "localhost"), given.get("port") or 5432
    socket_folder = host.startswith("/")
    address = f"localhost:{port}/{name}?host={host}" if socket_folder else f"{host}:{port}/{name}"
    try:
        yield f"postgres://{at}@{address}"
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
