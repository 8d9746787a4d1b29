"""Edge cases of the ledger: what is open, invoiced, locked, cancelled or made by hand."""

import pytest

from counterflow.core.facts import Counted, ReturnCancelled
from counterflow.core.sale import Payment, Tax
from tests.core.returns.telling import Story, line, sale, wanted


def test_edge_007_the_tax_of_the_sale_is_reversed() -> None:
    note = Story().full().commands("PostCreditNote")[0]
    assert [(t.code, t.rate_ppm, t.amount_minor) for t in note.lines[0].taxes] == [("DE-19", 190_000, 319)]


def test_edge_008_a_sale_without_tax_is_credited_without() -> None:
    exempt = sale(line(taxes=(Tax("EXPORT", 0, 0),)))
    note = Story(exempt).full().commands("PostCreditNote")[0]
    assert [(t.code, t.amount_minor) for t in note.lines[0].taxes] == [("EXPORT", 0)]


def test_edge_080_paid_unpaid_and_partly_paid() -> None:
    for captured, refunded in ((2000, 2000), (0, 0), (500, 500)):
        story = Story(sale(payments=(Payment("pi_1", "card", captured, "psp"),))).full()
        assert (story.credited(), story.paid()) == (2000, refunded)
        story.closed()


def test_edge_081_nothing_was_invoiced_so_nothing_is_credited() -> None:
    story = Story().request().settle().receive().settle().inspect().settle(keep=lambda e: e.kind != "PostCreditNote")
    story.answer("PostCreditNote", "done", posting="not_required").settle()
    assert [p.state for p in story.view.postings if p.kind == "credit_note"] == ["not_required"]
    story.closed()


def test_edge_082_a_credit_note_names_the_sold_lines_so_that_each_finds_its_invoice() -> None:
    two = sale(line("L1", "TEE", 2000), line("L2", "CAP", 1000))
    story = Story(two).request(wanted("L1"), wanted("L2")).settle().receive("TEE").receive("CAP").settle()
    story.inspect("TEE").inspect("CAP").settle()
    lines = [(ln.line_ref, ln.quantity, ln.amount_minor) for n in story.commands("PostCreditNote") for ln in n.lines]
    assert sorted(lines) == [("L1", 1, 2000), ("L2", 1, 1000)]


def test_edge_083_a_till_sale_is_reversed_by_a_document_of_today() -> None:
    till = sale(channel="store", connection="till-1", payments=(Payment("c1", "cash", 2000),))
    story = Story(till).request().settle().receive(place="store-1").inspect(place="store-1").settle()
    note = story.commands("PostCreditNote")[0]
    assert (note.order_ref, note.occurred_at.date()) == (till.sale_ref, story.now.date())


def test_edge_084_a_locked_period_shifts_the_date_and_says_so() -> None:
    story = Story().request().settle().receive().settle().inspect().settle(keep=lambda e: e.kind != "PostCreditNote")
    story.answer("PostCreditNote", "done", "RINV1", accounting_on="2026-12-01", name="RINV/1").settle()
    assert story.exceptions() == ["shifted_period"]
    story.closed()  # it changes nothing for the customer


def test_goods_that_were_counted_before_they_were_booked_are_counted_again() -> None:
    """Requirement 133: the customer gets the money and the case closes; somebody looks whether the stock is right."""
    story = Story().request().settle().receive().settle(keep=lambda e: e.kind != "ReceiveGoods")
    story.answer("ReceiveGoods", "done", "IN7", counted="2026-11-03 10:12:00", name="WH/IN/7").settle()
    assert story.exceptions() == ["counted_meanwhile"]
    [found] = story.view.exceptions
    assert "1 x TEE" in found.message and "2026-11-03 10:12:00" in found.message and "WH/IN/7" in found.message
    assert found.owner == "warehouse"
    story.inspect().settle().closed()


def test_edge_085_a_clearance_that_is_awaited_blocks_the_note_and_not_the_refund() -> None:
    story = Story().request().settle().receive().settle().inspect().settle(keep=lambda e: e.kind != "PostCreditNote")
    story.answer("PostCreditNote", "accepted", "RINV1").settle()
    note = next(p for p in story.view.postings if p.kind == "credit_note")
    assert (note.state, story.paid(), story.view.status) == ("drafted", 2000, "resolved")
    story.answer("PostCreditNote", "done", "RINV1").settle()
    story.closed()


def test_edge_086_a_credit_note_cancelled_by_a_user_is_an_exception_and_the_money_stays() -> None:
    story = Story().full()
    note = next(p for p in story.view.postings if p.kind == "credit_note")
    story.document("credit_note", "cancelled", note.document_ref, by="mia")
    assert (story.exceptions(), story.paid()) == (["document_cancelled"], 2000)
    story.document("credit_note", "posted", note.document_ref, version=2)
    assert story.exceptions() == []
    story.closed()


def test_edge_087_a_credit_note_made_by_hand_is_adopted() -> None:
    story = Story().request().settle().receive().settle()
    story.document("credit_note", amount_minor=2000, currency="EUR", by="mia")
    story.inspect().settle()
    assert "PostCreditNote" not in story.kinds()
    note = next(p for p in story.view.postings if p.kind == "credit_note")
    assert (note.origin, note.document_ref) == ("erp_user", "RINV9")
    story.closed()


