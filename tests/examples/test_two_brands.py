"""One connector serves two brands: each has its own provider and credential, and both meet in one Odoo."""

import re
from pathlib import Path

import httpx2
import pytest

from counterflow.configuration import Configuration, load
from counterflow.core.sale import Payment
from counterflow.sdk.connector import Context
from counterflow.sdk.http import Unlimited
from tests.core.returns.telling import START, Story, line, sale

EXAMPLE = Path(__file__).parents[2] / "examples" / "two-brands" / "counterflow.toml"


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configuration:
    text = EXAMPLE.read_text("utf-8")
    for name in re.findall(r'"env:(\w+)"', text):
        monkeypatch.setenv(name, f"whsec_{name.lower().replace('_', '')}")
    (tmp_path / "counterflow.toml").write_text(text)
    return load(tmp_path)


@pytest.mark.parametrize("brand", ["linen", "denim"])
def test_each_brand_pays_by_its_own_provider_and_books_in_one_odoo(configuration: Configuration, brand: str) -> None:
    paid = (Payment("pi_1", "card", 2000, f"{brand}-pay"),)
    sold = sale(line(), payments=paid, connection=brand, sale_ref=f"{brand}:order:1")
    story = Story(sold, configuration.setting).request().settle().receive().settle().inspect().settle()
    went = {effect.kind: effect.connection for effect in story.effects}
    assert went["PayLeg"] == f"{brand}-pay" and went["UpdateChannel"] == brand
    assert went["PostCreditNote"] == went["PostRefundPayment"] == went["ReceiveGoods"] == "odoo"
    assert not {effect.connection for effect in story.effects} & ({"linen", "denim"} - {brand})


async def test_two_accounts_of_one_connector_share_code_and_nothing_else(configuration: Configuration) -> None:
    linen, denim = (configuration.connections[name] for name in ("linen-pay", "denim-pay"))
    assert linen.maker is denim.maker
    asked: list[str] = []

    async def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.headers["authorization"])
        return httpx2.Response(200, json={"object": "list", "data": [], "has_more": False})

    for each in (linen, denim):
        context = Context(each.name, Unlimited(), lambda: START, httpx2.MockTransport(answer))
        connector = each.maker.make(each.config, context)
        await connector.pull("refunds", "")
        await connector.aclose()
    assert asked == ["Bearer whsec_linenpaykey", "Bearer whsec_denimpaykey"]


def test_odoo_is_touched_by_one_connection(configuration: Configuration) -> None:
    erp = [name for name, each in configuration.connections.items() if "erp" in each.maker.manifest.roles]
    assert erp == [configuration.setting.routes.erp]
