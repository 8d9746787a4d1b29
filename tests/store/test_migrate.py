"""Migrations run once, whoever asks at the same time and whatever the directories are called."""

import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from counterflow.store import migrate
from counterflow.store.embedded import Embedded

MIGRATION = """
from alembic import op
revision = {revision!r}
down_revision = {down!r}
def upgrade():
    op.execute({statement!r})
"""
UPGRADE = (
    "import sys, pathlib; from counterflow.store import migrate; "
    "migrate.MIGRATIONS = pathlib.Path(sys.argv[1]); migrate.upgrade(sys.argv[2])"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    with Embedded(tmp_path_factory.mktemp("a 'home' & %41")) as url:
        yield url


@pytest.fixture
def migrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two migrations of the test's own, in a directory with an odd name."""
    here = tmp_path / "odd 100% & 'name'"
    shutil.copytree(migrate.MIGRATIONS, here, ignore=shutil.ignore_patterns("0*", "__pycache__"))
    (here / "versions").mkdir(exist_ok=True)
    add(here, "0001", None, "create table t (n int); insert into t values (1)")
    add(here, "0002", "0001", "update t set n = n + 1")
    monkeypatch.setattr(migrate, "MIGRATIONS", here)
    return here


@pytest.fixture
def url(server: str):
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("drop database if exists empty with (force)")
        connection.execute("create database empty")
    return server.replace("/postgres?", "/empty?")


def add(migrations: Path, revision: str, down: str | None, statement: str) -> None:
    text = MIGRATION.format(revision=revision, down=down, statement=statement)
    (migrations / "versions" / f"{revision}_test.py").write_text(text)


def n(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("select n from t").fetchone()
    assert row
    return int(row[0])


def test_upgrade_runs_what_is_missing_and_only_that(migrations: Path, url: str) -> None:
    assert migrate.current(url) == ""
    migrate.upgrade(url)
    assert (migrate.current(url), n(url)) == ("0002", 2)
    add(migrations, "0003", "0002", "update t set n = n * 10")
    migrate.upgrade(url)
    migrate.upgrade(url)
    assert (migrate.current(url), n(url)) == ("0003", 20)


def test_several_processes_at_once(migrations: Path, url: str) -> None:
    command = [sys.executable, "-c", UPGRADE, str(migrations), url]
    assert [process.wait() for process in [subprocess.Popen(command) for _ in range(3)]] == [0, 0, 0]
    assert (migrate.current(url), n(url)) == ("0002", 2)


def test_a_migration_that_fails_leaves_nothing_behind(migrations: Path, url: str) -> None:
    add(migrations, "0003", "0002", "insert into nowhere values (1)")
    with pytest.raises(psycopg.errors.UndefinedTable, match="nowhere"):
        migrate.upgrade(url)
    assert migrate.current(url) == ""


def test_a_current_database_does_not_load_alembic(migrations: Path, url: str) -> None:
    migrate.upgrade(url)
    script = UPGRADE + "; assert 'alembic' not in sys.modules and 'sqlalchemy' not in sys.modules"
    subprocess.run([sys.executable, "-c", script, str(migrations), url], check=True)


def test_a_newer_database_is_refused(migrations: Path, url: str) -> None:
    migrate.upgrade(url)
    (migrations / "versions" / "0002_test.py").unlink()
    with pytest.raises(migrate.MigrationError, match="knows only 0001: upgrade Counterflow"):
        migrate.upgrade(url)


def test_our_migrations_form_one_line() -> None:
    """Revision ids are the numbers in the file names, each after the one before: `newest` relies on it."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(migrate.MIGRATIONS).replace("%", "%%"))
    scripts = list(ScriptDirectory.from_config(config).walk_revisions())[::-1]
    assert [script.revision for script in scripts] == [f"{number:04}" for number in range(1, len(scripts) + 1)]
    assert [Path(script.path).name[:4] for script in scripts] == [script.revision for script in scripts]


def test_fresh_databases_are_migrated_and_apart(fresh_database: str) -> None:
    assert migrate.current(fresh_database) == migrate.newest()
    with psycopg.connect(fresh_database) as connection:
        connection.execute("create table only_here (n int)")


def test_fresh_databases_are_empty(fresh_database: str) -> None:
    with psycopg.connect(fresh_database) as connection:
        row = connection.execute("select to_regclass('only_here')").fetchone()
    assert row == (None,)
