"""On which tender the money goes back: the money cases of the list, and the sums for any input."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterflow.core.effects import AllocationRow
from counterflow.core.refunds import PlannedLeg, RouteRule, entitle, route
from counterflow.core.sale import Payment
from tests.core.refunds.factory import NOW, a_line, a_payment, a_sale, pieces

CARD = a_payment(6000, connection="stripe")
GIFT_CARD = a_payment(4000, "gift_card", "pay-2")


Shape = tuple[str, str, int, str, str]


def shape(legs: tuple[PlannedLeg, ...]) -> list[Shape]:
    return [(leg.rail, leg.payment_ref, leg.amount_minor, leg.state, leg.reason) for leg in legs]


def plan(owed: int, *payments: Payment, refunded: dict[str, int] | None = None, **more: object) -> list[Shape]:
    rows = [AllocationRow("l1", "goods", owed)]
    return shape(route(owed, rows, payments, refunded or {}, now=NOW, **more))  # type: ignore[arg-type]


def test_edge_027_a_gift_is_credited_to_the_recipient() -> None:
    assert plan(7000, CARD, GIFT_CARD, rule=RouteRule(gift=True)) == [
        ("store_credit", "pay-1", 6000, "planned", "gift"),
        ("store_credit", "pay-2", 1000, "planned", "gift"),
    ]


def test_edge_048_an_expired_card_is_paid_by_bank_or_by_what_the_retailer_allows() -> None:
    closed = {"pay-1": "expired_card"}
    assert plan(500, CARD, blocked=closed) == [("bank", "pay-1", 500, "planned", "expired_card")]
    credit = RouteRule(alternatives=("store_credit",))
    assert plan(500, CARD, blocked=closed, rule=credit) == [("store_credit", "pay-1", 500, "planned", "expired_card")]
    nothing = RouteRule(alternatives=())
    assert plan(500, CARD, blocked=closed, rule=nothing) == [("", "pay-1", 500, "unroutable", "expired_card")]


def test_edge_050_a_refund_window_that_is_over_is_found_when_planning() -> None:
    old = a_payment(6000, "wallet", refundable_until=NOW - timedelta(seconds=1))
    assert plan(500, old) == [("bank", "pay-1", 500, "planned", "window_over")]
    assert plan(500, a_payment(6000, "wallet", refundable_until=NOW)) == [("wallet", "pay-1", 500, "planned", "")]


def test_edge_051_a_rail_without_partial_refunds_carries_the_whole_or_nothing() -> None:
    whole_only = a_payment(6000, partial_refunds=False)
    assert plan(6000, whole_only)[0][:1] == ("card",)
    assert plan(5999, whole_only) == [("bank", "pay-1", 5999, "planned", "partial_not_allowed")]
    assert plan(3000, whole_only, refunded={"pay-1": 3000})[0][4] == "partial_not_allowed"


def test_edge_052_never_more_than_was_captured() -> None:
    assert plan(7000, CARD) == [
        ("card", "pay-1", 6000, "planned", ""),
        ("", "", 1000, "unroutable", "more_than_captured"),
    ]
    assert plan(100, a_payment(0)) == [("", "", 100, "unroutable", "more_than_captured")]


def test_edge_053_card_first_then_gift_card() -> None:
    assert plan(7000, GIFT_CARD, CARD) == [
        ("card", "pay-1", 6000, "planned", ""),
        ("gift_card", "pay-2", 1000, "planned", ""),
    ]
    assert plan(3000, GIFT_CARD, CARD, refunded={"pay-1": 5000}) == [
        ("card", "pay-1", 1000, "planned", ""),
        ("gift_card", "pay-2", 2000, "planned", ""),
    ]


def test_edge_053_by_ratio_several_refunds_together_keep_it() -> None:
    rule, refunded = RouteRule(split="ratio"), {"pay-1": 0, "pay-2": 0}
    for owed in (2000, 2000, 1, 5999):
        for _, ref, amount, _, _ in shape(route(owed, [], [CARD, GIFT_CARD], refunded, now=NOW, rule=rule)):
            refunded[ref] += amount
        total = sum(refunded.values())
        assert abs(refunded["pay-1"] - total * 6000 // 10_000) <= 1
    assert refunded == {"pay-1": 6000, "pay-2": 4000}


@pytest.mark.parametrize("why", ["expired", "deleted"])
def test_edge_053_gift_card_money_is_re_issued_and_never_leaves_as_cash(why: str) -> None:
    for rule in (RouteRule(), RouteRule(alternatives=("bank",)), RouteRule(alternatives=())):
        assert plan(100, GIFT_CARD, blocked={"pay-2": why}, rule=rule) == [("gift_card", "pay-2", 100, "planned", why)]


def test_edge_054_pay_later_goes_through_its_provider_or_to_a_person() -> None:
    later = a_payment(6000, "pay_later")
    assert plan(500, later) == [("pay_later", "pay-1", 500, "planned", "")]
    assert plan(500, later, blocked={"pay-1": "closed"}) == [("", "pay-1", 500, "unroutable", "closed")]


def test_edge_055_a_cash_sale_returned_online_is_paid_by_bank() -> None:
    assert plan(500, a_payment(500, "cash"), blocked={"pay-1": "no_till"})[0][0] == "bank"


def test_edge_057_a_disputed_payment_is_held_and_a_lost_dispute_is_not_paid_twice() -> None:
    assert plan(500, CARD, disputed={"pay-1"}) == [("card", "pay-1", 500, "held", "dispute_open")]
    assert plan(6000, CARD, lost={"pay-1": 4000}) == [
        ("card", "pay-1", 2000, "planned", ""),
        ("", "", 4000, "unroutable", "dispute_lost"),
    ]


def test_edge_061_a_closed_provider_account_uses_the_alternative_rail() -> None:
    assert plan(500, CARD, blocked={"pay-1": "account_closed"})[0][0] == "bank"


def test_edge_071_a_marketplace_pays_itself_whatever_the_remedy() -> None:
    theirs = a_payment(6000, "marketplace")
    for rule in (RouteRule(), RouteRule(gift=True), RouteRule(remedy="store_credit")):
        assert plan(500, theirs, rule=rule) == [("marketplace", "pay-1", 500, "planned", "")]
    assert plan(500, theirs, blocked={"pay-1": "closed"})[0][3] == "unroutable"


def test_the_remedy_store_credit_re_loads_store_credit_and_moves_the_rest() -> None:
    mine = a_payment(1000, "store_credit", "pay-3")
    assert plan(6500, CARD, mine, rule=RouteRule(remedy="store_credit")) == [
        ("store_credit", "pay-1", 6000, "planned", "remedy"),
        ("store_credit", "pay-3", 500, "planned", ""),
    ]


def test_an_unknown_tender_is_for_a_person() -> None:
    assert plan(500, a_payment(500, "shells")) == [("", "pay-1", 500, "unroutable", "unknown_tender")]


def test_i14_equal_tenders_and_equal_rows_have_a_fixed_order() -> None:
    cards = [a_payment(51, ref="pay-b"), a_payment(50, ref="pay-a")]
    rows = [AllocationRow("l2", "goods", 25), AllocationRow("l1", "goods", 25), AllocationRow("l3", "goods", 51)]
    legs = route(101, rows, cards, {}, now=NOW)
    assert [(leg.payment_ref, leg.amount_minor) for leg in legs] == [("pay-a", 50), ("pay-b", 51)]
    for turned in (rows[::-1], [rows[1], rows[2], rows[0]]):
        assert route(101, turned, cards[::-1], {}, now=NOW) == legs


def test_one_payment_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="each payment once"):
        plan(500, CARD, CARD)


def test_the_cost_of_sending_back_is_paid_beyond_the_payment() -> None:
    line = a_line(paid=6000)
    owed = entitle(a_sale(line), pieces(line, seller_fault=True), return_cost_minor=450)
    legs = route(owed.payable_minor, owed.components, [CARD], {}, now=NOW)
    assert shape(legs) == [("card", "pay-1", 6000, "planned", ""), ("bank", "", 450, "planned", "return_cost")]


def test_nothing_owed_is_no_leg() -> None:
    assert plan(0, CARD) == plan(-5, CARD) == []


TENDERS = st.sampled_from(
    ("card", "wallet", "cash", "gift_card", "store_credit", "bank", "pay_later", "marketplace", "?")
)
PAYMENTS = st.lists(
    st.builds(
        Payment,
        st.sampled_from("abcde"),
        TENDERS,
        st.integers(0, 10**6),
        refundable_until=st.sampled_from((None, NOW - timedelta(days=1), NOW + timedelta(days=1))),
        partial_refunds=st.booleans(),
    ),
    max_size=4,
    unique_by=lambda payment: payment.payment_ref,
)
ROWS = st.lists(
    st.builds(
        AllocationRow,
        st.sampled_from(("", "l1", "l2")),
        st.sampled_from(("goods", "tax", "fee", "return_cost")),
        st.integers(-(10**5), 10**6),
    ),
    max_size=6,
)
AMOUNTS = st.dictionaries(st.sampled_from("abcde"), st.integers(0, 10**6))
RULES = st.builds(
    RouteRule,
    split=st.sampled_from(("priority", "ratio")),
    remedy=st.sampled_from(("refund", "store_credit")),
    gift=st.booleans(),
    alternatives=st.sampled_from((("bank", "store_credit"), ("store_credit",), ())),
)


@given(st.data(), st.integers(1, 2 * 10**6) | st.none(), ROWS, PAYMENTS, AMOUNTS, AMOUNTS, RULES)
def test_sums_match_both_ways_for_any_input_in_any_order(
    data: st.DataObject,
    owed: int | None,
    rows: list[AllocationRow],
    payments: list[Payment],
    refunded: dict[str, int],
    lost: dict[str, int],
    rule: RouteRule,
) -> None:
    total = sum(row.amount_minor for row in rows)
    whole = owed is None
    owed = max(1, total) if owed is None else owed
    disputed = data.draw(st.sets(st.sampled_from("abcde")))
    blocked = data.draw(st.dictionaries(st.sampled_from("abcde"), st.just("closed"), max_size=2))

    def planned(some_rows: list[AllocationRow], some_payments: list[Payment]) -> tuple[PlannedLeg, ...]:
        return route(
            owed,
            some_rows,
            some_payments,
            refunded,
            now=NOW,
            rule=rule,
            lost=lost,
            disputed=disputed,
            blocked=blocked,
        )

    legs = planned(rows, payments)
    assert sum(leg.amount_minor for leg in legs) == owed
    for leg in legs:
        assert leg.amount_minor > 0
        assert sum(row.amount_minor for row in leg.allocation) == leg.amount_minor
        assert (leg.rail == "") == (leg.state == "unroutable")
    by_ref = {payment.payment_ref: payment for payment in payments}
    for ref, payment in by_ref.items():
        out = [leg for leg in legs if leg.payment_ref == ref]
        assert sum(leg.amount_minor for leg in out) <= max(
            0, payment.captured_minor - refunded.get(ref, 0) - lost.get(ref, 0)
        )
        if payment.tender == "gift_card":
            assert {leg.rail for leg in out} <= {"gift_card", "store_credit"}
    if whole and total > 0:
        sums: dict[tuple[str, str], int] = {}
        for row in rows:
            sums[row.line_ref, row.component] = sums.get((row.line_ref, row.component), 0) + row.amount_minor
        for leg in legs:
            for row in leg.allocation:
                sums[row.line_ref, row.component] -= row.amount_minor
        assert not any(sums.values())
    assert planned(data.draw(st.permutations(rows)), data.draw(st.permutations(payments))) == legs
