"""Books: credit notes, refund payments, and what undoes them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from counterflow.connectors.odoo.live.company import RATE
from counterflow.connectors.odoo.live.point import inside, point, same
from counterflow.connectors.odoo.live.proof import Proof
from counterflow.core.effects import (
    ReverseRefundPayment,
)
from counterflow.sdk.outcomes import Done

OUT, BACK = "customers", "returns"
HEAD = ("name", "state", "ref", "narration", "invoice_origin", "reversed_entry_id", "payment_state", "amount_total")


@point("books")
async def credited_and_paid(at: Proof) -> None:
    """Credit note and payment of a paid sale: linked with invoice, order and each other, nothing left open"""
    sale = await at.sale(("MUG", 2))
    await at.done(at.receive(sale, at.item("MUG")))
    async with at.leaves(at.note(11_90), at.cost_back(4_00)):
        posted = await at.done(at.credit(sale, at.line("MUG", 1, 11_90)))
    async with at.leaves(at.payment(11_90)):
        paid = await at.done(at.refund(sale, posted.ref, 11_90))
    note = await at.document(posted, "account.move", *HEAD, "amount_residual", "matched_payment_ids")
    same(note["reversed_entry_id"], sale.invoices[0], "the note reverses")
    same(note["invoice_origin"], sale.name, "its origin is")
    same(note["ref"].startswith(sale.rma), True, "its reference names the return:")
    same((note["payment_state"], note["amount_residual"]), ("paid", 0), "it is")
    same("too small" in str(note["narration"]), True, "its narration tells why:")
    invoice = await at.person.row("account.move", sale.invoices[0], "reversal_move_ids", "payment_state")
    same((invoice["reversal_move_ids"], invoice["payment_state"]), ([note["id"]], "paid"), "the invoice has")
    order = await at.person.row("sale.order", sale.order, "invoice_ids", "invoice_status")
    same(sorted(order["invoice_ids"]), sorted([*sale.invoices, note["id"]]), "the order's invoices are")
    # Before 19 an order of which nothing was kept counts as one with nothing to invoice.
    same(order["invoice_status"], "invoiced" if at.major >= 19 else "no", "the order is")
    fields = ("memo", "reconciled_invoice_ids", "journal_id", "state", "amount")
    payment = await at.document(paid, "account.payment", *fields)
    same(payment["reconciled_invoice_ids"], [note["id"]], "the payment pays")
    same(payment["memo"].startswith("re_"), True, "its memo is the refund's id:")
    same((payment["journal_id"], payment["amount"]), (at.company.journals["CFPSP"], 11.9), "journal and amount are")
    same(await at.said("account.move", note["id"], sale.rma), 1, "lines in its chatter that name the return:")
    same(await at.lines_of(sale), [(2, 1, 1)], "ordered, delivered, invoiced are")


@point("books")
async def some_of_it(at: Proof) -> None:
    """One of three, and less than its price: the part that is credited, no more"""
    sale = await at.sale(("MUG", 3))
    async with at.leaves(at.note(10_00), at.cost_back(4_00)):
        await at.done(at.credit(sale, at.line("MUG", 1, 10_00)))
    # 18 rounds the base of each piece by itself, which the total takes out of the tax again.
    tax = inside(10_00) * 2 + (at.major < 19)
    async with at.leaves(at.note(20_00, tax), at.cost_back(8_00)):
        await at.done(at.credit(sale, at.line("MUG", 2, 20_00, inside(10_00) * 2)))


@point("books")
async def billed_by_order(at: Proof) -> None:
    """Goods billed by order do not go back to be invoiced once they are back and credited"""
    sale = await at.sale(("TEE", 3))
    await at.done(at.receive(sale, at.item("TEE")))
    async with at.leaves(at.note(23_80), at.cost_back(8_00)):
        await at.done(at.credit(sale, at.line("TEE", 1, 23_80)))
    same(await at.lines_of(sale), [(2, 2, 2)], "ordered, delivered, invoiced are")
    order = await at.person.row("sale.order", sale.order, "invoice_status")
    same(order["invoice_status"], "invoiced", "the order is")


@point("books")
async def several_invoices(at: Proof) -> None:
    """A sale over two invoices: a credit note for each, paid by one payment"""
    sale = await at.sale(("MUG", 1))
    [line] = await at.person.rows("sale.order.line", [["order_id", "=", sale.order]])
    await at.person.write("sale.order.line", line["id"], product_uom_qty=3)
    pickings = (await at.person.row("sale.order", sale.order, "picking_ids"))["picking_ids"]
    await at.validate(*sorted(set(pickings) - set(sale.deliveries)))
    sale = await at.invoice(sale)
    async with at.leaves(at.note(23_80), at.cost_back(8_00)):
        posted = await at.done(at.credit(sale, at.line("MUG", 2, 23_80)))
    ids = await at.ids(posted, "account.move")
    rows = await at.person.rows("account.move", [["id", "in", ids]], "amount_total", "reversed_entry_id")
    same({row["reversed_entry_id"] for row in rows}, set(sale.invoices), "the notes reverse")
    async with at.leaves(at.payment(23_80)):
        await at.done(at.refund(sale, posted.ref, 23_80))
    states = await at.person.rows("account.move", [["id", "in", ids]], "payment_state")
    same([row["payment_state"] for row in states], ["paid", "paid"], "they are")


@point("books")
async def not_yet_invoiced(at: Proof) -> None:
    """Delivered, back before it was invoiced: no credit note, less to invoice, and the refund is booked"""
    sale = await at.sale(("TEE", 2), invoice=False)
    await at.done(at.receive(sale, at.item("TEE")))
    async with at.leaves({}):
        answer = await at.done(at.credit(sale, at.line("TEE", 1, 23_80)))
    same(dict(answer.values).get("posting"), "not_required", "the posting is")
    same(await at.lines_of(sale), [(1, 1, 0)], "ordered, delivered, invoiced are")
    async with at.leaves(at.payment(23_80)):
        await at.done(at.refund(sale, answer.ref, 23_80))


@point("books")
async def only_a_draft_invoice(at: Proof) -> None:
    """An invoice that is still a draft has to be posted first"""
    sale = await at.sale(("MUG", 1), invoice=False)
    values = {"advance_payment_method": "delivered", "sale_order_ids": [[6, 0, [sale.order]]]}
    wizard = await at.person.make("sale.advance.payment.inv", values)
    await at.person.call("sale.advance.payment.inv", "create_invoices", [wizard])
    effect = at.credit(sale, at.line("MUG", 1, 11_90))
    async with at.leaves({}):
        await at.rejected(effect, "not_invoiced")
    [invoice] = (await at.person.row("sale.order", sale.order, "invoice_ids"))["invoice_ids"]
    await at.person.call("account.move", "action_post", [invoice])
    async with at.leaves(at.note(11_90), at.cost_back(4_00)):
        await at.done(effect)


@point("books")
async def invoiced_and_unpaid(at: Proof) -> None:
    """An unpaid invoice takes the credit note; the refund waits on the customer's account for the charge"""
    sale = await at.sale(("MUG", 2), pay=False)
    async with at.leaves(at.note(11_90), at.cost_back(4_00)):
        posted = await at.done(at.credit(sale, at.line("MUG", 1, 11_90)))
    invoice = await at.person.row("account.move", sale.invoices[0], "amount_residual")
    same(invoice["amount_residual"], 11.9, "left to pay of the invoice is")
    effect = at.refund(sale, posted.ref, 11_90)
    async with at.leaves(at.payment(11_90)):
        first = await at.done(effect)
        same((await at.done(effect)).ref, first.ref, "sent again it gives")
        found = await at.connector.find(effect)
        same(isinstance(found, Done) and found.ref, first.ref, "looked up it is")
    async with at.leaves(at.payment(-23_80)):  # the charge comes in: over the whole sum, as the customer paid
        await at.pay(sale.invoices, sale.charge, amount=23_80)
    domain = [
        ["partner_id", "=", sale.partner],
        ["account_type", "=", "asset_receivable"],
        ["parent_state", "=", "posted"],
    ]
    rows = await at.person.rows("account.move.line", domain, "balance")
    same(round(sum(row["balance"] for row in rows), 2), 0, "the customer's account holds")


