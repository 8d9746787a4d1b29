"""One stock transfer under our key: created once, validated (safe to repeat), and believed only when it reads done."""

from typing import Any

from counterflow.connectors.odoo.client import Document
from counterflow.connectors.odoo.procedure import LOT_COLUMNS, spoken
from counterflow.connectors.odoo.session import Odoo, done
from counterflow.sdk.http import redact
from counterflow.sdk.outcomes import Done, Rejected

_FIELDS = ("name", "state", "date_done")


async def find(odoo: Odoo, key: str) -> Done | None:
    """The transfer of a key once it is done; None before. Raises Rejected when a person cancelled it."""
    id = await odoo.client.find_key(key, "stock.picking")
    return await _read(odoo, id) if id else None


async def carry_out(odoo: Odoo, document: Document) -> Done:
    """Create it, give it its lots, validate it."""
    known = {"key": document.key, "head": document.head, "lines": document.lines}
    lots = spoken(known, await odoo.names.words())["lot_rows"]
    (id,) = await odoo.client.load("stock.picking", [document])
    if lots:
        answer = await odoo.client.load_rows("stock.move.line", fields=LOT_COLUMNS, data=lots)
        if not answer.get("ids"):
            raise Rejected(f"Odoo does not take the lots of the transfer: {redact(str(answer.get('messages')))}")
    answer = await odoo.client.do("stock.picking", "button_validate", ids=[id])
    result = await _read(odoo, id)
    if result is None:
        raise Rejected(f"Odoo did not validate the transfer {id}{asked(answer)}: finish it there, then retry")
    return result


async def _read(odoo: Odoo, id: int) -> Done | None:
    rows = await odoo.client.read("stock.picking", [id], _FIELDS)
    if rows and rows[0]["state"] == "cancel":
        raise Rejected(f"{rows[0]['name']} was cancelled in Odoo by a person: validate a copy there, or discard this")
    if not rows or rows[0]["state"] != "done":
        return None
    row = rows[0]
    return done(odoo.ref("stock.picking", id), name=row["name"], state="done", accounting_on=str(row["date_done"])[:10])


def asked(answer: Any) -> str:
    """A method that answers an action instead of True did nothing: it wants to ask a person."""
    return f" but asks for {answer.get('res_model')}" if isinstance(answer, dict) else ""
