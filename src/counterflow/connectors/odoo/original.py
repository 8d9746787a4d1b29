"""The sale as Odoo has it: the order, what was delivered and is not back yet, what was invoiced."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from counterflow.connectors.odoo.session import Odoo
from counterflow.core.effects import StockItem
from counterflow.sdk.outcomes import Rejected

Row = dict[str, Any]

_MOVE = (
    "product_id",
    "quantity",
    "product_uom_qty",
    "state",
    "picking_id",
    "partner_id",
    "sale_line_id",
    "lot_ids",
    "reference_ids",
    "location_dest_id",
    "location_usage",
    "location_dest_usage",
    "origin_returned_move_id",
)


@dataclass(frozen=True, slots=True)
class Order:
    id: int
    name: str
    partner_id: int
    pricelist_id: int
    currency_id: int


async def order_of(odoo: Odoo, order_number: str, order_ref: str) -> Order:
    """The sale order of a sale. Raises Rejected when there is none, or several (the reference is not unique there)."""
    reference = odoo.config.order_reference.format(order_number=order_number, order_ref=order_ref)
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


async def moves_of(odoo: Odoo, order: Order) -> list[Row]:
    """All stock moves of the order: deliveries, and what came back."""
    fields = (*_MOVE, "bom_line_id") if await odoo.names.kits() else _MOVE
    rows = await odoo.client.search("stock.move", [["sale_line_id.order_id", "=", order.id]], fields, order="id")
    return [row for row in rows if row["state"] != "cancel"]


@dataclass(frozen=True, slots=True)
class Back:
    """A quantity that comes back, and the delivery move that it left with (None: it did not leave with this order)."""

    product_id: int
    quantity: float
    move: Row | None = None
    lot_id: int = 0


async def match_back(odoo: Odoo, moves: Sequence[Row], items: Sequence[StockItem], order: Order) -> list[Back]:
    """Which delivered pieces these are: by lot or serial, else by product and line order. Never more than are out.

    A kit is its components here: that is how it was delivered.
    """
    delivered = [m for m in moves if m["state"] == "done" and m["location_dest_usage"] == "customer"]
    left = {m["id"]: float(m["quantity"]) for m in delivered}
    for move in moves:
        if move["state"] == "done" and move["origin_returned_move_id"] in left:
            left[move["origin_returned_move_id"]] -= float(move["quantity"])
    products = await odoo.names.products({item.sku for item in items})
    lots = await lot_ids(odoo, items)
    found: list[Back] = []
    for item in items:
        product = products.get(item.sku)
        if product is None:
            raise Rejected(
                f"Odoo has no product with {odoo.config.product_key} = {item.sku!r}: enter it, then retry",
                code="product_missing",
                field=item.sku,
            )
        lot = lots.get((product.id, item.serial or item.lot), 0)
        if not item.line_ref:
            found.append(Back(product.id, item.quantity, None, lot))
            continue
        wanted = [(product.id, float(item.quantity))]
        if not any(m["product_id"] == product.id for m in delivered):
            wanted = await kit_of(odoo, product.id, item.quantity) or wanted
        for product_id, pieces in wanted:
            quantity = pieces
            mine = [m for m in delivered if m["product_id"] == product_id]
            mine.sort(key=lambda m: lot not in m["lot_ids"] if lot else False)  # the one it left with first
            for move in mine:
                take = min(left[move["id"]], quantity)
                if take > 0:
                    left[move["id"]] -= take
                    quantity -= take
                    found.append(Back(product_id, take, move, lot))
            if quantity > 0:
                out = sum(float(m["quantity"]) for m in mine)
                raise Rejected(
                    f"{item.quantity} x {item.sku} cannot come back to {order.name}: {out:g} left with it; with what "
                    f"is back already {quantity:g} would be too many; look at its returns in Odoo",
                    code="over_return",
                    field=item.sku,
                )
    return found


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


async def lower_ordered(odoo: Odoo, order: Order) -> None:
    """Keep the order from going back to "to invoice" once a unit is both back and credited.

    With invoice_policy `order` Odoo would offer the returned unit for a second invoice. The target is absolute (what is
    delivered or still on its way, or invoiced), so doing it twice changes nothing; before the receipt Odoo refuses.
    """
    lines = await odoo.client.search(
        "sale.order.line",
        [["order_id", "=", order.id], ["product_id.invoice_policy", "=", "order"], ["product_id.type", "=", "consu"]],
        ["product_uom_qty", "qty_delivered", "qty_invoiced"],
    )
    lines = [line for line in lines if max(line["qty_delivered"], line["qty_invoiced"]) < line["product_uom_qty"]]
    moves = await moves_of(odoo, order) if lines else []
    for line in lines:
        open_out = [
            m
            for m in moves
            if m["sale_line_id"] == line["id"] and m["state"] != "done" and m["location_dest_usage"] == "customer"
        ]
        if any(m.get("bom_line_id") for m in open_out):
            continue  # an open kit delivery is counted in components
        on_its_way = sum(float(m["product_uom_qty"]) for m in open_out)
        target = max(line["qty_delivered"] + on_its_way, line["qty_invoiced"])
        if target < line["product_uom_qty"]:
            await odoo.client.do("sale.order.line", "write", ids=[line["id"]], vals={"product_uom_qty": target})
