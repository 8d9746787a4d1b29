"""PostCreditNote: the mirror of the refund, on the invoice that it takes back, to the cent.

An unpaid invoice and its credit note are matched by Odoo at posting: then nothing is left to pay (edge case 80). A sale
over several invoices gets one credit note for each that is touched, all made in one transaction (edge case 82).
"""

from typing import Any

from counterflow.connectors.odoo.client import Document
from counterflow.connectors.odoo.credit_lines import Group, cells, group_by_invoice, to_the_cent
from counterflow.connectors.odoo.original import Order, lower_ordered, order_of
from counterflow.connectors.odoo.receivable import match, open_lines
from counterflow.connectors.odoo.session import Odoo, done, names_of
from counterflow.core.effects import Effect, PostCreditNote
from counterflow.core.money import exponent
from counterflow.sdk.outcomes import Done, Rejected

MODEL = "account.move"
_HEAD = ("name", "state", "date", "amount_total", "amount_tax", "amount_residual", "payment_state")


async def find(odoo: Odoo, effect: Effect) -> Done | None:
    """Posted under our key. A draft of ours is not done yet; one that a person cancelled is for a person."""
    command = effect.command
    assert isinstance(command, PostCreditNote)
    id = await odoo.client.find_key(effect.effect_id, MODEL)
    return await _read(odoo, command, id) if id else None


async def send(odoo: Odoo, effect: Effect) -> Done:
    command = effect.command
    assert isinstance(command, PostCreditNote)
    if (already := await find(odoo, effect)) is not None:
        return already
    if sum(line.amount_minor for line in command.lines) != command.amount_minor:
        raise Rejected("the lines do not sum to the amount: nothing is posted; report this", code="amount")
    order = await order_of(odoo, command.order_number, command.order_ref)
    groups = await group_by_invoice(odoo, order, command.lines)
    documents = [
        Document(
            effect.effect_id if number == 1 else f"{effect.effect_id}_{number}",
            await _head(odoo, command, order, group),
            "invoice_line_ids",
            await cells(odoo, command.currency, group),
        )
        for number, group in enumerate(groups, start=1)
    ]
    ids = await odoo.client.load(MODEL, documents)
    for id, group in zip(ids, groups, strict=True):
        await to_the_cent(odoo, id, group, command.currency)
    await odoo.client.do(MODEL, "action_post", ids=ids)
    if command.replacement_ref:
        await _offset(odoo, command, ids)
    result = await _read(odoo, command, ids[0])
    if result is None:
        raise Rejected("Odoo did not post the credit note: post it there, then retry")
    await lower_ordered(odoo, order)
    await odoo.say(MODEL, ids[0], f"{command.rma_number} for {command.order_number}: {command.reason}.")
    return result


async def _head(odoo: Odoo, command: PostCreditNote, order: Order, group: Group) -> dict[str, Any]:
    invoice = group.invoice
    if invoice["currency_id"] != await odoo.names.id("res.currency", command.currency):
        raise Rejected(
            f"{order.name} was not invoiced in {command.currency}, the currency of the refund: book it by hand",
            code="currency",
        )
    return {
        "move_type": "out_refund",
        "reversed_entry_id/.id": invoice["move_id"],
        "partner_id/.id": invoice["partner_id"],
        "currency_id/.id": invoice["currency_id"],
        "journal_id/.id": invoice["journal_id"],
        "invoice_date": odoo.day(command.occurred_at),
        "invoice_origin": order.name,
        "ref": _reference(command),
        "narration": command.reason,
    }


def _reference(command: PostCreditNote) -> str:
    """What people search for, and what holds the notes of one refund together."""
    return f"{command.rma_number} {command.intent_id}"


async def _read(odoo: Odoo, command: PostCreditNote, id: int) -> Done | None:
    rows = await odoo.client.search(
        MODEL,
        ["|", ["id", "=", id], "&", ["ref", "=", _reference(command)], ["move_type", "=", "out_refund"]],
        _HEAD,
        order="id",
    )
    if cancelled := [row for row in rows if row["state"] == "cancel"]:
        name = cancelled[0]["name"] or f"the draft credit note {id}"
        raise Rejected(f"{name} was cancelled in Odoo by a person: set it to draft and post it there, or discard this")
    if any(row["state"] != "posted" for row in rows):
        return None
    digits = 10 ** exponent(command.currency)
    return done(
        odoo.ref(MODEL, *(row["id"] for row in rows)),
        name=names_of(rows),
        state="posted",
        accounting_on=rows[0]["date"],
        amount_minor=sum(round(row["amount_total"] * digits) for row in rows),
        tax_minor=sum(round(row["amount_tax"] * digits) for row in rows),
        residual_minor=sum(round(row["amount_residual"] * digits) for row in rows),
        payment_state=rows[0]["payment_state"],
    )


async def _offset(odoo: Odoo, command: PostCreditNote, ids: list[int]) -> None:
    """Match with the replacement's invoice where there is one; else it stays an open credit of the customer."""
    invoices = await odoo.client.search(
        MODEL,
        [
            ["move_type", "=", "out_invoice"],
            ["state", "=", "posted"],
            ["amount_residual", ">", 0],
            ["line_ids.sale_line_ids.order_id.client_order_ref", "=", command.replacement_ref],
        ],
        ["name"],
    )
    if invoices:
        await match(odoo, await open_lines(odoo, [*ids, *(row["id"] for row in invoices)]))