@point("books")
async def paid_by_hand(at: Proof) -> None:
    """A credit note that a person has paid is not paid again"""
    sale = await at.sale(("MUG", 1))
    posted = await at.done(at.credit(sale, at.line("MUG", 1, 11_90)))
    await at.pay(await at.ids(posted, "account.move"), f"by hand {sale.number}")
    async with at.leaves({}):
        await at.rejected(at.refund(sale, posted.ref, 11_90), "nothing_left")


@point("books")
async def two_legs(at: Proof) -> None:
    """Two tenders pay one credit note, card and gift card; a third is refused"""
    sale = await at.sale(("MUG", 1))
    posted = await at.done(at.credit(sale, at.line("MUG", 1, 11_90)))
    async with at.leaves(at.payment(10_00)):
        await at.done(at.refund(sale, posted.ref, 10_00))
    async with at.leaves(at.payment(1_90, "gift")):
        await at.done(at.refund(sale, posted.ref, 1_90, rail="gift_card"))
    async with at.leaves({}):
        await at.rejected(at.refund(sale, posted.ref, 1, rail="cash"), "nothing_left")
    same((await at.document(posted, "account.move", "payment_state"))["payment_state"], "paid", "the note is")


@point("books")
async def cash_of_the_till(at: Proof) -> None:
    """A refund in cash is booked on the till, not on the provider"""
    sale = await at.sale(("MUG", 1))
    posted = await at.done(at.credit(sale, at.line("MUG", 1, 11_90)))
    async with at.leaves(at.payment(11_90, "till")):
        await at.done(at.refund(sale, posted.ref, 11_90, rail="cash"))


