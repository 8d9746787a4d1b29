"""Credit notes: which invoice each line belongs to, and prices that give the refund's amounts to the cent."""

from counterflow.connectors.odoo.procedure.amounts import of_product, pieces_of, price_of, rate_of, spread, take
from counterflow.connectors.odoo.procedure.payments import receivable
from counterflow.connectors.odoo.procedure.sale import fields, made_by, moves_of, notes_of, sale_of, within
from counterflow.connectors.odoo.procedure.steps import by_id, escaped, ids_in, link, major, refusal, told
from counterflow.connectors.odoo.procedure.writing import change, keys_of, load, why

PAID = ("paid", "in_payment", "reversed")


def invoice_lines(sale, move_type):
    """Lines of its posted invoices or credit notes that bill lines of this sale, each with its invoice."""
    lines = set()
    for line in sale["order_line"]:
        lines.add(line["id"])
    found = []
    for invoice in sale["invoice_ids"]:
        if invoice["move_type"] == move_type and invoice["state"] == "posted":
            for line in invoice["invoice_line_ids"]:
                if line["display_type"] == "product" and lines.intersection(line["sale_line_ids"]):
                    found.append({**line, "invoice": invoice})
    found.sort(key=by_id)
    return found


def groups_of(op, sale, left):
    """{invoice id: [(line of ours, invoice line that it takes back or None)]}: by product, then by what is not
    credited yet (`left` remembers what is planned in this visit); money follows goods."""
    billed = invoice_lines(sale, "out_invoice")
    if not billed:
        draft = False
        for invoice in sale["invoice_ids"]:
            draft = draft or (invoice["move_type"] == "out_invoice" and invoice["state"] == "draft")
        raise refusal(
            "not_invoiced",
            f"{sale['name']} has {'only a draft invoice: post it' if draft else 'no invoice yet: invoice it'} in Odoo, "
            "then retry; or lower its quantity there and discard this credit note",
        )
    if billed[0]["id"] not in left:
        for row in billed:
            left[row["id"]] = row["quantity"]
        for credit in invoice_lines(sale, "out_refund"):
            take(of_product(billed, credit["product_id"]), left, credit["quantity"])
    groups = {}
    goods = []
    money = []
    for line in op["lines"]:
        (goods if line["quantity"] else money).append(line)
    for line in goods + money:
        rest = 0
        for row in of_product(billed, line["product"]):
            rest += left[row["id"]]
        if line["quantity"] > rest and of_product(billed, line["product"]):
            raise refusal(
                "over_credit",
                f"{line['quantity']} x {line['text']} cannot be credited: of what {sale['name']} was invoiced for only "
                f"{rest:g} are not credited yet; look at its credit notes in Odoo, or invoice the rest, then retry",
            )
        for part, row in spread(line, of_product(billed, line["product"]), left):
            first = billed[0]
            for id in groups:
                first = groups[id][0][1] or first
                break
            invoice = (row or first)["invoice"]
            groups.setdefault(invoice["id"], []).append((part, row, row or first))
    return groups


