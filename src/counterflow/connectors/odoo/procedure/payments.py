"""Refund payments: never more than is left of the credit note, posted, and matched with it."""

from counterflow.connectors.odoo.procedure.sale import fields, made_by, note_fields, within
from counterflow.connectors.odoo.procedure.steps import MODULE, ids_in, major, refusal, told
from counterflow.connectors.odoo.procedure.writing import change, keys_of, load


def receivable(moves, payments):
    """The customer's lines of entries and of payments."""
    domain = [
        "|",
        ["move_id", "in", moves],
        ["payment_id", "in", payments],
        ["account_type", "=", "asset_receivable"],
        ["parent_state", "=", "posted"],
    ]
    names = ["move_id", "payment_id", "partner_id", "account_id", "currency_id", "company_currency_id"]
    names += ["amount_residual", "amount_residual_currency", "date", "date_maturity", "reconciled"]
    return {"domain": domain, "fields": names, "load": None, "order": "id"}


def pay(ops, made, refused, fresh, pairs):
    """Look what is there and what is left, make the payments, post them, match each with its credit note."""
    wanted = {}
    look = []
    for op in ops:
        wanted[op["key"]] = op["notes"] or made_by(op["of"], made)
        for id in wanted[op["key"]]:
            if id not in fresh and id not in look:
                look.append(id)
    notes = dict(fresh)
    if look:
        for note in (yield ("account.move", "web_read", look, {"specification": note_fields()})):
            notes[note["id"]] = note
    states = {}
    for id in notes:
        for row in notes[id]["matched_payment_ids"]:
            states[row["id"]] = row
    known = {}
    yield ("run", keys_of("account.payment", list(states), known))
    yield ("run", keys_of_sales(ops, states, known))
    yield ("run", on_account(ops, wanted, notes, known))
    documents = []
    left = {}
    units = []
    for op in ops:
        if op["key"] in known:
            made[op["key"]] = known[op["key"]]
            continue
        try:
            documents.append(payment(op, op["sale"] or wanted[op["key"]], notes, left))
        except Exception as error:
            refused[op["key"]] = told(error)
    yield ("run", load("account.payment", documents, made, refused))
    open_ones = []
    for op in ops:
        if op["key"] not in made:
            continue
        row = states.get(made[op["key"]])
        if row and row["state"] in ("canceled", "rejected"):
            refused[op["key"]] = (
                "state",
                f"payment {row['id']} was cancelled in Odoo: set it to draft there, then retry",
                "",
            )
            continue
        if not row or row["state"] == "draft":
            units.append((op["key"], [made[op["key"]]]))
        if not row or not row["is_reconciled"]:
            open_ones.append(op)
    yield ("run", change("account.payment", "action_post", units, {}, refused))
    moves = []
    payments = []
    for op in open_ones:
        moves += wanted[op["key"]]
        payments.append(made[op["key"]])
    if payments:
        lines = yield ("account.move.line", "search_read", [], receivable(moves, payments))
        yield ("run", match(open_ones, wanted, made, lines, refused, pairs))
    yield ("", None)


def keys_of_sales(ops, states, known):
    """The payments of sales that were never invoiced: no credit note leads to them."""
    for op in ops:
        if op["sale"]:
            found = yield ("ir.model.data", "check_object_reference", [], {"module": MODULE, "xml_id": op["key"]})
            if found and found[0] == "account.payment" and found[1]:
                known[op["key"]] = found[1]
                arguments = {"fields": ["state", "is_reconciled"], "load": None}
                for row in (yield ("account.payment", "read", [found[1]], arguments)):
                    states[row["id"]] = row
    yield ("", None)


def on_account(ops, wanted, notes, known):
    """What may be paid beside what is left of a credit note: onto the customer's account, where the charge meets it.

    A sale that was never invoiced has no note. A note that its own unpaid invoice has taken at posting has nothing
    left: that part may be paid, less what has been paid on account already. What another invoice has taken (an
    exchange) may not.
    """
    short = []
    for op in ops:
        if op["sale"]:
            arguments = {"fields": ["name", "partner_id", "currency_id"], "load": None}
            for row in (yield ("sale.order", "read", op["sale"], arguments)):
                more = {"state": "posted", "amount_residual": op["amount"] / 10 ** op["digits"], "payment_state": ""}
                notes[row["id"]] = {**row, **more}
            continue
        rest = 0
        for id in wanted[op["key"]]:
            rest += round(notes[id]["amount_residual"] * 10 ** op["digits"]) if id in notes else 0
        if op["key"] not in known and rest < op["amount"]:
            short += wanted[op["key"]]
    if short:
        other = fields("move_id", "payment_id")
        partial = within(fields("credit_amount_currency"), debit_move_id=other)
        spec = within({}, line_ids=within(fields("account_type"), matched_debit_ids=partial))
        for row in (yield ("account.move", "web_read", short, {"specification": spec})):
            note = notes[row["id"]]
            taken = 0
            for line in row["line_ids"]:
                for partial in line["matched_debit_ids"] if line["account_type"] == "asset_receivable" else []:
                    other = partial["debit_move_id"]
                    if other["move_id"] == note["reversed_entry_id"] or other["payment_id"]:
                        taken += partial["credit_amount_currency"]
            for payment in note["matched_payment_ids"]:
                taken -= payment["amount"] if payment["state"] in ("in_process", "paid") else 0
            notes[row["id"]] = {**note, "beside": max(0, taken)}
    yield ("", None)


