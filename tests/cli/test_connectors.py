"""What an installation can speak to, and what it makes of a delivery in a file."""

import json
from pathlib import Path
from typing import Any

import pytest

from counterflow.sdk.connector import Delivery
from counterflow.sdk.simulator.site import secret_of
from tests.api.world import World
from tests.cli.conftest import Command
from tests.cli.test_cases import in_world

INSPECTED: dict[str, Any] = {
    "id": "evt_1",
    "type": "return.inspected",
    "timestamp": "2026-03-04T08:12:00+01:00",
    "data": {"inspection_id": "I-1", "receipt_id": "R-1", "site": "LEJ1", "sku": "CAM", "quantity": 1, "grade": "B"},
}

CONNECTION = """
[connections.{name}]
connector = "warehouse"
base_url = "https://wms.example.com"
token = "the warehouse token"
webhook_secret = "{secret}"
places = {{ "LEJ1" = "leipzig" }}

[routes]
erp = ""
"""


def kept(tmp_path: Path, body: object) -> str:
    path = tmp_path / "body.json"
    path.write_text(json.dumps(body))
    return str(path)


def test_a_delivery_shows_the_facts_that_it_gives(command: Command, tmp_path: Path) -> None:
    file = kept(tmp_path, INSPECTED)
    [fact] = command("connectors", "try", "warehouse", file, "-o", "json").json
    assert fact["what"] == "ItemInspected" and fact["occurred_at"] == "2026-03-04T07:12:00Z"
    assert "warehouse:receipt:R-1" in fact["refs"] and (fact["body"]["sku"], fact["body"]["grade"]) == ("CAM", "B")
    shown = command("connectors", "try", "warehouse", file)
    assert shown.code == 0 and "ItemInspected" in shown.out and "CAM" in shown.out


def test_a_connection_is_tried_with_its_own_configuration(command: Command, home: Path, tmp_path: Path) -> None:
    (home / "counterflow.toml").write_text(CONNECTION.format(name="wms", secret=secret_of("wms")))
    ran = command("connectors", "try", "wms", kept(tmp_path, INSPECTED), "-o", "json")
    assert ran.code == 0, ran.err
    [fact] = ran.json
    assert fact["body"]["place"] == "leipzig" and "wms:receipt:R-1" in fact["refs"]


def test_headers_tell_the_topic_where_the_body_does_not(command: Command, tmp_path: Path) -> None:
    file = kept(tmp_path, {"admin_graphql_api_id": "gid://shopify/Return/5"})
    [seen] = command(
        "connectors", "try", "shopify", file, "--header", "X-Shopify-Topic=returns/request", "-o", "json"
    ).json
    assert seen["what"] == "look at returns" and "shopify:return:5" in seen["refs"]
    assert "--header" in command("connectors", "try", "shopify", file).out
    assert command("connectors", "try", "shopify", file, "--header", "X-Shopify-Topic").code == 2


@pytest.mark.parametrize(
    ("name", "body", "code", "said"),
    [
        ("warehouse", {**INSPECTED, "data": {**INSPECTED["data"], "grade": "fine"}}, 1, "data.grade"),
        ("nobody", INSPECTED, 3, "warehouse"),
    ],
)
def test_what_cannot_be_read_is_named(
    command: Command, tmp_path: Path, name: str, body: object, code: int, said: str
) -> None:
    ran = command("connectors", "try", name, kept(tmp_path, body))
    assert ran.code == code and said in ran.err and not ran.out
    assert command("connectors", "try", "warehouse", str(tmp_path / "absent")).code == 3


def test_a_kept_delivery_is_translated_again_on_request(command: Command, home: Path, fresh_database: str) -> None:
    async def broken(world: World) -> None:
        headers = {"signature": ("good",), "id": ("1",)}
        await world.services.intake.receive(Delivery("shop", headers, b"{", world.now))

    in_world(fresh_database, broken)
    (home / "counterflow.toml").write_text(CONNECTION.format(name="shop", secret=secret_of("shop")))
    [open_] = command("exceptions", "list", "-o", "json").json
    assert open_["kind"] == "malformed_delivery"
    again = command("exceptions", "retry", open_["exception_id"], "-m", "the connector was mended")
    assert again.code == 5 and "still cannot be read" in again.err
