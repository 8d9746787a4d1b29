"""Each verb against the simulated Odoo, and the same against a real one where its address is in the environment."""

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from counterflow.core.effects import (
    CreditLine,
    PostReplacement,
    PostSettlement,
    ReplacementLine,
    ReverseRefundPayment,
    SettlementEntry,
    StockItem,
)
from counterflow.core.facts import DocumentMoved
from counterflow.sdk.outcomes import Done, NotFound, Rejected
from tests.connectors.odoo.lane import AT, Lane, credit, effect, goods, lane, move, real_lane, receive, refund, value

REAL = all(f"COUNTERFLOW_ODOO_{name}" in os.environ for name in ("URL", "DB", "KEY", "CONFIG"))


@pytest.fixture(params=["19.0", "18.0", "real"])
async def odoo(request: Any) -> AsyncIterator[Lane]:
    if request.param == "real" and not REAL:
        pytest.skip("no real Odoo: set COUNTERFLOW_ODOO_URL, _DB, _KEY and _CONFIG")
    async with real_lane() if request.param == "real" else lane(request.param) as found:
        yield found


async def test_a_restock_leaves_return_transfer_credit_note_and_payment(odoo: Lane) -> None:
    number = await odoo.sale(("TEE", 3), ("SHIP", 1))
    sellable = odoo.place("wh-1", "sellable")
    before = await odoo.stock("TEE", sellable)
    tee = StockItem("TEE", 1, "l1")
    await odoo.done(receive(number, tee))
    await odoo.done(move(number, tee))
    note = await odoo.done(credit(number, goods("l1", "TEE", 1, 2380, 380)))
    paid = await odoo.done(refund(note.ref, 2380))
    assert await odoo.stock("TEE", sellable) == before + 1
    assert await odoo.ledger(note) == [
        (await odoo.cost_account(), 8.0),
        ("121000", -23.8),
        ("251000", 3.8),
        ("400000", 20.0),
        ("600000", -8.0),
    ]
    assert await odoo.ledger(paid) == [("101450", -23.8), ("121000", 23.8)]
    assert value(note, "accounting_on") == "2026-11-20"
    assert await odoo.lines(number) == [(2, 2, 2), (1, 0, 1)]
    order = await odoo.order(number, "picking_ids", "invoice_status", "invoice_ids")
    assert order["invoice_status"] == "invoiced"
    assert [
        row["return_id"] for row in await odoo.rows("stock.picking", [["id", "in", order["picking_ids"]]], "return_id")
    ]
    states = await odoo.rows("account.move", [["id", "in", order["invoice_ids"]]], "move_type", "payment_state")
    assert {row["move_type"]: row["payment_state"] for row in states} == {"out_invoice": "paid", "out_refund": "paid"}


async def test_a_write_off_posts_the_loss_once_however_often_it_is_sent(odoo: Lane) -> None:
    number = await odoo.sale(("MUG", 2))
    mug = StockItem("MUG", 1, "l1")
    await odoo.done(receive(number, mug))
    await odoo.done(move(number, mug, disposition="quarantine", to="quarantine"))
    loss = move(number, mug, operation="scrap_entry", disposition="scrap", to="scrap", source=("wh-1", "quarantine"))
    first = await odoo.done(loss)
    assert await odoo.done(loss) == first
    assert await odoo.connector.find(loss) == first
    scrap = int(first.ref.rpartition(",")[2])
    ((row),) = await odoo.rows("stock.scrap", [["id", "=", scrap]], "move_ids", "state")
    (entry, value) = await odoo.valued(row["move_ids"][0])
    assert value == 4.0
    assert await odoo.ledger(Done(f"odoo:document:account.move,{entry}")) == [("110100", -4.0), ("612500", 4.0)]


