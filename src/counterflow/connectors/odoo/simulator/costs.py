"""The cost of goods sold: what an invoice takes out of the stock account, and a credit note puts back."""

from counterflow.connectors.odoo.simulator.accounting import OUTBOUND
from counterflow.connectors.odoo.simulator.money import rounded
from counterflow.connectors.odoo.simulator.products import interim, kit_of, unit_cost
from counterflow.connectors.odoo.simulator.records import Rec


def cost_of_goods(move: Rec) -> None:
    env, sign = move.env, OUTBOUND[move.move_type]
    for line in [line for line in move.line_ids if line.display_type == "product" and line.product_id]:
        product = line.product_id
        if not product.is_storable or product.categ_id.property_valuation != "real_time":
            continue
        unit = _original_cost(move, line)
        # An invoice credits the stock account, a credit note debits it, both at the cost at which the goods left.
        value = rounded(unit * line.quantity)
        stock = product.categ_id.property_stock_valuation_account_id
        if env.db.release.major < 19:  # the stock account followed the goods already
            stock = interim(product.categ_id, "output")
        expense = product.categ_id.property_account_expense_categ_id
        for account, balance, price in ((stock, sign * value, unit), (expense, -sign * value, -unit)):
            env.create(
                "account.move.line",
                {
                    "move_id": move.id,
                    "display_type": "cogs",
                    "account_id": account.id,
                    "name": line.raw("name"),
                    "product_id": product.id,
                    "quantity": line.quantity,
                    "price_unit": price,
                    "balance": balance,
                    "amount_currency": balance,
                    "cogs_origin_id": line.id,
                    "partner_id": move.partner_id.id or False,
                },
            )


def _original_cost(move: Rec, line: Rec) -> float:
    origin = move.reversed_entry_id
    for candidate in origin.line_ids if origin else []:
        if candidate.display_type == "cogs" and candidate.product_id == line.product_id and candidate.price_unit > 0:
            return float(candidate.price_unit)
    delivered = [
        stock_move
        for sale_line in line.sale_line_ids
        for stock_move in sale_line.move_ids
        if stock_move.state == "done" and stock_move.location_dest_id.usage == "customer"
    ]
    if kit_of(line.product_id):
        return unit_cost(line.product_id)
    quantity = sum(stock_move.quantity for stock_move in delivered)
    return sum(stock_move.value for stock_move in delivered) / quantity if quantity else unit_cost(line.product_id)
