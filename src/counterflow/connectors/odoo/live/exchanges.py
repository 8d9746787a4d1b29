"""Exchanges, where a credit note pays an invoice, and payouts, where the bank meets all that was paid."""

from dataclasses import replace
from datetime import UTC, datetime

from counterflow.connectors.odoo.live.point import point, same
from counterflow.connectors.odoo.live.proof import Proof
from counterflow.connectors.odoo.live.selling import Sale
from counterflow.core.effects import (
    PostReplacement,
    PostSettlement,
    ReplacementLine,
    ReverseRefundPayment,
    SettlementEntry,
)
from counterflow.sdk.outcomes import Done


async def _replaced(at: Proof, sale: Sale, good: str, amount: int) -> Sale:
    """The replacement: entered by us, delivered and invoiced by a person."""
    ref = f"shop:order:x{sale.number}"
    line = ReplacementLine(at.company.sku(good), 1, amount, "l1")
    command = PostReplacement(sale.ref, sale.number, ref, sale.rma, at.company.currency, (line,), datetime.now(UTC))
    made = await at.done(at.effect(command))
    same((await at.done(at.effect(command))).ref, made.ref, "the same replacement, for another cause, is")
    order = await at.document(made, "sale.order", "name", "origin", "picking_ids", "state", "amount_total")
    same((sale.rma in order["origin"], order["state"]), (True, "sale"), "it names the return, and is")
    same(round(order["amount_total"] * 100), amount, "its total is")
    same(await at.said("sale.order", sale.order, ref), 1, "lines in the first order's chatter that name it:")
    new = Sale(
        sale.number, sale.rma, order["id"], order["name"], sale.partner, tuple(order["picking_ids"]), (), (), ref
    )
    await at.validate(*new.deliveries)
    return await at.invoice(new, pay=False)


@point("exchange")
async def as_much(at: Proof) -> None:
    """For as much: the credit note covers the replacement's invoice"""
    sale = await at.sale(("MUG", 1))
    new = await _replaced(at, sale, "OLD", 11_90)
    async with at.leaves(at.note(11_90), at.cost_back(4_00)):
        effect = at.credit(sale, at.line("MUG", 1, 11_90), replacement_ref=new.charge, offset_minor=11_90)
        posted = await at.done(effect)
    same(await _left(at, posted, new), (0, 0), "left of credit note and invoice is")


@point("exchange")
async def dearer(at: Proof) -> None:
    """For something dearer: what is left of the invoice is paid on top"""
    sale = await at.sale(("MUG", 1))
    new = await _replaced(at, sale, "TEE", 23_80)
    async with at.leaves(at.note(11_90), at.cost_back(4_00)):
        effect = at.credit(sale, at.line("MUG", 1, 11_90), replacement_ref=new.charge, offset_minor=11_90)
        posted = await at.done(effect)
    same(await _left(at, posted, new), (0, 11_90), "left of credit note and invoice is")
    async with at.leaves(at.payment(-11_90)):
        await at.pay(new.invoices, f"top-up {sale.number}")
    same(await _left(at, posted, new), (0, 0), "left of credit note and invoice is")


@point("exchange")
async def cheaper(at: Proof) -> None:
    """For something cheaper: what is left of the credit note is refunded"""
    sale = await at.sale(("TEE", 1))
    new = await _replaced(at, sale, "MUG", 11_90)
    async with at.leaves(at.note(23_80), at.cost_back(8_00)):
        effect = at.credit(sale, at.line("TEE", 1, 23_80), replacement_ref=new.charge, offset_minor=11_90)
        posted = await at.done(effect)
    same(await _left(at, posted, new), (11_90, 0), "left of credit note and invoice is")
    async with at.leaves(at.payment(11_90)):
        await at.done(at.refund(sale, posted.ref, 11_90))
    same(await _left(at, posted, new), (0, 0), "left of credit note and invoice is")


@point("exchange")
async def the_shop_was_faster(at: Proof) -> None:
    """A replacement that the shop's import has entered is adopted"""
    sale = await at.sale(("MUG", 1))
    other = await at.sale(("TEE", 1), deliver=False, invoice=False)
    line = ReplacementLine(at.company.sku("TEE"), 1, 23_80, "l1")
    command = PostReplacement(
        sale.ref, sale.number, other.number, sale.rma, at.company.currency, (line,), datetime.now(UTC)
    )
    async with at.leaves({}):
        made = await at.done(at.effect(command))
    same(await at.ids(made, "sale.order"), [other.order], "it is")


