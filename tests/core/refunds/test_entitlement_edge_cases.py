"""The price, discount and tax cases of the list, by their numbers."""

from dataclasses import replace

import pytest

from counterflow.core.money import allocate
from counterflow.core.refunds import GiveBack, ReturnedItem, entitle
from counterflow.core.sale import Discount, KitPart, Promotion, SoldLine, Tax
from tests.core.refunds.factory import a_line, a_payment, a_sale, pieces

BUY_2_GET_1 = Promotion("B2G1", "buy_x_get_y", buy=2, get=1)


def three_for_two() -> SoldLine:
    return a_line("tee", paid=2000, quantity=3, unit=1000, discounts=(Discount("B2G1", 1000),))


def test_edge_001_a_kept_basket_is_re_priced_and_the_difference_is_its_own_component() -> None:
    tee = three_for_two()
    sale = a_sale(tee, promotions=(BUY_2_GET_1,))
    owed = entitle(sale, pieces(tee, 2, promotion="re_price"))
    lost = [row for row in owed.components if row.rule == "re_price"]
    assert owed.total_minor == 0  # two pieces cost 2000 without the promotion, which is what was paid
    assert sum(row.amount_minor for row in lost) == -667
    assert {row.component for row in lost} == {"discount_given_back", "tax"}
    assert "re-priced" in owed.basis


def test_edge_001_a_benefit_that_the_policy_leaves_is_not_taken_away() -> None:
    tee = three_for_two()
    owed = entitle(a_sale(tee, promotions=(BUY_2_GET_1,)), pieces(tee, 2))
    assert owed.total_minor == 667
    assert "discount_given_back" not in owed.by_component


@pytest.mark.parametrize("stance", ["re_price", "deny_partial"])
def test_edge_001_once_everything_is_back_everything_is_owed(stance: str) -> None:
    tee = three_for_two()
    sale = a_sale(tee, promotions=(BUY_2_GET_1,))
    first, rest = pieces(tee, 0, promotion=stance), pieces(tee, 1, 2, promotion=stance)
    assert entitle(sale, first).total_minor == 0
    later = entitle(sale, rest, prior=first)
    assert later.total_minor == 2000
    assert sum(entitle(sale, first).taxes.values()) + sum(later.taxes.values()) == tee.taxes[0].amount_minor


def test_edge_001_a_piece_returned_for_a_defect_is_not_eaten_by_the_promotion() -> None:
    """The loss is capped by the pieces on re-price terms; a defective one is owed in full."""
    tee = three_for_two()
    broken = pieces(tee, 0, seller_fault=True, promotion="keep_benefit")
    unwanted = pieces(tee, 1, promotion="re_price")
    sale = a_sale(tee, promotions=(BUY_2_GET_1,))
    assert entitle(sale, broken + unwanted).total_minor >= entitle(sale, broken).total_minor == 666


def test_edge_001_the_loss_stops_at_the_pieces_that_cause_it() -> None:
    big, broken, small = a_line("big", paid=5000, unit=6000), a_line("broken", paid=2000), a_line("small", paid=100)
    big = replace(big, discounts=(Discount("P", 1000),))
    rule = Promotion("P", "threshold_amount", threshold_minor=8050, amount_minor=1000)
    items = pieces(broken, seller_fault=True) + pieces(small, promotion="re_price")
    owed = entitle(a_sale(big, broken, small, promotions=(rule,)), items)
    assert owed.total_minor == 2000
    assert "not_below_zero" not in {row.rule for row in owed.components}


def test_edge_001_the_cheapest_are_the_free_ones() -> None:
    dear = a_line("dear", paid=6000, quantity=2)
    cheap = a_line("cheap", paid=0, quantity=2, unit=1000, discounts=(Discount("BOGO", 2000),))
    bogo = Promotion("BOGO", "buy_x_get_y", buy=1, get=1, lines=("dear", "cheap"))
    sale = a_sale(dear, cheap, promotions=(bogo,))
    assert entitle(sale, pieces(dear, 0, promotion="re_price")).total_minor == 3000 - 1000


def test_edge_001_a_promotion_that_does_not_explain_its_discount_takes_nothing() -> None:
    tee = three_for_two()
    odd = Promotion("B2G1", "threshold_amount", threshold_minor=10**6, amount_minor=1000)
    assert entitle(a_sale(tee, promotions=(odd,)), pieces(tee, 2, promotion="re_price")).total_minor == 667


