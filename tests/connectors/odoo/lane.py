"""A connector on a simulated Odoo with sales to return, and short builders of effects."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2

from counterflow.connectors.odoo import OdooConnector, connector
from counterflow.connectors.odoo.client import Client
from counterflow.connectors.odoo.simulator import create_app
from counterflow.connectors.odoo.wires import Access
from counterflow.core.effects import (
    Command,
    CreditLine,
    Effect,
    MoveGoods,
    PostCreditNote,
    PostRefundPayment,
    ReceiveGoods,
    StockItem,
)
from counterflow.core.ids import make_id
from counterflow.core.sale import Tax
from counterflow.sdk.connector import Context
from counterflow.sdk.http import Transport, Unlimited
from counterflow.sdk.outcomes import Done, Outcome, Rejected
from counterflow.sdk.simulator import Clock, World

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
CONFIG: dict[str, Any] = {
    "base_url": "http://odoo",
    "database": "odoo",
    "login": "integration",
    "api_key": "odoo-integration-key",
    "places": {
        "store-1": {
            "warehouse": "ST1",
            "locations": {"returns": "ST1/Returns", "sellable": "ST1/Stock"},
        },
        "wh-1": {
            "warehouse": "WH",
            "picking_type_internal": "WH/INT",
            "locations": {
                "returns": "WH/Quarantine",
                "sellable": "WH/Stock",
                "quarantine": "WH/Quarantine",
                "refurbishment": "WH/Refurbish",
                "scrap": "Write-off",
            },
        },
    },
    "journals": {"stripe": "STRIP", "cash": "CSH", "gift_card": "GIFT"},
    "taxes": {"DE-19": "19% incl."},
    "components": {"restocking_fee": {"product": "FEE", "account": "450100", "tax": "19% incl."}},
    "bank_journal": "BNK1",
    "clearing_accounts": {"stripe": "101450"},
    "fees_account": "620100",
}
TAXED = {"taxes": ["19% incl."]}
PRODUCTS = [
    {"sku": "TEE", "price": 23.8, "cost": 8, "stock": {"WH/Stock": 100}, "invoice_policy": "order", **TAXED},
    {"sku": "MUG", "price": 11.9, "cost": 4, "stock": {"WH/Stock": 1000}, "invoice_policy": "delivery", **TAXED},
    {"sku": "CAM", "price": 238, "cost": 120, "tracking": "serial", "invoice_policy": "delivery", **TAXED,
     "lots": {"WH/Stock": {"CAM-1": 1, "CAM-2": 1, "CAM-3": 1}}},
    {"sku": "CMPA", "price": 5.95, "cost": 2, "stock": {"WH/Stock": 100}, **TAXED},
    {"sku": "CMPB", "price": 11.9, "cost": 3, "stock": {"WH/Stock": 100}, **TAXED},
    {"sku": "KIT", "price": 35.7, "invoice_policy": "delivery", **TAXED,
     "kit": [{"sku": "CMPA", "quantity": 2}, {"sku": "CMPB"}]},
    {"sku": "SHIP", "price": 5.95, "type": "service", **TAXED},
    {"sku": "FEE", "price": 5.95, "type": "service", **TAXED},
]  # fmt: skip


class Lane:
    """The connector, and a second client for what people and the shop do in the same Odoo."""

    def __init__(
        self,
        made: OdooConnector,
        people: Client,
        doors: httpx2.AsyncClient | None = None,
        world: World | None = None,
        run: str = "",
    ) -> None:
        self.connector, self.people, self.doors, self.world, self.run = made, people, doors, world, run
        self.sales = 0
        self.network: httpx2.AsyncBaseTransport | None = None  # the simulator's

    async def call(self, operation: str, **body: Any) -> Any:
        return await self.people.do(*operation.split("/"), **body)

    async def rows(self, model: str, domain: list[Any], *fields: str) -> Any:
        return await self.call(f"{model}/search_read", domain=domain, fields=list(fields), load=None, order="id")

    async def do(self, act: str, **payload: Any) -> Any:
        assert self.doors is not None, "only the simulator has acts"
        answer = await self.doors.post(f"/_sim/do/{act}", json=payload)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def calls(self) -> dict[str, int]:
        """How often each method was called."""
        assert self.doors is not None, "only the simulator counts"
        return dict((await self.doors.get("/_sim/calls")).json())

    async def sale(self, *lines: tuple[str, int], invoice: bool = True, pay: bool = True, deliver: bool = True) -> str:
        """Sell, deliver, invoice and take the money; the order's number."""
        self.sales += 1
        number = f"#{1000 + self.sales}{self.run}"
        skus = {p["default_code"]: p["id"] for p in await self.rows("product.product", [], "default_code")}
        (partner, *_) = await self.rows("res.partner", [["ref", "=", "c1"]], "name") or [{"id": None}]
        if partner["id"] is None:
            (partner["id"],) = await self.call("res.partner/create", vals_list=[{"name": "Ada", "ref": "c1"}])
        rows = [[0, 0, {"product_id": skus[sku], "product_uom_qty": quantity}] for sku, quantity in lines]
        (order,) = await self.call(
            "sale.order/create",
            vals_list=[{"partner_id": partner["id"], "client_order_ref": number, "order_line": rows}],
        )
        await self.call("sale.order/action_confirm", ids=[order])
        ((row),) = await self.rows("sale.order", [["id", "=", order]], "picking_ids")
        if deliver:
            assert await self.call("stock.picking/button_validate", ids=row["picking_ids"]) is True
        if invoice:
            await self.invoice(number, pay)
        return number

    async def invoice(self, number: str, pay: bool = True) -> None:
        order = await self.order(number, "invoice_ids")
        (wizard,) = await self.call(
            "sale.advance.payment.inv/create",
            vals_list=[{"advance_payment_method": "delivered", "sale_order_ids": [[6, 0, [order["id"]]]]}],
        )
        await self.call("sale.advance.payment.inv/create_invoices", ids=[wizard])
        before, order = order, await self.order(number, "invoice_ids")
        (invoice,) = set(order["invoice_ids"]) - set(before["invoice_ids"])
        await self.call("account.move/action_post", ids=[invoice])
        if pay:
            await self.pay(invoice, f"ch_{number[1:]}")

    async def pay(self, move: int, ref: str) -> None:
        journal = await self.connector.odoo.names.journal("stripe", "card")
        context = {"active_model": "account.move", "active_ids": [move]}
        (wizard,) = await self.call(
            "account.payment.register/create",
            vals_list=[{"journal_id": journal, "communication": ref}],
            context=context,
        )
        await self.call("account.payment.register/action_create_payments", ids=[wizard], context=context)

    async def count(self, sku: str, location: str, pieces: float) -> None:
        """A stock count by a person, a second after whatever was done before: Odoo tells whole seconds."""
        if self.world is not None:
            self.world.clock.advance(1.1)
        else:
            await asyncio.sleep(1.1)
        place = await self.connector.odoo.names.id("stock.location", location)
        ((product),) = await self.rows("product.product", [["default_code", "=", sku]], "name")
        row = {"product_id": product["id"], "location_id": place, "inventory_quantity": pieces}
        (quant,) = await self.call("stock.quant/create", vals_list=[row], context={"inventory_mode": True})
        await self.call("stock.quant/action_apply_inventory", ids=[quant])

    async def order(self, number: str, *fields: str) -> Any:
        ((row),) = await self.rows("sale.order", [["client_order_ref", "=", number]], *fields)
        return row

    async def lines(self, number: str) -> list[tuple[float, float, float]]:
        """(ordered, delivered, invoiced) per order line."""
        order = await self.order(number, "name")
        fields = ("product_uom_qty", "qty_delivered", "qty_invoiced")
        rows = await self.rows("sale.order.line", [["order_id", "=", order["id"]]], *fields)
        return [tuple(row[name] for name in fields) for row in rows]

    async def serials(self, number: str) -> list[str]:
        order = await self.order(number, "picking_ids")
        rows = await self.rows("stock.move.line", [["picking_id", "in", order["picking_ids"]]], "lot_id")
        lots = await self.call("stock.lot/read", ids=[row["lot_id"] for row in rows], fields=["name"])
        return [lot["name"] for lot in lots]

    async def ledger(self, outcome: Done) -> list[tuple[str, float]]:
        """(account code, balance) of what an outcome posted."""
        model, *ids = outcome.ref.rpartition(":")[2].split(",")
        moves = [int(id) for id in ids]
        if model != "account.move":
            moves = [row["move_id"] for row in await self.rows(model, [["id", "in", moves]], "move_id")]
        rows = await self.rows("account.move.line", [["move_id", "in", moves]], "account_id", "balance")
        codes = await self.rows("account.account", [["id", "in", [row["account_id"] for row in rows]]], "code")
        code = {row["id"]: row["code"] for row in codes}
        return sorted((code[row["account_id"]], round(row["balance"], 2)) for row in rows)

    async def cost_account(self) -> str:
        """What an invoice takes the cost of its goods from: before 19 the stock account followed the goods already."""
        return "110100" if await self.people.version() >= "19" else "110300"

    async def valued(self, move: int) -> tuple[int, float]:
        """(entry, value) of a stock move that left."""
        if await self.people.version() >= "19":
            ((row),) = await self.rows("stock.move", [["id", "=", move]], "account_move_id", "value")
            return row["account_move_id"], row["value"]
        fields = ("account_move_id", "value")
        ((row),) = await self.rows("stock.valuation.layer", [["stock_move_id", "=", move]], *fields)
        return row["account_move_id"], -row["value"]

    async def stock(self, sku: str, location: str) -> float:
        place = await self.connector.odoo.names.id("stock.location", location)
        domain = [["product_id.default_code", "=", sku], ["location_id", "=", place]]
        return sum(float(row["quantity"]) for row in await self.rows("stock.quant", domain, "quantity"))

    def place(self, place: str, kind: str) -> str:
        return self.connector.odoo.config.places[place].locations[kind]

    async def send(self, effect: Effect) -> Outcome:
        (outcome,) = await self.connector.send([effect])
        return outcome

    async def done(self, effect: Effect) -> Done:
        outcome = await self.send(effect)
        assert isinstance(outcome, Done), outcome
        return outcome

    async def rejected(self, effect: Effect) -> str:
        outcome = await self.send(effect)
        assert isinstance(outcome, Rejected), outcome
        return outcome.code


