"""The oracle against sums done by hand: none of these numbers comes from running the product."""

from pathlib import Path

import pytest

from counterflow.policies import default_text
from counterflow.simulate import oracle
from counterflow.simulate.oracle import Ends, Oracle
from counterflow.simulate.policy import CHANGES
from counterflow.simulate.script import PEOPLE, Condition, Sold, Step, Story, Tender

SHIPPED = Oracle(default_text())


def told(*steps: Step, lines: tuple[Sold, ...], gift_card: int = 0, shipping: int = 0) -> Story:
    total = sum(line.paid_minor for line in lines) + shipping
    tenders = (Tender("card", total - gift_card), *((Tender("gift_card", gift_card),) if gift_card else ()))
    return Story(1, "by hand", "portal", "EUR", lines, tenders, steps, shipping)


def ask(*wanted: tuple[str, int], reason: str = "UNWANTED", name: str = "return") -> Step:
    lines = [{"sku": sku, "quantity": n, "reason": reason} for sku, n in wanted]
    return Step("shop", "request_return", {"lines": lines}, name=name)


def arrive(*counted: tuple[str, int], name: str = "receipt", case: str = "order:$order.name", **more: str) -> Step:
    lines = [{"sku": sku, "quantity": n, **more} for sku, n in counted]
    return Step("wms", "receive", {"lines": lines}, name=name, case=case)


def judge(grade: str = "A", *findings: str, line_no: int = 1, receipt: str = "receipt", quantity: int = 0) -> Step:
    args = {
        "receipt_id": f"${receipt}.receipt_id",
        "line_no": line_no,
        "grade": grade,
        "findings": [{"code": each} for each in findings],
    }
    return Step("wms", "inspect", args | ({"quantity": quantity} if quantity else {}))


def person(act: str, kind: str = "", **args: object) -> Step:
    return Step(PEOPLE, act, args, (Condition("exception", (kind,)),) if kind else ())


def end(story: Story) -> Ends:
    return SHIPPED.foresee(story)[0]


def test_everything_comes_back_as_good_as_new():
    ends = end(told(ask(("TEE", 2)), arrive(("TEE", 2)), judge(), lines=(Sold("TEE", 2, 1999),), shipping=499))
    assert ends.refunded == {"card": (3998 + 499, 3998 + 499)}  # shipping at the standard rate (edge case 14)
    assert ends.credited == ((4497, 4497),)
    assert (ends.pieces, ends.waits_for, ends.status) == ({}, frozenset(), "closed")  # sold two, shelved two again
    assert ends.notices == {"return_approved": (1, 1), "goods_received": (1, 1), "refund_sent": (1, 1)}


def test_a_piece_of_three_carries_an_odd_cent_or_not():
    line = Sold("TEE", 3, 1000, 1, "Spring sale")  # 29.99 for three
    assert end(told(ask(("TEE", 1)), arrive(("TEE", 1)), judge(), lines=(line,))).total == (999, 1000)
    assert end(told(ask(("TEE", 3)), arrive(("TEE", 3)), judge(), lines=(line,))).total == (2999, 2999)


def test_what_was_worn_loses_value_and_what_was_only_tried_on_does_not():
    story = (ask(("TEE", 1)), arrive(("TEE", 1)))
    line = (Sold("TEE", 1, 5000),)
    assert end(told(*story, judge("C", "used_beyond_testing"), lines=line)).total == (3500, 3500)  # 30 % kept
    assert end(told(*story, judge("C"), lines=line)).total == (5000, 5000)  # a consumer's withdrawal (edge case 23)


def test_our_own_fault_costs_the_customer_nothing_and_goes_to_the_vendor_or_to_the_bin():
    line, asked = (Sold("MUG", 2, 1000),), ask(("MUG", 2), reason="DEFECTIVE")
    halves = (judge("C", "used_beyond_testing", quantity=1), judge("D", quantity=1))
    ends = end(told(asked, arrive(("MUG", 2)), *halves, lines=line))
    assert ends.total == (2000, 2000)
    assert ends.pieces == {("sellable", "MUG"): -2, ("vendor", "MUG"): 1, ("scrap", "MUG"): 1}