def credit_note(op, sale, group, number, per_line):
    """The credit note on one invoice for `load`; it is `exact` when its prices alone give the amount, however Odoo
    rounds taxes (`per_line`, or over all lines)."""
    invoice = group[0][2]["invoice"]
    if invoice["currency_id"]["name"] != op["currency"]:
        raise refusal(
            "currency",
            f"{sale['name']} was not invoiced in {op['currency']}, the currency of the refund: book it by hand",
        )
    key = op["key"] if number == 1 else f"{op['key']}_{number}"
    amount = 0
    exact = True
    lines = []
    for line, row, beside in group:
        amount += line["amount"]
        taxes = row["tax_ids"] if row else line["taxes"]
        price = price_of(line, taxes)
        exact = exact and price == line["amount"] and not rate_of(taxes)[1]
        goods = row if line["quantity"] else None
        for quantity, unit in pieces_of(line["quantity"], price):
            lines.append(
                {
                    # Goods name product and sale line, so that cost and invoiced quantity follow; money names neither.
                    "product_id/.id": goods["product_id"] if goods else line["service"] or None,
                    "name": line["text"],
                    "tax_ids/.id": ids_in(taxes),
                    "account_id/.id": (not goods and line["account"]) or (row or beside)["account_id"],
                    "sale_line_ids/.id": goods["sale_line_ids"] if goods else None,
                    "quantity": quantity,
                    "price_unit": major(unit, op["digits"]),
                }
            )
    return {
        "op": op["key"],
        "key": key,
        "amount": amount,
        "count": len(group),
        "exact": exact and (per_line or len(lines) == 1),
        "paid": invoice["payment_state"] in PAID,
        "offset": bool(op["replacement"]),
        "digits": op["digits"],
        "head": {
            "move_type": "out_refund",
            "reversed_entry_id/.id": invoice["id"],
            "partner_id/.id": invoice["partner_id"],
            "currency_id/.id": invoice["currency_id"]["id"],
            "journal_id/.id": invoice["journal_id"],
            "invoice_date": op["day"],
            "invoice_origin": sale["name"],
            "ref": op["reference_text"],
            "narration": op["reason"],
        },
        "lines_field": "invoice_line_ids",
        "lines": lines,
        "say": f"{escaped(op['rma'])} for {link('sale.order', sale)}: {escaped(op['reason'])}. "
        f"Takes back {link('account.move', invoice)}.",
    }


def never_billed(op, sale):
    """Nothing of the sale was invoiced, and the goods are back: there is less to invoice, and nothing to credit."""
    for invoice in sale["invoice_ids"]:
        if invoice["state"] != "cancel":
            return False
    for line in op["lines"]:
        back = 0
        for move in moves_of(sale):
            if (
                move["product_id"] == line["product"]
                and move["state"] == "done"
                and move["location_usage"] == "customer"
            ):
                back += move["quantity"]
        if not line["quantity"] or back < line["quantity"]:
            return False
    return True


def not_required(sale):
    values = {"posting": "not_required", "name": sale["name"], "state": "not_required"}
    return {"done": ("sale.order", [sale["id"]], values)}


def credit(ops, sales, settings, made, refused, fresh, unbilled):
    """Look what is there, make the drafts, bring them to the cent, post them, offset what is to be offset."""
    notes = {}
    for sale in sales:
        notes = {**notes, **notes_of(sale)}
    known = {}
    yield ("run", keys_of("account.move", list(notes), known))
    documents = []
    left = {}
    for op in ops:
        ids = made_by(op["key"], known)
        if ids and notes[ids[0]]["state"] != "draft":  # its notes are posted together, or not at all
            for n in range(len(ids)):
                made[op["key"] if not n else f"{op['key']}_{n + 1}"] = ids[n]
            continue
        try:
            sale = sale_of(sales, op, settings["field"])
            if never_billed(op, sale):
                unbilled[op["key"]] = not_required(sale)
                continue
            mine = []
            for number, group in enumerate(groups_of(op, sale, left).values(), 1):
                mine.append(credit_note(op, sale, group, number, settings["per_line"]))
            documents += mine
        except Exception as error:
            refused[op["key"]] = told(error)
    yield ("run", load("account.move", documents, made, refused))
    drafts = []
    for document in documents:
        if document["key"] in made:
            drafts.append(document)
    yield ("run", to_the_cent(drafts, made, refused))
    units = []
    for op in ops:
        ids = made_by(op["key"], made)
        if (op["key"] not in refused and ids and ids[0] not in notes) or (
            op["key"] not in refused and ids and notes[ids[0]]["state"] == "draft"
        ):
            units.append((op["key"], ids))
    yield ("run", change("account.move", "action_post", units, {}, refused))
    for op in ops:
        if op["replacement"] and op["key"] in made and op["key"] not in refused:
            yield ("run", offset(op, made_by(op["key"], made), refused))
    for document in drafts:
        if document["paid"] and document["op"] not in refused and not document["offset"]:
            fresh[made[document["key"]]] = {
                "id": made[document["key"]],
                "name": document["key"],
                "state": "posted",
                "payment_state": "not_paid",
                "amount_residual": document["amount"] / 10 ** document["digits"],
                "partner_id": document["head"]["partner_id/.id"],
                "currency_id": document["head"]["currency_id/.id"],
                "matched_payment_ids": [],
            }
    yield ("", None)


