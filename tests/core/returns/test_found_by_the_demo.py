"""Mistakes of ours that the demo's proof has found, each with the test that would have caught it."""

from dataclasses import replace
from datetime import timedelta

from counterflow.core.effects import InstructDisposition, PayLeg, PostCreditNote, ReceiveGoods
from counterflow.core.facts import (
    DispositionChosen,
    DispositionExecuted,
    DocumentMoved,
    EffectReported,
    MarketplaceRefunded,
    ReplacementMoved,
    ReturnCancelled,
    ReturnRequested,
)
from counterflow.core.sale import Payment
from tests.core.returns.telling import Story, line, sale, wanted


def test_what_was_done_with_the_extra_piece_is_not_taken_for_the_one_that_was_sold() -> None:
    story = Story().request().settle().receive(quantity=2).settle().inspect().settle()
    extra = next(u for u in story.view.units if not u.line_ref)
    story.tell(DispositionChosen((extra.unit_id,), "send_back", "bo", "not ours"), "console:bo", "person")
    instructions = [e for e in story.effects if isinstance(e.command, InstructDisposition)]
    told = next(e for e in instructions if e.command.unit_id == extra.unit_id)  # type: ignore[union-attr]
    fact = story.fact(DispositionExecuted("send_back", "TEE"), "wms", "warehouse")
    story.hear(replace(fact, refs=(f"effect:{told.effect_id}", *fact.refs)))
    assert [u.disposition for u in story.view.units if u.line_ref] == ["restock"]


def test_a_late_confirmation_of_an_earlier_instruction_does_not_undo_the_newer_one() -> None:
    story = Story().request().settle().receive().settle()
    story.inspect(lot_status="recalled").settle()
    unit = story.view.units[0]
    assert unit.disposition == "quarantine"
    story.tell(DispositionChosen((unit.unit_id,), "scrap", "quality", "the recall says so"), "console:q", "person")
    story.tell(DispositionExecuted("quarantine", "TEE"), "wms", "warehouse")
    assert story.view.units[0].disposition == "scrap"


def _received_of_two_tenders() -> Story:
    """Two things, paid half by card and half by gift card, both asked back and received."""
    sold = sale(
        line("L1", "TEE", 2000),
        line("L2", "MUG", 1000),
        payments=(Payment("pi_1", "card", 1500, "psp"), Payment("gc_1", "gift_card", 1500)),
    )
    story = Story(sold).request(wanted("L1"), wanted("L2")).settle()
    return story.receive("TEE").receive("MUG").settle()


def test_a_payment_of_a_second_refund_waits_for_its_own_credit_note() -> None:
    story = _received_of_two_tenders()
    story.inspect("MUG").settle()
    story.inspect("TEE").settle(keep=lambda e: not isinstance(e.command, PayLeg) or e.command.rail == "card")
    payments = story.commands("PostRefundPayment")
    notes = {p.document_ref: p.amount_minor for p in story.view.postings if p.kind == "credit_note"}
    for ref, amount in notes.items():
        assert sum(p.amount_minor for p in payments if p.credit_note_ref == ref) <= amount
    assert len(payments) == 1


def test_a_payment_whose_own_note_is_late_does_not_take_the_note_of_another_refund() -> None:
    story = _received_of_two_tenders()
    story.inspect("TEE").settle(keep=lambda e: not isinstance(e.command, PostCreditNote))
    late = {leg.leg_id for leg in story.view.legs}
    late_notes = {e.effect_id for e in story.effects if isinstance(e.command, PostCreditNote)}
    assert late and late_notes
    story.inspect("MUG").settle(keep=lambda e: e.effect_id not in late_notes)
    payments = story.commands("PostRefundPayment")
    assert len(payments) == 1 and late.isdisjoint({p.leg_id for p in payments})
    story.settle()
    notes = {p.document_ref: p.amount_minor for p in story.view.postings if p.kind == "credit_note"}
    paid = {ref: sum(p.amount_minor for p in story.commands("PostRefundPayment") if p.credit_note_ref == ref)
            for ref in notes}  # fmt: skip
    assert paid == notes


