"""Upstream: what people do inside Odoo is told, and what they have made is never made again."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from counterflow.connectors.odoo.client import STAMP
from counterflow.connectors.odoo.feeds import FEED, SOURCES
from counterflow.connectors.odoo.live.point import Failed, point, same
from counterflow.connectors.odoo.live.proof import Proof
from counterflow.connectors.odoo.live.selling import Sale
from counterflow.core.facts import DocumentMoved, Fact
from counterflow.sdk.connector import Delivery, Signal
from counterflow.sdk.outcomes import Done
from counterflow.sdk.testing import Skipped

SECRET = "proof-of-the-webhook"
_HERE = ("127.0.0.1", "localhost")


class Sweep:
    """The feed from now on; `new` is what it tells since the last time about one document, the newest statement."""

    def __init__(self, at: Proof) -> None:
        start = (datetime.now(UTC) - timedelta(seconds=1)).strftime(STAMP)
        self.at = at
        self.cursor = json.dumps({source.model: [start, False, 100, []] for source in SOURCES})
        self.told: dict[str, tuple[DocumentMoved, Fact]] = {}

    async def sweep(self) -> None:
        more = True
        while more:
            page = await self.at.connector.pull(FEED, self.cursor)
            self.cursor, more = page.cursor, page.more
            for fact in page.items:
                if isinstance(fact, Fact) and isinstance(fact.body, DocumentMoved):
                    self.told[fact.body.document_ref] = fact.body, fact

    async def new(self, model: str, id: int) -> DocumentMoved:
        await self.sweep()
        ref = self.at.connector.odoo.ref(model, id)
        if ref not in self.told:
            raise Failed(f"the feed does not tell of {model} {id}")
        return self.told[ref][0]

    def refs(self, model: str, id: int) -> tuple[str, ...]:
        return self.told[self.at.connector.odoo.ref(model, id)][1].refs


async def _by_hand(at: Proof, sale: Sale, pieces: int) -> int:
    """A person returns pieces of the delivery with the wizard; the transfer."""
    [move] = await at.person.rows("stock.move", [["picking_id", "=", sale.deliveries[0]]], "product_id")
    line = {"product_id": move["product_id"], "move_id": move["id"], "quantity": pieces, "to_refund": True}
    values = {"picking_id": sale.deliveries[0], "product_return_moves": [[0, 0, line]]}
    wizard = await at.person.make("stock.return.picking", values)
    made = await at.person.call("stock.return.picking", "action_create_returns", [wizard])
    return int(made["res_id"])


@point("upstream")
async def a_return_by_hand(at: Proof) -> None:
    """A return made by hand is told when it is made and when it is done, with its pieces; ours on top is refused"""
    sale, feed = await at.sale(("MUG", 2), invoice=False), Sweep(at)
    id = await _by_hand(at, sale, 2)
    told = await feed.new("stock.picking", id)
    same((told.posting, told.state, told.key), ("receive_goods", "drafted", ""), "made, it is told as")
    same([(piece.sku, piece.quantity) for piece in told.pieces], [(at.company.sku("MUG"), 2)], "its pieces are")
    same(f"order:{sale.number}" in feed.refs("stock.picking", id), True, "it names the sale:")
    async with at.leaves(at.goods("MUG", 2, "customers", "sellable"), {"open stock.picking": -1}):
        await at.validate(id)
    told = await feed.new("stock.picking", id)
    same((told.state, bool(told.by)), ("posted", True), "done, it is told with its author as")
    async with at.leaves({}):
        await at.rejected(at.receive(sale, at.item("MUG", 2)), "over_return")


@point("upstream")
async def a_return_with_a_serial(at: Proof) -> None:
    """A return of a serial by hand is told with the serial"""
    serial = at.serials.pop(0)
    sale, feed = await at.sale(("CAM", 1), lots=(serial,), invoice=False), Sweep(at)
    id = await _by_hand(at, sale, 1)
    await at.validate(id)
    [piece] = (await feed.new("stock.picking", id)).pieces
    same((piece.sku, piece.quantity, piece.serial), (at.company.sku("CAM"), 1, at.company.lot(serial)), "it holds")


@point("upstream")
async def a_return_edited_and_cancelled(at: Proof) -> None:
    """A return by hand that is edited is told with what it holds now, and cancelled as cancelled"""
    sale, feed = await at.sale(("MUG", 2), invoice=False), Sweep(at)
    id = await _by_hand(at, sale, 2)
    await feed.new("stock.picking", id)
    [move] = await at.person.rows("stock.move", [["picking_id", "=", id]])
    await at.person.write("stock.picking", id, move_ids=[[1, move["id"], {"product_uom_qty": 1, "quantity": 1}]])
    told = await feed.new("stock.picking", id)
    same([piece.quantity for piece in told.pieces], [1], "edited, its pieces are")
    await at.person.call("stock.picking", "action_cancel", [id])
    same((await feed.new("stock.picking", id)).state, "cancelled", "then it is")
    async with at.leaves(at.goods("MUG", 2, "customers", "returns")):
        await at.done(at.receive(sale, at.item("MUG", 2)))  # nothing stands in our way any more


@point("upstream")
async def a_return_deleted(at: Proof) -> None:
    """A return by hand that is deleted is told as cancelled, although nothing is left of it"""
    sale, feed = await at.sale(("MUG", 1), invoice=False), Sweep(at)
    id = await _by_hand(at, sale, 1)
    await feed.new("stock.picking", id)
    await at.person.call("stock.picking", "action_cancel", [id])
    await at.person.call("stock.picking", "unlink", [id])
    same((await feed.new("stock.picking", id)).state, "cancelled", "it is")


async def _credited_by_hand(at: Proof, sale: Sale) -> int:
    context = {"active_model": "account.move", "active_ids": list(sale.invoices)}
    values = {"reason": "by hand", "journal_id": at.company.journals["sales"]}
    wizard = await at.person.make("account.move.reversal", values, context)
    made = await at.person.call("account.move.reversal", "refund_moves", [wizard], context=context)
    return int(made["res_id"])


@point("upstream")
async def a_credit_note_by_hand(at: Proof) -> None:
    """A credit note by hand is told as draft, posted and paid; ours on top is refused"""
    sale, feed = await at.sale(("MUG", 1)), Sweep(at)
    await at.done(at.receive(sale, at.item("MUG")))
    id = await _credited_by_hand(at, sale)
    told = await feed.new("account.move", id)
    same((told.posting, told.state, told.amount_minor), ("credit_note", "drafted", 11_90), "made, it is told as")
    same(f"order:{sale.number}" in feed.refs("account.move", id), True, "it names the sale:")
    await at.person.call("account.move", "action_post", [id])
    told = await feed.new("account.move", id)
    same((told.state, told.amount_minor, told.currency), ("posted", 11_90, at.company.currency), "posted, it is")
    async with at.leaves({}):
        await at.rejected(at.credit(sale, at.line("MUG", 1, 11_90)), "over_credit")
    payment = await at.pay([id], f"by hand {sale.number}")
    same((await feed.new("account.move", id)).state, "applied", "paid, it is")
    told = await feed.new("account.payment", payment)
    same((told.posting, told.amount_minor, told.key), ("refund_payment", 11_90, ""), "its payment is told as")
    same(f"order:{sale.number}" in feed.refs("account.payment", payment), True, "it names the sale:")
    async with at.leaves({}):
        await at.rejected(at.refund(sale, at.connector.odoo.ref("account.move", id), 11_90), "nothing_left")


@point("upstream")
async def a_credit_note_edited_and_deleted(at: Proof) -> None:
    """A draft credit note that is edited is told with its new amount, and deleted as cancelled"""
    sale, feed = await at.sale(("MUG", 2)), Sweep(at)
    id = await _credited_by_hand(at, sale)
    same((await feed.new("account.move", id)).amount_minor, 23_80, "its amount is")
    domain = [["move_id", "=", id], ["display_type", "=", "product"]]
    [line] = await at.person.rows("account.move.line", domain)
    await at.person.write("account.move", id, invoice_line_ids=[[1, line["id"], {"quantity": 1}]])
    same((await feed.new("account.move", id)).amount_minor, 11_90, "edited, its amount is")
    await at.person.call("account.move", "unlink", [id])
    same((await feed.new("account.move", id)).state, "cancelled", "deleted, it is")
    async with at.leaves(at.note(23_80), at.cost_back(8_00)):
        await at.done(at.credit(sale, at.line("MUG", 2, 23_80)))


@point("upstream")
async def ours_is_edited(at: Proof) -> None:
    """A credit note of ours that a person sets back, changes and posts again is told each time, under our key"""
    sale, feed = await at.sale(("MUG", 1)), Sweep(at)
    effect = at.credit(sale, at.line("MUG", 1, 11_90))
    [id] = await at.ids(await at.done(effect), "account.move")
    told = await feed.new("account.move", id)
    same((told.state, told.key, told.amount_minor), ("posted", effect.effect_id, 11_90), "posted, it is told as")
    await at.person.call("account.move", "button_draft", [id])
    same((await feed.new("account.move", id)).state, "drafted", "set back, it is")
    domain = [["move_id", "=", id], ["display_type", "=", "product"]]
    [line] = await at.person.rows("account.move.line", domain)
    await at.person.write("account.move", id, invoice_line_ids=[[1, line["id"], {"price_unit": 5.95}]])
    await at.person.call("account.move", "action_post", [id])
    told = await feed.new("account.move", id)
    same((told.state, told.amount_minor, told.key), ("posted", 5_95, effect.effect_id), "posted again, it is told as")


@point("upstream")
async def ours_is_cancelled(at: Proof) -> None:
    """A credit note of ours that a person cancels is told, and not made again by asking again"""
    sale, feed = await at.sale(("MUG", 1)), Sweep(at)
    effect = at.credit(sale, at.line("MUG", 1, 11_90))
    [id] = await at.ids(await at.done(effect), "account.move")
    await at.person.call("account.move", "button_draft", [id])
    await at.person.call("account.move", "button_cancel", [id])
    told = await feed.new("account.move", id)
    same((told.state, told.key), ("cancelled", effect.effect_id), "it is told as")
    async with at.leaves({}):
        same(isinstance(await at.send(effect), Done), False, "sent again it is done:")


@point("upstream")
async def ours_is_told_once(at: Proof) -> None:
    """What we have made is told under its key, with its sale: receipt, credit note and payment"""
    sale, feed = await at.sale(("MUG", 1)), Sweep(at)
    receipt, credit = at.receive(sale, at.item("MUG")), at.credit(sale, at.line("MUG", 1, 11_90))
    picking = (await at.ids(await at.done(receipt), "stock.picking"))[0]
    posted = await at.done(credit)
    payment = at.refund(sale, posted.ref, 11_90)
    paid = (await at.ids(await at.done(payment), "account.payment"))[0]
    note = (await at.ids(posted, "account.move"))[0]
    wanted = (
        ("stock.picking", picking, "posted", receipt),
        ("account.move", note, "applied", credit),
        ("account.payment", paid, "applied", payment),
    )
    for model, id, state, effect in wanted:
        told = await feed.new(model, id)
        same((told.state, told.key), (state, effect.effect_id), f"{model} is told as")
        same(f"order:{sale.number}" in feed.refs(model, id), True, f"{model} names the sale:")


@asynccontextmanager
async def _listening(heard: list[Delivery]) -> AsyncIterator[int]:
    """A receiver of webhooks on this machine; its port."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[1:-2]
        headers = {name.lower(): (value.strip(),) for name, _, value in (line.partition(":") for line in head)}
        body = await reader.readexactly(int(headers["content-length"][0]))
        heard.append(Delivery("erp", headers, body, datetime.now(UTC)))
        writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@point("upstream")
