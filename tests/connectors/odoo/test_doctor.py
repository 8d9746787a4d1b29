"""`doctor` names rights that are missing, rights that are too many, and a key that ends."""

import pytest

from tests.connectors.odoo.lane import lane

both = pytest.mark.parametrize("version", ["19.0", "18.0"])


async def wrong(version: str, **config: str) -> dict[str, str]:
    async with lane(version, **config) as odoo:
        return {what: move for what, fine, move in await odoo.connector.check() if not fine}


@both
async def test_the_user_of_the_guide_has_just_enough(version: str) -> None:
    assert await wrong(version) == {}


@both
async def test_too_few_and_too_many_rights_are_named_with_their_groups(version: str) -> None:
    few = await wrong(version, api_key="odoo-minimal-key", login="minimal")
    assert few == {
        "may not create account.bank.statement.line": "add the user to the group Invoicing / Basic "
        "(account.group_account_basic)"
    }
    none = await wrong(version, api_key="odoo-none-key", login="none")
    assert {"may not create stock.picking", "may not create account.move", "sees only its own sales"} <= none.keys()
    many = await wrong(version, api_key="odoo-admin-key", login="admin")
    assert {"is in Administration / Settings", "is in Inventory / Administrator", "may create product.product"} <= set(
        many
    )
    assert all("take" in move for move in many.values())


@both
async def test_a_key_that_ends_in_two_weeks_and_an_app_that_is_missing_are_told(version: str) -> None:
    async with lane(version, api_key="odoo-ending") as odoo:
        await odoo.do("make_key", key="odoo-ending", days=20)
        assert [what for what, fine, _ in await odoo.connector.check() if not fine] == []
        await odoo.do("make_key", key="odoo-other", days=13)
        (ends,) = [(what, move) for what, fine, move in await odoo.connector.check() if not fine]
        assert ends[0].startswith("API key: ends on") and "delete the old one" in ends[1]
        await odoo.do("remove_app", name="sale_stock")
        assert ("app Sales and Inventory", False, "install it in Odoo (module sale_stock)") in (
            await odoo.connector.check()
        )


async def test_repair_orders_need_their_app_and_their_right() -> None:
    async with lane(repair_orders=True) as odoo:
        await odoo.do("remove_app", name="repair")
        assert [what for what, fine, _ in await odoo.connector.check() if not fine] == ["app Repairs"]


async def test_reading_tills_needs_its_right() -> None:
    async with lane(api_key="odoo-minimal-key", login="minimal", points_of_sale=["Till 1"]) as odoo:
        wrong = {what: move for what, fine, move in await odoo.connector.check() if not fine}
        assert wrong["may not read pos.config"] == "add the user to the group Point of Sale / User"
        assert "Point of Sale/User" in wrong["tills"]


async def test_a_write_off_location_below_a_warehouse_and_a_user_without_an_address_are_told() -> None:
    async with lane("18.0") as odoo:
        ((user),) = await odoo.rows("res.users", [["login", "=", "integration"]], "partner_id")
        await odoo.call("res.partner/write", ids=[user["partner_id"]], vals={"email": False})
        ((stock),) = await odoo.rows("stock.location", [["complete_name", "=", "WH/Stock"]], "location_id")
        ((place),) = await odoo.rows("stock.location", [["name", "=", "Write-off"]], "usage")
        await odoo.call("stock.location/write", ids=[place["id"]], vals={"location_id": stock["location_id"]})
        wrong = {what: move for what, fine, move in await odoo.connector.check() if not fine}
        assert wrong.keys() == {"the user has no e-mail address", "place wh-1: scrap leaves the stock"}
        assert "WH/Write-off is below a warehouse" in wrong["place wh-1: scrap leaves the stock"]