def test_edge_087_a_return_picking_made_by_hand_is_adopted() -> None:
    story = Story().request().settle()
    story.document("receive_goods", ref="WH/IN/9", sku="TEE", quantity=1, by="mia")
    story.receive().settle().inspect().settle()
    assert "ReceiveGoods" not in story.kinds()
    assert story.commands("MoveGoods")[0].location_to == "sellable"
    story.closed()


def test_edge_087_a_return_picking_with_several_things_is_adopted_piece_by_piece() -> None:
    story = Story(sale(line(), line("L2", "CAM", 5000))).request(wanted(), wanted("L2")).settle()
    held = (Counted("TEE", 1), Counted("CAM", 1, serial="S1"))
    story.document("receive_goods", ref="erp:document:stock.picking,9", pieces=held, by="mia")
    story.receive("TEE", line_ref="L1").receive("CAM", serial="S1", line_ref="L2").settle()
    assert "ReceiveGoods" not in story.kinds()


def test_edge_087_a_refund_payment_made_by_hand_is_adopted() -> None:
    story = Story().request().settle().receive().settle()
    story.document("refund_payment", "applied", "BNK9", amount_minor=2000, currency="EUR", by="mia")
    story.inspect().settle()
    assert (story.paid(), "PostRefundPayment" in story.kinds()) == (2000, False)
    payment = next(p for p in story.view.postings if p.kind == "refund_payment")
    assert (payment.origin, payment.document_ref) == ("erp_user", "BNK9")
    story.closed()


def test_a_case_is_found_by_each_of_its_documents_as_the_erp_names_it() -> None:
    story = Story().request().settle().receive().answer("ReceiveGoods", "done", "erp:document:stock.picking,7,8")
    refs = story.decisions[-1].refs
    assert [ref for ref in refs if ":document:" in ref] == [f"erp:document:stock.picking,{each}" for each in (7, 8)]


def test_edge_086_a_credit_note_changed_by_a_user_is_an_exception() -> None:
    story = Story().full()
    note = next(p for p in story.view.postings if p.kind == "credit_note")
    story.document("credit_note", "posted", note.document_ref, version=2, amount_minor=1500, currency="EUR", by="mia")
    assert story.exceptions() == ["document_edited"]
    story.document("credit_note", "posted", note.document_ref, version=3, amount_minor=2000, currency="EUR", by="mia")
    assert story.exceptions() == []
    story.closed()


def test_edge_087_a_second_credit_note_by_hand_is_not_smoothed_over() -> None:
    story = Story().full()
    story.document("credit_note", amount_minor=2000, currency="EUR", by="mia")
    assert story.exceptions() == ["foreign_document"]
    story.document("credit_note", "cancelled", by="mia", version=2)
    assert story.exceptions() == []


def test_edge_088_goods_are_booked_against_their_own_delivery() -> None:
    item = Story().full().commands("ReceiveGoods")[0].items[0]
    assert (item.line_ref, item.unit_ids) == ("L1", ("L1#0",))


def test_edge_089_a_replacement_without_refund_still_clears() -> None:
    story = Story().request(wanted(remedy="replacement", reason="defective")).settle().receive().settle()
    story.inspect().settle().replacement("created").settle().replacement("delivered").settle()
    note = story.commands("PostCreditNote")[0]
    assert (note.amount_minor, note.offset_minor, story.legs()) == (2000, 2000, [])
    assert story.view.status == "closed", (story.view.waiting, story.view.postings, story.exceptions())


@pytest.mark.parametrize("outcome", ["rejected", "parked"])
def test_a_stopped_posting_keeps_the_case_open_until_somebody_acts(outcome: str) -> None:
    story = Story().request().settle().receive().settle()
    story.refuse["PostCreditNote"] = outcome
    story.inspect().settle().payout()
    assert story.exceptions() == ["effect_stopped"]
    assert story.view.status == "resolved"
    story.refuse.clear()
    story.answer("PostCreditNote", "resumed").answer("PostCreditNote", "done", "RINV1").settle()
    assert story.view.status == "closed"


def test_a_return_that_is_cancelled_after_the_receipt_goes_on() -> None:
    story = Story().request().settle().receive().settle()
    story.tell(ReturnCancelled("shop"))
    assert story.exceptions() == ["cancelled_after_receipt"]
    story.inspect().settle()
    assert story.paid() == 2000


def test_a_return_that_is_cancelled_before_anything_came_is_cancelled() -> None:
    story = Story().request().settle()
    story.tell(ReturnCancelled("customer"))
    assert (story.view.status, story.unit().goods) == ("cancelled", "cancelled")
    story.receive().settle().inspect().settle()  # and comes after all
    assert story.paid() == 2000


def test_an_erp_is_not_told_of_a_sale_at_its_own_till() -> None:
    assert "UpdateChannel" in Story().full().kinds()
    assert "UpdateChannel" not in Story(sale(connection="odoo", sale_ref="odoo:order:7")).full().kinds()
