"""The sale as Odoo has it, read in one call: what left and came back, what was invoiced, credited and paid."""

from counterflow.connectors.odoo.procedure.steps import by_id, refusal


def fields(*names):
    found = {}
    for name in names:
        found[name] = {}
    return found


def within(spec, **nested):
    for name, inner in nested.items():
        spec[name] = {"fields": inner}
    return spec


def note_fields():
    """A credit note, and the payments that are meant for it."""
    line = fields("account_type", "full_reconcile_id", "matched_credit_ids")
    entry = within(fields("name", "date"), line_ids=line)
    payment = within(fields("state", "is_reconciled", "amount"), move_id=entry)
    spec = fields(
        "name", "state", "move_type", "date", "amount_total", "amount_tax", "amount_residual", "payment_state"
    )
    return within({**spec, **fields("partner_id", "currency_id", "reversed_entry_id")}, matched_payment_ids=payment)


def sale_fields(field, kits, tie):
    """A sale as far as a return needs it: what left and came back, what was invoiced and credited."""
    move = fields(
        "product_id",
        "product_uom_qty",
        "quantity",
        "state",
        "lot_ids",
        tie,
        "location_dest_id",
        "location_usage",
        "location_dest_usage",
        "origin_returned_move_id",
    )
    if kits:
        move["bom_line_id"] = {}
    within(move, picking_id=fields("name", "state", "date_done"))
    product = fields("invoice_policy", "type")
    line = within(fields("product_uom_qty", "qty_delivered", "qty_invoiced"), product_id=product, move_ids=move)
    tax = fields("amount", "amount_type", "price_include")
    item = within(fields("product_id", "quantity", "account_id", "sale_line_ids", "display_type"), tax_ids=tax)
    invoice = fields("name", "state", "move_type", "payment_state", "partner_id", "journal_id")
    within(invoice, currency_id=fields("name"), invoice_line_ids=item, reversal_move_ids=note_fields())
    return within(fields(field, "name", "partner_id"), order_line=line, invoice_ids=invoice)


def sale_of(sales, op, field):
    found = []
    names = []
    for sale in sales:
        if sale[field] == op["reference"]:
            found.append(sale)
            names.append(sale["name"])
    if len(found) == 1:
        return found[0]
    if found:
        raise refusal(
            "order_twice",
            f"Odoo has several sale orders with {field} = {op['reference']!r} ({', '.join(names)}): correct the wrong "
            "ones",
        )
    raise refusal(
        "order_missing",
        f"Odoo has no sale order with {field} = {op['reference']!r}: enter the sale there, or correct its reference, "
        "then retry",
    )


def moves_of(sale):
    """Its stock moves in their order, each with the line of the sale that it belongs to."""
    found = []
    for line in sale["order_line"]:
        for move in line["move_ids"]:
            found.append({**move, "sale_line_id": line["id"]})
    found.sort(key=by_id)
    return found


def incoming(sales):
    """Transfers that bring goods of these sales back, whoever made them."""
    found = []
    for sale in sales:
        for move in moves_of(sale):
            picking = move["picking_id"]
            if picking and move["location_usage"] == "customer" and picking["id"] not in found:
                found.append(picking["id"])
    return found


def notes_of(sale):
    """Credit notes of its invoices, by id."""
    found = {}
    for invoice in sale["invoice_ids"]:
        for note in invoice["reversal_move_ids"]:
            found[note["id"]] = note
    return found


def made_by(key, made):
    """Ids of the documents of an operation: the first under its key, further ones numbered."""
    found = [made[key]] if key in made else []
    while found and f"{key}_{len(found) + 1}" in made:
        found.append(made[f"{key}_{len(found) + 1}"])
    return found


def lower_ordered(sales):
    """Keep orders from going back to "to invoice" once a unit is both back and credited.

    With invoice_policy `order` Odoo would offer the returned unit for a second invoice. The target is absolute (what is
    delivered or still on its way, or invoiced), so doing it twice changes nothing.
    """
    rows = []
    for sale in sales:
        for line in sale["order_line"]:
            product = line["product_id"]
            if not product or product["invoice_policy"] != "order" or product["type"] != "consu":
                continue
            on_its_way = 0
            kit = False
            for move in line["move_ids"]:
                if move["state"] not in ("done", "cancel") and move["location_dest_usage"] == "customer":
                    on_its_way += move["product_uom_qty"]
                    kit = kit or bool(move.get("bom_line_id"))  # an open kit delivery is counted in components
            target = max(line["qty_delivered"] + on_its_way, line["qty_invoiced"])
            if not kit and target < line["product_uom_qty"]:
                rows.append([str(line["id"]), f"{target:g}"])
    if rows:
        yield ("sale.order.line", "load", [], {"fields": [".id", "product_uom_qty"], "data": rows})
    yield ("", None)
