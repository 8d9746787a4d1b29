"""ReceiveGoods: the return of the original delivery, into a location that is not for sale."""

from typing import Any

from counterflow.connectors.odoo import transfers
from counterflow.connectors.odoo.client import Document
from counterflow.connectors.odoo.original import Back, lower_ordered, match_back, moves_of, order_of
from counterflow.connectors.odoo.session import Odoo
from counterflow.core.effects import Effect, ReceiveGoods
from counterflow.sdk.outcomes import Done


async def find(odoo: Odoo, effect: Effect) -> Done | None:
    return await transfers.find(odoo, effect.effect_id)


async def send(odoo: Odoo, effect: Effect) -> Done:
    command = effect.command
    assert isinstance(command, ReceiveGoods)
    if (already := await find(odoo, effect)) is not None:
        return already
    order = await order_of(odoo, command.order_number, command.order_ref)
    target = await odoo.names.location(command.place, command.location)
    kind = await odoo.names.operation(command.place, "in")
    moves = await moves_of(odoo, order)
    backs = await match_back(odoo, moves, command.items, order)
    first = next((back.move for back in backs if back.move), None)
    source = first["location_dest_id"] if first else await odoo.names.customers()
    head: dict[str, Any] = {
        "picking_type_id/.id": kind,
        "partner_id/.id": order.partner_id,
        "location_id/.id": source,
        "location_dest_id/.id": target,
        "origin": f"Return of {order.name} [{command.rma_number}]",
        "return_id/.id": first["picking_id"] if first else None,
        "user_id/.id": None,
    }
    document = Document(effect.effect_id, head, "move_ids", [_line(back, source, target) for back in backs])
    result = await transfers.carry_out(odoo, document)
    await lower_ordered(odoo, order)
    pieces = ", ".join(f"{item.quantity} x {item.sku}" for item in command.items)
    name = dict(result.values)["name"]
    await odoo.say("sale.order", order.id, f"{command.rma_number}: {pieces} came back to {command.place} ({name}).")
    return result


def _line(back: Back, source: int, target: int) -> dict[str, Any]:
    line: dict[str, Any] = {
        "product_id/.id": back.product_id,
        "product_uom_qty": f"{back.quantity:g}",
        "location_id/.id": source,
        "location_dest_id/.id": target,
    }
    if back.lot_id:
        line["lot_ids/.id"] = [back.lot_id]
    if (move := back.move) is not None:
        line |= {
            "origin_returned_move_id/.id": move["id"],
            "move_orig_ids/.id": [move["id"]],
            "sale_line_id/.id": move["sale_line_id"],
            "to_refund": True,
            "reference_ids/.id": move["reference_ids"],
        }
        if move.get("bom_line_id"):
            line["bom_line_id/.id"] = move["bom_line_id"]  # without it a kit's delivered quantity never drops
    return line
