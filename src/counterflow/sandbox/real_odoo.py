"""A real Odoo in the place of the simulated one: a relay that counts calls and breaks the wire, and sells there.

With COUNTERFLOW_SANDBOX_ODOO_URL, _DB and _KEY the stories are told against that Odoo (docs/guides/real-odoo.md);
COUNTERFLOW_SANDBOX_ODOO_NAMES is a TOML file with its `[connections.odoo]` tables, where its names differ from those of
the simulated company. What the connector sends passes unchanged.
"""

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from counterflow.sandbox.estate import CURRENCY, OTHERS_MINOR, OTHERS_PAYMENT
from counterflow.sdk.simulator import World, with_sim

KEY = "COUNTERFLOW_SANDBOX_ODOO_KEY"
_PASSED = ("authorization", "content-type", "x-odoo-database")
_TIMEOUT_SECONDS = 120.0
Doc = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Given:
    """An Odoo that somebody gave us for the stories."""

    url: str
    database: str
    names: str  # the text of the TOML file; empty: the names of the simulated company


def given() -> Given | None:
    """What the environment says; None: the stories are told against the simulator. Raises OSError for a lost file."""
    url = os.environ.get("COUNTERFLOW_SANDBOX_ODOO_URL", "").rstrip("/")
    if not url:
        return None
    path = os.environ.get("COUNTERFLOW_SANDBOX_ODOO_NAMES", "")
    return Given(url, os.environ.get("COUNTERFLOW_SANDBOX_ODOO_DB", ""), Path(path).read_text("utf-8") if path else "")