def of_sales(ops, made, beside):
    """How the payments of sales that were never invoiced stand now."""
    ids = []
    for op in ops:
        if op["sale"] and op["key"] in made:
            ids.append(made[op["key"]])
    if ids:
        spec = within(fields("state", "is_reconciled"), move_id=fields("name", "date"))
        for row in (yield ("account.payment", "web_read", ids, {"specification": spec})):
            beside[row["id"]] = row
    yield ("", None)


def payment(op, ids, notes, left):
    """The payment of a credit note for `load`. Refused when there is less left of it than is paid."""
    rows = []
    for id in ids:
        if id in notes and notes[id]["state"] == "posted":
            rows.append(notes[id])
    if not rows or len(rows) != len(ids):
        raise refusal("no_note", "the credit note is not posted in Odoo: post it there, then retry")
    digits = op["digits"]
    rest = 0
    for row in rows:
        if row["id"] not in left:
            left[row["id"]] = round((row["amount_residual"] + row.get("beside", 0)) * 10**digits)
        rest += left[row["id"]]
    if rest < op["amount"]:
        raise refusal(
            "nothing_left",
            f"{rows[0]['name']} has {major(rest, digits)} {op['currency']} left to pay "
            f"({rows[0]['payment_state'].replace('_', ' ')}), the refund is {major(op['amount'], digits)}: if it was "
            "paid there by hand discard this, if it was matched with an unpaid invoice book the refund there",
        )
    if rows[0]["currency_id"] != op["currency_id"]:
        raise refusal("currency", f"{rows[0]['name']} is not in {op['currency']}: book the refund by hand")
    rest = op["amount"]
    for row in rows:
        part = min(left[row["id"]], rest)
        left[row["id"]] -= part
        rest -= part
    return {
        "op": op["key"],
        "key": op["key"],
        "head": {
            "payment_type": "outbound",
            "partner_type": "customer",
            "partner_id/.id": rows[0]["partner_id"],
            "amount": major(op["amount"], digits),
            "currency_id/.id": op["currency_id"],
            "journal_id/.id": op["journal"],
            "date": op["day"],
            "memo": op["memo"],
            "invoice_ids/.id": None if op["sale"] else ids,
        },
        "lines_field": "",
        "lines": [],
    }


def match(ops, wanted, made, lines, refused, pairs):
    """Reconcile payments with their credit notes: those that close each other to the cent in one call.

    Odoo matches debits and credits of one call in the order of their due dates, then (`reduced_line_sorting`) in the
    order in which they are given; so pairs of the same two dates stay pairs. The others go one by one.
    """
    alike = {}
    for op in ops:
        mine = []
        theirs = []
        for line in lines:
            if not line["reconciled"]:
                if line["payment_id"] == made[op["key"]]:
                    mine.append(line)
                elif line["move_id"] in wanted[op["key"]]:
                    theirs.append(line)
        if not mine or not theirs:
            continue
        ids = ids_in(mine + theirs)
        one, other = mine[0], theirs[0]
        kind = (due(one), due(other), one["account_id"])
        twins = (
            len(ids) == 2
            and one["amount_residual"] == -other["amount_residual"]
            and one["currency_id"] == other["currency_id"] == one["company_currency_id"]
            and one["account_id"] == other["account_id"]
            and one["partner_id"] == other["partner_id"]
        )
        if twins:
            pairs[op["key"]] = ids
        alike.setdefault(kind if twins else op["key"], []).append((op["key"], ids))
    arguments = {"context": {"reduced_line_sorting": True}}
    for units in alike.values():
        yield ("run", change("account.move.line", "reconcile", units, arguments, refused))
    yield ("", None)


def due(line):
    return str(line["date_maturity"] or line["date"])


def part_matches(pairs, made, notes):
    """What was reconciled in one call shares one matching number: give each pair its own, as the wizard does."""
    payments = {}
    for id in notes:
        for row in notes[id]["matched_payment_ids"]:
            payments[row["id"]] = row
    vals = []
    numbers = set()
    for key in pairs:
        row = payments.get(made[key])
        for line in row["move_id"]["line_ids"] if row and row["move_id"] else []:
            if line["id"] in pairs[key] and line["full_reconcile_id"]:
                if line["full_reconcile_id"] in numbers:
                    links = []
                    for partial in line["matched_credit_ids"]:
                        links.append([4, partial])
                    both = [[4, pairs[key][0]], [4, pairs[key][1]]]
                    vals.append({"partial_reconcile_ids": links, "reconciled_line_ids": both})
                numbers.add(line["full_reconcile_id"])
    if vals:
        yield ("account.full.reconcile", "create", [], {"vals_list": vals})
    yield ("", None)


def paid(id, note_ids, notes, beside):
    rows = [beside[id]] if id in beside else []
    rest = 0
    for note in note_ids:
        rows += notes[note]["matched_payment_ids"] if note in notes else []
        rest += notes[note]["amount_residual"] if note in notes else 0
    for row in rows:
        # Posted, with nothing left of its credit note to be matched with: it waits for the charge.
        waits = row["state"] in ("in_process", "paid") and not rest
        if row["id"] == id and (row["is_reconciled"] or waits):
            entry = row["move_id"]
            state = "paid" if row["is_reconciled"] else "open"
            values = {"name": entry["name"], "state": state, "accounting_on": str(entry["date"])}
            return {"done": ("account.payment", [id], values)}
    what = f"payment {id} is in Odoo" if id else "the payment is not in Odoo"
    said = f"{what} but not matched with its credit note: match them there, then retry"
    return {"refused": ("unmatched", said, "")}