async def test_a_count_between_arrival_and_booking_is_told(odoo: Lane) -> None:
    """One that changes nothing as well, where the goods went and not elsewhere; and never one that came afterwards."""
    number, tee = await odoo.sale(("TEE", 3)), StockItem("TEE", 1, "l1")
    first, second, third = (receive(number, tee, subject=each) for each in ("1", "2", "3"))
    assert value(await odoo.done(first), "counted") == ""
    place, shelf = odoo.place("store-1", "returns"), odoo.place("wh-1", "sellable")
    await odoo.count("TEE", shelf, await odoo.stock("TEE", shelf))
    assert value(await odoo.done(second), "counted") == ""
    await odoo.count("TEE", place, 3)  # the third is there already
    booked = await odoo.done(third)
    assert value(booked, "counted").startswith("20")
    assert await odoo.connector.find(third) == booked
    found = await odoo.connector.find(second)
    assert isinstance(found, Done) and value(found, "counted") == ""
    assert await odoo.stock("TEE", place) == 4
    await odoo.count("TEE", place, 3)
    restock = move(number, tee)
    await odoo.count("TEE", shelf, await odoo.stock("TEE", shelf))
    assert value(await odoo.done(restock), "counted").startswith("20")


async def test_every_verb_sent_again_gives_the_same_document(odoo: Lane) -> None:
    number = await odoo.sale(("MUG", 2))
    mug = StockItem("MUG", 1, "l1")
    effects = [receive(number, mug), move(number, mug), credit(number, goods("l1", "MUG", 1, 1190, 190))]
    assert [await odoo.connector.find(e) for e in effects] == [None] * 3
    outcomes = [await odoo.done(e) for e in effects]
    effects.append(refund(outcomes[2].ref, 1190))
    outcomes.append(await odoo.done(effects[3]))
    assert [(await odoo.done(e)).ref for e in effects] == [outcome.ref for outcome in outcomes]
    found = [await odoo.connector.find(e) for e in effects]
    assert [o.ref for o in found if isinstance(o, Done)] == [outcome.ref for outcome in outcomes]
    assert await odoo.lines(number) == [(2, 1, 1)]


async def test_a_serial_comes_back_as_itself(odoo: Lane) -> None:
    number = await odoo.sale(("CAM", 2))
    _, serial = await odoo.serials(number)
    camera = StockItem("CAM", 1, "l1", serial=serial)
    received = await odoo.done(receive(number, camera))
    await odoo.done(move(number, camera))
    id = int(received.ref.rpartition(",")[2])
    rows = await odoo.rows("stock.move.line", [["picking_id", "=", id]], "lot_id")
    assert [lot["name"] for lot in await odoo.call("stock.lot/read", ids=[rows[0]["lot_id"]], fields=["name"])] == [
        serial
    ]
    assert (
        await odoo.rejected(receive(number, StockItem("CAM", 1, "l1", serial="nobody's"), subject="2")) == "lot_missing"
    )


async def test_more_than_was_delivered_is_refused(odoo: Lane) -> None:
    number = await odoo.sale(("MUG", 2))
    await odoo.done(receive(number, StockItem("MUG", 1, "l1")))
    assert await odoo.rejected(receive(number, StockItem("MUG", 2, "l1"), subject="2")) == "over_return"
    await odoo.done(receive(number, StockItem("MUG", 1, "l1"), subject="3"))
    assert await odoo.lines(number) == [(2, 0, 2)]


async def test_what_was_never_sold_is_received_without_a_link(odoo: Lane) -> None:
    number = await odoo.sale(("MUG", 1))
    place = odoo.place("store-1", "returns")
    before = await odoo.stock("TEE", place)
    await odoo.done(receive(number, StockItem("TEE", 1)))
    assert await odoo.stock("TEE", place) == before + 1
    assert await odoo.lines(number) == [(1, 1, 1)]


