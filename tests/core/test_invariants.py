"""Each invariant holds for a story that went well, and says so with both sums when it does not."""

from dataclasses import replace

import pytest

from counterflow.core import invariants as system
from counterflow.core.effects import MoveGoods, NotifyCustomer
from counterflow.core.returns import invariants
from counterflow.core.returns.case import Case, View
from tests.core.returns.telling import SETTING, Story, line, sale, wanted

STORY = Story().full().closed()
VIEW, CASE = STORY.view, STORY.case


def failing(case: Case, view: View) -> set[str]:
    return {f.name for f in invariants.check(case, view, SETTING) if not f.holds}


def test_all_hold_for_a_closed_case_with_the_sums_that_were_compared() -> None:
    findings = {f.name: f for f in invariants.check(CASE, VIEW, SETTING)}
    assert all(f.holds for f in findings.values())
    assert {"D1", "D2", "D3", "D4", "D5", "D6", "D7", "D8", "D9"} <= findings.keys()
    assert (findings["D3"].left, findings["D6"].left) == (2000, 2000)
    assert all(f.holds for f in system.within([VIEW], CASE.effects))


def test_d1_more_came_back_than_was_delivered() -> None:
    assert "D1" in failing(CASE, replace(VIEW, units=(*VIEW.units, replace(VIEW.units[0], unit_id="L1#1"))))


@pytest.mark.parametrize(
    ("change", "name"), [({"amount_minor": 2500}, "D3"), ({"state": "accepted"}, "D6"), ({"state": "accepted"}, "D9")]
)
def test_a_leg_that_is_not_what_was_decided(change: dict[str, object], name: str) -> None:
    leg = replace(VIEW.legs[0], **change)  # type: ignore[arg-type]
    assert name in failing(CASE, replace(VIEW, legs=(leg,)))


def test_d2_and_d5_a_second_leg_for_the_same_component() -> None:
    twice = replace(VIEW, legs=VIEW.legs * 2)
    assert {"D2", "D5"} <= failing(CASE, twice)
    assert "D5" in failing(replace(CASE, effects=CASE.effects * 2), VIEW)


def test_d4_for_sale_without_an_inspection() -> None:
    assert "D4" in failing(CASE, replace(VIEW, units=(replace(VIEW.units[0], grade=""),)))
    scrapped = [
        replace(e, command=replace(e.command, disposition="scrap")) if isinstance(e.command, MoveGoods) else e
        for e in CASE.effects
    ]
    assert "D4" in failing(replace(CASE, effects=tuple(scrapped)), VIEW)


def test_d7_money_of_others_that_nobody_booked() -> None:
    other = replace(VIEW.legs[0], leg_id="rl_x", origin="psp", payment_ref="pi_9")
    assert "D7" in failing(CASE, replace(VIEW, legs=(*VIEW.legs, other)))


def test_d8_a_view_that_does_not_follow_from_the_facts() -> None:
    assert "D8" in failing(CASE, replace(VIEW, entitled_minor=1))


def test_i8_a_credit_note_before_its_money() -> None:
    assert "I8-notes" in failing(CASE, replace(VIEW, legs=(replace(VIEW.legs[0], state="submitting"),)))
    unbooked = tuple(p for p in VIEW.postings if p.kind != "refund_payment")
    assert not system.not_ahead([replace(VIEW, postings=unbooked)]).holds


def test_no_two_invariants_have_one_name() -> None:
    names = [f.name for f in (*invariants.check(CASE, VIEW, SETTING), *system.within([VIEW], CASE.effects))]
    assert len(names) == len(set(names))


def test_i1_money_and_books_against_the_outside() -> None:
    assert [(f.holds, f.left, f.right) for f in system.money([VIEW], {"EUR": 2000})] == [(True, 2000, 2000)]
    assert [f.holds for f in system.money([VIEW], {"EUR": 1999, "USD": 1})] == [False, False]
    assert [f.holds for f in system.credit([VIEW], {"EUR": 2000})] == [True]
    assert [f.holds for f in system.credit([VIEW], {})] == [False]
    assert system.intents([VIEW], CASE.effects).holds
    assert not system.intents([replace(VIEW, legs=())], CASE.effects).holds
    assert not system.intents([replace(VIEW, legs=VIEW.legs * 2)], CASE.effects).holds
    assert not system.intents([replace(VIEW, legs=(replace(VIEW.legs[0], state="lost"),))], CASE.effects).holds
    closed = replace(VIEW, postings=(), waiting=())
    assert not system.booked([closed]).holds


