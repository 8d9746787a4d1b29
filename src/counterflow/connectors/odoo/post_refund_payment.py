"""PostRefundPayment: the payment of a credit note, in the provider's journal against its clearing account.

The payment is loaded under our key only when it is absent: a second `load` would silently overwrite the header of a
posted payment. Payment and credit note are then matched by their receivable lines; each step reads before it acts.
"""

from typing import Any

from counterflow.connectors.odoo.receivable import Row, lines_of
from counterflow.connectors.odoo.session import Odoo, done, theirs
from counterflow.core.effects import Effect, PostRefundPayment
from counterflow.core.money import exponent
from counterflow.sdk.outcomes import Done, Rejected

MODEL = "account.payment"
UNBILLED = ":sale.order,"  # in the place of the credit note: the sale, of which nothing was ever invoiced
OF_EFFECT = "effect:"  # a credit note that is made in the same send is named by its effect


async def find(odoo: Odoo, effect: Effect) -> Done | None:
    """Posted and matched under our key."""
    id = await odoo.client.find_key(effect.effect_id, MODEL)
    if not id:
        return None
    command = effect.command
    assert isinstance(command, PostRefundPayment)
    rows = await lines_of(odoo, [], [id])
    found = _result(odoo, id, rows)
    if found is None and rows and not await _left(odoo, command.credit_note_ref):
        return _done(odoo, id, rows, "open")  # its note has closed an unpaid invoice: it waits for the charge
    return found


async def _left(odoo: Odoo, ref: str) -> float:
    """What is left to pay of the credit notes; nothing of a sale that was never invoiced."""
    if UNBILLED in ref or ref.startswith(OF_EFFECT):
        return 0 if UNBILLED in ref else 1
    rows = await odoo.client.read("account.move", odoo.ids(ref, "account.move"), ["amount_residual"])
    return float(sum(row["amount_residual"] for row in rows))


async def operation(odoo: Odoo, effect: Effect) -> dict[str, Any]:
    """The effect in ids of Odoo, for `procedure.py`. Raises Rejected for what has no name there."""
    command = effect.command
    assert isinstance(command, PostRefundPayment)
    of = command.credit_note_ref.removeprefix(OF_EFFECT) if command.credit_note_ref.startswith(OF_EFFECT) else ""
    unbilled = UNBILLED in command.credit_note_ref
    return {
        "kind": "pay",
        "key": effect.effect_id,
        "of": of,
        "sale": odoo.ids(command.credit_note_ref, "sale.order") if unbilled else [],
        "notes": [] if of or unbilled else odoo.ids(command.credit_note_ref, "account.move"),
        "amount": command.amount_minor,
        "currency": command.currency,
        "digits": exponent(command.currency),
        "currency_id": await odoo.names.id("res.currency", command.currency),
        "journal": await odoo.names.journal(command.provider, command.rail),
        "day": odoo.day(command.occurred_at),
        "memo": theirs(command.refund_ref) or command.leg_id,
    }


async def post(odoo: Odoo, id: int) -> None:
    """Post a draft payment; nothing happens to one that is posted."""
    (row,) = await odoo.client.read(MODEL, [id], ["state", "name"])
    if row["state"] in ("canceled", "rejected"):
        raise Rejected(f"{row['name'] or f'payment {id}'} was cancelled in Odoo: set it to draft there, then retry")
    await odoo.change(MODEL, "action_post", [id])


def _result(odoo: Odoo, id: int, rows: list[Row]) -> Done | None:
    mine = [row for row in rows if row["payment_id"] == id]
    if not mine or not all(row["reconciled"] for row in mine):
        return None
    return _done(odoo, id, mine, "paid")


def _done(odoo: Odoo, id: int, rows: list[Row], state: str) -> Done:
    return done(odoo.ref(MODEL, id), name=rows[0]["move_name"], state=state, accounting_on=rows[0]["date"])