@point("books")
async def a_fee_is_kept(at: Proof) -> None:
    """A restocking fee is income of its own on the credit note, with its tax; shipping is given back"""
    sale = await at.sale(("MUG", 1), ("SHIP", 1))
    lines = (
        at.line("MUG", 1, 11_90),
        at.line("SHIP", 0, 5_95, component="shipping", line="l2"),
        at.line("MUG", 0, -3_57, component="restocking_fee"),
    )
    gross = 11_90 + 5_95 - 3_57
    tax = inside(11_90) + inside(5_95) - inside(3_57)
    fee = {"account fee": -3_00, "account income": 3_00}
    async with at.leaves(at.note(gross, tax), fee, at.cost_back(4_00)):
        await at.done(at.credit(sale, *lines))


@point("books")
async def the_channels_tax(at: Proof) -> str:
    """The tax is the channel's to the cent, where Odoo would round the other way"""
    sale = await at.sale(("MUG", 3))
    for amount, tax in ((10_00, 1_61), (19_99, 3_18), (7, 1)):
        async with at.leaves(at.note(amount, tax), at.cost_back(4_00)):
            await at.done(at.credit(sale, at.line("MUG", 1, amount, tax)))
    return f"10.00 with 1.61 where 19 % are {inside(10_00) / 100:.2f}"


@point("books")
async def another_tax_is_refused(at: Proof) -> None:
    """A tax that is not rounding but another rate is refused, and no draft stays"""
    sale = await at.sale(("MUG", 1))
    async with at.leaves({}):
        await at.rejected(at.credit(sale, at.line("MUG", 1, 11_90, 78)), "amount")


@point("books")
async def without_goods(at: Proof) -> None:
    """Money without goods: no cost comes back, no stock value appears"""
    sale = await at.sale(("MUG", 1))
    async with at.leaves(at.note(5_00)):
        posted = await at.done(at.credit(sale, at.line("MUG", 0, 5_00, component="goodwill")))
    async with at.leaves(at.payment(5_00)):
        await at.done(at.refund(sale, posted.ref, 5_00))
    same(await at.lines_of(sale), [(1, 1, 1)], "ordered, delivered, invoiced are")