def to_the_cent(drafts, made, refused):
    """Bring totals to the refunds', by their tax lines: Odoo's rounding of taxes is not always the channel's."""
    by_id = {}
    for document in drafts:
        if not document["exact"]:
            by_id[made[document["key"]]] = document
    if by_id:
        spec = within(fields("state", "amount_total"), line_ids=fields("display_type", "amount_currency"))
        for row in (yield ("account.move", "web_read", list(by_id), {"specification": spec})):
            document = by_id[row["id"]]
            digits = document["digits"]
            difference = document["amount"] - round(row["amount_total"] * 10**digits)
            if row["state"] != "draft" or not difference:
                continue
            largest = None
            for line in row["line_ids"]:
                size = abs(line["amount_currency"])
                if line["display_type"] == "tax" and (not largest or size > abs(largest["amount_currency"])):
                    largest = line
            if not largest or abs(difference) > 2 * document["count"]:
                refused[document["op"]] = (
                    "amount",
                    f"Odoo makes {row['amount_total']} of a credit note over {major(document['amount'], digits)}: "
                    "compare the taxes of the invoice with the channel's, correct `taxes` or the products, then retry",
                    "",
                )
                continue
            amount = major(round(largest["amount_currency"] * 10**digits) + difference, digits)
            vals = {"line_ids": [[1, largest["id"], {"amount_currency": float(amount)}]]}
            answer = yield ("account.move", "write", [row["id"]], {"vals": vals})
            if why(answer):
                refused[document["op"]] = ("amount", why(answer), "")
    yield ("run", withdrawn(drafts, made, refused))
    yield ("", None)


def withdrawn(drafts, made, refused):
    """No draft stays of what cannot be posted: all that was made for its operation goes."""
    ids = []
    for document in drafts:
        if document["op"] in refused and document["key"] in made:
            ids.append(made.pop(document["key"]))
    if ids:
        yield ("account.move", "unlink", ids, {})
    yield ("", None)


def offset(op, notes, refused):
    """Match with the replacement's invoice where there is one; else it stays an open credit of the customer."""
    domain = [
        ["move_type", "=", "out_invoice"],
        ["state", "=", "posted"],
        ["amount_residual", ">", 0],
        ["line_ids.sale_line_ids.order_id.client_order_ref", "=", op["replacement"]],
    ]
    invoices = yield ("account.move", "search_read", [], {"domain": domain, "fields": ["name"], "load": None})
    if invoices:
        lines = yield ("account.move.line", "search_read", [], receivable(notes + ids_in(invoices), []))
        ids = []
        for line in lines:
            if not line["reconciled"]:
                ids.append(line["id"])
        if len(ids) > 1:
            yield ("run", change("account.move.line", "reconcile", [(op["key"], ids)], {}, refused))
    yield ("", None)


def credited(op, ids, notes):
    rows = []
    for id in ids:
        rows.append(notes[id])
    states = set()
    names = []
    total = 0
    tax = 0
    residual = 0
    digits = 10 ** op["digits"]
    for row in rows:
        states.add(row["state"])
        names.append(row["name"] or f"the draft credit note {row['id']}")
        total += round(row["amount_total"] * digits)
        tax += round(row["amount_tax"] * digits)
        residual += round(row["amount_residual"] * digits)
    if "cancel" in states:
        said = f"{names[0]} was cancelled in Odoo by a person: set it to draft and post it there, or discard this"
        return {"refused": ("", said, "")}
    if states != {"posted"}:
        return {"refused": ("", "Odoo did not post the credit note: post it there, then retry", "")}
    values = {
        "name": ", ".join(names),
        "state": "posted",
        "accounting_on": str(rows[0]["date"]),
        "amount_minor": total,
        "tax_minor": tax,
        "residual_minor": residual,
        "payment_state": rows[0]["payment_state"],
    }
    return {"done": ("account.move", ids, values)}