def test_edge_001_prices_without_tax_lose_the_tax_of_the_discount_too() -> None:
    tee = a_line("tee", paid=2400, quantity=3, tax=400, rate=200_000, unit=1000, discounts=(Discount("B2G1", 1000),))
    sale = a_sale(tee, promotions=(BUY_2_GET_1,), prices_include_tax=False)
    owed = entitle(sale, pieces(tee, 0, promotion="re_price"))
    # its share is 800; the kept two lose 666 of discount and the 133 of tax on it, the cent stays with the customer
    assert owed.total_minor == 800 - 666 - 133
    assert sum(row.amount_minor for row in owed.components if row.rule == "re_price" and row.component == "tax") == -133


def test_edge_002_the_free_unit_alone_is_owed_nothing() -> None:
    paid = a_line("shoe", paid=5000)
    free = a_line("socks", paid=0, unit=900, discounts=(Discount("BOGO", 900),))
    bogo = Promotion("BOGO", "buy_x_get_y", buy=1, get=1, lines=("shoe", "socks"))
    sale = a_sale(paid, free, promotions=(bogo,))
    alone = entitle(sale, pieces(free, promotion="re_price"))
    assert (alone.total_minor, alone.taxes) == (0, {"DE-19": 0})
    # the paid one comes back and the free one is kept: it has to be paid for now
    assert entitle(sale, pieces(paid, promotion="re_price")).total_minor == 5000 - 900
    assert entitle(sale, pieces(paid, promotion="re_price"), prior=pieces(free)).total_minor == 5000


def test_edge_002_a_sale_that_apportions_the_benefit_owes_the_free_units_share() -> None:
    shares = allocate(5000, [5000, 900])
    shoe, socks = a_line("shoe", paid=shares[0]), a_line("socks", paid=shares[1])
    assert entitle(a_sale(shoe, socks), pieces(socks)).total_minor == shares[1] == 763


def test_edge_003_the_last_refund_takes_exactly_the_rest() -> None:
    shares = allocate(-1000, [3333, 3333, 3334])  # 10 % off the order
    lines = [
        a_line(ref, paid=price + share) for ref, price, share in zip("abc", (3333, 3333, 3334), shares, strict=True)
    ]
    sale, sums = a_sale(*lines), []
    prior: list[ReturnedItem] = []
    for line in lines:
        sums.append(entitle(sale, pieces(line), prior=prior).total_minor)
        prior += pieces(line)
    assert sum(sums) == 9000 == sale.captured_minor


def test_edge_003_pieces_of_a_line_differ_by_a_cent_and_close() -> None:
    line = a_line(paid=10_000, quantity=3)
    sale = a_sale(line)
    assert [entitle(sale, pieces(line, n)).total_minor for n in range(3)] == [3333, 3333, 3334]


def test_edge_003_several_taxes_on_a_line_leave_each_piece_its_share() -> None:
    taxes = (Tax("STATE", 60_000, 560), Tax("CITY", 10_000, 95), Tax("COUNTY", 2_000, 19))
    line = replace(a_line(paid=10_000, quantity=3), taxes=taxes)
    owed = [entitle(a_sale(line), pieces(line, n)) for n in range(3)]
    assert [each.total_minor for each in owed] == [3333, 3333, 3334]
    assert [sum(each.taxes[code] for each in owed) for code in ("STATE", "CITY", "COUNTY")] == [560, 95, 19]


def test_edge_004_a_voucher_larger_than_the_line_makes_nothing_negative() -> None:
    cheap = a_line("cheap", paid=0, unit=500, discounts=(Discount("V50", 500),))
    dear = a_line("dear", paid=1500, unit=6000, discounts=(Discount("V50", 4500),))
    sale = a_sale(cheap, dear)
    assert entitle(sale, pieces(cheap)).total_minor == 0
    assert entitle(sale, pieces(dear), prior=pieces(cheap)).total_minor == 1500


def test_edge_005_free_shipping_is_kept_unless_the_terms_re_bill_it_as_a_fee() -> None:
    big, small = a_line("big", paid=4000), a_line("small", paid=2000)
    shipping = a_line("ship", paid=0, unit=490, discounts=(Discount("FREE50", 490),), component="shipping")
    rule = Promotion("FREE50", "free_shipping", threshold_minor=5000)
    sale = a_sale(big, small, shipping, promotions=(rule,))
    assert entitle(sale, pieces(small)).total_minor == 2000
    billed = entitle(sale, pieces(small, promotion="re_price"))
    assert billed.total_minor == 2000 - 490
    assert billed.by_component["fee"] == -490 + 78  # net, its tax is a row of its own
    everything = pieces(big, promotion="re_price") + pieces(small, promotion="re_price")
    assert entitle(sale, everything).total_minor == 6000


