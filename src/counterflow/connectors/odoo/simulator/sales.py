"""Sale orders: confirmed, delivered, invoiced."""

from typing import Any

from counterflow.connectors.odoo.simulator.accounting import money_digits
from counterflow.connectors.odoo.simulator.base import note
from counterflow.connectors.odoo.simulator.errors import UserError
from counterflow.connectors.odoo.simulator.invoices import line_amounts
from counterflow.connectors.odoo.simulator.money import rounded
from counterflow.connectors.odoo.simulator.moves import assign, confirm
from counterflow.connectors.odoo.simulator.products import kit_of
from counterflow.connectors.odoo.simulator.records import Env, Model, Rec, Vals, method


def _amounts(order: Rec) -> tuple[float, float]:
    digits = money_digits(order.currency_id)
    untaxed = tax = 0.0
    for line in order.order_line:
        subtotal, per_tax = _line_amounts(line, digits)
        untaxed += subtotal
        tax += sum(per_tax.values())
    return rounded(untaxed, digits), rounded(tax, digits)


class _Priced:
    """A sale line seen as an invoice line: the same names for quantity and taxes."""

    def __init__(self, line: Rec) -> None:
        self.price_unit, self.discount = line.price_unit, line.discount
        self.quantity, self.tax_ids = line.product_uom_qty, line.tax_ids


def _line_amounts(line: Rec, digits: int) -> tuple[float, dict[int, float]]:
    return line_amounts(_Priced(line), digits)  # type: ignore[arg-type]


def _invoice_status(order: Rec) -> str:
    if order.state != "sale":
        return "no"
    statuses = {line.invoice_status for line in order.order_line}
    if "to invoice" in statuses:
        return "to invoice"
    return "invoiced" if statuses == {"invoiced"} else "no"


def _delivery_status(order: Rec) -> str | bool:
    states = [picking.state for picking in order.picking_ids]
    live = [state for state in states if state != "cancel"]
    if not live:
        return False
    if all(state == "done" for state in live):
        return "full"
    return "partial" if any(line.qty_delivered for line in order.order_line) else "pending"


def _pickings(order: Rec) -> list[int]:
    ids = [move.picking_id.id for line in order.order_line for move in line.move_ids if move.picking_id]
    return list(dict.fromkeys(sorted(ids)))


class Order(Model):
    name = "sale.order"
    order = "date_order desc, id desc"
    title = "Sales Order"
    labels = {"partner_id": "Customer"}
    defaults = {
        "state": "draft",
        "company_id": 1,
        "date_order": lambda env: env.stamp,
        "picking_policy": "direct",
        "user_id": lambda env: env.uid,
    }
    computed = {
        "amount_untaxed": lambda rec: _amounts(rec)[0],
        "amount_tax": lambda rec: _amounts(rec)[1],
        "amount_total": lambda rec: rounded(sum(_amounts(rec)), 3),
        "invoice_status": _invoice_status,
        "delivery_status": _delivery_status,
        "picking_ids": _pickings,
        "delivery_count": lambda rec: len(_pickings(rec)),
        "invoice_ids": lambda rec: sorted(
            {line.move_id.id for sale_line in rec.order_line for line in sale_line.invoice_lines}
        ),
        "stock_reference_ids": lambda rec: sorted(
            {id for line in rec.order_line for move in line.move_ids for id in move.row.get("reference_ids") or []}
        ),
    }

    def prepare(self, env: Env, vals: Vals) -> Vals:
        if not vals.get("name"):
            vals["name"] = f"S{env.db.next('number:S'):05d}"
        for name in ("partner_invoice_id", "partner_shipping_id"):
            vals[name] = vals.get(name) or vals.get("partner_id")
        vals["warehouse_id"] = vals.get("warehouse_id") or env.one("stock.warehouse", code="WH").id
        pricelist = env.rec("product.pricelist", vals.get("pricelist_id"))
        vals["currency_id"] = (
            vals.get("currency_id") or pricelist.currency_id.id or env.rec("res.company", 1).currency_id.id
        )
        return vals

    def created(self, rec: Rec, vals: Vals) -> None:
        note(rec, "<p>Sales Order created</p>")

    def before_unlink(self, rec: Rec) -> None:
        if rec.state not in ("draft", "cancel"):
            raise UserError("You can not delete a sent quotation or a confirmed sales order. You must first cancel it.")
        rec.env.unlink("sale.order.line", [line.id for line in rec.order_line])

    @method()
    def action_confirm(self, env: Env, ids: list[int]) -> bool:
        orders = [env.rec(self.name, id) for id in ids]
        if any(order.state not in ("draft", "sent") for order in orders):
            raise UserError("Some orders are not in a state requiring confirmation.")
        for order in orders:
            order.set(state="sale", date_order=env.stamp)
            _deliver(order)
        return True

    @method()
    def action_cancel(self, env: Env, ids: list[int]) -> Any:
        for order in (env.rec(self.name, id) for id in ids):
            for picking in order.picking_ids:
                if picking.state not in ("done", "cancel"):
                    env.models["stock.picking"].public["action_cancel"](env, [picking.id])
            order.set(state="cancel")
        return True

    @method()
    def action_draft(self, env: Env, ids: list[int]) -> bool:
        for order in (env.rec(self.name, id) for id in ids):
            if order.state == "cancel":
                order.set(state="draft")
        return True