def test_three_for_two_is_priced_again_for_what_is_kept():
    line = (Sold("SOCKS", 3, 900, 900, "3 for 2"),)
    assert end(told(ask(("SOCKS", 1)), arrive(("SOCKS", 1)), judge(), lines=line)).total == (0, 0)  # two cost 18.00
    assert end(told(ask(("SOCKS", 2)), arrive(("SOCKS", 2)), judge(), lines=line)).total == (900, 900)
    assert end(told(ask(("SOCKS", 3)), arrive(("SOCKS", 3)), judge(), lines=line)).total == (1800, 1800)


def test_a_part_of_a_set_is_worth_its_share():
    kit = Sold("SET", 1, 2400, parts=(Sold("MUG", 1, 960), Sold("PLATE", 1, 1440)))
    ends = end(told(ask(("PLATE", 1)), arrive(("PLATE", 1)), judge(), lines=(kit,)))
    assert ends.total == (1440, 1440)
    assert ends.pieces == {("sellable", "MUG"): -1, ("customer", "MUG"): 1}


def test_the_card_comes_before_the_gift_card():
    lines = (Sold("TEE", 1, 2000), Sold("MUG", 1, 1000))
    both = told(
        ask(("TEE", 1), ("MUG", 1)),
        arrive(("TEE", 1), ("MUG", 1)),
        judge(),
        judge(line_no=2),
        lines=lines,
        gift_card=1500,
    )
    assert end(both).refunded == {"card": (1500, 1500), "gift_card": (1500, 1500)}
    one = told(ask(("MUG", 1)), arrive(("MUG", 1)), judge(), lines=lines, gift_card=1500)
    assert end(one).refunded == {"card": (1000, 1000)}


def test_a_wrong_serial_is_not_paid_until_the_right_one_is_here():
    camera = (Sold("CAM", 1, 39900, serials=("S1",)),)
    wrong = (ask(("CAM", 1)), arrive(("CAM", 1), serial="X9"))
    assert (end(told(*wrong, lines=camera)).total, end(told(*wrong, lines=camera)).waits_for) == (
        (0, 0),
        frozenset({"serial_mismatch", "missing_goods"}),
    )
    sent_back = person("/exceptions/$case.exception/resolve", "serial_mismatch", action="send_back")
    right = (sent_back, arrive(("CAM", 1), name="again", serial="S1"), judge(receipt="again"))
    ends = end(told(*wrong, *right, lines=camera))
    assert (ends.total, ends.waits_for, ends.pieces) == ((39900, 39900), frozenset(), {})


def test_a_recalled_lot_is_paid_and_locked_away_until_a_person_decides():
    cream = (Sold("CREAM", 1, 2500, lot="L1"),)
    locked = (ask(("CREAM", 1)), arrive(("CREAM", 1), lot="L1"), judge("A", "lot_recalled"))
    ends = end(told(*locked, lines=cream))
    assert (ends.total, ends.waits_for) == ((2500, 2500), frozenset({"quarantine"}))
    assert ends.pieces == {("sellable", "CREAM"): -1, ("returns", "CREAM"): 1}
    destroyed = end(told(*locked, person("/cases/$case.id/dispositions", disposition="scrap"), lines=cream))
    assert (destroyed.waits_for, destroyed.pieces["scrap", "CREAM"]) == (frozenset(), 1)


def test_a_large_sum_waits_for_a_signature():
    story = (ask(("SOFA", 1)), arrive(("SOFA", 1)), judge())
    line = (Sold("SOFA", 1, 50_001),)
    assert end(told(*story, lines=line)).waits_for == {"approval_needed"}
    assert end(told(*story, lines=line)).total == (0, 0)
    assert end(told(*story, person("/approvals/$case.intent/grant"), lines=line)).total == (50_001, 50_001)


def test_an_exchange_pays_the_difference_either_way():
    def exchanged(price: int, today: int, *more: Step) -> Ends:
        pick = Step("shop", "customer_picks", {"remedy": "exchange", "unit_price_minor": today, "quantity": 1})
        steps = (ask(("TEE", 1), reason="SIZE_TOO_SMALL"), pick, arrive(("TEE", 1)), judge(), *more)
        return end(told(*steps, lines=(Sold("TEE", 1, price),)))

    assert (exchanged(2000, 2000).total, exchanged(2000, 2000).credited) == ((0, 0), ((2000, 2000),))
    assert (exchanged(5000, 2000).total, exchanged(5000, 2000).offset) == ((3000, 3000), 2000)
    dearer = exchanged(2000, 5000, person("/cases/$case.id/payments", amount_minor=3000))
    assert (dearer.total, dearer.offset) == ((0, 0), 2000)
    gone = exchanged(2000, 2000, Step("shop", "cancel_order"))
    assert (gone.total, gone.offset) == ((2000, 2000), 0)


