"""PostRefundPayment: the payment of a credit note, in the provider's journal against its clearing account.

The payment is loaded under our key only when it is absent: a second `load` would silently overwrite the header of a
posted payment. Payment and credit note are then matched by their receivable lines; each step reads before it acts.
"""

from typing import Any

from counterflow.connectors.odoo.client import Document
from counterflow.connectors.odoo.receivable import Row, lines_of, match
from counterflow.connectors.odoo.session import Odoo, done, theirs
from counterflow.core.effects import Effect, PostRefundPayment
from counterflow.core.money import exponent, to_major
from counterflow.sdk.outcomes import Done, Rejected

MODEL = "account.payment"


async def find(odoo: Odoo, effect: Effect) -> Done | None:
    """Posted and matched under our key."""
    id = await odoo.client.find_key(effect.effect_id, MODEL)
    if not id:
        return None
    return _result(odoo, id, await lines_of(odoo, [], [id]))


async def send(odoo: Odoo, effect: Effect) -> Done:
    command = effect.command
    assert isinstance(command, PostRefundPayment)
    notes = odoo.ids(command.credit_note_ref, "account.move")
    id = await odoo.client.find_key(effect.effect_id, MODEL)
    if not id:
        id = await _make(odoo, effect.effect_id, command, notes)
    rows = await lines_of(odoo, notes, [id])
    if not any(row["payment_id"] == id for row in rows):
        await post(odoo, id)
        rows = await lines_of(odoo, notes, [id])
    if (already := _result(odoo, id, rows)) is not None:
        return already
    await match(odoo, [row for row in rows if not row["reconciled"]])
    result = _result(odoo, id, await lines_of(odoo, [], [id]))
    if result is None:
        raise Rejected(
            f"payment {id} is posted in Odoo but not matched with its credit note: match them there, then retry",
            code="unmatched",
        )
    return result


async def _make(odoo: Odoo, key: str, command: PostRefundPayment, notes: list[int]) -> int:
    """The payment, unless the credit note has less left than it pays."""
    rows = await odoo.client.read(
        "account.move", notes, ["name", "state", "amount_residual", "payment_state", "partner_id", "currency_id"]
    )
    if len(rows) != len(notes) or any(row["state"] != "posted" for row in rows):
        raise Rejected(
            "the credit note is not posted in Odoo any more: post it there again, then retry", code="no_note"
        )
    left = sum(round(row["amount_residual"] * 10 ** exponent(command.currency)) for row in rows)
    if left < command.amount_minor:
        raise Rejected(
            f"{rows[0]['name']} has {to_major(left, command.currency)} {command.currency} left to pay "
            f"({rows[0]['payment_state'].replace('_', ' ')}), the refund is "
            f"{to_major(command.amount_minor, command.currency)}: if it was paid there by hand discard this, "
            "if it was matched with an unpaid invoice book the refund there",
            code="nothing_left",
        )
    if rows[0]["currency_id"] != await odoo.names.id("res.currency", command.currency):
        raise Rejected(f"{rows[0]['name']} is not in {command.currency}: book the refund by hand", code="currency")
    head: dict[str, Any] = {
        "payment_type": "outbound",
        "partner_type": "customer",
        "partner_id/.id": rows[0]["partner_id"],
        "amount": to_major(command.amount_minor, command.currency),
        "currency_id/.id": rows[0]["currency_id"],
        "journal_id/.id": await odoo.names.journal(command.provider, command.rail),
        "date": odoo.day(command.occurred_at),
        "memo": theirs(command.refund_ref) or command.leg_id,
        "invoice_ids/.id": notes,
    }
    return (await odoo.client.load(MODEL, [Document(key, head)]))[0]


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
