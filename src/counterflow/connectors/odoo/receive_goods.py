"""ReceiveGoods: the return of the original delivery, into a location that is not for sale."""

from typing import Any

from counterflow.connectors.odoo import transfers
from counterflow.connectors.odoo.session import Odoo
from counterflow.core.effects import Effect, ReceiveGoods
from counterflow.sdk.outcomes import Done, Rejected


async def find(odoo: Odoo, effect: Effect) -> Done | None:
    return await transfers.find(odoo, effect.effect_id)


async def operation(odoo: Odoo, effect: Effect) -> dict[str, Any]:
    """The effect in ids of Odoo, for `procedure.py`. Raises Rejected for what has no name there."""
    command = effect.command
    assert isinstance(command, ReceiveGoods)
    products = await odoo.names.products({item.sku for item in command.items})
    items = []
    for item in command.items:
        product = products.get(item.sku)
        if product is None:
            raise Rejected(
                f"Odoo has no product with {odoo.config.product_key} = {item.sku!r}: enter it, then retry",
                code="product_missing",
                field=item.sku,
            )
        items.append(
            {
                "sku": item.sku,
                "product": product.id,
                "quantity": item.quantity,
                "sold": bool(item.line_ref),
                "lot": item.serial or item.lot,
                "lot_sold": item.lot_sold,
                "tracked": product.tracking != "none",
            }
        )
    return {
        "kind": "receive",
        "key": effect.effect_id,
        "reference": odoo.reference(command.order_number, command.order_ref),
        "rma": command.rma_number,
        "place": command.place,
        "target": await odoo.names.location(command.place, command.location),
        "operation": await odoo.names.operation(command.place, "in"),
        "customers": 0 if all(item["sold"] for item in items) else await odoo.names.customers(),
        "items": items,
    }