def test_what_others_paid_is_not_paid_again():
    line = (Sold("TEE", 1, 2000),)
    by_hand = Step("psp", "refund_in_dashboard", {"amount_minor": 2000})
    ends = end(told(ask(("TEE", 1)), by_hand, arrive(("TEE", 1)), judge(), lines=line))
    assert (ends.total, "refund_sent" in ends.notices) == ((2000, 2000), False)
    lost = Step("psp", "close_dispute", {"won": False})
    disputed = told(ask(("TEE", 1)), Step("psp", "open_dispute"), arrive(("TEE", 1)), judge(), lost, lines=line)
    assert (end(disputed).total, end(disputed).refunded) == ((0, 0), {})


def test_a_refund_that_comes_back_is_paid_on_another_rail_and_taken_back_in_words():
    steps = (ask(("TEE", 1)), arrive(("TEE", 1)), judge(), Step("psp", "fail_refund"))
    line = (Sold("TEE", 1, 2000),)
    assert end(told(*steps, lines=line)).refunded == {}
    assert end(told(*steps, lines=line)).waits_for == {"refund_failed"}
    other = person("/exceptions/$case.exception/resolve", "refund_failed", action="pay_store_credit")
    ends = end(told(*steps, other, lines=line))
    assert ends.refunded == {"store_credit": (2000, 2000)}
    assert (ends.notices["refund_corrected"], ends.notices["refund_sent"]) == ((1, 1), (2, 2))


def test_missing_goods_are_paid_only_where_a_carrier_had_them():
    line, story = (Sold("MUG", 2, 1000),), (ask(("MUG", 2)), arrive(("MUG", 1)), judge())
    assert end(told(*story, lines=line)).waits_for == {"missing_goods"}
    assert end(told(*story, person("/cases/$case.id/missing", verdict="kept"), lines=line)).total == (1000, 1000)
    scan = Step("wms", "scan", {"status": "handed_over"})
    lost = person("/cases/$case.id/missing", verdict="lost")
    ends = end(told(story[0], scan, *story[1:], lost, lines=line))
    assert (ends.total, ends.waits_for) == ((2000, 2000), frozenset({"recovery_claim"}))


def test_two_returns_of_one_line_come_to_what_was_paid():
    line = (Sold("TEE", 2, 475, 1, "Spring sale"),)  # 9.49 for two
    second = arrive(("TEE", 1), name="parcel", case="rma:$second.name")
    steps = (
        ask(("TEE", 1)),
        arrive(("TEE", 1)),
        judge(),
        ask(("TEE", 1), name="second"),
        second,
        judge(receipt="parcel"),
    )
    assert end(told(*steps, lines=line)).total == (949, 949)


def test_an_act_without_meaning_is_an_error_and_not_nothing():
    with pytest.raises(ValueError, match="does not know what wms burn means"):
        end(told(ask(("TEE", 1)), Step("wms", "burn"), lines=(Sold("TEE", 1, 2000),)))


def test_it_stays_small():
    source = Path(oracle.__file__).read_text("utf-8")
    assert len(source.splitlines()) <= 500
    assert "counterflow.core" not in source


@pytest.mark.parametrize(
    ("change", "late", "paid"),
    [
        ("more is kept", (), 9000),  # grade B: a tenth
        ("more is kept", (1, 2, 3), 9000),  # asked for later, and promised at the sale
        ("more is kept", (0, 1, 2, 3), 8000),
        ("less is kept", (1, 2, 3), 10000),  # the kinder one counts
        ("less is kept", (2, 3), 9000),  # what came after the request changes nothing
    ],
)
def test_the_rules_at_the_request_count_unless_those_at_the_sale_were_kinder(
    change: str, late: tuple[int, ...], paid: int
):
    text = default_text()
    later = text
    for old, new in CHANGES[change]:
        later = later.replace(old, new)
    sale = Step("shop", "place_order")
    worn = told(
        sale, ask(("TEE", 1)), arrive(("TEE", 1)), judge("B", "used_beyond_testing"), lines=(Sold("TEE", 1, 10000),)
    )
    assert Oracle(text, later).foresee(worn, late)[0].total == (paid, paid)
