"""The fast lane's procedure, installed from the command line into a simulated Odoo that answers on a socket."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from counterflow.connectors.odoo import fast_lane
from counterflow.connectors.odoo.simulator import create_app
from counterflow.sdk.simulator import Clock, World
from tests.cli.conftest import Command

ADMIN = "odoo-admin-key"


@pytest.fixture
def odoo(home: Path) -> Iterator[World]:
    """An Odoo, and a connection to it."""
    world = World("odoo", None, Clock())
    server = uvicorn.Server(uvicorn.Config(create_app(world), port=0, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    with world.tx():
        world.acts["seed_company"]({})
    address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    books = f'[connections.books]\nconnector = "odoo"\nbase_url = "{address}"\napi_key = "odoo-integration-key"\n'
    (home / "counterflow.toml").write_text(f"{books}[routes]\nerp = 'books'\n")
    yield world
    server.should_exit = True
    thread.join()
    world.close()


def test_the_procedure_is_installed_updated_and_removed(
    odoo: World, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTERFLOW_ODOO_ADMIN_KEY", ADMIN)
    for _ in range(2):
        ran = command("odoo", "install", "books")
        assert ran.code == 0 and fast_lane.version() in ran.out and 'lane = "fast"' in ran.out
        assert [row["code"] for row in odoo.all("ir.actions.server")] == [fast_lane.code()]
    assert "removed" in command("odoo", "install", "books", "--remove").out
    assert odoo.all("ir.actions.server") == []


def test_it_says_what_is_missing(odoo: World, command: Command) -> None:
    nobody = command("odoo", "install", "nobody")
    assert nobody.code == 3 and "books" in nobody.err
    keyless = command("odoo", "install", "books")
    assert keyless.code == 2 and "COUNTERFLOW_ODOO_ADMIN_KEY" in keyless.err
    stranger = command("odoo", "install", "books", "--key", "odoo-integration-key")
    assert stranger.code == 6 and "Server Action" in stranger.err
    assert odoo.all("ir.actions.server") == []
