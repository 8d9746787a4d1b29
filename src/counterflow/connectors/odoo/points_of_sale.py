"""The feed `points_of_sale`: orders and refunds of Odoo's own tills; what they have booked is not booked again.

Read only, by `write_date`, where `points_of_sale` of the connection names a till (the user needs *Point of Sale /
User*). A refund at such a till has paid the customer, put the goods where that till sells from, and is booked when its
session closes. So its facts are the refund and the documents that stand for it: nothing is paid, booked or moved again.
Both name the place: the first of the connection whose warehouse the till sells from, none where there is no such place.
"""

import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from counterflow.connectors.odoo.feeds import earlier, minor
from counterflow.connectors.odoo.session import Odoo
from counterflow.core.effects import Effect, ReadSale
from counterflow.core.facts import Body, DocumentMoved, Fact, RefundReported, SaleRecorded
from counterflow.core.ids import fact_id
from counterflow.core.sale import Payment, Sale, SoldLine, Tax
from counterflow.sdk.connector import Page
from counterflow.sdk.outcomes import Done, NotFound, Rejected
from counterflow.sdk.reading import reading

FEED = "points_of_sale"
_DONE = ["state", "not in", ["draft", "cancel"]]
_ORDER = ("pos_reference", "date_order", "config_id", "currency_id", "write_date", "partner_id")
_LINE = (
    "order_id",
    "product_id",
    "full_product_name",
    "qty",
    "price_unit",
    "price_subtotal",
    "price_subtotal_incl",
    "tax_ids",
    "refunded_orderline_id",
    "pack_lot_ids",
)
Row = dict[str, Any]


async def pull(odoo: Odoo, cursor: str, lag_seconds: int) -> Page:
    """The next page. The cursor is JSON: the last second read, whether it goes on, and how many rows it needs."""
    if not odoo.config.points_of_sale:
        return Page((), cursor, False)
    size = odoo.config.page_size
    seen, more, limit = json.loads(cursor) if cursor else ("", False, size)
    start = seen if more or not seen else earlier(seen, lag_seconds)
    tills = ["config_id.name", "in", list(odoo.config.points_of_sale)]
    domain = [_DONE, tills, *([["write_date", ">=", start]] if start else [])]
    rows = await odoo.client.search("pos.order", domain, _ORDER, limit=limit, order="write_date, id")
    full = len(rows) == limit
    stuck = full and rows[-1]["write_date"] == rows[0]["write_date"]
    last = rows[-1]["write_date"] if rows else seen
    return Page(tuple(await _facts(odoo, rows)), json.dumps([last, full, limit * 2 if stuck else size]), full)


async def fetch(odoo: Odoo, ref: str) -> list[Fact]:
    id = ref.rpartition(":")[2].rpartition(",")[2]
    rows = await _orders(odoo, [int(id)] if id.isdigit() else [])
    if not rows:
        raise NotFound(f"there is no till order {ref} in Odoo")
    return await _facts(odoo, rows)


async def check(odoo: Odoo) -> list[tuple[str, bool, str]]:
    """Whether the tills of the connection are there, and at which place of ours each sells."""
    named = ["name", "in", list(odoo.config.points_of_sale)]
    tills = {row["name"]: row["id"] for row in await odoo.client.search("pos.config", [named], ["name"])}
    places = await _places(odoo, sorted(tills.values()))
    found = []
    for name in odoo.config.points_of_sale:
        fine = bool(places.get(tills.get(name, 0)))
        move = "add a place with the warehouse that it sells from" if name in tills else "Odoo has no till of that name"
        found.append((f"till {name}", fine, "" if fine else move))
    return found


@reading
async def read_sale(odoo: Odoo, effect: Effect) -> Done:
    """ReadSale: the sale of a till order. Orders of the shop are read in the shop."""
    command = effect.command
    assert isinstance(command, ReadSale)
    try:
        facts = await fetch(odoo, command.order_ref)
    except NotFound as error:
        raise Rejected(error.message, code="order_missing") from None
    return Done(command.order_ref, facts=tuple(fact for fact in facts if isinstance(fact.body, SaleRecorded)))


async def _orders(odoo: Odoo, ids: list[int]) -> list[Row]:
    return await odoo.client.search("pos.order", [["id", "in", ids]], _ORDER) if ids else []