async def test_a_kit_comes_back_as_its_components_and_in_parts(odoo: Lane) -> None:
    number = await odoo.sale(("KIT", 2))
    await odoo.done(receive(number, StockItem("KIT", 1, "l1")))
    assert await odoo.lines(number) == [(2, 1, 2)]
    await odoo.done(receive(number, StockItem("CMPA", 1, "l1"), subject="2"))
    ((_, delivered, _),) = await odoo.lines(number)
    assert delivered == 0  # no complete set is out any more
    note = await odoo.done(credit(number, goods("l1", "KIT", 1, 3570, 570)))
    assert value(note, "amount_minor") == "3570"
    assert dict(await odoo.ledger(note))["121000"] == -35.7
    await odoo.done(move(number, StockItem("KIT", 1, "l1")))


async def test_an_odoo_without_manufacturing_has_no_kits() -> None:
    async with lane() as odoo:
        number = await odoo.sale(("MUG", 1))

        async def no_such_field(*_: Any, **__: Any) -> dict[str, Any]:
            return {}

        ask, odoo.connector.odoo.client.ask = odoo.connector.odoo.client.ask, no_such_field  # type: ignore[method-assign]
        assert await odoo.connector.odoo.names.kits() is False
        odoo.connector.odoo.client.ask = ask  # type: ignore[method-assign]
        mug = StockItem("MUG", 1, "l1")
        await odoo.done(receive(number, mug))
        await odoo.done(move(number, mug))
        assert not [label for label in await odoo.calls() if "mrp" in label]


async def test_a_unit_to_refurbish_gets_a_repair_order(odoo: Lane) -> None:
    number = await odoo.sale(("MUG", 1))
    odoo.connector.odoo = replace(
        odoo.connector.odoo, config=odoo.connector.odoo.config.model_copy(update={"repair_orders": True})
    )
    mug = StockItem("MUG", 1, "l1")
    await odoo.done(receive(number, mug))
    refurbish = move(number, mug, operation="repair_order", disposition="refurbish", to="refurbishment")
    await odoo.done(refurbish)
    await odoo.done(refurbish)
    answer = await odoo.connector.odoo.client.find(f"cf.{refurbish.effect_id}_repair_1")
    assert answer is not None
    ((repair),) = await odoo.rows("repair.order", [["id", "=", answer[1]]], "state", "product_qty")
    assert (repair["state"], repair["product_qty"]) == ("draft", 1)


async def test_nothing_moves_that_is_not_there(odoo: Lane) -> None:
    number = await odoo.sale(("MUG", 1))
    elsewhere = ("wh-1", "refurbishment")
    assert await odoo.rejected(move(number, StockItem("CMPB", 1, "l1"), source=elsewhere)) == "no_stock"
    loss = move(
        number, StockItem("CMPB", 1), operation="scrap_entry", disposition="scrap", to="scrap", source=elsewhere
    )
    assert await odoo.rejected(loss) == "no_stock"


@pytest.mark.parametrize(("amount", "tax", "quantity"), [(1000, 160, 3), (2380, 381, 1), (1999, 318, 1), (7, 1, 2)])
async def test_the_total_is_the_refunds_to_the_cent(odoo: Lane, amount: int, tax: int, quantity: int) -> None:
    number = await odoo.sale(("TEE", 3))
    note = await odoo.done(credit(number, goods("l1", "TEE", quantity, amount, tax)))
    assert value(note, "amount_minor") == str(amount)
    if quantity == 1:
        assert value(note, "tax_minor") == str(tax)
    await odoo.done(refund(note.ref, amount))


