"""A real PostgreSQL for every test that asks for one.

`database_url` is a server: the one of COUNTERFLOW_TEST_DATABASE_URL or COUNTERFLOW_DATABASE_URL, or else an embedded
one for this run. `fresh_database` is an empty, migrated database of the test's own on it.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from counterflow.store import migrate
from counterflow.store.embedded import Embedded
from tests import twice
from tests.counterparts.medusa.server import Missing, Server, medusa


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--twice", action="store_true", help="do everything twice: each message and each step")


@pytest.fixture(scope="session", autouse=True)
def _all_twice(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path | None]:
    """With --twice, each message and each step is done twice, here and in the processes that tests start."""
    if not request.config.getoption("--twice"):
        yield None
        return
    found = tmp_path_factory.mktemp("twice") / "found"
    twice.everywhere(os.environ, found)
    with twice.steps():
        yield found


@pytest.fixture(autouse=True)
def _twice(request: pytest.FixtureRequest, _all_twice: Path | None) -> Iterator[None]:
    """Skips what counts one time only, and shows what was done a second time where no test sees it (tests/twice.py)."""
    if _all_twice and (marker := request.node.get_closest_marker("once")):
        pytest.skip(f"counts what is done once: {marker.args[0]}")
    yield
    if _all_twice and _all_twice.exists():
        said = _all_twice.read_text()
        _all_twice.unlink()
        pytest.fail(said)


@pytest.fixture(scope="session")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that the tests may make databases on."""
    given = os.environ.get("COUNTERFLOW_TEST_DATABASE_URL") or os.environ.get("COUNTERFLOW_DATABASE_URL")
    if given:
        yield given
        return
    with Embedded(tmp_path_factory.mktemp("server")) as url:
        yield url


@pytest.fixture(scope="session")
def medusa_server(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real Medusa, for the whole run. Skips without Node and npm; fails without them in CI.

    COUNTERFLOW_TEST_MEDUSA_URL is one that runs already, with the admin user of tests/counterparts/medusa/server.py.
    """
    if url := os.environ.get("COUNTERFLOW_TEST_MEDUSA_URL"):
        yield Server(url)
        return
    try:
        with medusa(database_url, tmp_path_factory.mktemp("medusa") / "medusa.log") as server:
            yield server
    except Missing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{missing} (CI fails here)")


@pytest.fixture(scope="session")
def template_database(database_url: str) -> Iterator[str]:
    """The name of a migrated database, made once, that `fresh_database` copies."""
    with _database(database_url) as name:
        migrate.upgrade(_named(database_url, name))
        yield name


@pytest.fixture
def fresh_database(database_url: str, template_database: str) -> Iterator[str]:
    """The URL of a migrated, empty database that nobody else uses; it is dropped afterwards."""
    with _database(database_url, template_database) as name:
        yield _named(database_url, name)


@contextmanager
def _database(url: str, template: str = "template0") -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    create = sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template))
    drop = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(create)
    try:
        yield name
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(drop)


def _named(url: str, database: str) -> str:
    """`url` with another database."""
    address, mark, options = url.partition("?")
    scheme, _, rest = address.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}/{database}{mark}{options}"