@point("books")
async def a_kit_is_credited(at: Proof) -> None:
    """A kit is credited as it was billed, with the cost of its parts"""
    sale = await at.sale(("KIT", 1))
    await at.done(at.receive(sale, at.item("KIT")))
    async with at.leaves(at.note(35_70), at.cost_back(7_00)):
        await at.done(at.credit(sale, at.line("KIT", 1, 35_70)))
    same(await at.lines_of(sale), [(1, 0, 0)], "ordered, delivered, invoiced are")


@point("books")
async def in_a_foreign_currency(at: Proof) -> str:
    """Sold, credited and refunded in another currency: the documents in it, the books in ours"""
    sale = await at.sale(("MUG", 2), pricelist=at.company.foreign_pricelist, prices={"MUG": 23.80})
    owed = at.note(11_90)  # 23.80 there are 11.90 here
    async with at.leaves(owed, at.cost_back(4_00)):
        posted = await at.done(at.credit(sale, at.line("MUG", 1, 23_80), currency=at.company.foreign))
    note = await at.document(posted, "account.move", "amount_total", "amount_residual")
    same((note["amount_total"], note["amount_residual"]), (23.8, 23.8), "total and residual are")
    effect = at.refund(sale, posted.ref, 23_80)
    effect = replace(effect, command=replace(effect.command, currency=at.company.foreign))  # type: ignore[arg-type]
    async with at.leaves(at.payment(11_90)):
        await at.done(effect)
    same((await at.document(posted, "account.move", "payment_state"))["payment_state"], "paid", "the note is")
    return f"23.80 {at.company.foreign} at {RATE} are 11.90 {at.company.currency}"


@point("books")
async def in_a_locked_period(at: Proof) -> str:
    """A return of a closed period is booked on the day that Odoo chose, which is read back"""
    long_ago = datetime.now(UTC) - timedelta(days=40)
    locked = (datetime.now(UTC) - timedelta(days=20)).date().isoformat()
    sale = await at.sale(("MUG", 1))
    before = await at.person.row("res.company", at.company.id, "fiscalyear_lock_date")
    await at.person.write("res.company", at.company.id, fiscalyear_lock_date=locked)
    try:
        async with at.leaves(at.note(11_90), at.cost_back(4_00)):
            posted = await at.done(at.credit(sale, at.line("MUG", 1, 11_90), at=long_ago))
    finally:
        await at.person.write("res.company", at.company.id, fiscalyear_lock_date=before["fiscalyear_lock_date"])
    note = await at.document(posted, "account.move", "date", "invoice_date")
    same(note["invoice_date"], long_ago.date().isoformat(), "the note's own date is")
    told = dict(posted.values)["accounting_on"]
    same(told, note["date"], "the accounting date that we tell is")
    same(told > locked, True, f"{told} is after {locked}:")
    return f"of {note['invoice_date']}, locked until {locked}, booked on {told}"


@point("books")
async def a_refund_came_back(at: Proof) -> None:
    """The refund fails after it was booked: mirrored, the credit note is owed again, and paid another way"""
    sale = await at.sale(("MUG", 1))
    posted = await at.done(at.credit(sale, at.line("MUG", 1, 11_90)))
    paid = await at.done(at.refund(sale, posted.ref, 11_90))
    command = ReverseRefundPayment("rl_1", paid.ref, 11_90, at.company.currency, "account closed", datetime.now(UTC))
    back = at.effect(command)
    async with at.leaves(at.payment(-11_90)):
        first = await at.done(back)
        same((await at.done(back)).ref, first.ref, "sent again it gives")
    note = await at.document(posted, "account.move", "amount_residual", "payment_state")
    same((note["amount_residual"], note["payment_state"]), (11.9, "not_paid"), "the note has left, and is")
    async with at.leaves(at.payment(11_90, "gift")):
        await at.done(at.refund(sale, posted.ref, 11_90, rail="store_credit"))