async def test_money_without_goods_reverses_no_cost_and_what_is_kept_is_income(odoo: Lane) -> None:
    number = await odoo.sale(("TEE", 1), ("SHIP", 1))
    await odoo.done(receive(number, StockItem("TEE", 1, "l1")))
    note = await odoo.done(
        credit(
            number,
            goods("l1", "TEE", 1, 2380, 380),
            CreditLine("l2", "SHIP", "shipping", 0, 595, (), "Shipping"),
            CreditLine("l1", "TEE", "restocking_fee", 0, -357, (), "Restocking fee"),
        )
    )
    ledger = await odoo.ledger(note)
    assert ("121000", -26.18) in ledger
    assert ("450100", -3.0) in ledger
    cost = await odoo.cost_account()
    assert [line for line in ledger if line[0] in (cost, "600000")] == [(cost, 8.0), ("600000", -8.0)]
    assert await odoo.lines(number) == [(0, 0, 0), (1, 0, 1)]
    money = await odoo.done(credit(number, CreditLine("l2", "SHIP", "goodwill", 0, 100, (), "Sorry"), subject="2"))
    assert {code for code, _ in await odoo.ledger(money)} == {"121000", "251000", "400000"}


async def test_an_unpaid_invoice_takes_the_credit_note_and_the_refund_waits_for_the_charge(odoo: Lane) -> None:
    number = await odoo.sale(("MUG", 2), pay=False)
    note = await odoo.done(credit(number, goods("l1", "MUG", 1, 1190, 190)))
    assert (value(note, "residual_minor"), value(note, "payment_state")) == ("0", "paid")
    paid = refund(note.ref, 1190)
    assert value(await odoo.done(paid), "state") == "open"
    assert await odoo.connector.find(paid) == await odoo.done(paid)
    assert await odoo.rejected(refund(note.ref, 1, "more")) == "nothing_left"


async def test_a_sale_that_is_not_invoiced_says_what_to_do(odoo: Lane) -> None:
    number = await odoo.sale(("MUG", 2), invoice=False)
    note = credit(number, goods("l1", "MUG", 1, 1190, 190))
    assert await odoo.rejected(note) == "not_invoiced"
    await odoo.invoice(number)
    assert isinstance(await odoo.send(note), Done)


async def test_a_sale_over_two_invoices_gets_a_credit_note_for_each(odoo: Lane) -> None:
    number = await odoo.sale(("MUG", 1), deliver=True)
    order = await odoo.order(number, "order_line", "picking_ids")
    await odoo.call("sale.order.line/write", ids=order["order_line"], vals={"product_uom_qty": 3})
    later = await odoo.order(number, "picking_ids")
    await odoo.call("stock.picking/button_validate", ids=later["picking_ids"])
    await odoo.invoice(number)
    note = await odoo.done(credit(number, goods("l1", "MUG", 2, 2380, 380)))
    ids = [int(id) for id in note.ref.rpartition(":")[2].split(",")[1:]]
    rows = await odoo.rows("account.move", [["id", "in", ids]], "amount_total", "reversed_entry_id")
    assert [row["amount_total"] for row in rows] == [11.9, 11.9]
    assert len({row["reversed_entry_id"] for row in rows}) == 2
    await odoo.done(refund(note.ref, 2380))
    states = await odoo.rows("account.move", [["id", "in", ids]], "payment_state")
    assert [row["payment_state"] for row in states] == ["paid", "paid"]


async def test_two_legs_pay_one_credit_note_and_a_third_is_refused(odoo: Lane) -> None:
    number = await odoo.sale(("MUG", 1))
    note = await odoo.done(credit(number, goods("l1", "MUG", 1, 1190, 190)))
    await odoo.done(refund(note.ref, 1000, "a"))
    await odoo.done(refund(note.ref, 190, "b"))
    assert await odoo.rejected(refund(note.ref, 1, "c")) == "nothing_left"


async def test_a_refund_that_came_back_is_mirrored_and_the_credit_note_owed_again(odoo: Lane) -> None:
    number = await odoo.sale(("MUG", 1))
    note = await odoo.done(credit(number, goods("l1", "MUG", 1, 1190, 190)))
    paid = await odoo.done(refund(note.ref, 1190))
    back = effect(ReverseRefundPayment("rl_1", paid.ref, 1190, "USD", "account closed", AT), number)
    mirrored = await odoo.done(back)
    assert await odoo.ledger(mirrored) == [("101450", 11.9), ("121000", -11.9)]
    assert (await odoo.done(back)).ref == mirrored.ref
    ((row),) = await odoo.rows(
        "account.move", [["id", "=", int(note.ref.rpartition(",")[2])]], "amount_residual", "payment_state"
    )
    assert (row["amount_residual"], row["payment_state"]) == (11.9, "not_paid")
    await odoo.done(refund(note.ref, 1190, "again"))