@pytest.mark.parametrize(
    ("rule", "lost"),
    [
        (Promotion("P", "threshold_amount", threshold_minor=10_000, amount_minor=1000), 1000 * 7000 // 12_000),
        (Promotion("P", "threshold_percent", threshold_minor=10_000, percent_ppm=83_334), 1000 * 7000 // 12_000),
    ],
)
def test_edge_005_a_coupon_threshold_is_lost_only_on_what_is_kept(rule: Promotion, lost: int) -> None:
    shares = allocate(1000, [7000, 5000])
    a = a_line("a", paid=7000 - shares[0], unit=7000, discounts=(Discount("P", shares[0]),))
    b = a_line("b", paid=5000 - shares[1], unit=5000, discounts=(Discount("P", shares[1]),))
    sale = a_sale(a, b, promotions=(rule,))
    assert entitle(sale, pieces(b)).total_minor == b.paid_minor
    assert entitle(sale, pieces(b, promotion="re_price")).total_minor == b.paid_minor - lost


def test_edge_007_the_rate_of_the_sale_is_reversed() -> None:
    """German rates were 16 % in the second half of 2020: the snapshot has it, nothing else is asked."""
    line = a_line(paid=1160, rate=160_000, code="DE-16")
    assert entitle(a_sale(line), pieces(line)).taxes == {"DE-16": 160}


def test_edge_008_an_exempt_sale_is_reversed_under_its_own_code() -> None:
    line = a_line(paid=1000, rate=0, code="EU-REVERSE")
    assert entitle(a_sale(line), pieces(line)).taxes == {"EU-REVERSE": 0}


def test_edge_009_a_cent_too_much_by_rounding_is_kept_in_its_own_component() -> None:
    lines = [a_line(ref, paid=334) for ref in "abc"]
    sale = a_sale(*lines, payments=(a_payment(1001),))  # the document rounded once
    owed = entitle(sale, pieces(lines[0]) + pieces(lines[1]) + pieces(lines[2]))
    assert (owed.total_minor, owed.by_component["rounding"]) == (1001, -1)
    last = entitle(sale, pieces(lines[2]), prior=pieces(lines[0]) + pieces(lines[1]))
    assert (last.total_minor, last.by_component["rounding"]) == (333, -1)


def test_edge_009_a_cent_too_little_is_given_with_the_last_piece() -> None:
    lines = [a_line(ref, paid=333) for ref in "ab"]
    sale = a_sale(*lines, payments=(a_payment(667),))
    assert entitle(sale, pieces(lines[0])).total_minor == 333
    assert entitle(sale, pieces(lines[1]), prior=pieces(lines[0])).total_minor == 334


@pytest.mark.parametrize(("currency", "paid"), [("JPY", 1000), ("KWD", 12_345)])
def test_edge_010_currencies_without_and_with_three_decimals(currency: str, paid: int) -> None:
    line = a_line(paid=paid, quantity=3, rate=100_000, code="T")
    sale = a_sale(line, currency=currency)
    parts = [entitle(sale, pieces(line, n)) for n in (2, 0, 1)]
    assert sum(part.total_minor for part in parts) == paid
    assert sum(part.taxes["T"] for part in parts) == line.taxes[0].amount_minor


def test_edge_011_a_price_match_given_before_reduces_what_is_owed() -> None:
    line = a_line(paid=11_900, quantity=2)
    owed = entitle(a_sale(line), pieces(line, 0), give_backs=[GiveBack(1000, line.line_ref)])
    assert owed.total_minor == 5950 - 500
    assert owed.by_component["discount_given_back"] == -421
    assert owed.taxes == {"DE-19": 950 - 79}


def test_edge_011_goodwill_on_the_order_is_spread_and_never_exceeds_the_goods() -> None:
    lines = [a_line("a", paid=100), a_line("b", paid=300)]
    sale, all_of_it = a_sale(*lines), pieces(a_line("a")) + pieces(a_line("b"))
    assert entitle(sale, all_of_it, give_backs=[GiveBack(40)]).total_minor == 360
    assert entitle(sale, all_of_it, give_backs=[GiveBack(4000)]).total_minor == 0


@pytest.mark.parametrize("component", ["deposit", "fee", "gift_wrap", "tip", "donation", "duty"])
def test_edge_012_each_extra_is_given_back_only_where_it_is_refundable(component: str) -> None:
    goods, extra = a_line("goods", paid=2000), a_line("extra", paid=300, component=component)
    sale = a_sale(goods, extra)
    assert entitle(sale, pieces(goods)).total_minor == 2000
    assert entitle(sale, pieces(goods) + pieces(extra, refundable=False)).total_minor == 2000
    given = entitle(sale, pieces(goods) + pieces(extra))
    assert (given.total_minor, given.by_component[component]) == (2300, 253)


def test_edge_013_no_restocking_fee_when_the_fault_is_ours() -> None:
    line = a_line(paid=10_000)
    fee = {"restocking_fee_ppm": 150_000, "restocking_fee_minor": 200}
    sale = a_sale(line)
    assert entitle(sale, pieces(line, **fee)).by_component["fee"] == -1700
    assert entitle(sale, pieces(line, seller_fault=True, **fee)).total_minor == 10_000
    assert entitle(sale, pieces(line, restocking_fee_ppm=2_000_000)).by_component["fee"] == -10_000


def test_edge_014_withdrawal_from_all_gives_the_standard_rate_back() -> None:
    line, express = a_line(paid=5000, quantity=2), a_line("ship", paid=1490, component="shipping")
    sale = a_sale(line, express, standard_shipping=490)
    one, other = pieces(line, 0, withdrawal=True), pieces(line, 1, withdrawal=True)
    assert entitle(sale, one).total_minor == 2500
    assert entitle(sale, other, prior=one).total_minor == 2500 + 490
    assert entitle(sale, one + other).by_line["ship"] == 490
    assert entitle(sale, pieces(line)).total_minor == 5000  # a return beyond the law, on terms without shipping


def test_edge_014_a_partial_return_gives_shipping_back_by_its_terms_and_only_once() -> None:
    line, express = a_line(paid=5000, quantity=2), a_line("ship", paid=1490, component="shipping")
    sale = a_sale(line, express, standard_shipping=490)
    first = pieces(line, 0, shipping="standard")
    assert entitle(sale, first).by_line["ship"] == 490
    assert "ship" not in entitle(sale, pieces(line, 1, shipping="standard"), prior=first).by_line
    assert entitle(sale, pieces(line, 1, shipping="full"), prior=first).by_line["ship"] == 1000


def test_edge_014_the_standard_rate_is_given_once_over_several_shipping_lines() -> None:
    line = a_line(paid=5000)
    ships = [a_line(ref, paid=300, component="shipping") for ref in ("s1", "s2")]
    owed = entitle(a_sale(line, *ships, standard_shipping=490), pieces(line, shipping="standard"))
    assert (owed.by_line["s1"], owed.by_line["s2"]) == (300, 190)


def test_edge_014_our_fault_gives_all_of_it_and_the_cost_of_sending_back() -> None:
    line, express = a_line(paid=5000), a_line("ship", paid=1490, component="shipping")
    owed = entitle(a_sale(line, express), pieces(line, seller_fault=True, shipping="full"), return_cost_minor=600)
    assert owed.total_minor == owed.payable_minor == 5000 + 1490 + 600
    assert owed.by_component["return_cost"] == 600


def a_kit() -> SoldLine:
    parts = (KitPart("lens", 1, 7000), KitPart("cap", 2, 500), KitPart("bag", 1, 2499))
    return a_line("kit", paid=19_998, quantity=2, kit=parts)


def test_edge_015_parts_come_back_at_different_times_and_the_sum_closes() -> None:
    kit = a_kit()
    sale = a_sale(kit)
    lens = ReturnedItem("kit", 0, "lens")
    caps = [ReturnedItem("kit", 0, "cap", n) for n in (0, 1)]
    rest = [ReturnedItem("kit", 0), ReturnedItem("kit", 1)]  # what is not back yet
    assert entitle(sale, [lens]).total_minor == 7000
    assert [entitle(sale, [cap]).total_minor for cap in caps] == [250, 250]
    assert entitle(sale, rest, prior=[lens, *caps]).total_minor == 2499 + 9999


def test_edge_016_the_split_frozen_at_the_sale_counts() -> None:
    """A part that today's kit has and that of the sale had not is refused with the next move."""
    with pytest.raises(ValueError, match="no part strap number 0: match it first"):
        entitle(a_sale(a_kit()), [ReturnedItem("kit", 0, "strap")])


def test_edge_017_one_part_of_a_returned_kit_can_be_denied() -> None:
    kit = a_kit()
    items = [
        ReturnedItem("kit", 0, "lens", refundable=False),
        *(ReturnedItem("kit", 0, "cap", n) for n in (0, 1)),
        ReturnedItem("kit", 0, "bag"),
    ]
    owed = entitle(a_sale(kit), items)
    assert owed.total_minor == 9999 - 7000
    assert {row.part for row in owed.components} == {"cap", "bag"}


def test_edge_023_loss_of_value_is_a_component_of_its_own_and_never_more_than_the_piece() -> None:
    line = a_line(paid=10_000)
    sale = a_sale(line)
    assert entitle(sale, pieces(line, value_loss_ppm=300_000)).by_component["value_loss"] == -3000
    both = entitle(sale, pieces(line, value_loss_ppm=900_000, restocking_fee_ppm=500_000))
    assert (both.total_minor, both.by_component["value_loss"]) == (0, -5000)


def test_edge_037_an_undeliverable_parcel_gives_its_shipping_back_when_listed() -> None:
    line, ship = a_line(paid=5000), a_line("ship", paid=490, component="shipping")
    assert entitle(a_sale(line, ship), pieces(line) + pieces(ship)).total_minor == 5490


def test_edge_059_a_piece_is_owed_once() -> None:
    line = a_line(paid=5000, quantity=2)
    sale = a_sale(line)
    assert entitle(sale, pieces(line, 0), prior=pieces(line, 0)).total_minor == 0
    with pytest.raises(ValueError, match="listed twice"):
        entitle(sale, pieces(line, 0, 0))


def test_edge_080_an_unpaid_invoice_is_credited_and_nothing_is_paid_out() -> None:
    line = a_line(paid=10_000, quantity=4)
    unpaid, partly = a_sale(line, payments=()), a_sale(line, payments=(a_payment(4000),))
    owed = entitle(unpaid, pieces(line))
    assert (owed.total_minor, owed.payable_minor) == (10_000, 0)
    steps = [entitle(partly, pieces(line, n), prior=pieces(line, *range(n)) if n else []) for n in range(4)]
    assert [step.payable_minor for step in steps] == [0, 0, 1500, 2500]


def test_edge_097_pieces_that_were_cancelled_are_owed_like_those_that_came_back() -> None:
    line = SoldLine("l", "sku", 3, 2, 1000, 3000)
    ship = a_line("ship", paid=500, component="shipping")
    sale = a_sale(line, ship)
    cancelled, returned = pieces(line, 2), pieces(line, 0, 1, withdrawal=True)
    assert entitle(sale, cancelled).total_minor == 1000
    assert entitle(sale, returned).total_minor == 2500  # all that was delivered is back
    assert entitle(sale, returned, prior=cancelled).total_minor == 2500


def test_what_was_refunded_before_is_not_paid_again() -> None:
    line = a_line(paid=3000, quantity=3)
    sale = a_sale(line)
    owed = entitle(sale, pieces(line, 1, 2), prior=pieces(line, 0), refunded_minor=1800)
    assert (owed.total_minor, owed.by_component["discount_given_back"]) == (1200, -800)
    assert entitle(sale, pieces(line, 1), refunded_minor=9000).total_minor == 0


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([ReturnedItem("nowhere")], "fetch the newest version"),
        ([ReturnedItem("l1", 5)], "not one of the 1"),
        ([ReturnedItem("l1", -1)], "not one of the 1"),
        ([ReturnedItem("l1", 0, "part")], "is no kit"),
    ],
)
def test_what_was_not_sold_is_refused_with_the_next_move(items: list[ReturnedItem], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        entitle(a_sale(a_line()), items)


@pytest.mark.parametrize("line", [a_line(paid=100, tax=101), a_line(paid=-5, tax=0), a_line(paid=100, tax=-1)])
def test_a_line_that_cannot_be_divided_is_refused(line: SoldLine) -> None:
    with pytest.raises(ValueError, match="cannot be divided"):
        entitle(a_sale(line), pieces(line))