def test_i2_one_refund_per_key_and_never_above_what_was_captured() -> None:
    key = next(e.effect_id for e in CASE.effects if e.kind == "PayLeg")
    assert system.single_refunds(CASE.effects, [("re_1", key), ("re_1", key)]).holds
    assert not system.single_refunds(CASE.effects, [("re_1", key), ("re_2", key)]).holds
    assert not system.single_refunds(CASE.effects, [("re_1", "ef_unknown")]).holds
    assert system.captured([("pi_1", 2000, 2000)]).holds
    assert not system.captured([("pi_1", 2000, 2001)]).holds


def test_i3_i5_i6_i9_counts() -> None:
    assert system.accepted(10, 7, 2, 1).holds
    assert not system.accepted(10, 7, 2, 0).holds
    assert system.valuation([("TEE", 2, 500, 1000)]).holds
    assert not system.valuation([("TEE", 2, 500, 999)]).holds
    assert system.log_rows({"rc_1": 3}, {"rc_1": 3}).holds
    assert not system.log_rows({"rc_1": 3}, {"rc_1": 2}).holds
    assert system.versions({"rc_1": [1, 2, 3]}).holds
    assert not system.versions({"rc_1": [1, 3]}).holds


def test_i4_units_and_serials() -> None:
    phone = line("L1", "PHONE", 40000, tracking="serial", serials=("SN-1",))
    story = Story(sale(phone)).request().settle().receive("PHONE", serial="SN-1").settle()
    assert system.serials([story.view]).holds
    assert not system.serials([story.view, story.view]).holds
    sold_again = replace(story.view, sale_ref="shop:order:2", root_sale_ref="shop:order:2")
    assert system.serials([story.view, sold_again]).holds
    assert [f.holds for f in system.stock({"TEE": 3}, {"TEE": 3})] == [True]
    assert [f.holds for f in system.stock({"TEE": 3}, {"TEE": 2})] == [False]


def test_i7_one_message_per_cause() -> None:
    told = [e for e in CASE.effects if isinstance(e.command, NotifyCustomer)]
    assert system.notices(told).holds
    assert not system.notices(told * 2).holds


def test_i13_and_i14() -> None:
    assert not system.components([replace(VIEW, entitled_minor=1999)]).holds
    swap = Story().request(wanted(remedy="exchange")).settle().receive().settle().inspect().settle().view
    assert swap.exchange is not None
    assert system.exchanges([swap]).holds
    dearer = replace(swap, exchange=replace(swap.exchange, replacement_minor=2600))
    assert not system.exchanges([dearer]).holds


@pytest.mark.parametrize(
    ("due", "booked", "holds"),
    [
        ({"re_1": (500, 500)}, [("re_1", 500)], True),
        ({"re_1": (0, 500)}, [], True),  # its case is not closed
        ({"re_1": (0, 0)}, [("re_1", 500), ("re_1", -500)], True),  # it came back, and so did its payment
        ({"re_1": (500, 500)}, [], False),
        ({"re_1": (500, 500)}, [("re_1", 500), ("re_1", 500)], False),
        ({"re_1": (500, 500), "re_2": (500, 500)}, [("re_1", 1000)], False),  # equal in sum
        ({}, [("re_3", 500)], False),
        ({}, [("", 500)], False),
    ],
)
def test_every_refund_is_booked_as_a_payment_of_its_own(
    due: dict[str, tuple[int, int]], booked: list[tuple[str, int]], holds: bool
) -> None:
    found = system.payments(due, booked)
    assert found.holds is holds and (holds or "re_" in found.what or "without a reference" in found.what)
