"""One visit to Odoo for many operations: look, make what is missing, change states, believe what is read at the end."""

from counterflow.connectors.odoo.procedure.credits import credit, credited
from counterflow.connectors.odoo.procedure.payments import of_sales, paid, part_matches, pay
from counterflow.connectors.odoo.procedure.receipts import receive, received
from counterflow.connectors.odoo.procedure.sale import (
    fields,
    lower_ordered,
    made_by,
    moves_of,
    note_fields,
    notes_of,
    sale_fields,
)
from counterflow.connectors.odoo.procedure.steps import ids_in, of_kind


def carry_out(ops: list, settings: dict):
    """{key: {"done": ...} or {"refused": (code, message, field)}} for every operation.

    An operation is a dict, made by `operation` of receive_goods, post_credit_note or post_refund_payment; settings:
    field (of the sale's reference), kits, per_line (taxes are rounded so), words (of `WORDS`).
    """
    refused = {}  # operation -> (code, message, field)
    made = {}  # key of a document -> its id
    receipts = of_kind(ops, "receive")
    credits = of_kind(ops, "credit")
    payments = of_kind(ops, "pay")
    references = []
    for op in receipts + credits:
        if op["reference"] not in references:
            references.append(op["reference"])
    spec = sale_fields(settings["field"], settings["kits"], settings["words"]["tie"])
    sales = []
    if references:
        domain = [[settings["field"], "in", references], ["state", "!=", "cancel"]]
        answer = yield ("sale.order", "web_search_read", [], {"domain": domain, "specification": spec})
        sales = answer["records"]
    if receipts:
        yield ("run", receive(receipts, sales, settings, made, refused))
    fresh = {}  # note id -> its row as far as we know it, of notes made in this visit on invoices that are paid
    unbilled = {}  # operation -> its outcome where no credit note is required
    if credits:
        yield ("run", credit(credits, sales, settings, made, refused, fresh, unbilled))
    pairs = {}  # payment operation -> (its receivable line, that of its credit note)
    if payments:
        yield ("run", pay(payments, made, refused, fresh, pairs))
    notes = {}
    if sales:
        sales = yield ("sale.order", "web_read", ids_in(sales), {"specification": spec})
        for sale in sales:
            notes = {**notes, **notes_of(sale)}
    unseen = []
    for op in payments:
        for id in op["notes"] or made_by(op["of"], made):
            if id not in notes and id not in unseen:
                unseen.append(id)
    if unseen:
        for note in (yield ("account.move", "web_read", unseen, {"specification": note_fields()})):
            notes[note["id"]] = note
    pickings = {}
    for sale in sales:
        for move in moves_of(sale):
            if move["picking_id"]:
                pickings[move["picking_id"]["id"]] = move["picking_id"]
    unseen = []
    for op in receipts:
        if op["key"] in made and made[op["key"]] not in pickings:
            unseen.append(made[op["key"]])  # nothing in it was of the sale
    if unseen:
        spec = fields("name", "state", "date_done")
        for picking in (yield ("stock.picking", "web_read", unseen, {"specification": spec})):
            pickings[picking["id"]] = picking
    beside = {}  # payments of sales that were never invoiced
    yield ("run", of_sales(payments, made, beside))
    yield ("run", lower_ordered(sales))
    yield ("run", part_matches(pairs, made, notes))
    outcomes = {}
    for op in ops:
        if op["kind"] == "receive":
            outcome = received(pickings.get(made.get(op["key"])))
        elif op["kind"] == "credit":
            outcome = unbilled.get(op["key"]) or credited(op, made_by(op["key"], made), notes)
        else:
            outcome = paid(made.get(op["key"]), op["notes"] or made_by(op["of"], made), notes, beside)
        if "done" not in outcome and op["key"] in refused:
            outcome = {"refused": refused[op["key"]]}
        outcomes[op["key"]] = outcome
    yield ("", outcomes)
