"""The fifteen rules for late, repeated and out-of-order facts (domain.md section 8), one test each."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from counterflow.core.facts import (
    MissingResolved,
    RefundReported,
    ReturnCancelled,
    ReturnRequested,
    SaleRecorded,
)
from counterflow.core.returns.case import Case
from counterflow.core.returns.decide import decide
from tests.core.returns.telling import SETTING, Story, line, sale, wanted


def test_every_edge_case_has_a_test_that_names_its_number() -> None:
    names = [name for file in Path(__file__).parents[1].rglob("test_*.py") for name in _tests_of(file)]
    numbers = {int(found) for name in names for found in re.findall(r"(?<=edge_)\d{3}", name)}
    spans = (m for name in names for m in re.findall(r"edge_(\d{3})_to_(\d{3})", name))
    for low, high in spans:
        numbers |= set(range(int(low), int(high) + 1))
    assert {*range(1, 71), *range(80, 90)} - numbers == set()


def _tests_of(file: Path) -> list[str]:
    return re.findall(r"^def (test_\w+)", file.read_text("utf-8"), re.MULTILINE)


def test_rule_01_a_duplicate_changes_nothing() -> None:
    story = Story().full()
    before, effects = story.case, len(story.effects)
    for fact in list(story.told):
        decision = decide(story.case, fact, SETTING)
        assert decision.duplicate
        assert decision.effects == ()
        assert decision.case.facts == before.facts
    assert len(story.effects) == effects


def test_rule_02_an_older_version_after_a_newer_one_moves_nothing_back() -> None:
    story = Story().full()
    ref, at = story.view.legs[0].refund_ref, story.now - timedelta(hours=1)
    story.tell(RefundReported(ref, "pi_1", 2000, "EUR", "succeeded", 5), "psp", "psp")
    story.tell(RefundReported(ref, "pi_1", 2000, "EUR", "pending", 4), "psp", "psp", at=at)
    assert story.view.legs[0].state == "succeeded"
    newer = replace(story.sale, version=2, lines=(line(paid=2500),))
    story.tell(SaleRecorded(newer))
    story.tell(SaleRecorded(replace(story.sale, version=1)))
    assert story.view.entitled_minor + story.view.unpaid_minor == 2500


def test_rule_03_a_new_refund_is_one_new_fact_and_the_known_ones_stay() -> None:
    story = Story().request().settle().refunded_by("psp", 500, "re_1").refunded_by("psp", 500, "re_1", "succeeded")
    assert len(story.view.legs) == 1
    story.wait(hours=1).refunded_by("psp", 700, "re_2")
    assert [leg.amount_minor for leg in story.view.legs] == [500, 700]


def test_rule_04_a_child_before_its_parent_waits_in_a_shadow_case() -> None:
    story = Story.__new__(Story).begin(sale())
    story.refunded_by("psp", 2000)
    assert (story.view.paid_minor, story.view.status) == (2000, "in_progress")
    story.told_sale().request()
    assert story.view.order_number == "#1001"
    story.settle().receive().settle().inspect().settle()
    assert (story.legs(), story.paid(), story.credited()) == ([], 2000, 2000)
    story.closed()


def test_rule_05_a_receipt_before_its_authorisation_is_a_blind_return() -> None:
    story = Story().receive()
    assert [(ln.line_ref, ln.authorisation) for ln in story.view.lines] == [("L1", "approved")]
    story.settle().request().settle().inspect().settle()
    assert len(story.view.units) == 1
    assert story.paid() == 2000
    story.closed()


def test_rule_06_a_parcel_re_opens_what_was_expired_lost_or_closed() -> None:
    expired = Story().request().settle().wait(days=31)
    lost = Story().request().settle().parcel("in_transit")
    lost.tell(MissingResolved("lost", "kim", "searched"), "console:kim", "person")
    for story in (expired, lost):
        story.receive().settle()
        assert (story.unit().goods, story.view.status) == ("received", "in_progress")
    closed = Story().full().closed().receive().settle()
    assert (closed.view.status, closed.exceptions()) == ("resolved", ["over_receipt"])


def test_rule_07_the_webhook_before_the_answer_is_the_same_leg() -> None:
    story = Story().request().settle().receive().settle().inspect().settle(keep=lambda e: e.kind != "PayLeg")
    key = next(e.effect_id for e in story.effects if e.kind == "PayLeg")
    story.tell(RefundReported("re_1", "pi_1", 2000, "EUR", "succeeded", key=key), "psp", "psp")
    before = story.view.legs
    story.answer("PayLeg", "done", "re_1")
    assert story.view.legs == before


def test_rule_08_failed_after_succeeded_reverses_the_books_and_asks_for_another_rail() -> None:
    story = Story().full()
    ref = story.view.legs[0].refund_ref
    story.tell(RefundReported(ref, "pi_1", 2000, "EUR", "failed", 2), "psp", "psp")
    story.settle()
    assert story.commands("ReverseRefundPayment")
    assert [p.state for p in story.view.postings if p.kind == "refund_payment"] == ["reversed"]
    assert "refund_failed" in story.exceptions()


def test_rule_09_a_refund_by_others_while_ours_is_unknown_freezes_and_raises() -> None:
    story = Story().request().settle().receive().settle().inspect().settle(keep=lambda e: e.kind != "PayLeg")
    story.answer("PayLeg", "unknown").refunded_by("psp", 2000)
    assert story.exceptions() == ["double_refund"]
    assert len(story.legs()) == 1
    story.answer("PayLeg", "discarded")
    assert (story.exceptions(), story.paid()) == ([], 2000)


def test_rule_10_a_cancelled_return_that_is_here_goes_on() -> None:
    story = Story().request().settle().receive().settle()
    story.tell(ReturnCancelled("shop"))
    assert (story.view.status, story.exceptions()) == ("in_progress", ["cancelled_after_receipt"])


@pytest.mark.parametrize(("by", "told"), [("Anna Schmidt", ["cancelled"]), ("channel", [])])
def test_rule_10_the_channel_hears_of_a_cancellation_that_is_not_its_own(by: str, told: list[str]) -> None:
    story = Story().request().settle()
    story.tell(ReturnCancelled(by))
    story.settle()
    assert (story.view.status, [u.milestone for u in story.commands("UpdateChannel")]) == ("cancelled", told)


def test_the_channels_return_is_closed_after_all_that_it_is_told() -> None:
    story = Story().request().settle().receive().settle().inspect().settle()
    told = [effect for effect in story.effects if effect.kind == "UpdateChannel"]
    assert [e.command.milestone for e in told][-1] == "closed"  # type: ignore[union-attr]
    assert set(told[-1].after) == {effect.effect_id for effect in told[:-1]}


def test_rule_11_an_edit_is_a_new_version_of_what_is_expected() -> None:
    story = Story(sale(line(quantity=2, paid=4000))).request(wanted(quantity=1)).settle()
    story.tell(ReturnRequested("shop:return:1", story.sale.sale_ref, (wanted(quantity=2),), version=1))
    assert len(story.view.units) == 2
    story.tell(ReturnRequested("shop:return:1", story.sale.sale_ref, (wanted(quantity=1),), version=0))
    assert len(story.view.units) == 2


def test_rule_12_a_deletion_in_the_source_never_blocks_what_comes_later() -> None:
    story = Story().request().settle()
    story.tell(ReturnCancelled("shop", "deleted"))
    assert story.view.status == "cancelled"
    story.receive().settle().inspect().settle()
    assert story.paid() == 2000


def test_rule_13_legal_dates_use_when_it_happened_and_not_when_we_learned_it() -> None:
    late = Story()
    late.now += timedelta(days=100)  # the portal was down: asked in time, told late
    late.tell(
        ReturnRequested("shop:return:1", late.sale.sale_ref, (wanted(),)), at=late.now - timedelta(days=95, hours=1)
    )
    assert late.view.lines[0].authorisation == "approved"


def test_rule_14_a_replay_from_day_0_gives_the_same_state_and_no_effect_twice() -> None:
    story = Story().full().closed()
    case = Case("rc_test")
    for fact in story.told:
        case = decide(case, fact, SETTING).case
    assert [e.effect_id for e in case.effects] == [e.effect_id for e in story.effects]
    assert case.states == story.case.states


def test_rule_15_the_version_of_the_translation_travels_with_the_fact() -> None:
    story = Story()
    fact = replace(story.fact(ReturnRequested("shop:return:1", story.sale.sale_ref, (wanted(),))), adapter="shop/3")
    assert story.hear(fact).case.facts[-1].adapter == "shop/3"