def _deliver(order: Rec, more: dict[int, float] | None = None) -> None:
    """One outgoing transfer with a move per line; a kit becomes its components.

    `more`: only these lines, by so much; a delivery that is done is followed by another.
    """
    env = order.env
    rows: list[Vals] = []
    for line in order.order_line:
        product = line.product_id
        quantity = line.product_uom_qty if more is None else more.get(line.id, 0.0)
        if not quantity:
            continue
        if kit := kit_of(product):
            rows += [
                {
                    "product_id": part.product_id.id,
                    "bom_line_id": part.id,
                    "sale_line_id": line.id,
                    "product_uom_qty": quantity * part.product_qty / kit.product_qty,
                }
                for part in kit.bom_line_ids
            ]
        elif product and product.type == "consu":
            rows.append({"product_id": product.id, "sale_line_id": line.id, "product_uom_qty": quantity})
    if not rows:
        return
    warehouse = order.warehouse_id
    reference = env.create("stock.reference", {"name": order.raw("name")})
    customers = env.one("stock.location", usage="customer")
    picking = env.create(
        "stock.picking",
        {
            "picking_type_id": warehouse.out_type_id.id,
            "partner_id": order.partner_shipping_id.id,
            "user_id": False,
            "origin": order.raw("name"),
            "location_id": warehouse.lot_stock_id.id,
            "location_dest_id": customers.id,
            "move_ids": [
                (
                    0,
                    0,
                    {
                        **row,
                        "location_id": warehouse.lot_stock_id.id,
                        "location_dest_id": customers.id,
                        "reference_ids": [(6, 0, [reference.id])],
                    },
                )
                for row in rows
            ],
        },
    )
    for move in picking.move_ids:
        confirm(move)
        assign(move)


def _delivered(line: Rec) -> float:
    moves = [move for move in line.move_ids if move.state == "done"]
    if kit := kit_of(line.product_id):
        return _kits_delivered(kit, moves)
    return float(sum(_net(move) for move in moves))


def _net(move: Rec) -> float:
    if move.location_dest_id.usage == "customer":
        return float(move.quantity)
    back = move.location_id.usage == "customer" and move.to_refund
    return -float(move.quantity) if back else 0.0


def _kits_delivered(kit: Rec, moves: list[Rec]) -> float:
    """Whole kits of which every component is still out; a move that does not name its component counts for nothing."""
    whole = [
        sum(_net(move) for move in moves if move.bom_line_id == part) // (part.product_qty / kit.product_qty)
        for part in kit.bom_line_ids
    ]
    return float(min(whole, default=0))


def _invoiced(line: Rec) -> float:
    total = 0.0
    for invoice_line in line.invoice_lines:
        if invoice_line.move_id.state != "cancel":
            total += invoice_line.quantity * (1 if invoice_line.move_id.move_type == "out_invoice" else -1)
    return total


def _to_invoice(line: Rec) -> float:
    if line.order_id.state != "sale":
        return 0.0
    base = line.product_uom_qty if line.product_id.invoice_policy == "order" else _delivered(line)
    return float(base - _invoiced(line))


def _line_status(line: Rec) -> str:
    if line.order_id.state != "sale":
        return "no"
    if _to_invoice(line):
        return "to invoice"
    delivered = _delivered(line)
    if line.product_id.invoice_policy == "order" and delivered > line.product_uom_qty:
        return "upselling"
    if _invoiced(line) >= line.product_uom_qty:
        return "invoiced"
    moves = line.move_ids
    settled = (
        line.env.db.release.major >= 19
        and bool(moves)
        and all(move.state in ("done", "cancel") for move in moves)
        and delivered > 0
    )
    return "invoiced" if settled and line.product_id.invoice_policy == "delivery" else "no"


