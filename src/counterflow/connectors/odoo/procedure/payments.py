"""Refund payments: never more than is left of the credit note, posted, and matched with it."""

from counterflow.connectors.odoo.procedure.sale import made_by, note_fields
from counterflow.connectors.odoo.procedure.steps import ids_in, major, refusal, told
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
    documents = []
    left = {}
    units = []
    for op in ops:
        if op["key"] in known:
            made[op["key"]] = known[op["key"]]
            continue
        try:
            documents.append(payment(op, wanted[op["key"]], notes, left))
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
            left[row["id"]] = round(row["amount_residual"] * 10**digits)
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
            "invoice_ids/.id": ids,
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


def paid(id, note_ids, notes):
    for note in note_ids:
        for row in notes[note]["matched_payment_ids"] if note in notes else []:
            if row["id"] == id and row["is_reconciled"]:
                entry = row["move_id"]
                values = {"name": entry["name"], "state": "paid", "accounting_on": str(entry["date"])}
                return {"done": ("account.payment", [id], values)}
    what = f"payment {id} is in Odoo" if id else "the payment is not in Odoo"
    said = f"{what} but not matched with its credit note: match them there, then retry"
    return {"refused": ("unmatched", said, "")}