async def _left(at: Proof, posted: Done, new: Sale) -> tuple[int, int]:
    note = await at.document(posted, "account.move", "amount_residual")
    invoice = await at.person.row("account.move", new.invoices[0], "amount_residual")
    return round(note["amount_residual"] * 100), round(invoice["amount_residual"] * 100)


@point("settlement")
async def a_payout(at: Proof) -> None:
    """A payout: bank, fees and clearing, matched with its charges, refunds and one that came back"""
    sale = await at.sale(("MUG", 2))
    posted = await at.done(at.credit(sale, at.line("MUG", 1, 11_90)))
    refund = at.refund(sale, posted.ref, 11_90)
    paid = await at.done(refund)
    command = ReverseRefundPayment("rl_1", paid.ref, 11_90, at.company.currency, "closed", datetime.now(UTC))
    await at.done(at.effect(command))
    again = at.refund(sale, posted.ref, 11_90)
    await at.done(again)
    first, second = (str(getattr(effect.command, "refund_ref", "")) for effect in (refund, again))
    entries = (
        SettlementEntry("charge", f"psp:payment:{sale.charge}", 23_80),
        SettlementEntry("refund", first, -11_90),
        SettlementEntry("refund", first, 11_90),
        SettlementEntry("refund", second, -11_90),
        SettlementEntry("fee", "fee_1", -50),
    )
    day = datetime.now(UTC).date().isoformat()
    payout = f"psp:payout:po_{sale.number}"
    effect = at.effect(PostSettlement(payout, "psp", "bank_1", at.company.currency, 11_40, entries, day))
    wanted = {"account bank": 11_40, "account psp_fees": 50, "account clearing": -11_90}
    async with at.leaves(wanted):
        settled = await at.done(effect)
        same(await at.done(effect), settled, "sent again it gives")
    same(dict(settled.values)["unmatched_minor"], "0", "left unmatched is")
    row = await at.document(settled, "account.bank.statement.line", "is_reconciled", "payment_ref")
    same(
        (row["is_reconciled"], f"po_{sale.number}" in row["payment_ref"]),
        (True, True),
        "matched, and it names the payout",
    )


@point("settlement")
async def a_refund_booked_later(at: Proof) -> None:
    """A refund that is booked after its payout: told as unmatched, and matched when the payout is looked at again"""
    sale = await at.sale(("MUG", 2))
    posted = await at.done(at.credit(sale, at.line("MUG", 1, 11_90)))
    refund = at.refund(sale, posted.ref, 11_90)
    entries = (
        SettlementEntry("charge", f"psp:payment:{sale.charge}", 23_80),
        SettlementEntry("refund", str(getattr(refund.command, "refund_ref", "")), -11_90),
    )
    day, payout = datetime.now(UTC).date().isoformat(), f"psp:payout:po_{sale.number}"
    command = PostSettlement(payout, "psp", "bank_1", at.company.currency, 11_90, entries, day)
    first = at.effect(command)
    settled = await at.done(first)
    same(dict(settled.values)["unmatched_minor"], "1190", "left unmatched is")
    again = at.effect(replace(command, again=first.effect_id))
    same(await at.done(again), settled, "before the refund is booked it gives")
    await at.done(refund)
    async with at.leaves({}):
        matched = await at.done(again)
    same((matched.ref, dict(matched.values)["unmatched_minor"]), (settled.ref, "0"), "then it is, and left unmatched")
    same(await at.connector.find(again), matched, "looked up it is")


@point("settlement")
async def a_payout_too_large(at: Proof) -> None:
    """What a payout holds and Odoo does not know stays visible on the clearing account"""
    sale = await at.sale(("MUG", 1))
    entries = (
        SettlementEntry("charge", f"psp:payment:{sale.charge}", 11_90),
        SettlementEntry("charge", "psp:payment:unknown", 5_00),
    )
    day = datetime.now(UTC).date().isoformat()
    payout = f"psp:payout:po_{sale.number}"
    effect = at.effect(PostSettlement(payout, "psp", "bank_1", at.company.currency, 16_90, entries, day))
    async with at.leaves({"account bank": 16_90, "account clearing": -16_90}):
        settled = await at.done(effect)
    same(dict(settled.values)["unmatched_minor"], "-500", "left unmatched is")