async def test_a_replacement_is_an_order_of_its_own_and_never_a_second_one(odoo: Lane) -> None:
    number = await odoo.sale(("MUG", 1))
    command = PostReplacement(
        f"shop:order:{number}",
        number,
        f"shop:order:x{number}",
        "RMA-1",
        "USD",
        (ReplacementLine("TEE", 1, 2380, "l1"),),
        AT,
    )
    made = await odoo.done(effect(command, number))
    assert (await odoo.done(effect(command, number))).ref == made.ref
    assert (await odoo.done(effect(command, f"{number}/other cause"))).ref == made.ref
    ((row),) = await odoo.rows("sale.order", [["client_order_ref", "=", f"shop:order:x{number}"]], "state", "origin")
    assert row["state"] == "sale"
    assert "(RMA-1)" in row["origin"]


async def test_a_payout_clears_its_payments(odoo: Lane) -> None:
    number = await odoo.sale(("MUG", 2))
    note = await odoo.done(credit(number, goods("l1", "MUG", 1, 1190, 190)))
    await odoo.done(refund(note.ref, 1190, number))
    entries = (
        # The entries carry references of ours; whoever wrote the memo of the sale's payment knew only theirs.
        SettlementEntry("charge", f"psp:payment:ch_{number[1:]}", 2380),
        SettlementEntry("refund", f"psp:refund:re_{number}", -1190),
        SettlementEntry("fee", "fee_1", -50),
    )
    command = PostSettlement(f"psp:payout:po_{number}", "stripe", "bank_1", "USD", 1140, entries, "2026-11-22")
    posted = effect(command, number)
    settled = await odoo.done(posted)
    assert await odoo.ledger(settled) == [("101401", 11.4), ("101450", -11.9), ("620100", 0.5)]
    assert value(settled, "unmatched_minor") == "0"
    assert await odoo.done(posted) == settled
    assert await odoo.connector.find(posted) == settled


async def test_a_refund_that_is_booked_after_its_payout_is_matched_later(odoo: Lane) -> None:
    number = await odoo.sale(("MUG", 2))
    note = await odoo.done(credit(number, goods("l1", "MUG", 1, 1190, 190)))
    entries = (
        SettlementEntry("charge", f"psp:payment:ch_{number[1:]}", 2380),
        SettlementEntry("refund", f"psp:refund:re_{number}", -1190),
    )
    command = PostSettlement(f"psp:payout:po_{number}", "stripe", "bank_1", "USD", 1190, entries, "2026-11-22")
    first = effect(command, number)
    settled = await odoo.done(first)
    assert value(settled, "unmatched_minor") == "1190"
    later = effect(replace(command, again=first.effect_id), f"{number}/1")
    assert await odoo.done(later) == settled  # nothing has come yet
    await odoo.done(refund(note.ref, 1190, number))
    matched = await odoo.done(later)
    assert (matched.ref, value(matched, "unmatched_minor")) == (settled.ref, "0")
    assert await odoo.ledger(matched) == [("101401", 11.9), ("101450", -11.9)]
    assert await odoo.connector.find(later) == matched
    nowhere = effect(replace(command, again="ef_gone"), f"{number}/2")
    await odoo.rejected(nowhere)
    assert await odoo.connector.find(nowhere) is None