async def an_automation_rule(at: Proof) -> str:
    """An automation rule of Odoo tells a credit note by hand at once, with the secret of its URL"""
    if at.connector.odoo.client.transport.client.base_url.host not in _HERE:
        raise Skipped("the webhook is proved where Odoo runs on this machine: it has to reach us")
    rows = await at.person.rows("ir.model", [["model", "in", ["base.automation", "account.move"]]], "model")
    models = {row["model"]: row["id"] for row in rows}
    if "base.automation" not in models:
        raise Skipped("Automation Rules (base_automation) are not installed")
    [field] = await at.person.rows(
        "ir.model.fields", [["model", "=", "account.move"], ["name", "=", "write_date"]], "name"
    )
    sale, heard = await at.sale(("MUG", 1)), list[Delivery]()
    async with _listening(heard) as port:
        rule = await at.person.make(
            "base.automation",
            {
                "name": f"Proof {at.company.run}",
                "model_id": models["account.move"],
                "trigger": "on_create_or_write",
                "filter_domain": "[('move_type', '=', 'out_refund')]",
            },
        )
        action = {
            "name": "Tell the proof",
            "model_id": models["account.move"],
            "state": "webhook",
            "webhook_url": f"http://odoo:{SECRET}@127.0.0.1:{port}/webhooks/erp",
            "webhook_field_ids": [[6, 0, [field["id"]]]],
            "base_automation_id": rule,
            "usage": "base_automation",
        }
        await at.person.make("ir.actions.server", action)
        try:
            id = await _credited_by_hand(at, sale)
            await at.person.call("account.move", "action_post", [id])
            await asyncio.sleep(1.0)  # it is sent after the commit
        finally:
            await at.person.call("base.automation", "unlink", [rule])
    same(bool(heard), True, "something was heard:")
    connector = at.connect(webhook_secret=SECRET)
    for delivery in heard:
        connector.verify(delivery)
    signals = {
        signal.ref for delivery in heard for signal in connector.translate(delivery) if isinstance(signal, Signal)
    }
    same(signals, {at.connector.odoo.ref("account.move", id)}, "it points at")
    # One for each write inside Odoo, and all of one transaction are the same: they are one delivery.
    states = {delivery.body for delivery in heard}
    same(len({connector.identify(delivery) for delivery in heard}), len(states), "identities")
    [fact] = await connector.fetch(FEED, next(iter(signals)))
    same(getattr(fact.body, "state", ""), "posted", "looked at, it is")
    return f"{len(heard)} deliveries, {len(states)} different: {heard[-1].body.decode()}"