def _people(base_url: str, access: Access, network: httpx2.AsyncBaseTransport | None = None) -> Client:
    headers = {"Authorization": f"bearer {access.key}", "X-Odoo-Database": access.database}
    return Client(Transport(base_url, headers=headers, timeout_seconds=60, transport=network), access)


@asynccontextmanager
async def lane(version: str = "19.0", **config: Any) -> AsyncIterator[Lane]:
    """On the simulator."""
    world = World("odoo", None, Clock())
    network = httpx2.ASGITransport(create_app(world, database="odoo", version=version))
    made = connector.make(
        connector.Config.model_validate(CONFIG | config),
        Context("odoo", Unlimited(), lambda: datetime.now(UTC), network),
    )
    assert isinstance(made, OdooConnector)
    people = _people("http://odoo", Access("odoo-admin-key", "odoo", "admin"), network)
    async with httpx2.AsyncClient(transport=network, base_url="http://odoo") as doors:
        found = Lane(made, people, doors, world)
        found.network = network
        await found.do("seed_company", stores=["Store 1"], provider={"name": "Stripe", "code": "STRIP"})
        await found.do("seed_products", products=PRODUCTS)
        yield found
        await people.transport.aclose()
        await made.aclose()
    world.close()


@asynccontextmanager
async def real_lane() -> AsyncIterator[Lane]:
    """On a real Odoo: COUNTERFLOW_ODOO_URL, _DB, _KEY, before 19 _LOGIN, and _CONFIG, a JSON file with the rest.

    It needs the products of PRODUCTS under the same SKUs and some stock of them; every run makes sales of its own.
    """
    names = ("URL", "DB", "LOGIN", "KEY", "CONFIG")
    url, database, login, key, file = (os.environ.get(f"COUNTERFLOW_ODOO_{name}", "") for name in names)
    config = json.loads(Path(file).read_text("utf-8"))
    own = {"base_url": url, "database": database, "login": login, "api_key": key}
    made = connector.make(
        connector.Config.model_validate(config | own), Context("odoo", Unlimited(), lambda: datetime.now(UTC))
    )
    assert isinstance(made, OdooConnector)
    people = _people(url, Access(key, database, login))
    yield Lane(made, people, run=f"-{time.time_ns() // 1_000_000}")
    await people.transport.aclose()
    await made.aclose()


