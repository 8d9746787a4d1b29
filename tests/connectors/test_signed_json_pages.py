"""The pages by which a stranger connects his own till or warehouse: their examples are understood as they stand."""

import json
import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from counterflow.connectors.pos.conformance import Harness as Till
from counterflow.connectors.warehouse.conformance import Harness as House
from counterflow.core.inventory.locations import OPERATIONS
from counterflow.core.policy.vocabulary import REASONS
from counterflow.sdk import signed_json
from counterflow.sdk.connector import Delivery
from counterflow.sdk.goods import FINDINGS
from counterflow.sdk.testing import Harness

PAGES = Path(__file__).parents[2] / "docs" / "connectors"
HARNESSES: dict[str, type[Harness]] = {"pos": Till, "warehouse": House}


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (PAGES / f"{page}.md").read_text("utf-8"), re.S)


@pytest.mark.parametrize("name", HARNESSES)
def test_every_event_has_an_example_that_is_understood(name: str):
    harness = HARNESSES[name]()
    shown = {}
    for text in blocks(name, "json"):
        facts = harness.connector.translate(harness.sign(text.encode()))
        shown[json.loads(text)["type"]] = facts
        assert len(facts) == 1, text
    assert shown.keys() == set(harness.manifest.topics)


@pytest.mark.parametrize("name", HARNESSES)
def test_the_configuration_is_one(name: str):
    (text,) = blocks(name, "toml")
    (entry,) = tomllib.loads(text)["connections"].values()
    secret = Till.config["webhook_secret"]
    checked = {**entry, "webhook_secret": secret}
    assert checked.pop("connector") == name
    config: Any = HARNESSES[name].maker.Config.model_validate(checked)
    described = (PAGES / "signed-json.md").read_text("utf-8") + text
    assert all(f"`{field}`" in described or f"{field} = " in described for field in type(config).model_fields)


def test_every_word_that_means_something_is_on_the_page():
    till, house = ((PAGES / f"{name}.md").read_text("utf-8") for name in HARNESSES)
    for page in (till, house):
        assert not [code for code in {*FINDINGS, *FINDINGS.values()} if not re.search(rf"\b{code}\b", page)]
    assert not [word for word in OPERATIONS if f"`{word}`" not in house]
    assert set(re.findall(r"\w+", till.partition("`reason`: ")[2].partition("`stated")[0])) - {"if", "absent"} <= {
        *REASONS
    }


def test_the_signature_that_is_shown_is_right():
    page = (PAGES / "signed-json.md").read_text("utf-8")
    secret, stamp = re.findall(r"`(whsec_\S+)`, id `evt_1`, timestamp `(\d+)`", page)[0]
    at = datetime.fromtimestamp(int(stamp), UTC)
    (code,) = blocks("signed-json", "python")
    shown = {"time": 0}
    exec(code, shown)
    headers = signed_json.sign(secret, "evt_1", at, b"{}")
    assert f"`{headers['webhook-signature']}`" in page
    theirs: dict[str, str] = shown["headers"](secret, "evt_1", b"{}")  # type: ignore[operator]
    now = datetime.fromtimestamp(int(theirs["webhook-timestamp"]), UTC)
    delivery = Delivery("till", {name: (value,) for name, value in theirs.items()}, b"{}", now)
    signed_json.verify(delivery, secret)
