"""ReverseRefundPayment: the refund came back. A payment the other way mirrors it, and the credit note is open again."""

from typing import Any

from counterflow.connectors.odoo.client import Document
from counterflow.connectors.odoo.post_refund_payment import MODEL, post
from counterflow.connectors.odoo.receivable import Row, lines_of, match
from counterflow.connectors.odoo.session import Odoo, done
from counterflow.core.effects import Effect, ReverseRefundPayment
from counterflow.core.money import to_major
from counterflow.sdk.outcomes import Done, Rejected


async def find(odoo: Odoo, effect: Effect) -> Done | None:
    id = await odoo.client.find_key(effect.effect_id, MODEL)
    return _result(odoo, id, await lines_of(odoo, [], [id])) if id else None


async def send(odoo: Odoo, effect: Effect) -> Done:
    command = effect.command
    assert isinstance(command, ReverseRefundPayment)
    (refund,) = odoo.ids(command.payment_document_ref, MODEL)
    id = await odoo.client.find_key(effect.effect_id, MODEL)
    if not id:
        id = await _make(odoo, effect.effect_id, command, refund)
    rows = await lines_of(odoo, [], [refund, id])
    if not any(row["payment_id"] == id for row in rows):
        await post(odoo, id)
        rows = await lines_of(odoo, [], [refund, id])
    if (already := _result(odoo, id, rows)) is not None:
        return already
    # Ours is open, so whatever the refund is matched with is its credit note: that one is owed again.
    if taken := [row["id"] for row in rows if row["payment_id"] == refund and row["reconciled"]]:
        await odoo.change("account.move.line", "remove_move_reconcile", taken)
    await match(odoo, rows)
    result = _result(odoo, id, await lines_of(odoo, [], [id]))
    if result is None:
        raise Rejected(f"payment {id} is not matched with the refund it undoes: match them in Odoo, then retry")
    return result


async def _make(odoo: Odoo, key: str, command: ReverseRefundPayment, refund: int) -> int:
    rows = await odoo.client.read(MODEL, [refund], ["name", "state", "memo", "partner_id", "currency_id", "journal_id"])
    if not rows or rows[0]["state"] not in ("in_process", "paid"):
        raise Rejected("the refund's payment is not posted in Odoo: somebody undid it; discard this", code="no_payment")
    row = rows[0]
    head: dict[str, Any] = {
        "payment_type": "inbound",
        "partner_type": "customer",
        "partner_id/.id": row["partner_id"],
        "amount": to_major(command.amount_minor, command.currency),
        "currency_id/.id": row["currency_id"],
        "journal_id/.id": row["journal_id"],
        "date": odoo.day(command.occurred_at),
        # The refund's own reference, and nothing beside it: by that the payout finds both on the clearing account.
        "memo": row["memo"] or row["name"],
    }
    (id,) = await odoo.client.load(MODEL, [Document(key, head)])
    await odoo.say(MODEL, id, f"The refund {row['name']} came back: {command.reason}.")
    return id


def _result(odoo: Odoo, id: int, rows: list[Row]) -> Done | None:
    mine = [row for row in rows if row["payment_id"] == id]
    if not mine or not all(row["reconciled"] for row in mine):
        return None
    return done(odoo.ref(MODEL, id), name=mine[0]["move_name"], state="paid", accounting_on=mine[0]["date"])
