"""The relay in the place of the simulated Odoo, in front of the simulator: it sells, forwards, counts and adds up."""

import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from counterflow.connectors.odoo.simulator import create_app as simulated
from counterflow.sandbox import estate, real_odoo
from counterflow.sandbox.home import write_home
from counterflow.sdk.simulator import Clock, World

KEY = "odoo-admin-key"
SALE = {
    "order_ref": "#7001",
    "customer": {"ref": "pi_1", "name": "Kim Example"},
    "lines": [{"sku": "MUG", "quantity": 2, "price": 10.0, "discount": 0.0, "taxes": ["19% incl."]}],
    "payments": [{"journal": "STRIP", "amount": 20.0, "ref": "pi_1"}],
}


async def act(client: httpx2.AsyncClient, name: str, **payload: Any) -> dict[str, Any]:
    answer = await client.post(f"/_sim/do/{name}", json=payload)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> real_odoo.Given:
    monkeypatch.setenv("COUNTERFLOW_SANDBOX_ODOO_URL", "http://odoo/")
    monkeypatch.setenv("COUNTERFLOW_SANDBOX_ODOO_DB", "odoo19")
    monkeypatch.setenv(real_odoo.KEY, KEY)
    found = real_odoo.given()
    assert found is not None
    return found


@pytest.fixture
async def behind() -> AsyncIterator[httpx2.AsyncClient]:
    """The Odoo behind the relay, as the guide wants it."""
    app = simulated(World("odoo", None, Clock()))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://odoo") as client:
        await act(
            client,
            "seed_company",
            currency=estate.CURRENCY,
            provider={"name": "Stripe", "code": "STRIP"},
            stores=["Store 1"],
        )
        await act(client, "seed_products", products=estate.odoo_products())
        headers = {"Authorization": f"bearer {KEY}"}
        kim = {"vals_list": {"name": "Kim Example"}}
        assert (await client.post("/json/2/res.partner/create", json=kim, headers=headers)).status_code == 200
        yield client


@pytest.fixture
async def relay(
    given: real_odoo.Given, behind: httpx2.AsyncClient, tmp_path: Path
) -> AsyncIterator[httpx2.AsyncClient]:
    write_home(tmp_path, "http://outside")
    app = real_odoo.create_app(World("odoo", None, Clock()), given, tmp_path, behind)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://relay") as client:
        yield client


async def test_a_sale_is_ordered_shipped_invoiced_and_paid(relay: httpx2.AsyncClient) -> None:
    await act(relay, "seed_company")
    sold = await act(relay, "sell", **SALE)
    assert sold["invoice_name"].startswith("INV/")
    books = (await relay.get("/_sim/books")).json()
    payments = {row["ref"]: row["amount"] for row in books["documents"] if row["model"] == "account.payment"}
    assert payments == {"pi_1": 20.0, estate.OTHERS_PAYMENT: estate.OTHERS_MINOR / 100}
    assert {row["currency"] for row in books["documents"]} == {estate.CURRENCY}
    balance = {row["code"]: row["balance"] for row in books["trial_balance"]}
    assert balance["101450"] == 20.0 + estate.OTHERS_MINOR / 100
    assert {(row["usage"], row["sku"], row["quantity"]) for row in books["stock"]} == {
        ("internal", "MUG", -2.0),
        ("customer", "MUG", 2.0),
    }


async def test_what_was_there_before_is_not_in_the_books(relay: httpx2.AsyncClient, behind: httpx2.AsyncClient) -> None:
    await act(behind, "sell", **SALE | {"customer": {"ref": "pi_0", "name": "Jo"}})
    await act(relay, "seed_company")
    books = (await relay.get("/_sim/books")).json()
    assert not books["stock"]
    assert {row["ref"] for row in books["documents"] if row["model"] == "account.payment"} == {estate.OTHERS_PAYMENT}


async def test_what_the_connector_sends_passes_unchanged_and_is_counted(relay: httpx2.AsyncClient) -> None:
    path, body = "/json/2/product.product/search_count", {"domain": [["default_code", "=", "MUG"]]}
    answer = await relay.post(path, json=body, headers={"Authorization": f"bearer {KEY}"})
    assert (answer.status_code, answer.json()) == (200, 1)
    refused = await relay.post(path, json=body, headers={"Authorization": "bearer stolen"})
    assert refused.status_code == 401
    assert (await relay.get("/_sim/calls")).json() == {f"POST {path}": 2}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"customer": {"name": "Nobody"}}, "res.partner"),
        ({"lines": [{"sku": "HAT", "price": 1.0}]}, "HAT"),
        ({"payments": [{"journal": "STRIP", "amount": 5.0, "ref": "pi_1"}]}, "is not paid: 15.0 are left"),
    ],
)
async def test_what_is_missing_is_named(relay: httpx2.AsyncClient, change: dict[str, Any], said: str) -> None:
    await act(relay, "seed_company")
    answer = await relay.post("/_sim/do/sell", json=SALE | change)
    assert answer.status_code in (400, 404)
    assert said in answer.json()["error"]


def test_the_connection_takes_the_names_of_a_file(
    given: real_odoo.Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = tmp_path / "names.toml"
    names.write_text('[connections.odoo]\nbank_journal = "BANK"\njournals = { psp = "STRP" }\n', "utf-8")
    monkeypatch.setenv("COUNTERFLOW_SANDBOX_ODOO_NAMES", str(names))
    write_home(tmp_path / "home", "http://outside")
    written = tomllib.loads((tmp_path / "home" / "counterflow.toml").read_text("utf-8"))["connections"]["odoo"]
    assert written == {
        "connector": "odoo",
        "base_url": "http://outside/odoo",
        "database": "odoo19",
        "api_key": f"env:{real_odoo.KEY}",
        "bank_journal": "BANK",
        "journals": {"psp": "STRP"},
    }


def test_without_an_address_the_simulator_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COUNTERFLOW_SANDBOX_ODOO_URL", raising=False)
    assert real_odoo.given() is None
    write_home(tmp_path, "http://outside")
    written = tomllib.loads((tmp_path / "counterflow.toml").read_text("utf-8"))["connections"]["odoo"]
    assert written["api_key"] == estate.SECRETS["odoo_key"]
    assert written["places"]["store-1"]["locations"]["returns"] == "ST1/Returns"
