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
OF_EFFECT = "effect:"  # a credit note that is made in the same send is named by its effect


async def find(odoo: Odoo, effect: Effect) -> Done | None:
    """Posted and matched under our key."""
    id = await odoo.client.find_key(effect.effect_id, MODEL)
    if not id:
        return None
    return _result(odoo, id, await lines_of(odoo, [], [id]))


async def operation(odoo: Odoo, effect: Effect) -> dict[str, Any]:
    """The effect in ids of Odoo, for `procedure.py`. Raises Rejected for what has no name there."""
    command = effect.command
    assert isinstance(command, PostRefundPayment)
    of = command.credit_note_ref.removeprefix(OF_EFFECT) if command.credit_note_ref.startswith(OF_EFFECT) else ""
    return {
        "kind": "pay",
        "key": effect.effect_id,
        "of": of,
        "notes": [] if of else odoo.ids(command.credit_note_ref, "account.move"),
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
    await odoo.client.do(MODEL, "action_post", ids=[id])


def _result(odoo: Odoo, id: int, rows: list[Row]) -> Done | None:
    mine = [row for row in rows if row["payment_id"] == id]
    if not mine or not all(row["reconciled"] for row in mine):
        return None
    return done(odoo.ref(MODEL, id), name=mine[0]["move_name"], state="paid", accounting_on=mine[0]["date"])