class _Till:
    """What the rows of a page refer to, read once."""

    def __init__(self, odoo: Odoo) -> None:
        self.odoo = odoo
        self.lines: dict[int, list[Row]] = {}
        self.payments: dict[int, list[Row]] = {}
        self.orders: dict[int, Row] = {}  # those that are refunded
        self.origin: dict[int, int] = {}  # refunded line -> its order
        self.names: dict[str, dict[int, Row]] = {}
        self.places: dict[int, str] = {}  # till -> place

    async def look(self, rows: list[Row]) -> None:
        client, ids = self.odoo.client, [row["id"] for row in rows]
        lines = await client.search("pos.order.line", [["order_id", "in", ids]], _LINE, order="id")
        for line in lines:
            self.lines.setdefault(line["order_id"], []).append(line)
        fields = ["pos_order_id", "amount", "payment_method_id", "payment_date"]
        for payment in await client.search("pos.payment", [["pos_order_id", "in", ids]], fields, order="id"):
            self.payments.setdefault(payment["pos_order_id"], []).append(payment)
        refunded = [line["refunded_orderline_id"] for line in lines if line["refunded_orderline_id"]]
        for line in await client.read("pos.order.line", refunded, ["order_id"]) if refunded else []:
            self.origin[line["id"]] = line["order_id"]
        for order in await _orders(self.odoo, sorted(set(self.origin.values()))):
            self.orders[order["id"]] = order
        key = self.odoo.config.product_key
        methods = {payment["payment_method_id"] for mine in self.payments.values() for payment in mine}
        await self._name("product.product", {line["product_id"] for line in lines}, [key, "tracking"])
        await self._name("account.tax", {id for line in lines for id in line["tax_ids"]}, ["name", "amount"])
        await self._name("pos.pack.operation.lot", {id for line in lines for id in line["pack_lot_ids"]}, ["lot_name"])
        await self._name("pos.payment.method", methods, ["is_cash_count", "type"])
        await self._name("res.currency", {row["currency_id"] for row in (*rows, *self.orders.values())}, ["name"])
        self.places = await _places(self.odoo, sorted({row["config_id"] for row in rows}))

    async def _name(self, model: str, ids: Iterable[int], fields: list[str]) -> None:
        wanted = sorted(set(ids) - {False})
        rows = await self.odoo.client.read(model, wanted, fields) if wanted else []
        self.names[model] = {row["id"]: row for row in rows}

    def sku(self, line: Row) -> str:
        return str(self.names["product.product"][line["product_id"]][self.odoo.config.product_key] or "")

    def lots(self, line: Row) -> tuple[str, ...]:
        known = self.names["pos.pack.operation.lot"]
        return tuple(str(known[id]["lot_name"]) for id in line["pack_lot_ids"] if id in known)

    def tracking(self, line: Row) -> str:
        return str(self.names["product.product"][line["product_id"]]["tracking"] or "none")

    def tender(self, payment: Row) -> str:
        method = self.names["pos.payment.method"][payment["payment_method_id"]]
        return "cash" if method["is_cash_count"] else "pay_later" if method["type"] == "pay_later" else "card"

    def currency(self, order: Row) -> str:
        return str(self.names["res.currency"][order["currency_id"]]["name"])


async def _places(odoo: Odoo, tills: list[int]) -> dict[int, str]:
    """Till -> the place that it sells from, empty without one; of archived ones, too."""
    warehouse: Row = {"picking_type_id": {"fields": {"warehouse_id": {"fields": {"code": {}}}}}}
    rows = await odoo.client.ask("pos.config", "web_read", ids=tills, specification=warehouse)
    places = {entry.warehouse: place for place, entry in reversed(odoo.config.places.items())}
    return {row["id"]: places.get(row["picking_type_id"]["warehouse_id"]["code"], "") for row in rows}


async def _facts(odoo: Odoo, rows: list[Row]) -> list[Fact]:
    if not rows:
        return []
    till = _Till(odoo)
    await till.look(rows)
    facts: list[Fact] = []
    for row in rows:
        lines = till.lines.get(row["id"], [])
        if any(line["qty"] > 0 for line in lines):
            facts.append(_fact(odoo, row, SaleRecorded(_sale(odoo, till, row)), _order_refs(odoo, row)))
        if any(line["qty"] < 0 for line in lines):
            facts += _refund(odoo, till, row)
    return facts


