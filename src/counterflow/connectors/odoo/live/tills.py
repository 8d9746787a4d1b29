"""Odoo's own tills: a person sells and refunds at one, as its front end does; we are told, and do none of it again."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from counterflow.connectors.odoo.client import STAMP
from counterflow.connectors.odoo.live.company import GOODS, TAX, TILL
from counterflow.connectors.odoo.live.point import inside, point, same
from counterflow.connectors.odoo.live.proof import CONNECTION, Proof
from counterflow.connectors.odoo.live.selling import Sale
from counterflow.connectors.odoo.live.upstream import Sweep
from counterflow.connectors.odoo.points_of_sale import FEED
from counterflow.core.effects import ReadSale
from counterflow.core.facts import DocumentMoved, Fact, RefundReported, SaleRecorded
from counterflow.sdk.outcomes import AuthFailed
from counterflow.sdk.testing import Skipped

_METHODS = {"cash": ("CFPCA", "cash"), "card": ("CFPCD", "bank")}  # tender -> its journal: code and type
_PLACE, _SHELF = "store-1", "store"  # ours, and what the till sells from


@dataclass(frozen=True, slots=True)
class Receipt:
    """An order of the till: the sale that a refund is of, or the refund."""

    order: int
    number: str
    line: int
    pickings: tuple[int, ...]

    @property
    def ref(self) -> str:
        return f"{CONNECTION}:order:{self.order}"

    @property
    def sale(self) -> Sale:
        """What an effect for it would name."""
        return Sale(self.number, f"RMA-{self.order}", self.order, self.number, 0, self.pickings, ())


class Till:
    """The till of the store and its session."""

    def __init__(self, at: Proof, id: int, methods: dict[str, int]) -> None:
        self.at, self.id, self.methods = at, id, methods
        self.start = datetime.now(UTC).strftime(STAMP)

    async def sell(self, good: str, pieces: int, tender: str = "cash", **more: Any) -> Receipt:
        return await self._ring_up(good, pieces, tender, **more)

    async def refund(self, sold: Receipt, good: str, pieces: int, tender: str = "cash", **more: Any) -> Receipt:
        if self.at.major >= 19:
            more["is_refund"] = True
        return await self._ring_up(good, -pieces, tender, sold.line, **more)

    async def _ring_up(self, good: str, pieces: int, tender: str, refunded: int = 0, **more: Any) -> Receipt:
        person, company = self.at.person, self.at.company
        gross = pieces * GOODS[good].price
        [tax] = await person.rows("account.tax", [["name", "=", TAX], ["type_tax_use", "=", "sale"]])
        line = {
            "uuid": str(uuid4()),
            "product_id": company.products[good],
            "full_product_name": good.title(),
            "qty": pieces,
            "price_unit": GOODS[good].price / 100,
            "price_subtotal": (gross - inside(gross)) / 100,
            "price_subtotal_incl": gross / 100,
            "discount": 0,
            "tax_ids": [[6, 0, [tax["id"]]]],
            **({"refunded_orderline_id": refunded} if refunded else {}),
        }
        now = datetime.now(UTC).strftime(STAMP)
        payment = {"amount": gross / 100, "payment_method_id": self.methods[tender], "name": now}
        order = {
            "uuid": str(uuid4()),
            "name": f"Order {str(uuid4())[:8]}",
            "session_id": await self.open(),
            "company_id": company.id,
            "date_order": now,
            "state": "paid",
            "amount_total": gross / 100,
            "amount_tax": inside(gross) / 100,
            "amount_paid": gross / 100,
            "amount_return": 0,
            "to_invoice": False,
            "lines": [[0, 0, line]],
            "payment_ids": [[0, 0, payment]],
            **more,
        }
        # A printed invoice takes a program that not every server has.
        await person.call("pos.order", "sync_from_ui", orders=[order], context={"generate_pdf": False})
        [made] = await person.rows(
            "pos.order", [["uuid", "=", order["uuid"]]], "pos_reference", "lines", "picking_ids", "state"
        )
        return Receipt(made["id"], made["pos_reference"], made["lines"][0], tuple(made["picking_ids"]))

    async def open(self) -> int:
        """The session that is open, or a new one."""
        call = self.at.person.call
        if opened := await self._running("opened"):
            return opened[0]
        await self.close()  # what an earlier run could not
        session = await self.at.person.make("pos.session", {"config_id": self.id})
        row = await self.at.person.row("pos.session", session, "cash_register_balance_start")
        drawer = row["cash_register_balance_start"]
        await call("pos.session", "set_opening_control", [session], cashbox_value=drawer, notes="")
        return session

    async def close(self) -> None:
        """Count the drawer, to the cent what has to be in it, and close the session."""
        call = self.at.person.call
        for session in await self._running():
            row = await self.at.person.row("pos.session", session, "cash_register_balance_end")
            drawer = row["cash_register_balance_end"]
            await call("pos.session", "post_closing_cash_details", [session], counted_cash=drawer)
            await call("pos.session", "update_closing_control_state_session", [session], notes="")
            same(await call("pos.session", "close_session_from_ui", [session]), {"successful": True}, "closing answers")

    async def _running(self, *states: str) -> list[int]:
        states = states or ("opening_control", "opened", "closing_control")
        rows = await self.at.person.rows("pos.session", [["config_id", "=", self.id], ["state", "in", list(states)]])
        return [row["id"] for row in rows]

    async def told(self, sold: Receipt) -> list[Fact]:
        """What the feed tells of a sale of this till and of its refunds."""
        cursor, more, found = json.dumps([self.start, False, 100]), True, list[Fact]()
        while more:
            page = await self.at.connector.pull(FEED, cursor)
            cursor, more = page.cursor, page.more
            found += [fact for fact in page.items if isinstance(fact, Fact) and fact.refs[0] == sold.ref]
        return found


async def _till(at: Proof) -> Till:
    """The till of the store, found by its name or made. Skips where there can be none, or where we may not see it."""
    person, company = at.person, at.company
    installed = [["name", "=", "point_of_sale"], ["state", "=", "installed"]]
    if not await person.rows("ir.module.module", installed):
        raise Skipped("Point of Sale (point_of_sale) is not installed")
    methods = {}
    for tender, (code, kind) in _METHODS.items():
        named = {"name": f"Proof: till, {tender}", "type": kind}
        journal = await person.find_or_make("account.journal", {"code": code}, named)
        methods[tender] = await person.find_or_make(
            "pos.payment.method", {"name": f"Proof {tender}"}, {"journal_id": journal}
        )
    store = await person.row("stock.warehouse", company.warehouses[_PLACE], "pos_type_id")
    values = {"picking_type_id": store["pos_type_id"], "payment_method_ids": [[6, 0, list(methods.values())]]}
    id = await person.find_or_make("pos.config", {"name": TILL}, values)
    try:
        await at.connector.pull(FEED, "")
    except AuthFailed as error:
        raise Skipped(error.message) from None
    return Till(at, id, methods)


@point("upstream")
async def a_sale_at_a_till(at: Proof) -> None:
    """A sale at a till is told as an order with its lines, tender and place; nothing of it is ours to book"""
    till = await _till(at)
    async with at.leaves(at.goods("MUG", 2, _SHELF, "customers")):
        sold = await till.sell("MUG", 2)
    [fact] = await till.told(sold)
    assert isinstance(fact.body, SaleRecorded)
    sale, [line] = fact.body.sale, fact.body.sale.lines
    same((sale.place, sale.channel, sale.order_number), (_PLACE, "store", sold.number), "place, channel and number are")
    same((line.sku, line.quantity, line.paid_minor), (at.company.sku("MUG"), 2, 23_80), "its line is")
    same([(tax.code, tax.amount_minor) for tax in line.taxes], [(TAX, 3_80)], "its taxes are")
    same([(paid.tender, paid.captured_minor) for paid in sale.payments], [("cash", 23_80)], "it was paid by")
    [read] = (await at.done(at.effect(ReadSale(sold.ref)))).facts
    same(read.body, fact.body, "read by its reference it is")
    async with at.leaves({}):
        await at.rejected(at.receive(sold.sale, at.item("MUG")), "order_missing")
        await at.rejected(at.credit(sold.sale, at.line("MUG", 1, 11_90)), "order_missing")


@point("upstream")
async def a_refund_at_a_till(at: Proof) -> None:
    """A refund by a person at a till is told with line, amount and place, and with the documents that stand for it"""
    till, feed = await _till(at), Sweep(at)
    for tender in _METHODS:
        sold = await till.sell("MUG", 2, tender)
        async with at.leaves(at.goods("MUG", 1, "customers", _SHELF)):
            back = await till.refund(sold, "MUG", 1, tender)
        told = [fact.body for fact in await till.told(sold)]
        [body] = [body for body in told if isinstance(body, RefundReported)]
        same((body.amount_minor, body.currency, body.status), (11_90, at.company.currency, "succeeded"), "it is")
        same((body.tender, body.place, body.key), (tender, _PLACE, ""), "tender, place and key are")
        same(body.line_refs, (str(sold.line),), "its lines are")
        same(body.payment_ref, f"{CONNECTION}:payment:{sold.order}/{tender}", "it gives back of")
        documents = [body for body in told if isinstance(body, DocumentMoved)]
        booked = {document.posting: (document.state, document.amount_minor, document.key) for document in documents}
        posted = ("posted", 11_90, "")
        same(booked, {"credit_note": posted, "refund_payment": posted}, "the documents that stand for it are")
        await feed.sweep()
        transfers = {at.connector.odoo.ref("stock.picking", id) for id in back.pickings}
        same((len(transfers), transfers & feed.told.keys()), (1, set()), "transfers, and those told as ours to know:")


@point("upstream")
async def an_invoiced_refund_at_a_till(at: Proof) -> None:
    """An invoiced refund at a till is told once: its credit note is not told as one that a person made"""
    till, feed = await _till(at), Sweep(at)
    partner = await at.person.make("res.partner", {"name": f"Customer of the till {at.company.run}"})
    invoiced: dict[str, Any] = {"to_invoice": True, "partner_id": partner}
    sold = await till.sell("MUG", 1, **invoiced)
    back = await till.refund(sold, "MUG", 1, **invoiced)
    order = await at.person.row("pos.order", back.order, "account_move")
    note = await at.person.row("account.move", _id(order["account_move"]), "move_type", "state")
    same((note["move_type"], note["state"]), ("out_refund", "posted"), "the till has made")
    await feed.sweep()
    same(at.connector.odoo.ref("account.move", note["id"]) in feed.told, False, "told as a document by hand:")
    bodies = [fact.body for fact in await till.told(sold)]
    amounts = [
        body.amount_minor for body in bodies if isinstance(body, DocumentMoved) and body.posting == "credit_note"
    ]
    same(amounts, [11_90], "its credit notes, told by the till, are")


@point("upstream")
async def a_till_that_closes(at: Proof) -> None:
    """The session of a till closes: Odoo books its sales and refunds, and they are told as the same ones again"""
    till = await _till(at)
    await till.close()  # what earlier points have sold
    async with at.leaves({}):  # all of it came back
        sold = await till.sell("MUG", 1)
        await till.refund(sold, "MUG", 1)
        before = await till.told(sold)
        await till.close()
    after = await till.told(sold)
    same(len(before), 4, "a sale, a refund and its two documents: facts told")
    same([_lasting(fact) for fact in after], [_lasting(fact) for fact in before], "told again it is")


@point("upstream")
async def a_refund_on_another_day(at: Proof) -> None:
    """A card refund in a later session than its sale is told once: the payment that the session books is Odoo's own"""
    till, feed = await _till(at), Sweep(at)
    await till.close()
    sold = await till.sell("MUG", 1, "card")
    await till.close()
    await till.refund(sold, "MUG", 1, "card")
    await till.close()
    told = [fact.body for fact in await till.told(sold)]
    same([body.amount_minor for body in told if isinstance(body, RefundReported)], [11_90], "refunds told are")
    out = [["pos_session_id.config_id", "=", till.id], ["payment_type", "=", "outbound"]]
    booked = {
        at.connector.odoo.ref("account.payment", row["id"]) for row in await at.person.rows("account.payment", out)
    }
    await feed.sweep()
    same(booked & feed.told.keys(), set(), f"of {len(booked)} payments of the till, told as by hand")


def _id(value: Any) -> int:
    """Of a many2one, whose name does not end in `_id`."""
    return int(value[0] if isinstance(value, list) else value)


def _lasting(fact: Fact) -> tuple[object, ...]:
    """What a newer version of a fact may not change."""
    match fact.body:
        case SaleRecorded(sale):
            return fact.refs, replace(sale, version=0)
        case RefundReported() | DocumentMoved() as body:
            return fact.refs, replace(body, version=0)
    return fact.refs, fact.body