class Relay:
    """`config` is the connection's table as the connector reads it: it says what journals and taxes are called."""

    def __init__(self, world: World, wire: httpx2.AsyncClient, to: Given, key: str, config: Doc) -> None:
        self.world, self.wire = world, wire
        self.headers = {"Authorization": f"bearer {key}", **({"X-Odoo-Database": to.database} if to.database else {})}
        journals, taxes = config.get("journals", {}), config.get("taxes", {})
        self.words = {"STRIP": journals.get("psp"), "GIFT": journals.get("gift_card"), "19% incl.": taxes.get("DE-19")}

    async def forward(self, request: Request) -> Response:
        headers = {name: request.headers[name] for name in _PASSED if name in request.headers}
        path = f"/{request.path_params['path']}"
        try:
            answer = await self.wire.request(request.method, path, content=await request.body(), headers=headers)
        except httpx2.HTTPError as error:
            return PlainTextResponse(f"Odoo does not answer: {type(error).__name__}", 502)
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))

    async def call(self, model: str, method: str, **body: Any) -> Any:
        """One JSON-2 call of our own, not counted. Raises ValueError with Odoo's words."""
        answer = await self.wire.post(f"/json/2/{model}/{method}", json=body, headers=self.headers)
        if answer.status_code >= 400:
            kind = answer.headers.get("content-type", "")
            said = answer.json().get("message") if "json" in kind else f"HTTP {answer.status_code}"
            raise ValueError(f"{model}.{method}: {said}")
        return answer.json()

    async def one(self, model: str, field: str, value: str, *fields: str) -> Doc:
        """The record with this name. Raises LookupError, which says what to enter."""
        rows = await self.call(model, "search_read", domain=[[field, "=", value]], fields=["id", *fields], load=None)
        if len(rows) != 1:
            raise LookupError(f"Odoo has {len(rows)} {model} with {field} = {value!r}: the stories need exactly one")
        row: Doc = rows[0]
        return row

    async def prepare(self, payload: Doc) -> Doc:
        """Nothing is set up here (see the guide); what the stories need is looked at, and where the books begin."""
        (company,) = await self.call("res.company", "search_read", domain=[], fields=["currency_id"], limit=1)
        if company["currency_id"][1] != CURRENCY:
            raise ValueError(f"the company keeps its books in {company['currency_id'][1]}: the stories need {CURRENCY}")
        if self.world.get("real", "floors") is None:
            await self._floors()
            # Sold to others and paid through the provider: without it a provider that only refunds has no payout.
            others = OTHERS_MINOR / 100
            line = {"sku": "SHIPPING", "quantity": 1, "price": others}
            payment = {"journal": "STRIP", "amount": others, "ref": OTHERS_PAYMENT}
            number = f"others-{self.world.next_id('others')}"
            return await self.sell({"order_ref": number, "lines": [line], "payments": [payment]})
        return {}

    async def _floors(self) -> None:
        """Documents above these ids are of this run."""
        floors = {}
        for model in ("account.move", "account.payment", "account.move.line", "stock.move.line"):
            ids = await self.call(model, "search", domain=[], order="id desc", limit=1)
            floors[model] = ids[0] if ids else 0
        self.world.put("real", "floors", floors)

    async def sell(self, payload: Doc) -> Doc:
        """What the simulator's act `sell` does, with the calls of a person: ordered, shipped, invoiced and paid."""
        customer = await self.one("res.partner", "name", payload.get("customer", {}).get("name", "Kim Example"))
        order = await self._order(payload, customer["id"])
        (row,) = await self.call("sale.order", "read", ids=[order], fields=["name", "picking_ids", "currency_id"])
        if row["currency_id"][1] != CURRENCY:
            raise ValueError(f"Odoo sells in {row['currency_id'][1]}: give its pricelist the currency {CURRENCY}")
        if row["picking_ids"]:
            await self._ship(row["picking_ids"], payload["lines"])
        wizard = {"advance_payment_method": "delivered", "sale_order_ids": [[6, 0, [order]]]}
        ids = await self.call("sale.advance.payment.inv", "create", vals_list=wizard)
        await self.call("sale.advance.payment.inv", "create_invoices", ids=ids)
        (sold,) = await self.call("sale.order", "read", ids=[order], fields=["invoice_ids"])
        await self.call("account.move", "action_post", ids=sold["invoice_ids"])
        for payment in payload["payments"]:
            await self._pay(sold["invoice_ids"], payment)
        fields = ["name", "amount_residual", "payment_state"]
        (invoice,) = await self.call("account.move", "read", ids=sold["invoice_ids"], fields=fields)
        if invoice["payment_state"] not in ("paid", "in_payment"):
            raise ValueError(f"{invoice['name']} is not paid: {invoice['amount_residual']} are left")
        return {"order_id": order, "order_name": row["name"], "invoice_name": invoice["name"]}

    async def _order(self, payload: Doc, customer: int) -> int:
        lines = []
        for line in payload["lines"]:
            values = {"product_uom_qty": line.get("quantity", 1), "price_unit": float(line["price"])}
            values["product_id"] = (await self.one("product.product", "default_code", line["sku"]))["id"]
            values["discount"] = line.get("discount", 0.0)
            taxes = [(await self.one("account.tax", "name", self._word(name)))["id"] for name in line.get("taxes", ())]
            lines.append([0, 0, {**values, **({"tax_ids": [[6, 0, taxes]]} if taxes else {})}])
        values = {"partner_id": customer, "client_order_ref": payload["order_ref"], "order_line": lines}
        (order,) = await self.call("sale.order", "create", vals_list=values)
        await self.call("sale.order", "action_confirm", ids=[order])
        return int(order)

    async def _ship(self, deliveries: list[int], lines: list[Doc]) -> None:
        wanted = {line["sku"]: list(line["lots"]) for line in lines if line.get("lots")}
        for sku, lots in wanted.items():
            product = (await self.one("product.product", "default_code", sku))["id"]
            domain = [["picking_id", "in", deliveries], ["product_id", "=", product]]
            reserved = await self.call("stock.move.line", "search", domain=domain)
            for id, lot in zip(reserved, lots, strict=True):
                values = {"lot_id": (await self.one("stock.lot", "name", lot))["id"]}
                await self.call("stock.move.line", "write", ids=[id], vals=values)
        if await self.call("stock.picking", "button_validate", ids=deliveries) is not True:
            raise ValueError("the delivery was not validated: put enough of the goods on hand")

    async def _pay(self, invoices: list[int], payment: Doc) -> None:
        context = {"active_model": "account.move", "active_ids": invoices}
        journal = await self.one("account.journal", "code", self._word(payment["journal"]))
        values = {"journal_id": journal["id"], "amount": payment["amount"], "communication": payment["ref"]}
        ids = await self.call("account.payment.register", "create", vals_list=values, context=context)
        await self.call("account.payment.register", "action_create_payments", ids=ids, context=context)

    def _word(self, name: str) -> str:
        return self.words.get(name) or name

    async def books(self, request: Request) -> Response:
        """The simulator's `/_sim/books`, of what came into this Odoo since `prepare`."""
        floors = self.world.get("real", "floors") or {}

        async def since(model: str, fields: list[str], *domain: Any) -> list[Doc]:
            mine = [["id", ">", floors.get(model, 0)], *domain]
            rows: list[Doc] = await self.call(model, "search_read", domain=mine, fields=fields, order="id", load=None)
            return rows

        currencies = await self.call("res.currency", "search_read", domain=[], fields=["name"])
        currency = {row["id"]: row["name"] for row in currencies}
        documents = []
        for model, ref, amount in (("account.move", "ref", "amount_total"), ("account.payment", "memo", "amount")):
            kind = ["move_type"] if model == "account.move" else []
            for row in await since(model, ["name", "state", "currency_id", ref, amount, *kind]):
                named = {"model": model, "ref": row[ref] or None, "amount": row[amount]}
                documents.append({**row, **named, "currency": currency[row["currency_id"]]})
        lines = await since("account.move.line", ["account_id", "balance"], ["parent_state", "=", "posted"])
        accounts = await self.call("account.account", "search_read", domain=[], fields=["code"])
        code = {row["id"]: row["code"] for row in accounts}
        balances: dict[str, float] = {}
        for row in lines:
            balances[code[row["account_id"]]] = balances.get(code[row["account_id"]], 0.0) + row["balance"]
        return JSONResponse(
            {
                "documents": documents,
                "trial_balance": [{"code": code, "balance": round(sum_, 2)} for code, sum_ in sorted(balances.items())],
                "stock": await self._stock(
                    await since(
                        "stock.move.line",
                        ["product_id", "quantity", "location_id", "location_dest_id"],
                        ["state", "=", "done"],
                    )
                ),
            }
        )

    async def _stock(self, moved: list[Doc]) -> list[Doc]:
        places = await self.call("stock.location", "search_read", domain=[], fields=["complete_name", "usage"])
        place = {row["id"]: row for row in places}
        products = await self.call(
            "product.product",
            "read",
            ids=sorted({row["product_id"] for row in moved}),
            fields=["default_code"],
        )
        sku = {row["id"]: row["default_code"] for row in products}
        pieces: dict[tuple[int, int], float] = {}
        for row in moved:
            for field, sign in (("location_id", -1), ("location_dest_id", 1)):
                at = row[field], row["product_id"]
                pieces[at] = pieces.get(at, 0.0) + sign * row["quantity"]
        return [
            {
                "location": place[where]["complete_name"],
                "usage": place[where]["usage"],
                "sku": sku[what],
                "quantity": quantity,
            }
            for (where, what), quantity in sorted(pieces.items())
            if quantity
        ]


def create_app(world: World, to: Given, home: Path, wire: httpx2.AsyncClient | None = None) -> Starlette:
    """The relay, with the doors of a simulator: calls, faults, acts (those that a real Odoo has) and books."""
    wire = wire or httpx2.AsyncClient(base_url=to.url, timeout=_TIMEOUT_SECONDS)
    config = tomllib.loads((home / "counterflow.toml").read_text("utf-8"))["connections"]["odoo"]
    relay = Relay(world, wire, to, os.environ.get(KEY, ""), config)
    world.act("seed_company")(relay.prepare)
    world.act("seed_products")(_nothing)
    world.act("sell")(relay.sell)
    app = Starlette(routes=[Route("/{path:path}", relay.forward, methods=["GET", "POST"])])
    sim = with_sim(app, world)
    sim.router.routes.insert(0, Route("/_sim/books", relay.books))
    return sim


def _nothing(payload: Doc) -> Doc:
    return {}