def test_half_of_a_refund_does_not_take_the_note_of_another_one_while_its_own_waits_for_the_other_half() -> None:
    story = _received_of_two_tenders()
    story.inspect("TEE").settle(keep=lambda e: not isinstance(e.command, PayLeg) or e.command.rail != "card")
    [card] = [e for e in story.effects if isinstance(e.command, PayLeg) and e.command.rail == "card"]
    story.answered.add(card.effect_id)
    story.outcome(card, "accepted")
    story.inspect("MUG").settle()
    [note] = [p for p in story.view.postings if p.kind == "credit_note"]
    [payment] = story.commands("PostRefundPayment")
    assert (note.amount_minor, payment.amount_minor, payment.credit_note_ref) == (1000, 1000, note.document_ref)


def test_what_is_done_is_done_though_the_clock_of_who_did_it_is_behind() -> None:
    story = Story().request().settle().receive()
    [move] = [e for e in story.effects if isinstance(e.command, ReceiveGoods)]
    story.tell(EffectReported(move.effect_id, "resumed", code="by_retry"), "counterflow", "ours")
    story.tell(EffectReported(move.effect_id, "done", "p:1"), "counterflow", "ours", story.now - timedelta(hours=1))
    [posting] = [p for p in story.view.postings if p.kind == "receive_goods"]
    assert posting.state == "settled"


def test_states_of_a_replacement_that_share_a_second_end_at_the_furthest() -> None:
    story = Story().request(wanted(remedy="exchange", replacement_sku="TEE")).settle()
    story.receive().settle().inspect().settle()
    at = story.now + timedelta(minutes=5)
    for state in ("delivered", "created", "shipped"):
        story.tell(ReplacementMoved("shop:order:6001", state, 2000), at=at)
    assert story.view.exchange is not None and story.view.exchange.state == "delivered"


def test_a_poll_between_two_calls_does_not_set_a_posted_document_back() -> None:
    story = Story().request().settle().receive().settle()
    effect = next(e for e in story.effects if isinstance(e.command, ReceiveGoods))
    posted = next(p for p in story.view.postings if p.kind == "receive_goods")
    draft = DocumentMoved(posted.document_ref, "receive_goods", "drafted", key=effect.effect_id)
    story.tell(draft, "odoo", "erp", at=posted.since - timedelta(milliseconds=300))
    assert next(p for p in story.view.postings if p.kind == "receive_goods").state == "settled"


def test_an_unchanged_request_is_announced_once_however_often_the_channel_saves_it() -> None:
    story = Story().request().settle()
    story.tell(ReturnRequested("shop:return:1", story.sale.sale_ref, (wanted(),), version=9))
    assert story.kinds().count("AnnounceReturn") == 1


def test_a_return_that_a_till_took_is_nothing_that_the_shop_knows() -> None:
    story = Story()
    story.tell(ReturnRequested("till-1:return:RR-1", story.sale.sale_ref, (wanted(),)), "till-1", "store")
    story.settle().receive().settle().inspect().settle()
    told = [*story.commands("UpdateChannel"), *story.commands("PayLeg")]
    assert told and {command.return_ref for command in told} == {""}


def test_what_a_marketplace_paid_stays_owed_when_the_customer_then_keeps_the_goods() -> None:
    story = Story(sale(line("L1", "TEE", 4000, 2))).request(wanted("L1", 2))
    story.tell(MarketplaceRefunded("shop:refund:1", 1200, "EUR"), "shop", "marketplace")
    story.settle()
    story.tell(ReturnCancelled("customer", "kept after all"))
    assert (story.view.status, story.view.entitled_minor, story.view.paid_minor) == ("closed", 1200, 1200)
    assert story.exceptions() == ["recovery_claim"], "somebody is told to claim it there"
