"""The embedded server starts, stays and stops whatever its directory is called and whatever died before."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from counterflow.store import embedded, programs
from counterflow.store.embedded import Embedded, EmbeddedError

START = (
    "import sys, pathlib; from counterflow.store.embedded import Embedded; "
    "print(Embedded.start(pathlib.Path(sys.argv[1])), flush=True)"
)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home"
    yield home
    Embedded.stop(home)


def ask(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
    assert row
    return row[0]


def as_user(user: int, act: Callable[[], object]) -> str:
    """What `act` says when another user does it: its result, or its EmbeddedError."""
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
            said = str(act())
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return said


@pytest.mark.parametrize(
    "name",
    [
        "plain",
        "My & 'Project' %41",
        'a "b" $HOME `c`; \\d #',
        "Rückgabe 返品",
        "long/" + "/".join(["directory" * 5] * 5),
    ],
)
def test_any_directory_name(tmp_path: Path, name: str) -> None:
    home = tmp_path / name
    with Embedded(home) as url:
        assert ask(url, "select 1") == 1
        assert Embedded.status(home)["accepting"]
    assert not Embedded.status(home)["running"]


def test_settings(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setenv("LC_ALL", "C")
    url = Embedded.start(home)
    expected = {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "jit": "off",
        "listen_addresses": "",
        "TimeZone": "UTC",
        "server_encoding": "UTF8",
        "data_checksums": "on",
    }
    assert {name: ask(url, f"select current_setting('{name}')") for name in expected} == expected
    assert ask(url, "select datcollate from pg_database where datname = current_database()") == "C.UTF-8"


def test_three_processes_at_once_get_one_server(home: Path) -> None:
    command = [sys.executable, "-c", START, str(home)]
    starters = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    urls = [starter.communicate()[0].strip() for starter in starters]
    assert [starter.returncode for starter in starters] == [0, 0, 0]
    assert len({(url, ask(url, "select pg_postmaster_start_time()")) for url in urls}) == 1


def test_server_outlives_its_starter_and_anybody_stops_it(home: Path) -> None:
    subprocess.run([sys.executable, "-c", START, str(home)], check=True, stdout=subprocess.DEVNULL)
    assert Embedded.status(home)["accepting"]
    assert Embedded.stop(home) is True
    assert Embedded.stop(home) is False
    assert Embedded.status(home)["pid"] is None


def test_stop_ends_open_sessions(home: Path) -> None:
    connection = psycopg.connect(Embedded.start(home))
    connection.execute("create table t (n int)")
    assert Embedded.stop(home)
    with pytest.raises(psycopg.OperationalError):
        connection.execute("select 1")


def test_kill_of_the_postmaster_loses_no_acknowledged_row(home: Path) -> None:
    with psycopg.connect(Embedded.start(home), autocommit=True) as connection:
        connection.execute("create table t (n int)")
    for kill in range(1, 4):
        with psycopg.connect(Embedded.start(home), autocommit=True) as connection:
            for _ in range(20):
                connection.execute("insert into t values (1)")
            os.kill(Embedded.status(home)["pid"], signal.SIGKILL)
            url = Embedded.start(home)
            assert ask(url, "select count(*) from t") == 20 * kill


def test_kill_of_every_process(home: Path) -> None:
    with psycopg.connect(Embedded.start(home), autocommit=True) as connection:
        connection.execute("create table t as select 7 as n")
        pids = [row[0] for row in connection.execute("select pid from pg_stat_activity where pid <> pg_backend_pid()")]
        for pid in [Embedded.status(home)["pid"], *pids, connection.info.backend_pid]:
            os.kill(pid, signal.SIGKILL)
    assert ask(Embedded.start(home), "select n from t") == 7


@pytest.mark.parametrize(
    "content", ["", "garbage\n", "{foreign}\n", "{foreign}\n{data}\n1\n5432\n/tmp\n\n1 1\nready\n"]
)
def test_left_over_pid_files_are_not_believed(home: Path, content: str) -> None:
    """Empty, broken, or naming a live process that is not our server: this one."""
    data = home / "postgres"
    Embedded.start(home)
    Embedded.stop(home)
    sockets = embedded._made(embedded._sockets(data))
    for stale in (data / "postmaster.pid", sockets / ".s.PGSQL.5432.lock"):
        stale.write_text(content.format(foreign=os.getpid(), data=data))
    assert not Embedded.status(home)["running"]
    assert Embedded.stop(home) is False
    assert ask(Embedded.start(home), "select 1") == 1


def test_a_zombie_is_not_a_server(home: Path) -> None:
    """Killed and not yet reaped by its parent: its id still exists."""
    script = START + "; import os, time; os.close(1); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", script, str(home)], stdout=subprocess.PIPE, text=True) as parent:
        try:
            assert parent.stdout
            parent.stdout.read()
            pid = Embedded.status(home)["pid"]
            os.kill(pid, signal.SIGKILL)
            url = Embedded.start(home)
            os.kill(pid, 0)  # the id still exists, and no harm is done
            assert ask(url, "select 1") == 1
        finally:
            parent.kill()


def test_a_home_made_anew_has_nothing_of_the_old_server(home: Path) -> None:
    with psycopg.connect(Embedded.start(home), autocommit=True) as connection:
        connection.execute("create table t (n int)")
    old = Embedded.status(home)["pid"]
    shutil.rmtree(home)
    url = Embedded.start(home)
    os.kill(old, signal.SIGINT)  # PostgreSQL would do so itself within a minute
    wait_for(lambda: not alive(old))
    assert ask(url, "select to_regclass('t') is null") is True


def test_a_renamed_home_keeps_its_server(home: Path, tmp_path: Path) -> None:
    url = Embedded.start(home)
    home.rename(tmp_path / "renamed")
    assert Embedded.start(tmp_path / "renamed") == url
    assert Embedded.stop(tmp_path / "renamed") is True


def test_a_home_that_can_hold_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedError, match=r"No database can be kept in .*set COUNTERFLOW_HOME to another directory"):
        Embedded.start(tmp_path / "file")


def test_a_creation_cut_short_is_begun_again(home: Path) -> None:
    (home / "postgres.new").mkdir(parents=True)
    (home / "postgres.new" / "PG_VERSION").write_text("18\n")
    assert ask(Embedded.start(home), "select 1") == 1


def test_what_cannot_be_started_is_said_with_the_reason(home: Path) -> None:
    Embedded.start(home)
    Embedded.stop(home)
    control = home / "postgres" / "global" / "pg_control"
    control.rename(home / "pg_control")
    with pytest.raises(EmbeddedError, match="pg_control"):
        Embedded.start(home)
    (home / "pg_control").rename(control)
    assert ask(Embedded.start(home), "select 1") == 1


def test_another_major_version_and_no_database_are_refused(home: Path) -> None:
    Embedded.start(home)
    Embedded.stop(home)
    made_by = home / "postgres" / "PG_VERSION"
    made_by.write_text("16\n")
    with pytest.raises(EmbeddedError, match=r"PostgreSQL 16 and this is 18: dump it.*COUNTERFLOW_HOME"):
        Embedded.start(home)
    made_by.unlink()
    with pytest.raises(EmbeddedError, match="holds no database: move it away"):
        Embedded.start(home)
    made_by.write_text("18\n")


def test_a_socket_directory_of_somebody_else_is_refused(home: Path) -> None:
    Embedded.start(home)
    Embedded.stop(home)
    base = embedded._sockets(home / "postgres").parent
    mode = base.stat().st_mode
    base.chmod(0o777)
    try:
        with pytest.raises(EmbeddedError, match="only you may write: remove it"):
            Embedded.start(home)
    finally:
        base.chmod(mode)


@as_root
def test_root_opens_no_parent_directory(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    with Embedded(private / "a b" / "home") as url:
        assert ask(url, "select 1") == 1
        assert private.stat().st_mode & 0o777 == 0o700
        assert (private / "a b" / "home" / "postgres").stat().st_uid == pwd.getpwnam("nobody").pw_uid


@as_root
def test_root_copies_programs_that_nobody_cannot_reach(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = Path(programs.path("postgres")).parents[2]
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    for part in (wheel / "pginstall18", wheel.with_name(f"{wheel.name}.libs")):
        shutil.copytree(part, private / part.relative_to(wheel.parent), symlinks=True)
    monkeypatch.syspath_prepend(private)
    (private / wheel.name / "__init__.py").touch()
    reachable = Path(f"/tmp/counterflow-test-{os.getpid()}")
    monkeypatch.setattr(programs, "CACHE", reachable)
    try:
        assert ask(Embedded.start(home), "select 1") == 1
        assert Path(programs.path("postgres")).is_relative_to(reachable)
        assert Embedded.stop(home)
    finally:
        shutil.rmtree(reachable)


@as_root
def test_a_normal_user_has_a_server_too_and_root_is_refused_there() -> None:
    home = Path(f"/tmp/counterflow-test-{os.getpid()}-user")
    home.mkdir()
    try:
        os.chown(home, 1, 1)
        assert as_user(1, lambda: ask(Embedded.start(home), "select 41 + 1")) == "42"
        for act in (Embedded.start, Embedded.stop, Embedded.status):
            with pytest.raises(
                EmbeddedError, match=r"made by daemon and you are root: run as daemon, or set COUNTERFLOW_HOME"
            ):
                act(home)
        assert as_user(1, lambda: Embedded.stop(home)) == "True"
    finally:
        shutil.rmtree(home)


@as_root
def test_a_normal_user_is_refused_in_roots_home() -> None:
    home = Path(f"/tmp/counterflow-test-{os.getpid()}-root")
    try:
        with Embedded(home):
            said = as_user(1, lambda: Embedded.start(home))
            assert "made by root and you are daemon: run as root, or set COUNTERFLOW_HOME" in said
        home.chmod(0o700)
        for act in (Embedded.start, Embedded.stop, Embedded.status):
            said = as_user(1, lambda act=act: act(home))  # type: ignore[misc]
            assert "belongs to another user and you are daemon" in said
            assert "COUNTERFLOW_HOME" in said
    finally:
        shutil.rmtree(home)


@as_root
def test_a_user_without_a_name_is_told_what_to_do() -> None:
    home = Path(f"/tmp/counterflow-test-{os.getpid()}-nameless")
    said = as_user(54321, lambda: Embedded.start(home))
    shutil.rmtree(home)
    assert "PostgreSQL needs a user with a name" in said
    assert "COUNTERFLOW_DATABASE_URL" in said


def alive(pid: int) -> bool:
    embedded._alive(Path("/"))  # reaps what this process started
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("waited ten seconds in vain")
