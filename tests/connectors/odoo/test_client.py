"""Odoo's ways to fail, in the eight words."""

import pytest

from counterflow.connectors.odoo.client import Client, Document
from counterflow.core.effects import StockItem
from counterflow.sdk.outcomes import AuthFailed, ConnectorError, Malformed, Rejected, Transient, UnknownOutcome
from tests.connectors.odoo.lane import lane, receive

PARTNER = Document("p_1", {"name": "Ada"})


both = pytest.mark.parametrize("version", ["19.0", "18.0"])


@both
@pytest.mark.parametrize(
    ("fault", "read", "write"),
    [
        ("html_error", Transient, UnknownOutcome),
        ("serialization_failure", Transient, Transient),  # Odoo gave up after its own tries and rolled back
        ("error_after", Transient, UnknownOutcome),
        ("garbage_after", Malformed, UnknownOutcome),
        ("lost_reply", Transient, UnknownOutcome),
        ("unauthorized", AuthFailed, AuthFailed),
        ("down", Transient, Transient),
    ],
)
async def test_a_fault_has_the_word_of_when_it_happened(
    fault: str, read: type[ConnectorError], write: type[ConnectorError], version: str
) -> None:
    async with lane(version) as odoo:
        assert odoo.world is not None
        client: Client = odoo.connector.odoo.client
        await client.search("res.partner", [], ["id"])  # version and user are asked before anything is written
        odoo.world.fault(fault)
        with pytest.raises(read):
            await client.search("res.partner", [], ["name"])
        odoo.world.fault(fault)
        with pytest.raises(write):
            await client.do("res.partner", "create", vals_list=[{"name": "Ada"}])


@both
async def test_load_waits_for_other_writers_and_gives_up_in_the_end(version: str) -> None:
    async with lane(version) as odoo:
        assert odoo.world is not None
        client = odoo.connector.odoo.client
        odoo.world.fault("load_conflict", times=2)
        (first,) = await client.load("res.partner", [PARTNER])
        odoo.world.fault("load_conflict", times=-1)
        with pytest.raises(Transient):
            await client.load("res.partner", [PARTNER])
        odoo.world.clear_faults()
        assert await client.load("res.partner", [PARTNER]) == [first]


@both
async def test_what_load_refuses_is_rejected_in_odoos_words_and_missing_rights_stop_the_connection(
    version: str,
) -> None:
    async with lane(version) as odoo:
        with pytest.raises(Rejected, match="does not seem to be a number"):
            await odoo.connector.odoo.client.load("stock.scrap", [Document("s_1", {"scrap_qty": "two"})])
        assert await odoo.connector.odoo.client.find_key("s_1", "stock.scrap") == 0
    async with lane(version, api_key="odoo-minimal-key", login="minimal") as odoo:
        with pytest.raises(AuthFailed, match="not allowed"):
            await odoo.connector.odoo.client.load("res.partner", [PARTNER])


@both
async def test_a_wrong_call_a_missing_model_and_another_database(version: str) -> None:
    async with lane(version, database="elsewhere") as odoo:
        with pytest.raises(AuthFailed, match="this database"):
            await odoo.connector.odoo.client.search("res.partner", [], ["name"])
    async with lane(version) as odoo:
        client = odoo.connector.odoo.client
        with pytest.raises(Rejected, match=r"Invalid field"):
            await client.search("res.partner", [["nope", "=", 1]], ["name"])
        with pytest.raises(Rejected, match="Install the Odoo app"):
            await client.search("fleet.vehicle", [], ["name"])


@both
async def test_a_key_of_another_kind_of_document_is_not_taken_for_ours(version: str) -> None:
    async with lane(version) as odoo:
        await odoo.connector.odoo.client.load("res.partner", [PARTNER])
        with pytest.raises(Rejected, match="belongs to a"):
            await odoo.connector.odoo.client.find_key("p_1", "stock.picking")


async def test_what_is_not_configured_names_the_setting() -> None:
    async with lane() as odoo:
        number = await odoo.sale(("MUG", 1))
        outcome = await odoo.send(receive(number, StockItem("MUG", 1, "l1"), place="attic"))
        assert isinstance(outcome, Rejected)
        assert (outcome.code, outcome.field) == ("not_configured", "places.attic")
        assert await odoo.rejected(receive("#unknown", StockItem("MUG", 1, "l1"))) == "order_missing"


async def test_before_19_the_login_is_needed_and_a_wrong_key_or_an_old_release_is_told() -> None:
    async with lane("18.0", login="") as odoo:
        with pytest.raises(AuthFailed, match="needs login"):
            await odoo.connector.odoo.client.search("res.partner", [], ["name"])
    async with lane("18.0", api_key="made-up") as odoo:
        with pytest.raises(AuthFailed, match="make a new one"):
            await odoo.connector.odoo.client.search("res.partner", [], ["name"])
    async with lane("18.0") as odoo:
        client = odoo.connector.odoo.client
        await client.search("res.partner", [], ["name"])
        await odoo.do("revoke_key", key="odoo-integration-key")
        with pytest.raises(AuthFailed, match="make a new one"):
            await client.do("res.partner", "create", vals_list=[{"name": "Ada"}])
    async with lane("17.0") as odoo:
        with pytest.raises(Rejected, match="too old"):
            await odoo.connector.odoo.client.search("res.partner", [], ["name"])
