"""What Odoo 18 does otherwise, found on a running one and simulated; the connector copes with it in test_verbs.py."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from counterflow.connectors.odoo.client import Document
from counterflow.core.effects import StockItem
from counterflow.sdk.outcomes import Rejected
from counterflow.sdk.simulator import Clock
from tests.connectors.odoo.lane import Lane, lane, move, receive


async def transfer(odoo: Lane, sku: str, lot: str = "", name: str = "x") -> tuple[Document, int]:
    """Draft, from WH/Stock to quarantine; its id."""
    names = odoo.connector.odoo.names
    source, target = await names.id("stock.location", "WH/Stock"), await names.id("stock.location", "WH/Quarantine")
    ((product),) = await odoo.rows("product.product", [["default_code", "=", sku]], "id")
    ends = {"location_id/.id": source, "location_dest_id/.id": target}
    line: dict[str, Any] = {"product_id/.id": product["id"], "product_uom_qty": 1, "name": name, **ends}
    if lot:
        ((row),) = await odoo.rows("stock.lot", [["name", "=", lot]], "id")
        line["lot_ids/.id"] = [row["id"]]
    head = {"picking_type_id/.id": await names.operation("wh-1", "internal"), **ends}
    document = Document(f"t_{sku}_{lot}", head, "move_ids", [line])
    (id,) = await odoo.connector.odoo.client.load("stock.picking", [document])
    return document, id


async def test_words_of_19_are_refused_and_methods_of_19_are_not_there() -> None:
    async with lane("18.0") as odoo:
        client = odoo.connector.odoo.client
        for model, field in (
            ("stock.move", "reference_ids"),
            ("sale.order.line", "product_uom_id"),
            ("sale.order.line", "tax_ids"),
            ("stock.location", "valuation_account_id"),
        ):
            with pytest.raises(Rejected, match=f"Invalid field '{field}'"):
                await client.search(model, [], [field])
            with pytest.raises(Rejected, match="Invalid field"):
                await client.search(model, [[field, "!=", False]], ["id"])
        specification: dict[str, Any] = {"order_line": {"fields": {"move_ids": {"fields": {"reference_ids": {}}}}}}
        with pytest.raises(Rejected, match="Invalid field 'reference_ids'"):
            await client.ask("sale.order", "web_search_read", domain=[], specification=specification)
        for model, method in (("stock.reference", "search_read"), ("res.users.apikeys", "generate")):
            with pytest.raises(Rejected, match=r"doesn't exist|does not exist"):
                await client.ask(model, method)
        with pytest.raises(Rejected, match="does not exist"):
            await client.ask("stock.quant", "formatted_read_group", domain=[])
        assert await client.search("procurement.group", [], ["name"]) == []


async def test_a_transfer_wants_names_and_a_policy_and_loses_the_lots_of_its_draft() -> None:
    async with lane("18.0") as odoo:
        cream = {"sku": "CREAM", "tracking": "lot", "lots": {"WH/Stock": {"LOT-A": 5, "LOT-B": 5}}, "price": 1}
        await odoo.do("seed_products", products=[cream])
        with pytest.raises(Rejected, match="'name'"):
            await transfer(odoo, "TEE", name="")
        _, with_lot = await transfer(odoo, "CREAM", "LOT-B")
        assert await odoo.rows("stock.move.line", [["picking_id", "=", with_lot]], "lot_id") == []
        with pytest.raises(Rejected, match="Lot/Serial"):
            await odoo.connector.odoo.client.do("stock.picking", "button_validate", ids=[with_lot])
        _, with_serial = await transfer(odoo, "CAM", "CAM-2")
        assert len(await odoo.rows("stock.move.line", [["picking_id", "=", with_serial]], "lot_id")) == 1
        await odoo.done(
            move("#0", StockItem("CREAM", 2, "", lot="LOT-B"), source=("wh-1", "sellable"), to="quarantine")
        )
        ((lot),) = await odoo.rows("stock.lot", [["name", "=", "LOT-B"]], "id")
        held = await odoo.rows("stock.quant", [["lot_id", "=", lot["id"]], ["quantity", ">", 0]], "quantity")
        assert sorted(row["quantity"] for row in held) == [2, 3]


async def test_every_valued_move_posts_and_has_a_layer() -> None:
    async with lane("18.0") as odoo:
        number = await odoo.sale(("MUG", 2))
        await odoo.done(receive(number, StockItem("MUG", 1, "l1")))
        order = await odoo.order(number, "picking_ids", "procurement_group_id")
        pickings = await odoo.rows("stock.picking", [["id", "in", order["picking_ids"]]], "group_id", "return_id")
        assert {row["group_id"] for row in pickings} == {order["procurement_group_id"]}
        moves = await odoo.rows("stock.move", [["picking_id", "in", order["picking_ids"]]], "name")
        layers = await odoo.rows(
            "stock.valuation.layer", [["stock_move_id", "in", [m["id"] for m in moves]]], "value", "account_move_id"
        )
        assert [row["value"] for row in layers] == [-8.0, 4.0] and all(row["account_move_id"] for row in layers)
        lines = await odoo.rows(
            "account.move.line",
            [["move_id", "in", [row["account_move_id"] for row in layers]]],
            "account_id",
            "balance",
        )
        codes = await odoo.rows("account.account", [["code", "in", ["110100", "110300"]]], "code")
        code = {row["id"]: row["code"] for row in codes}
        assert sorted((code[row["account_id"]], row["balance"]) for row in lines) == [
            ("110100", -8.0),
            ("110100", 4.0),
            ("110300", -4.0),
            ("110300", 8.0),
        ]


@pytest.mark.parametrize("fault", ["refused", "lost_reply"])
@pytest.mark.parametrize("call", ["stock.move.line/load", "stock.picking/button_validate"])
async def test_the_lots_of_a_transfer_survive_whatever_call_is_lost(fault: str, call: str) -> None:
    async with lane("18.0") as odoo:
        assert odoo.world is not None
        cream = {"sku": "CREAM", "tracking": "lot", "lots": {"WH/Stock": {"LOT-A": 5, "LOT-B": 5}}, "price": 1}
        await odoo.do("seed_products", products=[cream])
        number = await odoo.sale(("CREAM", 2))
        item = StockItem("CREAM", 1, "l1", lot="LOT-A")
        effects = [
            receive(number, item),
            move(number, item, to="quarantine"),
            move(
                number,
                StockItem("CREAM", 2, "", lot="LOT-B"),
                source=("wh-1", "sellable"),
                to="refurbishment",
                subject="2",
            ),
        ]
        for effect in effects:
            odoo.world.fault(fault, match=call)
            await odoo.send(effect)
            odoo.world.clear_faults()
            first = await odoo.done(effect)
            assert await odoo.done(effect) == first
        ((lot),) = await odoo.rows("stock.lot", [["name", "=", "LOT-A"]], "id")
        held = await odoo.rows(
            "stock.quant", [["lot_id", "=", lot["id"]], ["quantity", ">", 0]], "quantity", "location_id"
        )
        quarantine = await odoo.connector.odoo.names.id("stock.location", "WH/Quarantine")
        assert {row["location_id"]: row["quantity"] for row in held}[quarantine] == 1
        assert await odoo.stock("CREAM", "WH/Refurbish") == 2


class Still(Clock):
    """Stands until it is moved."""

    def __init__(self, instant: datetime) -> None:
        super().__init__()
        self.instant = instant

    def now(self) -> datetime:
        return self.instant


@pytest.mark.parametrize(("version", "held_at"), [("19.0", 6.0), ("18.0", 5.998)])
async def test_what_comes_in_within_the_second_of_a_new_cost_is_held_at_it_in_19(version: str, held_at: float) -> None:
    async with lane(version) as odoo:
        assert odoo.world is not None
        number = await odoo.sale(("MUG", 2))  # 998 are left, and these have left at 4.00
        clock = odoo.world.clock = Still(odoo.world.now() + timedelta(hours=1))
        ((mug),) = await odoo.rows("product.product", [["default_code", "=", "MUG"]], "id")
        await odoo.call("product.product/write", ids=[mug["id"]], vals={"standard_price": 6.0})

        async def cost() -> float:
            ((row),) = await odoo.rows("product.product", [["id", "=", mug["id"]]], "standard_price")
            return round(float(row["standard_price"]), 4)

        await odoo.done(receive(number, StockItem("MUG", 1, "l1")))
        assert await cost() == held_at
        clock.instant += timedelta(seconds=1)
        await odoo.done(receive(number, StockItem("MUG", 1, "l1"), subject="2"))
        assert await cost() == held_at - 0.002
