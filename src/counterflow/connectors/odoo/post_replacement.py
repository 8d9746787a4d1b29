"""PostReplacement: the replacement as a sale order of its own; Odoo has no link between orders but words."""

from typing import Any

from counterflow.connectors.odoo.client import Document
from counterflow.connectors.odoo.original import order_of
from counterflow.connectors.odoo.session import Odoo, done
from counterflow.core.effects import Effect, PostReplacement
from counterflow.core.money import to_major
from counterflow.sdk.outcomes import Done, Rejected

MODEL = "sale.order"
_FIELDS = ("name", "state", "date_order")


async def find(odoo: Odoo, effect: Effect) -> Done | None:
    id = await odoo.client.find_key(effect.effect_id, MODEL)
    return await _read(odoo, id) if id else None


async def send(odoo: Odoo, effect: Effect) -> Done:
    command = effect.command
    assert isinstance(command, PostReplacement)
    if (already := await find(odoo, effect)) is not None:
        return already
    # The shop's own order import may have been faster: then there is nothing to enter.
    known = await odoo.client.search(
        MODEL, [["client_order_ref", "=", command.replacement_ref], ["state", "!=", "cancel"]], ["name"], limit=1
    )
    if known and not await odoo.client.find_key(effect.effect_id, MODEL):
        id = known[0]["id"]
    else:
        original = await order_of(odoo, command.order_number, command.order_ref)
        if original.currency_id != await odoo.names.id("res.currency", command.currency):
            raise Rejected(f"{original.name} is not in {command.currency}: enter the exchange by hand", code="currency")
        products = await odoo.names.products({line.sku for line in command.lines})
        if missing := sorted({line.sku for line in command.lines} - products.keys()):
            raise Rejected(f"Odoo has no product {', '.join(missing)}: enter it, then retry", code="product_missing")
        head: dict[str, Any] = {
            "partner_id/.id": original.partner_id,
            "client_order_ref": command.replacement_ref,
            "pricelist_id/.id": original.pricelist_id or None,
            "origin": f"Exchange of {original.name} ({command.rma_number})",
        }
        lines = [
            {
                "product_id/.id": products[line.sku].id,
                "product_uom_qty": line.quantity,
                "price_unit": to_major(line.unit_minor, command.currency),
            }
            for line in command.lines
        ]
        (id,) = await odoo.client.load(MODEL, [Document(effect.effect_id, head, "order_line", lines)])
        await odoo.say(MODEL, original.id, f"{command.rma_number}: exchanged for {command.replacement_ref}.")
    rows = await odoo.client.read(MODEL, [id], ["state"])
    if rows and rows[0]["state"] in ("draft", "sent"):
        await odoo.change(MODEL, "action_confirm", [id])
    result = await _read(odoo, id)
    if result is None:
        raise Rejected("Odoo did not confirm the replacement order: confirm it there, then retry")
    return result


async def _read(odoo: Odoo, id: int) -> Done | None:
    rows = await odoo.client.read(MODEL, [id], _FIELDS)
    if rows and rows[0]["state"] == "cancel":
        raise Rejected(f"{rows[0]['name']} was cancelled in Odoo by a person: confirm it there, or discard this")
    if not rows or rows[0]["state"] not in ("sale", "done"):
        return None
    day = str(rows[0]["date_order"])[:10]
    return done(odoo.ref(MODEL, id), name=rows[0]["name"], state=rows[0]["state"], accounting_on=day)
