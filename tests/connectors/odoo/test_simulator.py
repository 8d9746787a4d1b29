"""The simulated Odoo against the recorded one, and each of its quirks by itself."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterflow.connectors.odoo.simulator import create_app
from counterflow.connectors.odoo.simulator.contract import INVERSES, load_contract
from counterflow.sdk.simulator import Clock, World
from tests.connectors.odoo.replay import Replay

REPOSITORY = Path(__file__).parents[3]
TRANSCRIPTS = Path(os.environ.get("COUNTERFLOW_SHARED", REPOSITORY.parent / "shared")) / "data/odoo19/transcripts"
COMPANY = {"provider": {"name": "Shopify Payments", "code": "SHPAY"}, "stores": [], "rates": {"EUR": 0.9}}
PRODUCTS = [
    {"sku": "MUG", "price": 25, "cost": 10, "barcode": "4000000000017", "stock": {"WH/Stock": 100}},
    {"sku": "PHONE", "price": 500, "cost": 300, "tracking": "serial", "lots": {"WH/Stock": {"SN1": 1, "SN2": 1}}},
    {"sku": "A", "price": 9, "cost": 4, "stock": {"WH/Stock": 50}},
    {"sku": "B", "price": 9, "cost": 6, "stock": {"WH/Stock": 50}},
    {"sku": "KIT", "price": 60, "kit": [{"sku": "A", "quantity": 2}, {"sku": "B"}], "invoice_policy": "delivery"},
]


class Sim:
    """A client of one simulated Odoo: `call` expects success, `refused` gives (status, error)."""

    def __init__(self, client: httpx2.AsyncClient, world: World) -> None:
        self.client, self.world, self.key = client, world, "odoo-admin-key"
        self.ids: dict[str, Any] = {}

    async def post(self, operation: str, **body: Any) -> httpx2.Response:
        headers = {"Authorization": f"bearer {self.key}"}
        return await self.client.post("/json/2/" + operation, json=body, headers=headers)

    async def call(self, operation: str, **body: Any) -> Any:
        answer = await self.post(operation, **body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refused(self, operation: str, **body: Any) -> tuple[int, str, str]:
        answer = await self.post(operation, **body)
        error = answer.json()
        assert set(error) == {"name", "message", "arguments", "context", "debug"}
        return answer.status_code, error["name"], error["message"]

    async def do(self, act: str, **payload: Any) -> Any:
        answer = await self.client.post(f"/_sim/do/{act}", json=payload)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def sale(self, order_ref: str = "shopify:order:1", quantity: float = 3, **more: Any) -> Any:
        return await self.do(
            "sell",
            order_ref=order_ref,
            customer={"ref": "c1", "name": "Ada"},
            **{"lines": [{"sku": "MUG", "quantity": quantity}], **more},
        )

    async def one(self, model: str, id: int, *fields: str) -> Any:
        return (await self.call(f"{model}/read", ids=[id], fields=list(fields), load=None))[0]

    async def receive(
        self, sale: Any, quantity: float = 1, to: str = "WH/Quarantine", move: int = 0, component: bool = True
    ) -> int:
        """`component` False: a return that does not say which component of a kit it is."""
        delivered, place = sale["moves"][move], self.ids["locations"][to]
        part = (await self.one("stock.move", delivered["id"], "bom_line_id"))["bom_line_id"] if component else False
        (picking,) = await self.call(
            "stock.picking/create",
            vals_list=[
                {
                    "picking_type_id": 1,
                    "partner_id": sale["partner_id"],
                    "location_id": 2,
                    "location_dest_id": place,
                    "return_id": sale["picking_ids"][0],
                    "user_id": False,
                    "move_ids": [
                        [
                            0,
                            0,
                            {
                                "product_id": delivered["product_id"],
                                "product_uom_qty": quantity,
                                "location_id": 2,
                                "location_dest_id": place,
                                "origin_returned_move_id": delivered["id"],
                                "to_refund": True,
                                "move_orig_ids": [[4, delivered["id"]]],
                                "sale_line_id": delivered["sale_line_id"],
                                "bom_line_id": part,
                            },
                        ]
                    ],
                }
            ],
        )
        assert await self.call("stock.picking/button_validate", ids=[picking]) is True
        return int(picking)

    async def credit(self, sale: Any, quantity: float = 1, price: float = 25, **vals: Any) -> int:
        (move,) = await self.call(
            "account.move/create",
            vals_list=[
                {
                    "move_type": "out_refund",
                    "reversed_entry_id": sale["invoice_id"],
                    "partner_id": sale["partner_id"],
                    "invoice_line_ids": [
                        [
                            0,
                            0,
                            {
                                "product_id": sale["moves"][0]["product_id"],
                                "quantity": quantity,
                                "price_unit": price,
                                "tax_ids": [[6, 0, [1]]],
                                "sale_line_ids": [[6, 0, [sale["order_lines"][0]["id"]]]],
                            },
                        ]
                    ],
                    **vals,
                }
            ],
        )
        return int(move)


@asynccontextmanager
async def odoo(path: Path | None = None, seed: bool = True, latency: float = 0.0) -> AsyncIterator[Sim]:
    world = World("odoo", path, Clock())
    app = create_app(world, latency_seconds=latency)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://odoo") as client:
        sim = Sim(client, world)
        sim.ids = await sim.do("seed_company", **COMPANY)
        if seed:
            await sim.do("seed_products", products=PRODUCTS)
        yield sim
    world.close()


# The recorded Odoo


@pytest.mark.skipif(not TRANSCRIPTS.exists(), reason="the recorded transcripts are not here (COUNTERFLOW_SHARED)")
def test_recorded_flows_get_the_recorded_answers() -> None:
    flows: list[tuple[str, range | tuple[int, ...] | None]] = [
        ("a_sale_delivery_invoice_payment", None),
        ("b1_return_wizard", None),
        ("b2_return_direct_quarantine", None),
        ("b3_return_direct_lot", None),
        ("b4_dispositions", None),
        ("c1_credit_note_refund", None),
        ("c2_credit_note_variants", None),
        ("d_exchange", (*range(26), *range(27, 71), 72)),
        ("d2_multicurrency", None),
        ("f_settlement", None),
        ("g_stock", range(6, 16)),
        ("h2_locks_access", range(51)),
        ("b5_full_flow_json2", None),
        ("h1_errors", range(17)),
        ("h3_load_idempotent", (0, 2, 3, *range(8, 15), *range(16, 21))),
    ]

    async def play() -> Replay:
        async with odoo(seed=False) as sim:
            replay = Replay(sim.client, "odoo-admin-key")
            await replay.play(TRANSCRIPTS / "00_setup.json", only=(10, 12, 27))
            for name, steps in flows:
                await replay.play(TRANSCRIPTS / f"{name}.json", skip=("mail.message",), only=steps)
            # The exactly-once flow of the minimal user, first run and replay, on an order of its own.
            replay.headers = {"Authorization": "Bearer odoo-minimal-key"}
            for sku, order_ref in (("BULK00313", "benchA:313"), ("BULK00315", "benchA:315")):
                product = {"sku": sku, "price": 9, "cost": 3, "stock": {"WH/Stock": 10}}
                await sim.do("seed_products", products=[product])
                customer = {"ref": order_ref, "name": order_ref}
                await sim.do("sell", order_ref=order_ref, customer=customer, lines=[{"sku": sku, "quantity": 3}])
            await replay.play(TRANSCRIPTS / "h6_exactly_once_plain_rpc.json")
            await replay.play(TRANSCRIPTS / "b6_over_return.json")
            await replay.play(TRANSCRIPTS / "i_access.json", only=range(5, 34))
            return replay

    replay = asyncio.run(play())
    assert replay.differences == []
    assert replay.equal > 440


@pytest.mark.skipif(not TRANSCRIPTS.exists(), reason="the recorded contract is not here (COUNTERFLOW_SHARED)")
@pytest.mark.parametrize("version", ["19", "18"])
def test_the_reduced_contract_names_only_recorded_fields(version: str) -> None:
    folder = TRANSCRIPTS.parent.parent / f"odoo{version}/contract"
    for model, fields in load_contract(f"{version}.0").items():
        if model == "ir.module.module":
            continue  # read from running servers, as is the field below; the recording has no such thing
        recorded = json.loads((folder / f"{model}.json").read_text(encoding="utf-8"))["fields"]
        for name, field in fields.items():
            if name in ("id", "base_automation_id") or recorded[name] == "[secret]" or (model, name) in INVERSES:
                continue
            assert field.type == recorded[name]["type"], (model, name)
            assert recorded[name].get("relation", "") == field.relation, (model, name)
            assert field.required == recorded[name]["required"], (model, name)


# The wire


async def test_a_call_needs_a_known_bearer_key() -> None:
    async with odoo() as sim:
        sim.key = "wrong"
        assert await sim.refused("res.partner/search", domain=[]) == (
            401,
            "werkzeug.exceptions.Unauthorized",
            "Invalid apikey",
        )
        answer = await sim.client.post("/json/2/res.partner/search", json={"domain": []})
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer ")
        sim.key = "odoo-integration-key"
        await sim.do("revoke_key", key=sim.key)
        assert (await sim.refused("res.partner/search", domain=[]))[0] == 401


async def test_the_web_layer_refuses_as_recorded() -> None:
    async with odoo() as sim:
        headers = {"Authorization": f"bearer {sim.key}"}
        path = "/json/2/res.partner/search"
        wrong_type = await sim.client.post(
            path, content="a=1", headers={**headers, "Content-Type": "application/x-www-form-urlencoded"}
        )
        assert (wrong_type.status_code, wrong_type.headers["content-type"]) == (415, "text/html; charset=utf-8")
        json_type = {**headers, "Content-Type": "application/json"}
        assert (await sim.client.post(path, content="{nope", headers=json_type)).status_code == 400
        assert (await sim.client.post(path, content="[1]", headers=json_type)).status_code == 422
        assert (await sim.client.get(path, headers=headers)).json()["message"].startswith("Did you mean POST")
        other = await sim.client.post(path, json={"domain": []}, headers={**headers, "X-Odoo-Database": "nope"})
        assert (other.status_code, other.text[:15]) == (404, "<!DOCTYPE html>")
        assert (await sim.client.get("/web/version")).json()["version"] == "19.0"


async def test_python_errors_are_500_and_business_errors_422() -> None:
    async with odoo() as sim:
        assert (await sim.refused("res.partner/write", ids=[1], vals={"nope": 1}))[:2] == (500, "builtins.KeyError")
        assert (await sim.refused("res.partner/create", vals_list=[{"nope": 1}]))[:2] == (500, "builtins.ValueError")
        assert (await sim.refused("res.partner/search", domain=[["nope", "=", 1]]))[:2] == (500, "builtins.ValueError")
        assert (await sim.refused("res.partner/search", domain=[], ids=[1]))[2] == (
            "cannot call res.partner.search with ids"
        )
        assert (await sim.refused("account.move/action_post", ids=[999]))[:2] == (404, "odoo.exceptions.MissingError")
        assert await sim.call("account.move/read", ids=[999], fields=["name"]) == []
        assert (await sim.refused("stock.valuation.layer/search", domain=[]))[0] == 404


async def test_the_minimal_user_makes_no_customers() -> None:
    async with odoo() as sim:
        sim.key = "odoo-minimal-key"
        status, name, message = await sim.refused("res.partner/create", vals_list=[{"name": "x"}])
        assert (status, name) == (403, "odoo.exceptions.AccessError")
        assert message.startswith("You are not allowed to create 'Contact' (res.partner) records.")
        loaded = await sim.call("res.partner/load", fields=["id", "name"], data=[["cf.p", "x"]])
        assert loaded["ids"] is False and "not allowed" in loaded["messages"][0]["message"]


@pytest.mark.parametrize(
    ("fault", "status"),
    [("html_error", 502), ("serialization_failure", 500), ("unauthorized", 401), ("error_before", 500), ("down", 503)],
)
async def test_a_fault_before_the_work_leaves_nothing(fault: str, status: int) -> None:
    async with odoo() as sim:
        sim.world.fault(fault, match="partner/create")
        answer = await sim.post("res.partner/create", vals_list=[{"name": "Ada", "ref": "f"}])
        assert answer.status_code == status
        assert await sim.call("res.partner/search_count", domain=[["ref", "=", "f"]]) == 0


@pytest.mark.parametrize("fault", ["lost_reply", "error_after", "garbage_after"])
async def test_a_fault_after_the_work_leaves_the_record(fault: str) -> None:
    async with odoo() as sim:
        sim.world.fault(fault, match="partner/create")
        try:
            await sim.post("res.partner/create", vals_list=[{"name": "Ada", "ref": "f"}])
        except httpx2.TransportError:
            assert fault == "lost_reply"
        assert await sim.call("res.partner/search_count", domain=[["ref", "=", "f"]]) == 1


async def test_a_client_that_leaves_does_not_cancel_the_work() -> None:
    async with odoo() as sim:
        sim.world.fault("slow_commit", match="partner/create", seconds=0.05)
        request = asyncio.create_task(sim.post("res.partner/create", vals_list=[{"name": "Ada", "ref": "late"}]))
        while sim.world.faults():
            await asyncio.sleep(0)
        request.cancel()
        assert await sim.call("res.partner/search_count", domain=[["ref", "=", "late"]]) == 0
        while not await sim.call("res.partner/search_count", domain=[["ref", "=", "late"]]):
            await asyncio.sleep(0.01)


# load()


def _credit_row(sale: Any, key: str = "cf.cn_1") -> dict[str, Any]:
    return {
        "fields": [
            "id",
            "move_type",
            "reversed_entry_id/.id",
            "partner_id/.id",
            "invoice_date",
            "ref",
            "invoice_line_ids/id",
            "invoice_line_ids/product_id/.id",
            "invoice_line_ids/quantity",
            "invoice_line_ids/price_unit",
            "invoice_line_ids/tax_ids/.id",
            "invoice_line_ids/sale_line_ids/.id",
        ],
        "data": [
            [
                key,
                "out_refund",
                str(sale["invoice_id"]),
                str(sale["partner_id"]),
                "2026-11-23",
                "refund:1",
                f"{key}_l1",
                str(sale["moves"][0]["product_id"]),
                "1",
                "25.0",
                "1",
                str(sale["order_lines"][0]["id"]),
            ]
        ],
    }


async def test_load_creates_once_and_answers_the_same_id_until_the_document_is_posted() -> None:
    async with odoo() as sim:
        sale = await sim.sale()
        first = await sim.call("account.move/load", **_credit_row(sale))
        assert await sim.call("account.move/load", **_credit_row(sale)) == first
        (move,) = first["ids"]
        assert len((await sim.one("account.move", move, "invoice_line_ids"))["invoice_line_ids"]) == 1
        assert await sim.call("account.move/action_post", ids=[move]) is False
        again = await sim.call("account.move/load", **_credit_row(sale))
        assert again["ids"] is False
        assert again["messages"][0]["message"] == (
            "You cannot modify the following readonly fields on a posted move: "
            "invoice_date, partner_id, invoice_line_ids"
        )
        assert await sim.call("ir.model.data/check_object_reference", module="cf", xml_id="cn_1") == [
            "account.move",
            move,
        ]
        assert (await sim.refused("ir.model.data/check_object_reference", module="cf", xml_id="cn_2"))[0] == 500


async def test_one_bad_row_of_a_load_rolls_all_of_it_back() -> None:
    async with odoo() as sim:
        loaded = await sim.call("res.partner/load", fields=["id", "name"], data=[["cf.a", "ok"], ["cf.b", ""]])
        assert loaded == {
            "ids": False,
            "nextrow": 0,
            "messages": [
                {"rows": {"from": 1, "to": 1}, "record": 1, "type": "error", "message": "Contacts require a name"}
            ],
        }
        assert await sim.call("res.partner/search_count", domain=[["name", "=", "ok"]]) == 0
        assert (await sim.call("res.partner/load", fields=["id", "name"], data=[["cf.a", "ok"]]))["ids"]


async def test_cells_of_a_load_are_strings() -> None:
    async with odoo() as sim:
        for fields, row in (
            (["id", "name", "active"], ["cf.x", "Ada", True]),
            (["id", "name", "category_id/.id"], ["cf.x", "Ada", 1]),
        ):
            assert (await sim.refused("res.partner/load", fields=fields, data=[row]))[:2] == (
                500,
                "builtins.AttributeError",
            )


async def test_an_empty_cell_is_an_explicit_nothing() -> None:
    async with odoo() as sim:
        stock = str(sim.ids["locations"]["WH/Stock"])
        mug = await sim.call("product.product/search", domain=[["default_code", "=", "MUG"]])
        loaded = await sim.call(
            "stock.picking/load",
            fields=[
                "id",
                "picking_type_id/.id",
                "location_id/.id",
                "location_dest_id/.id",
                "user_id/.id",
                "move_ids/id",
                "move_ids/product_id/.id",
                "move_ids/product_uom_qty",
                "move_ids/lot_ids/.id",
            ],
            data=[["cf.p", "1", "2", stock, "", "cf.p_1", str(mug[0]), "1", ""]],
        )
        assert (await sim.one("stock.picking", loaded["ids"][0], "user_id", "state")) == {
            "id": loaded["ids"][0],
            "user_id": False,
            "state": "draft",
        }


async def test_parallel_loads_of_one_key_make_one_record() -> None:
    async with odoo(latency=0.01) as sim:
        row: dict[str, Any] = {"fields": ["id", "name"], "data": [["cf.race", "Ada"]]}
        answers = await asyncio.gather(*(sim.call("res.partner/load", **row) for _ in range(6)))
        lost = [answer for answer in answers if answer["ids"] is False]
        assert len(lost) == 5
        assert {answer["messages"][0]["message"] for answer in lost} == {
            "could not serialize access due to concurrent update\n"
        }
        winner = next(answer for answer in answers if answer["ids"])
        assert await sim.call("res.partner/load", **row) == winner


async def test_parallel_creates_of_one_reference_make_as_many_records() -> None:
    async with odoo(latency=0.01) as sim:
        await asyncio.gather(*(sim.call("res.partner/create", vals_list=[{"name": "A", "ref": "r"}]) for _ in range(6)))
        assert await sim.call("res.partner/search_count", domain=[["ref", "=", "r"]]) == 6


# Goods


async def test_nobody_guards_the_returned_quantity() -> None:
    async with odoo() as sim:
        sale = await sim.sale(quantity=3)
        await sim.receive(sale, quantity=10)
        assert await sim.one("sale.order.line", sale["order_lines"][0]["id"], "qty_delivered") == {
            "id": sale["order_lines"][0]["id"],
            "qty_delivered": -7.0,
        }


async def test_a_short_transfer_asks_about_a_backorder_and_does_nothing() -> None:
    async with odoo() as sim:
        sale = await sim.sale(quantity=3)
        back = await sim.do("manual_return_picking", picking_id=sale["picking_ids"][0], validate=False)
        (move,) = (await sim.one("stock.picking", back["id"], "move_ids"))["move_ids"]
        await sim.call("stock.move/write", ids=[move], vals={"quantity": 1})
        asked = await sim.call("stock.picking/button_validate", ids=[back["id"]])
        assert asked["res_model"] == "stock.backorder.confirmation"
        assert (await sim.one("stock.picking", back["id"], "state"))["state"] == "assigned"
        context = {"skip_backorder": True}
        assert await sim.call("stock.picking/button_validate", ids=[back["id"]], context=context) is True
        (rest,) = await sim.call(
            "stock.picking/search_read", domain=[["backorder_id", "=", back["id"]]], fields=["return_id", "state"]
        )
        assert (rest["return_id"], rest["state"]) == (False, "assigned")
        assert await sim.call("stock.picking/button_validate", ids=[back["id"]]) is True  # done: nothing to do


async def test_returned_goods_come_back_at_the_cost_at_which_they_left() -> None:
    async with odoo() as sim:
        sale = await sim.sale(quantity=3)
        product = sale["moves"][0]["product_id"]
        await sim.call("product.product/write", ids=[product], vals={"standard_price": 20})
        picking = await sim.receive(sale)
        (move,) = await sim.call(
            "stock.move/search_read",
            domain=[["picking_id", "=", picking]],
            fields=["value", "is_in", "account_move_id"],
        )
        assert (move["value"], move["is_in"], move["account_move_id"]) == (10.0, True, False)
        note = await sim.credit(sale)
        await sim.call("account.move/action_post", ids=[note])
        costs = await sim.call(
            "account.move.line/search_read",
            fields=["debit", "credit", "account_id"],
            load=None,
            domain=[["move_id", "=", note], ["display_type", "=", "cogs"]],
        )
        assert [(line["account_id"], line["debit"], line["credit"]) for line in costs] == [
            (2, 10.0, 0.0),
            (32, 0.0, 10.0),
        ]


async def test_scrap_into_a_write_off_location_posts_at_once_and_without_stock_does_nothing() -> None:
    async with odoo() as sim:
        sale = await sim.sale()
        await sim.receive(sale)
        places, product = sim.ids["locations"], sale["moves"][0]["product_id"]
        vals = {"product_id": product, "location_id": places["WH/Quarantine"], "origin": "rma:1"}
        (written_off,) = await sim.call("stock.scrap/create", vals_list=[{**vals, "scrap_location_id": 17}])
        assert await sim.call("stock.scrap/action_validate", ids=[written_off]) is True
        (missing,) = await sim.call("stock.scrap/create", vals_list=[{**vals, "scrap_qty": 5}])
        action = await sim.call("stock.scrap/action_validate", ids=[missing])
        assert action["res_model"] == "stock.warn.insufficient.qty.scrap"
        assert (await sim.one("stock.scrap", missing, "state"))["state"] == "draft"
        accounts = {
            row["code"]: row["balance"] for row in (await sim.client.get("/_sim/books")).json()["trial_balance"]
        }
        assert accounts["612500"] == 10.0


async def test_a_scrap_order_that_is_done_scraps_again() -> None:
    async with odoo() as sim:
        sale = await sim.sale()
        await sim.receive(sale, quantity=2)
        place, product = sim.ids["locations"]["WH/Quarantine"], sale["moves"][0]["product_id"]
        (scrap,) = await sim.call("stock.scrap/create", vals_list=[{"product_id": product, "location_id": place}])
        before = await sim.one("stock.scrap", scrap, "name")
        assert [await sim.call("stock.scrap/action_validate", ids=[scrap]) for _ in range(2)] == [True, True]
        after = await sim.one("stock.scrap", scrap, "name", "move_ids")
        assert (len(after["move_ids"]), after["name"] != before["name"]) == (2, True)


async def test_a_kit_leaves_and_returns_as_components() -> None:
    async with odoo() as sim:
        sale = await sim.sale(lines=[{"sku": "KIT", "quantity": 2}])
        assert [(move["sku"], move["quantity"]) for move in sale["moves"]] == [("A", 4.0), ("B", 2.0)]
        line = sale["order_lines"][0]["id"]
        await sim.receive(sale, quantity=1, move=0, component=False)
        assert (await sim.one("sale.order.line", line, "qty_delivered"))["qty_delivered"] == 2.0
        await sim.receive(sale, quantity=1, move=0)
        assert (await sim.one("sale.order.line", line, "qty_delivered"))["qty_delivered"] == 1.0
        await sim.receive(sale, quantity=1, move=1)
        assert (await sim.one("sale.order.line", line, "qty_delivered"))["qty_delivered"] == 1.0
        await sim.receive(sale, quantity=2, move=0)
        assert (await sim.one("sale.order.line", line, "qty_delivered"))["qty_delivered"] == 0.0


async def test_a_serial_number_is_wanted_and_cannot_be_in_stock_twice() -> None:
    async with odoo() as sim:
        sale = await sim.sale(lines=[{"sku": "PHONE", "lots": ["SN2"]}])
        assert sale["moves"][0]["lots"] == ["SN2"]
        phone, stock = sale["moves"][0]["product_id"], sim.ids["locations"]["WH/Stock"]
        lots = {
            lot["name"]: lot["id"]
            for lot in await sim.call("stock.lot/search_read", domain=[["product_id", "=", phone]], fields=["name"])
        }
        move = {"product_id": phone, "product_uom_qty": 1, "location_id": 2, "location_dest_id": stock}
        head = {"picking_type_id": 1, "location_id": 2, "location_dest_id": stock}
        bare, twice = await sim.call(
            "stock.picking/create",
            vals_list=[
                {**head, "move_ids": [[0, 0, move]]},
                {**head, "move_ids": [[0, 0, {**move, "lot_ids": [[6, 0, [lots["SN1"]]]]}]]},
            ],
        )
        assert "Lot/Serial Number" in (await sim.refused("stock.picking/button_validate", ids=[bare]))[2]
        assert "already been assigned" in (await sim.refused("stock.picking/button_validate", ids=[twice]))[2]


async def test_contention_leaves_two_quant_rows_for_one_place() -> None:
    async with odoo(latency=0.01) as sim:
        sales = [await sim.sale(f"shopify:order:{number}") for number in range(2)]
        await sim.receive(sales[0])
        pickings = [
            (
                await sim.do(
                    "manual_return_picking",
                    picking_id=sale["picking_ids"][0],
                    validate=False,
                    lines=[{"sku": "MUG", "quantity": 1}],
                    location="WH/Quarantine",
                )
            )["id"]
            for sale in sales
        ]
        answers = await asyncio.gather(*(sim.call("stock.picking/button_validate", ids=[id]) for id in pickings))
        assert answers == [True, True]
        domain = [["location_id", "=", sim.ids["locations"]["WH/Quarantine"]]]
        rows = await sim.call("stock.quant/search_read", domain=domain, fields=["quantity"])
        assert sorted(row["quantity"] for row in rows) == [1.0, 2.0]
        assert await sim.do("merge_quants") == {"merged": 2}  # the customers' row was split as well
        (row,) = await sim.call("stock.quant/search_read", domain=domain, fields=["quantity"])
        assert row["quantity"] == 3.0


# Money and books


async def test_an_unpaid_invoice_swallows_its_credit_note() -> None:
    async with odoo() as sim:
        sale = await sim.sale(pay=False)
        note = await sim.credit(sale)
        await sim.call("account.move/action_post", ids=[note])
        assert (await sim.one("account.move", note, "amount_residual"))["amount_residual"] == 0.0
        context = {"active_model": "account.move", "active_ids": [note]}
        status, _, message = await sim.refused("account.payment.register/create", vals_list=[{}], context=context)
        assert (status, message[:26]) == (422, "There's nothing left to pa")


async def test_payments_side_by_side_pay_one_credit_note_more_than_once() -> None:
    async with odoo(latency=0.01) as sim:
        sale = await sim.sale()
        note = await sim.credit(sale)
        await sim.call("account.move/action_post", ids=[note])
        assert (await sim.refused("account.move/action_post", ids=[note]))[2].endswith("must be in draft.")
        context = {"active_model": "account.move", "active_ids": [note]}
        wizards = [
            (await sim.call("account.payment.register/create", vals_list=[{"journal_id": 8}], context=context))[0]
            for _ in range(3)
        ]
        await asyncio.gather(
            *(sim.call("account.payment.register/action_create_payments", ids=[id], context=context) for id in wizards)
        )
        assert await sim.call("account.payment/search_count", domain=[["payment_type", "=", "outbound"]]) == 3
        assert (await sim.refused("account.payment.register/action_create_payments", ids=wizards[:1], context=context))[
            0
        ] == 422


async def test_a_lock_date_moves_the_entry_and_refuses_only_changes() -> None:
    async with odoo() as sim:
        sale = await sim.sale()
        today = sim.world.now().strftime("%Y-%m-%d")
        note = await sim.credit(sale, invoice_date="2020-10-15", date="2020-10-15")
        await sim.do("set_lock_date", lock="sale_lock_date", date="2020-10-31")
        assert await sim.call("account.move/action_post", ids=[note]) is False
        dates = await sim.one("account.move", note, "invoice_date", "date", "state")
        assert dates == {"id": note, "invoice_date": "2020-10-15", "date": today, "state": "posted"}
        await sim.do("set_lock_date", date=today)
        status, _, message = await sim.refused("account.move/button_draft", ids=[note])
        assert (status, message[:38]) == (422, "You cannot add/modify entries prior to")


async def test_a_lock_over_open_statement_lines_is_a_redirect_warning() -> None:
    async with odoo() as sim:
        line = {"journal_id": 6, "date": "2026-01-15", "amount": 10, "payment_ref": "payout po_1"}
        (id,) = await sim.call("account.bank.statement.line/create", vals_list=[line])
        assert (await sim.one("account.bank.statement.line", id, "is_reconciled"))["is_reconciled"] is False
        status, name, _ = await sim.refused("res.company/write", ids=[1], vals={"fiscalyear_lock_date": "2026-01-31"})
        assert (status, name) == (500, "odoo.exceptions.RedirectWarning")


async def test_who_polls_by_write_date_sees_what_changed_elsewhere() -> None:
    async with odoo() as sim:
        sale = await sim.sale(pay=False)
        sim.world.clock.advance(60)
        since = sim.world.now().strftime("%Y-%m-%d %H:%M:%S")
        context = {"active_model": "account.move", "active_ids": [sale["invoice_id"]]}
        (wizard,) = await sim.call("account.payment.register/create", vals_list=[{"journal_id": 8}], context=context)
        await sim.call("account.payment.register/action_create_payments", ids=[wizard], context=context)
        domain = [["write_date", ">=", since], ["payment_state", "=", "paid"]]
        assert await sim.call("account.move/search", domain=domain) == [sale["invoice_id"]]
        await sim.receive(sale)
        assert await sim.call("sale.order/search", domain=[["write_date", ">=", since]]) == [sale["order_id"]]


async def test_an_order_invoiced_by_ordered_quantity_wants_the_returned_unit_invoiced_again() -> None:
    async with odoo() as sim:
        sale = await sim.sale(quantity=3)
        await sim.receive(sale)
        await sim.call("account.move/action_post", ids=[await sim.credit(sale)])
        line = sale["order_lines"][0]["id"]
        fields = ("qty_delivered", "qty_invoiced", "qty_to_invoice", "invoice_status")
        assert await sim.one("sale.order.line", line, *fields) == {
            "id": line,
            "qty_delivered": 2.0,
            "qty_invoiced": 2.0,
            "qty_to_invoice": 1.0,
            "invoice_status": "to invoice",
        }
        await sim.call("sale.order.line/write", ids=[line], vals={"product_uom_qty": 2})
        assert (await sim.one("sale.order.line", line, "invoice_status"))["invoice_status"] == "invoiced"


@pytest.mark.parametrize(
    ("price", "tax", "untaxed", "taxed"),
    [
        (25.0, "15%", 25.0, 28.75),
        (24.99, "19% incl.", 21.0, 24.99),
        (0.01, "20% incl.", 0.01, 0.01),
        (9.99, "7% incl.", 9.34, 9.99),
    ],
)
async def test_prices_may_include_their_tax(price: float, tax: str, untaxed: float, taxed: float) -> None:
    async with odoo() as sim:
        sale = await sim.sale(lines=[{"sku": "MUG", "price": price, "taxes": [tax]}])
        amounts = await sim.one("account.move", sale["invoice_id"], "amount_untaxed", "amount_total")
        assert (amounts["amount_untaxed"], amounts["amount_total"]) == (untaxed, taxed)


async def test_posting_a_batch_is_all_or_nothing() -> None:
    async with odoo() as sim:
        good = await sim.credit(await sim.sale())
        (empty,) = await sim.call("account.move/create", vals_list=[{"move_type": "out_refund", "partner_id": 1}])
        assert (await sim.refused("account.move/action_post", ids=[good, empty]))[2] == (
            "You need to add a line before posting."
        )
        assert (await sim.one("account.move", good, "state"))["state"] == "draft"


async def test_the_books_balance_after_a_day_of_everything() -> None:
    async with odoo() as sim:
        sale = await sim.sale(
            lines=[{"sku": "MUG", "quantity": 2}, {"sku": "KIT"}, {"sku": "PHONE"}],
            payments=[{"journal": "SHPAY", "amount": 500, "ref": "pi_1"}, {"journal": "GIFT", "ref": "gift:1"}],
        )
        await sim.do("manual_return_picking", picking_id=sale["picking_ids"][0], location="WH/Quarantine")
        await sim.do("manual_credit_note", invoice_id=sale["invoice_id"], pay=True)
        books = (await sim.client.get("/_sim/books")).json()
        balances = {row["code"]: row["balance"] for row in books["trial_balance"]}
        assert round(sum(balances.values()), 2) == 0
        assert balances["121000"] == balances["400000"] == balances["251000"] == balances["110100"] == 0
        held = {(row["location"], row["sku"], row["lot"]): row["quantity"] for row in books["stock"]}
        assert held["WH/Quarantine", "MUG", None] == 2 and held["WH/Quarantine", "PHONE", "SN1"] == 1
        assert not [key for key in held if key[0] == "Customers"]
        assert {row["model"] for row in books["documents"]} >= {"sale.order", "stock.picking", "account.payment"}
        assert {row["currency"] for row in books["documents"] if row["model"] == "account.move"} == {"USD"}


STEPS = st.tuples(
    st.sampled_from(["sell", "return", "credit", "pay credit", "cancel", "scrap"]),
    st.integers(0, 3),
    st.integers(1, 4),
)


@settings(max_examples=20, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=12))
def test_whatever_people_do_debits_equal_credits_and_no_unit_appears_or_vanishes(
    steps: list[tuple[str, int, int]],
) -> None:
    async def play() -> Any:
        async with odoo() as sim:
            sales: list[Any] = [await sim.sale()]
            notes: list[int] = []
            for number, (what, which, quantity) in enumerate(steps):
                sale = sales[which % len(sales)]
                lines = [{"sku": "MUG", "quantity": quantity}]
                match what:
                    case "sell":
                        sales.append(await sim.sale(f"shopify:order:{number}", quantity, pay=bool(which)))
                    case "return":
                        await sim.receive(sale, quantity)
                    case "credit" | "pay credit":
                        note = await sim.do("manual_credit_note", invoice_id=sale["invoice_id"], lines=lines)
                        notes.append(note["id"])
                        context = {"active_model": "account.move", "active_ids": [note["id"]]}
                        if what == "pay credit" and note["amount_residual"]:
                            (wizard,) = await sim.call(
                                "account.payment.register/create", vals_list=[{}], context=context
                            )
                            await sim.call("account.payment.register/action_create_payments", ids=[wizard])
                    case "cancel" if notes:
                        await sim.do("cancel_document", model="account.move", id=notes.pop())
                    case "scrap":
                        vals = {"product_id": sale["moves"][0]["product_id"], "scrap_location_id": 17}
                        (scrap,) = await sim.call("stock.scrap/create", vals_list=[vals])
                        await sim.call("stock.scrap/action_validate", ids=[scrap])
            return (await sim.client.get("/_sim/books")).json()

    books = asyncio.run(play())
    assert round(sum(row["balance"] for row in books["trial_balance"]), 2) == 0
    assert sum(row["quantity"] for row in books["stock"] if row["sku"] == "MUG") == 0
    receivable = next(row["balance"] for row in books["trial_balance"] if row["code"] == "121000")
    residuals = sum(
        (1 if row["move_type"] == "out_invoice" else -1) * row["amount_residual"]
        for row in books["documents"]
        if row["model"] == "account.move" and row["move_type"] != "entry" and row["state"] == "posted"
    )
    # What the invoices and credit notes still owe is the receivable account, but for payments whose document went.
    cancelled = any(what == "cancel" for what, _, _ in steps)
    assert cancelled or round(receivable - residuals, 2) == 0


async def test_the_world_survives_a_restart(tmp_path: Path) -> None:
    async with odoo(tmp_path / "odoo.db") as sim:
        sale = await sim.sale()
        loaded = await sim.call("account.move/load", **_credit_row(sale))
        before = (await sim.client.get("/_sim/books")).json()
    async with odoo(tmp_path / "odoo.db") as sim:
        assert (await sim.client.get("/_sim/books")).json() == before
        assert await sim.call("account.move/load", **_credit_row(sale)) == loaded
        assert (await sim.sale("shopify:order:2"))["order_name"] == "S00002"


async def test_a_manual_cancellation_reopens_what_the_document_had_closed() -> None:
    async with odoo() as sim:
        sale = await sim.sale()
        note = await sim.do(
            "manual_credit_note", invoice_id=sale["invoice_id"], pay=True, lines=[{"sku": "MUG", "quantity": 1}]
        )
        assert (note["payment_state"], note["amount"]) == ("paid", 28.75)
        gone = await sim.do("cancel_document", model="account.move", id=note["id"])
        assert (gone["state"], gone["payment_state"]) == ("cancel", "not_paid")
        line = sale["order_lines"][0]["id"]
        assert (await sim.one("sale.order.line", line, "qty_invoiced"))["qty_invoiced"] == 3.0
        draft = await sim.credit(sale)
        assert (await sim.do("post_draft", id=draft))["state"] == "posted"
