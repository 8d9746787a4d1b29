"""The sale as Odoo has it, and what its goods are called there."""

from collections.abc import Sequence
from dataclasses import dataclass

from counterflow.connectors.odoo.session import Odoo
from counterflow.core.effects import StockItem
from counterflow.sdk.outcomes import Rejected


@dataclass(frozen=True, slots=True)
class Order:
    id: int
    name: str
    partner_id: int
    pricelist_id: int
    currency_id: int


async def order_of(odoo: Odoo, order_number: str, order_ref: str) -> Order:
    """The sale order of a sale. Raises Rejected when there is none, or several (the reference is not unique there)."""
    reference = odoo.reference(order_number, order_ref)
    field = odoo.config.order_field
    rows = await odoo.client.search(
        "sale.order",
        [[field, "=", reference], ["state", "!=", "cancel"]],
        ["name", "partner_id", "pricelist_id", "currency_id"],
        limit=3,
    )
    if len(rows) == 1:
        row = rows[0]
        return Order(row["id"], row["name"], row["partner_id"], row["pricelist_id"] or 0, row["currency_id"])
    if not rows:
        raise Rejected(
            f"Odoo has no sale order with {field} = {reference!r}: enter the sale there, or correct its reference, "
            "then retry",
            code="order_missing",
        )
    names = ", ".join(row["name"] for row in rows)
    raise Rejected(
        f"Odoo has several sale orders with {field} = {reference!r} ({names}): correct the wrong ones",
        code="order_twice",
    )


async def kit_of(odoo: Odoo, product_id: int, quantity: int) -> list[tuple[int, float]]:
    """The components of so many kits by their phantom bill of materials; [] for what is no kit."""
    if not await odoo.names.kits():
        return []
    lines = await odoo.client.search(
        "mrp.bom.line",
        [
            ["bom_id.type", "=", "phantom"],
            ["bom_id.product_tmpl_id.product_variant_ids", "in", [product_id]],
        ],
        ["product_id", "product_qty", "bom_id"],
    )
    if not lines:
        return []
    bom = lines[0]["bom_id"]
    (head,) = await odoo.client.read("mrp.bom", [bom], ["product_qty"])
    return [
        (line["product_id"], quantity * line["product_qty"] / head["product_qty"])
        for line in lines
        if line["bom_id"] == bom
    ]


async def lot_ids(odoo: Odoo, items: Sequence[StockItem]) -> dict[tuple[int, str], int]:
    """(product, name) -> lot of what the items name. Raises Rejected for one that Odoo does not know."""
    named = {item.serial or item.lot for item in items} - {""}
    if not named:
        return {}
    products = await odoo.names.products({item.sku for item in items})
    rows = await odoo.client.search(
        "stock.lot",
        [["name", "in", sorted(named)], ["product_id", "in", sorted({p.id for p in products.values()})]],
        ["name", "product_id"],
    )
    lots = {(row["product_id"], row["name"]): row["id"] for row in rows}
    for item in items:
        name, product = item.serial or item.lot, products.get(item.sku)
        if name and product and product.tracking != "none" and (product.id, name) not in lots:
            raise Rejected(
                f"Odoo has no lot or serial {name!r} of {item.sku}: enter it, or correct the receipt, then retry",
                code="lot_missing",
                field=item.sku,
            )
    return lots