class OrderLine(Model):
    name = "sale.order.line"
    order = "order_id, sequence, id"
    defaults = {"product_uom_qty": 1.0, "discount": 0.0, "sequence": 10, "customer_lead": 0.0, "product_uom_id": 1}
    computed = {
        "move_ids": lambda rec: rec.env.having("stock.move", "sale_line_id", rec.id),
        "invoice_lines": lambda rec: rec.env.having("account.move.line", "sale_line_ids", rec.id),
        "qty_delivered": _delivered,
        "qty_invoiced": _invoiced,
        "qty_to_invoice": _to_invoice,
        "invoice_status": _line_status,
        "state": lambda rec: rec.order_id.state,
        "currency_id": lambda rec: rec.order_id.currency_id,
        "order_partner_id": lambda rec: rec.order_id.partner_id,
        "price_subtotal": lambda rec: _line_amounts(rec, money_digits(rec.order_id.currency_id))[0],
        "price_tax": lambda rec: sum(_line_amounts(rec, money_digits(rec.order_id.currency_id))[1].values()),
        "price_total": lambda rec: rounded(
            rec.raw("price_subtotal") + sum(_line_amounts(rec, money_digits(rec.order_id.currency_id))[1].values()), 3
        ),
    }

    def display(self, rec: Rec) -> str:
        partner = rec.order_id.partner_id
        label = str(rec.raw("name") or "").split("\n")[0]
        return f"{rec.order_id.raw('name')} - {label} ({partner.raw('ref') or partner.raw('name')})"

    def prepare(self, env: Env, vals: Vals) -> Vals:
        product = env.rec("product.product", vals.get("product_id"))
        if product:
            vals.setdefault("name", env.display_name("product.product", product.id))
            vals.setdefault("price_unit", product.list_price)
            vals.setdefault("tax_ids", [(6, 0, product.raw("taxes_id"))])
        return vals

    def before_write(self, rec: Rec, vals: Vals) -> Vals:
        quantity = vals.get("product_uom_qty")
        if quantity is not None and rec.order_id.state == "sale":
            if quantity < rec.product_uom_qty and quantity < _delivered(rec):
                raise UserError(
                    "The ordered quantity of a sale order line cannot be decreased below the amount already delivered. "
                    "Instead, create a return in your inventory."
                )
            vals["_more"] = max(quantity - rec.product_uom_qty, 0.0)
        return vals

    def written(self, rec: Rec, vals: Vals) -> None:
        if more := rec.row.get("_more"):
            rec.set(_more=None)
            _deliver(rec.order_id, {rec.id: more})


class InvoiceWizard(Model):
    name = "sale.advance.payment.inv"
    defaults = {"advance_payment_method": "delivered", "consolidated_billing": True}

    def prepare(self, env: Env, vals: Vals) -> Vals:
        if "sale_order_ids" not in vals:
            vals["sale_order_ids"] = [(6, 0, env.context.get("active_ids") or [])]
        return vals

    @method()
    def create_invoices(self, env: Env, ids: list[int]) -> dict[str, Any]:
        made: list[Rec] = []
        for wizard in (env.rec(self.name, id) for id in ids):
            made += _invoice(wizard.sale_order_ids, wizard.consolidated_billing)
        partner = made[0].partner_id.id
        action = {
            "id": 261,
            "display_name": "Invoices",
            "name": "Invoices",
            "type": "ir.actions.act_window",
            "xml_id": "account.action_move_out_invoice_type",
            "res_model": "account.move",
            "target": "current",
            "context": {
                "default_move_type": "out_invoice",
                "default_partner_id": partner,
                "default_partner_shipping_id": partner,
                "default_invoice_payment_term_id": None,
            },
        }
        if len(made) == 1:
            return {**action, "res_id": made[0].id, "views": [[748, "form"], [742, "list"]]}
        return {**action, "domain": [["id", "in", [move.id for move in made]]]}


def _invoice(orders: list[Rec], consolidated: bool) -> list[Rec]:
    """One invoice per customer and currency (or per order); a credit note where the quantities are negative."""
    groups: dict[Any, list[Rec]] = {}
    for order in orders:
        key = (order.partner_invoice_id.id, order.currency_id.id) if consolidated else order.id
        groups.setdefault(key, []).append(order)
    made = []
    for group in groups.values():
        lines = [line for order in group for line in order.order_line if line.qty_to_invoice]
        if not lines:
            raise UserError(
                "Cannot create an invoice. No items are available to invoice.\n\nTo resolve this issue, "
                "please ensure that:\n   \u2022 The products have been delivered before attempting to "
                "invoice them.\n   \u2022 The invoicing policy of the product is configured correctly."
            )
        refund = sum(line.qty_to_invoice * line.price_unit for line in lines) < 0
        sign = -1 if refund else 1
        env = group[0].env
        refs = [str(order.raw("client_order_ref")) for order in group if order.raw("client_order_ref")]
        made.append(
            env.create(
                "account.move",
                {
                    "move_type": "out_refund" if refund else "out_invoice",
                    "partner_id": group[0].partner_invoice_id.id,
                    "currency_id": group[0].currency_id.id,
                    "ref": ", ".join(refs) or False,
                    "invoice_origin": ", ".join(str(order.raw("name")) for order in group),
                    "invoice_line_ids": [
                        (
                            0,
                            0,
                            {
                                "product_id": line.product_id.id or False,
                                "name": line.raw("name"),
                                "quantity": sign * line.qty_to_invoice,
                                "price_unit": line.price_unit,
                                "discount": line.discount,
                                "tax_ids": [(6, 0, line.raw("tax_ids"))],
                                "sale_line_ids": [(6, 0, [line.id])],
                            },
                        )
                        for line in lines
                    ],
                },
            )
        )
    return made


class Pricelist(Model):
    name = "product.pricelist"
    defaults = {"active": True}


MODELS: list[type[Model]] = [Order, OrderLine, InvoiceWizard, Pricelist]