async def test_a_payout_clears_a_refund_and_its_coming_back(odoo: Lane) -> None:
    number = await odoo.sale(("MUG", 2))
    note = await odoo.done(credit(number, goods("l1", "MUG", 1, 1190, 190)))
    paid = await odoo.done(refund(note.ref, 1190, number))
    await odoo.done(effect(ReverseRefundPayment(f"rl_{number}", paid.ref, 1190, "USD", "account closed", AT), number))
    entries = (
        SettlementEntry("charge", f"psp:payment:ch_{number[1:]}", 2380),
        SettlementEntry("refund", f"psp:refund:re_{number}", -1190),
        SettlementEntry("refund", f"psp:refund:re_{number}", 1190),
    )
    command = PostSettlement(f"psp:payout:po_{number}", "stripe", "bank_1", "USD", 2380, entries, "2026-11-22")
    assert value(await odoo.done(effect(command, number)), "unmatched_minor") == "0"


async def test_what_people_do_with_documents_comes_back_as_facts(odoo: Lane) -> None:
    start = await _last(odoo, "")
    number = await odoo.sale(("MUG", 2))
    await odoo.done(receive(number, StockItem("MUG", 1, "l1")))
    credit_note = credit(number, goods("l1", "MUG", 1, 1190, 190))
    note = await odoo.done(credit_note)
    paid = await odoo.done(refund(note.ref, 1190))
    facts = {}
    cursor = start
    while True:
        page = await odoo.connector.pull("documents", cursor)
        for fact in page.items:
            assert not hasattr(fact, "feed")
            if f"order:{number}" in fact.refs and isinstance(fact.body, DocumentMoved):
                facts[fact.body.document_ref] = fact.body
        if not page.more:
            break
        cursor = page.cursor
    assert {(b.posting, b.state, b.amount_minor) for b in facts.values()} == {
        ("credit_note", "applied", 1190),
        ("receive_goods", "posted", 0),
        ("refund_payment", "applied", 1190),
    }
    assert facts[note.ref].key == credit_note.effect_id
    assert facts[note.ref].by
    (fact,) = await odoo.connector.fetch("documents", paid.ref)
    assert fact.refs[0].startswith("effect:ef_")  # of several cases over the order, the one that made it is meant
    assert fact.refs[1:] == (f"order:{number}", paid.ref)
    await odoo.call("account.move/button_cancel", ids=[int(note.ref.rpartition(",")[2])])
    (fact,) = await odoo.connector.fetch("documents", note.ref)
    assert isinstance(fact.body, DocumentMoved) and fact.body.state == "cancelled"
    assert isinstance(await odoo.connector.find(credit_note), Rejected)


async def test_what_only_looks_like_ours_gives_no_fact(odoo: Lane) -> None:
    """An invoice, a delivery and a customer's payment are in the same tables as credit notes, returns and refunds."""
    number = await odoo.sale(("MUG", 2))
    order = await odoo.order(number, "invoice_ids", "picking_ids")
    payments = await odoo.rows("account.payment", [["memo", "=", f"ch_{number[1:]}"]], "payment_type")
    assert [row["payment_type"] for row in payments] == ["inbound"]
    theirs = {
        "account.move": order["invoice_ids"],
        "stock.picking": order["picking_ids"],
        "account.payment": [row["id"] for row in payments],
    }
    for model, ids in theirs.items():
        for ref in (odoo.connector.odoo.ref(model, *ids), f"{model},{ids[0]}"):
            assert await odoo.connector.fetch("documents", ref) == [], ref
    with pytest.raises(NotFound):  # nothing there is another answer than nothing of ours
        await odoo.connector.fetch("documents", "account.move,987654321")


async def _last(odoo: Lane, cursor: str) -> str:
    while (page := await odoo.connector.pull("documents", cursor)).more:
        cursor = page.cursor
    return page.cursor


async def test_the_doctor_finds_everything_in_order(odoo: Lane) -> None:
    findings = await odoo.connector.check()
    assert [finding for finding in findings if not finding[1]] == []
    assert len(findings) > 10