def _sale(odoo: Odoo, till: _Till, row: Row) -> Sale:
    currency, ref = till.currency(row), _ref(odoo, "order", row["id"])
    at = _at(row["date_order"])
    paid: Counter[str] = Counter()
    for payment in till.payments.get(row["id"], []):
        paid[till.tender(payment)] += minor(payment["amount"], currency, ref)  # change given is negative
    lines = []
    for line in till.lines[row["id"]]:
        if line["qty"] <= 0:
            continue
        gross, net = (minor(line[name], currency, ref) for name in ("price_subtotal_incl", "price_subtotal"))
        rates = [till.names["account.tax"][id] for id in line["tax_ids"] if id in till.names["account.tax"]]
        taxes = (Tax(str(rates[0]["name"]), round(rates[0]["amount"] * 10_000), gross - net),) if rates else ()
        tracking, lots, pieces = till.tracking(line), till.lots(line), int(line["qty"])
        lines.append(
            SoldLine(
                line_ref=str(line["id"]),
                sku=till.sku(line),
                quantity=pieces,
                delivered=pieces,
                unit_price_minor=gross // pieces,
                paid_minor=gross,
                taxes=taxes,
                title=str(line["full_product_name"] or ""),
                tracking=tracking,
                serials=lots if tracking == "serial" else (),
                lots=lots if tracking == "lot" else (),
            )
        )
    return Sale(
        sale_ref=ref,
        connection=odoo.connection,
        channel="store",
        currency=currency,
        ordered_at=at,
        lines=tuple(lines),
        payments=tuple(
            Payment(_ref(odoo, "payment", f"{row['id']}/{tender}"), tender, amount, odoo.connection)
            for tender, amount in sorted(paid.items())
            if amount > 0
        ),
        delivered_at=at,
        customer_ref=_ref(odoo, "customer", row["partner_id"]) if row["partner_id"] else "",
        order_number=str(row["pos_reference"] or row["id"]),
        version=_version(row),
        place=till.places[row["config_id"]],
    )


def _refund(odoo: Odoo, till: _Till, row: Row) -> list[Fact]:
    """What was paid back over the counter, and the documents that stand for it."""
    currency, document = till.currency(row), odoo.ref("pos.order", row["id"])
    lines = [line for line in till.lines[row["id"]] if line["qty"] < 0]
    refunded = [line["refunded_orderline_id"] for line in lines if line["refunded_orderline_id"] in till.origin]
    origin = till.orders.get(till.origin[refunded[0]]) if refunded else None
    version = _version(row)
    told: list[Body] = []
    amounts = {
        payment["id"]: -minor(payment["amount"], currency, document) for payment in till.payments.get(row["id"], ())
    }
    paid = [p for p in till.payments.get(row["id"], ()) if amounts[p["id"]] > 0 and till.tender(p) != "pay_later"]
    for payment in paid:
        id, tender, amount = payment["id"], till.tender(payment), amounts[payment["id"]]
        told.append(
            RefundReported(
                _ref(odoo, "refund", id),
                _ref(odoo, "payment", f"{origin['id']}/{tender}") if origin is not None else tender,
                amount,
                currency,
                "succeeded",
                version,
                tender=tender,
                line_refs=tuple(str(id) for id in refunded),
                place=till.places[row["config_id"]],
            )
        )
        note = document if len(paid) == 1 else f"{document}/{id}"  # for each refund the part that it pays
        for ref, posting in ((odoo.ref("pos.payment", id), "refund_payment"), (note, "credit_note")):
            told.append(DocumentMoved(ref, posting, "posted", version, amount_minor=amount, currency=currency))
    refs = _order_refs(odoo, origin) if origin is not None else (document,)
    return [_fact(odoo, row, body, refs) for body in told]


def _order_refs(odoo: Odoo, row: Row) -> tuple[str, ...]:
    return _ref(odoo, "order", row["id"]), f"order:{row['pos_reference'] or row['id']}"


def _fact(odoo: Odoo, row: Row, body: Body, refs: tuple[str, ...]) -> Fact:
    own = str(getattr(body, "refund_ref", "") or getattr(body, "document_ref", ""))
    id_ = fact_id(odoo.connection, type(body).__name__, own or refs[0], str(_version(row)))
    origin = "erp_user" if isinstance(body, DocumentMoved) else "store"
    every = tuple(dict.fromkeys(ref for ref in (*refs, own) if ref))
    return Fact(id_, odoo.connection, _at(row["date_order"]), odoo.now(), every, body, origin, adapter=odoo.adapter)


def _ref(odoo: Odoo, kind: str, id: object) -> str:
    return f"{odoo.connection}:{kind}:{id}"


def _version(row: Row) -> int:
    return int(_at(row["write_date"]).timestamp())


def _at(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp).replace(tzinfo=UTC)