def effect(command: Command, subject: str = "1") -> Effect:
    return Effect(make_id("ef", type(command).__name__, subject), "rc_1", "odoo", command, AT, "sale:shop:order:1")


def value(outcome: Done, name: str) -> str:
    return dict(outcome.values).get(name, "")


def receive(number: str, *items: StockItem, place: str = "store-1", subject: str = "1", rma: str = "RMA-1") -> Effect:
    return effect(ReceiveGoods(f"shop:order:{number}", number, rma, place, "returns", items, AT), f"{number}/{subject}")


def move(
    number: str,
    *items: StockItem,
    operation: str = "internal_move",
    disposition: str = "restock",
    to: str = "sellable",
    source: tuple[str, str] = ("store-1", "returns"),
    place: str = "wh-1",
    subject: str = "1",
) -> Effect:
    command = MoveGoods(
        f"shop:order:{number}", number, "RMA-1", operation, disposition, *source, place, to, items, "", AT
    )
    return effect(command, f"{number}/{disposition}/{subject}")


def goods(line: str, sku: str, quantity: int, amount: int, tax: int | None = None) -> CreditLine:
    taxes = () if tax is None else (Tax("DE-19", 190_000, tax),)
    return CreditLine(line, sku, "goods", quantity, amount, taxes, sku.title())


def credit(number: str, *lines: CreditLine, subject: str = "1", currency: str = "USD") -> Effect:
    amount = sum(line.amount_minor for line in lines)
    command = PostCreditNote(
        f"shop:order:{number}",
        number,
        make_id("ri", number, subject),
        "RMA-1",
        currency,
        amount,
        lines,
        "too small",
        AT,
    )
    return effect(command, f"{number}/{subject}")


def refund(note: str, amount: int, subject: str = "1", rail: str = "card", currency: str = "USD") -> Effect:
    ref = f"psp:refund:re_{subject}"
    command = PostRefundPayment(f"rl_{subject}", note, "ch_1", ref, rail, "stripe", amount, currency, AT)
    return effect(command, f"{note}/{subject}")
