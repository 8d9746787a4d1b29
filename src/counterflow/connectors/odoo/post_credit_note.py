"""PostCreditNote: the mirror of the refund, on the invoice that it takes back, to the cent.

An unpaid invoice and its credit note are matched by Odoo at posting: then nothing is left to pay (edge case 80). A sale
over several invoices gets one credit note for each that is touched, all made in one transaction (edge case 82).
"""

from typing import Any

from counterflow.connectors.odoo.session import Odoo, done, names_of
from counterflow.core.effects import CreditLine, Effect, PostCreditNote
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


async def operation(odoo: Odoo, effect: Effect) -> dict[str, Any]:
    """The effect in ids of Odoo, for `procedure.py`. Raises Rejected for what has no name there."""
    command = effect.command
    assert isinstance(command, PostCreditNote)
    if sum(line.amount_minor for line in command.lines) != command.amount_minor:
        raise Rejected("the lines do not sum to the amount: nothing is posted; report this", code="amount")
    return {
        "kind": "credit",
        "key": effect.effect_id,
        "reference": odoo.reference(command.order_number, command.order_ref),
        "rma": command.rma_number,
        "currency": command.currency,
        "digits": exponent(command.currency),
        "amount": command.amount_minor,
        "day": odoo.day(command.occurred_at),
        "reference_text": _reference(command),
        "reason": command.reason,
        "replacement": command.replacement_ref,
        "lines": [await _line(odoo, line) for line in command.lines],
    }


async def _line(odoo: Odoo, line: CreditLine) -> dict[str, Any]:
    """What is credited; account, service and taxes are for money that has no line on the invoice."""
    config = odoo.config.components.get(line.component)
    service = (await odoo.names.products({config.product})) if config and config.product else {}
    products = await odoo.names.products({line.sku}) if line.sku else {}
    codes = [odoo.config.taxes[tax.code] for tax in line.taxes if tax.code in odoo.config.taxes]
    return {
        "product": products[line.sku].id if line.sku in products else 0,
        "quantity": line.quantity,
        "amount": line.amount_minor,
        "taxed": bool(line.taxes),
        "tax": sum(tax.amount_minor for tax in line.taxes),
        "taxes": await odoo.names.taxes(codes or ([config.tax] if config and config.tax else [])),
        "text": line.text or line.component.replace("_", " "),
        "account": await odoo.names.account(config.account, f"components.{line.component}.account")
        if config and config.account
        else 0,
        "service": service[config.product].id if config and config.product in service else 0,
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
