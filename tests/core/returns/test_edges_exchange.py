"""Edge cases of exchanges: even, up, down; the replacement that is not there, not paid, not wanted."""

from datetime import timedelta

from counterflow.core.facts import CustomerPaid, ParcelMoved
from tests.core.returns.telling import START, Story, line, sale, wanted
from tests.core.returns.test_edges_money import at_once

SAME = wanted(remedy="exchange", reason="does_not_fit")


def other(price: int) -> Story:
    """An exchange for another product at today's price, up to where the goods are inspected."""
    asked = wanted(remedy="exchange", replacement_sku="HOODIE", replacement_unit_minor=price)
    return Story().request(asked).settle().receive().settle().inspect().settle()


def paid_up(story: Story, amount: int) -> Story:
    story.tell(CustomerPaid("pi_2", amount, "EUR"), "shop")
    return story.settle()


def sent(story: Story) -> Story:
    for state in ("created", "shipped", "delivered"):
        story.replacement(state).settle()
    return story


def test_an_even_exchange_credits_the_replacement_and_pays_nothing() -> None:
    story = sent(Story().request(SAME).settle().receive().settle().inspect().settle())
    order = story.commands("CreateReplacement")[0]
    assert (order.offset_minor, order.customer_pays_minor, story.legs()) == (2000, 0, [])
    note = story.commands("PostCreditNote")[0]
    assert (note.amount_minor, note.offset_minor, note.replacement_ref) == (2000, 2000, "shop:order:6001")
    assert story.view.status == "closed", (story.view.waiting, story.view.postings, story.exceptions())


def test_an_exchange_down_refunds_the_difference() -> None:
    story = sent(other(1500))
    assert [leg.amount_minor for leg in story.legs()] == [500]
    assert story.credited() == 2000
    story.closed()


def test_an_exchange_up_waits_for_the_difference() -> None:
    story = other(2600)
    assert (story.exchange(), story.commands("CreateReplacement")) == ("awaiting_payment", [])
    paid_up(story, 600)
    assert story.commands("CreateReplacement")[0].customer_pays_minor == 600
    sent(story)
    assert story.legs() == []
    assert story.view.status == "closed", (story.view.waiting, story.view.postings, story.exceptions())


def test_edge_063_out_of_stock_gives_the_money_back() -> None:
    story = Story().request(SAME).settle().receive().settle().inspect().settle().replacement("out_of_stock").settle()
    assert (story.exchange(), story.paid()) == ("withdrawn", 2000)
    story.closed()


def test_edge_063_the_channel_refuses_the_replacement_and_a_person_refunds() -> None:
    story = Story().request(SAME).settle()
    story.refuse["CreateReplacement"] = "rejected"
    story.receive().settle().inspect().settle()
    assert story.exceptions() == ["replacement_failed"]
    story.resolve("replacement_failed", "refund").settle()
    assert story.paid() == 2000
    story.closed()


def test_edge_063_a_replacement_cancelled_after_the_receipt_gives_the_difference_back_too() -> None:
    story = paid_up(other(2600), 600)
    story.replacement("created").settle().replacement("cancelled").settle()
    assert story.paid() == 2600
    assert {leg.payment_ref for leg in story.legs()} == {"pi_1", "pi_2"}
    story.closed()


def test_edge_064_the_same_product_costs_what_it_cost() -> None:
    asked = wanted(remedy="exchange", replacement_sku="TEE", replacement_unit_minor=2900)
    story = Story().request(asked).settle().receive().settle().inspect().settle()
    assert story.commands("CreateReplacement")[0].lines[0].unit_minor == 2000


def test_edge_065_an_upsell_that_nobody_pays_becomes_a_refund() -> None:
    story = other(2600).wait(days=15).settle()
    assert (story.exchange(), story.paid()) == ("withdrawn", 2000)
    paid_up(story, 600)  # too late: it is given back
    assert story.paid() == 2600
    assert story.commands("CreateReplacement") == []


def test_edge_066_sent_ahead_and_the_original_never_comes() -> None:
    story = Story(setting=at_once()).request(SAME).settle()
    sent(story).wait(days=31).settle()
    assert story.exceptions() == ["guarantee_due", "over_credited"]
    paid_up(story, 2000)  # the guarantee is captured
    assert "guarantee_due" not in story.exceptions()
    story.receive().settle().inspect().settle()  # late: the guarantee goes back
    assert (story.paid(), story.exceptions()) == (2000, [])


def test_edge_067_an_exchange_of_an_exchange_keeps_the_first_window() -> None:
    second = sale(root_sale_ref="shop:order:1", root_delivered_at=START - timedelta(days=80), ordered_at=START)
    story = Story(second).request()
    assert story.view.lines[0].authorisation == "declined"
    assert story.view.root_sale_ref == "shop:order:1"


def test_edge_068_the_original_is_kept_and_the_replacement_comes_back() -> None:
    story = sent(Story().request(SAME).settle().receive().settle().inspect().settle())
    story.replacement("returned").settle()
    assert story.exceptions() == ["replacement_returned"]
    assert story.legs() == []  # no double credit


def test_edge_069_a_separate_zero_price_order_is_linked_and_counted_once() -> None:
    story = Story().request(SAME).settle().receive().settle()
    story.replacement("created", ref="shop:order:portal-9")
    story.inspect().settle()
    assert story.commands("CreateReplacement") == []  # the portal has made it
    story.replacement("delivered", ref="shop:order:portal-9").settle()
    assert (story.legs(), story.credited()) == ([], 2000)
    assert "shop:order:portal-9" in story.decisions[-1].refs


def test_edge_070_an_exchange_is_a_credit_note_and_an_order_never_a_net_line() -> None:
    story = sent(paid_up(other(2600), 600))
    assert [note.amount_minor for note in story.commands("PostCreditNote")] == [2000]
    order = story.commands("PostReplacement")[0]
    assert [(ln.sku, ln.unit_minor) for ln in order.lines] == [("HOODIE", 2600)]


def test_a_part_of_the_exchange_that_never_comes_orders_only_what_came() -> None:
    story = Story(sale(line(quantity=2, paid=4000))).request(wanted(quantity=2, remedy="exchange")).settle()
    story.tell(ParcelMoved("in_transit", "1Z"), "carrier", "carrier")
    story.receive().settle().inspect().settle()
    assert story.commands("CreateReplacement")[0].lines[0].quantity == 1
