"""Edge cases of paying: refunds by others, timeouts, failures, tenders, disputes, approvals, marketplaces."""

from dataclasses import replace
from datetime import timedelta

from counterflow.core.effects import PayLeg
from counterflow.core.facts import Counted as Thing
from counterflow.core.facts import (
    DisputeMoved,
    ExceptionResolved,
    GoodsWaived,
    GoodwillGranted,
    HoldPlaced,
    ItemInspected,
    ItemsReceived,
    MarketplaceRefunded,
    RefundReported,
    RefundSettled,
    SiblingsClaimed,
    WithdrawalDeclared,
)
from counterflow.core.policy.table import PolicySet
from counterflow.core.returns.case import Setting
from counterflow.core.sale import Discount, Payment, Promotion
from counterflow.policies import default
from tests.core.returns.telling import ROUTES, SETTING, START, Story, line, sale, wanted

CARD = Payment("pi_1", "card", 2000, "psp")


def at_once() -> Setting:
    """The shipped policy, with the refund at the request."""
    policies: PolicySet = default()
    table = policies.tables["refund_moment"]
    rows = tuple(replace(row, then={**row.then, "moment": "request"}) for row in table.rows)
    tables = {**policies.tables, "refund_moment": replace(table, rows=rows)}
    return Setting((replace(policies, tables=tables),), ROUTES)


def test_edge_006_a_bought_voucher_is_a_tender_and_a_coupon_a_reduction() -> None:
    tee = line(paid=1500, unit_price_minor=2000, discounts=(Discount("COUPON", 500),))
    gift_card = (Payment("gc_1", "gift_card", 500), Payment("pi_1", "card", 1000, "psp"))
    story = Story(sale(tee, payments=gift_card)).full()
    assert sorted((leg.rail, leg.amount_minor) for leg in story.legs()) == [("card", 1000), ("gift_card", 500)]


def test_edge_001_the_promotion_is_re_priced_in_the_case() -> None:
    tees = line(quantity=3, paid=4000, unit_price_minor=2000, discounts=(Discount("B2G1", 2000),))
    rule = Promotion("B2G1", "buy_x_get_y", buy=2, get=1)
    story = Story(sale(tees, promotions=(rule,))).request(wanted(quantity=1)).settle().receive().settle()
    story.inspect().settle()
    assert story.paid() == 0  # the two that are kept cost 4000 alone
    assert {c.component for c in story.view.components} >= {"goods", "discount_given_back"}
    story.closed()


def test_edge_011_a_price_match_before_the_return_is_not_paid_again() -> None:
    story = Story().request().settle().refunded_by("psp", 500, "re_match")
    assert story.exceptions() == ["unattributed_refund"]
    story.resolve("unattributed_refund", "accept").receive().settle().inspect().settle()
    assert [leg.amount_minor for leg in story.legs()] == [1500]
    story.closed()


def test_edge_013_no_fee_for_our_own_fault() -> None:
    phone = line("L1", "PHONE", 20000, category="electronics")
    story = Story(sale(phone, country="US")).request(wanted(reason="defective", stated_condition="opened")).settle()
    story.receive("PHONE").settle().inspect("PHONE", "B", findings=("used_beyond_testing",)).settle()
    assert story.paid() == 20000


def test_edge_023_a_used_thing_is_worth_less_only_with_a_finding() -> None:
    clean, used = Story(), Story()
    for story, findings in ((clean, ()), (used, ("used_beyond_testing",))):
        story.request().settle().receive().settle().inspect(grade="B", findings=findings).settle()
    assert (clean.paid(), used.paid()) == (2000, 1800)
    used.closed()
    assert used.credited() == 1800


def test_edge_027_a_gift_is_credited_and_the_buyer_not_told() -> None:
    story = Story(sale(gift=True)).full()
    assert [(leg.rail, leg.amount_minor) for leg in story.legs()] == [("store_credit", 2000)]
    assert "NotifyCustomer" not in story.kinds()


def test_edge_038_the_item_is_kept_after_a_refund_on_first_scan() -> None:
    small = wanted(remedy="store_credit")
    story = Story().request(small).settle().parcel("label_issued").wait(days=40)
    assert (story.paid(), story.unit().goods) == (0, "expired")  # the label alone pays nothing


def test_edge_044_refund_before_receipt_and_the_item_never_comes() -> None:
    story = Story(setting=at_once()).request().settle()
    assert story.paid() == 2000
    story.payout().wait(days=31)
    assert story.exceptions() == ["overpaid"]  # the exposure is a person's, not silently nothing
    story.resolve("overpaid", "write_off")
    assert story.view.status == "closed", (story.view.waiting, story.exceptions())
    assert [c.component for c in story.view.components] == ["write_off"]
    story.receive().settle().inspect().settle()  # and comes after all
    assert {c.component for c in story.view.components} == {"goods", "tax"}
    assert story.paid() == 2000


def test_edge_045_a_refund_in_the_dashboard_before_during_and_after_ours() -> None:
    before = Story().request().settle().refunded_by("psp", 2000).receive().settle().inspect().settle()
    assert (before.legs(), before.paid(), before.exceptions()) == ([], 2000, [])
    assert before.credited() == 2000
    before.closed()

    during = Story().request().settle().receive().settle().inspect().settle(keep=lambda e: e.kind != "PayLeg")
    during.refunded_by("psp", 2000)
    assert during.exceptions() == ["double_refund"]
    during.answer("PayLeg", "rejected").settle()
    assert (during.paid(), during.view.pending_minor) == (2000, 0)

    after = Story().full().wait(hours=1).refunded_by("psp", 2000)
    assert after.exceptions() == ["double_refund"]
    assert after.credited() == 2000  # the second one is not agreed to


def test_edge_046_the_shop_and_the_provider_tell_of_one_refund() -> None:
    story = Story().request().settle().receive().settle()
    story.tell(RefundReported("9001", "pi_1", 2000, "EUR", "succeeded"), "shop")
    story.tell(RefundReported("re_7", "pi_1", 2000, "EUR", "succeeded"), "psp", "psp")
    story.inspect().settle()
    assert len(story.view.legs) == 1
    assert story.exceptions() == []
    story.tell(RefundSettled("re_7", "po_1", 2000, "EUR"), "psp", "psp")
    assert story.view.legs[0].state == "settled"


def test_edge_046_both_paid_and_the_loss_is_written_off() -> None:
    story = Story().full().wait(hours=1).refunded_by("channel", 2000)
    story.resolve("double_refund", "write_off").settle()
    assert story.credited() == 4000
    story.closed()


def test_edge_047_a_timeout_after_success_is_looked_up_and_paid_once() -> None:
    story = Story().request().settle().receive().settle().inspect().settle(keep=lambda e: e.kind != "PayLeg")
    story.answer("PayLeg", "unknown").wait(hours=2)
    assert (len(story.legs()), story.view.legs[0].state, story.credited()) == (1, "unknown", 0)
    story.answer("PayLeg", "done", "re_1").settle()
    assert (len(story.legs()), story.paid(), story.credited()) == (1, 2000, 2000)
    story.closed()


def test_edge_047_the_webhook_comes_before_the_answer() -> None:
    story = Story().request().settle().receive().settle().inspect().settle(keep=lambda e: e.kind != "PayLeg")
    key = next(e.effect_id for e in story.effects if e.kind == "PayLeg")
    story.tell(RefundReported("re_1", "pi_1", 2000, "EUR", "succeeded", key=key), "psp", "psp")
    assert story.paid() == 2000
    story.answer("PayLeg", "done", "re_1").settle()
    assert len(story.view.legs) == 1
    story.closed()


def test_edge_048_a_refund_that_fails_after_success_is_paid_as_store_credit() -> None:
    story = Story().full()
    leg = story.view.legs[0]
    story.tell(RefundReported(leg.refund_ref, "pi_1", 2000, "EUR", "failed", 2, reason="closed card"), "psp", "psp")
    story.settle()
    assert story.view.legs[0].state == "failed_after_success"
    assert story.exceptions() == ["refund_failed", "refund_unroutable"]
    assert story.commands("ReverseRefundPayment")[0].amount_minor == 2000
    assert [n.template for n in story.commands("NotifyCustomer")][-1] == "refund_corrected"
    story.resolve("refund_failed", "pay_store_credit").settle()
    assert [(g.rail, g.state) for g in story.view.legs] == [
        ("card", "failed_after_success"),
        ("store_credit", "settled"),
    ]
    assert (story.paid(), story.credited()) == (2000, 2000)  # one credit note is enough
    assert story.exceptions() == []
    assert story.view.status == "closed", (story.view.waiting, story.view.postings)


def test_edge_048_the_other_rail_fails_too_and_nothing_loops() -> None:
    story = Story().request().settle().receive().settle()
    story.refuse["PayLeg"] = "rejected"
    story.inspect().settle()
    story.resolve("refund_rejected", "pay_store_credit").settle()
    assert [leg.rail for leg in story.legs()] == ["card", "store_credit"]
    assert "refund_unroutable" in story.exceptions()


def test_edge_049_the_balance_is_too_low_and_finance_is_told() -> None:
    story = Story().request().settle().receive().settle().inspect().settle(keep=lambda e: e.kind != "PayLeg")
    story.answer("PayLeg", "accepted", "re_1")
    story.tell(RefundReported("re_1", "pi_1", 2000, "EUR", "pending", reason="insufficient_funds"), "psp", "psp")
    assert [(e.kind, e.owner) for e in story.view.exceptions] == [("refund_stuck", "finance")]
    story.tell(RefundReported("re_1", "pi_1", 2000, "EUR", "succeeded", 2), "psp", "psp")
    story.settle()
    assert story.exceptions() == []
    story.closed()


def test_edge_050_a_window_that_is_over_is_found_before_anything_is_sent() -> None:
    story = Story(sale(payments=(replace(CARD, refundable_until=START - timedelta(days=1)),))).full()
    assert (story.legs(), story.exceptions()) == ([], ["refund_unroutable"])
    assert "window over" in story.view.exceptions[0].message
    story.resolve("refund_unroutable", "pay_store_credit").settle()
    assert story.paid() == 2000


def test_edge_051_a_rail_without_partial_refunds_asks_for_another_way() -> None:
    two = sale(line(quantity=2, paid=4000), payments=(Payment("pi_1", "card", 4000, "psp", partial_refunds=False),))
    story = Story(two).full()
    assert story.exceptions() == ["refund_unroutable"]


def test_edge_052_what_was_never_captured_is_not_paid_out() -> None:
    story = Story(sale(payments=(replace(CARD, captured_minor=0),))).full()
    assert (story.legs(), story.paid()) == ([], 0)


def test_edge_053_card_first_then_the_gift_card() -> None:
    split = (Payment("gc_1", "gift_card", 1500), Payment("pi_1", "card", 500, "psp"))
    story = Story(sale(payments=split)).full()
    assert sorted((leg.rail, leg.amount_minor) for leg in story.legs()) == [("card", 500), ("gift_card", 1500)]
    assert story.credited() == 2000
    story.closed()


def test_edge_054_pay_later_goes_through_its_provider() -> None:
    story = Story(sale(payments=(Payment("kl_1", "pay_later", 2000, "klarna"),))).full()
    assert [(e.connection, e.kind) for e in story.effects if e.kind == "PayLeg"] == [("klarna", "PayLeg")]


def test_edge_055_a_cash_sale_is_paid_at_the_till_or_asks_for_bank_details() -> None:
    cash = sale(payments=(Payment("c1", "cash", 2000),))
    till = Story(cash).request().settle().receive(place="store-1").inspect(place="store-1").settle()
    assert [e.connection for e in till.effects if e.kind == "PayLeg"] == ["till-1"]
    post = Story(cash).full()
    assert (post.legs(), post.exceptions()) == ([], ["refund_unroutable"])


def test_edge_056_every_refund_names_its_payment() -> None:
    story = Story().full()
    assert all(leg.payment_ref for leg in story.legs())


def test_edge_057_a_dispute_holds_the_leg_and_a_lost_one_is_not_paid_twice() -> None:
    story = Story().request().settle().receive().settle()
    story.tell(DisputeMoved("dp_1", "pi_1", 2000, "opened"), "psp", "psp")
    story.inspect().settle()
    assert (story.legs(), story.view.lines[0].money) == ([], "disputed")
    assert story.view.intents[0].holds == ("dispute_open",)
    story.tell(DisputeMoved("dp_1", "pi_1", 2000, "lost"), "psp", "psp")
    story.settle()
    assert (story.legs(), story.paid(), story.credited()) == ([], 2000, 2000)
    story.closed()  # the provider took the money long ago: there is no payout to wait for


def test_edge_057_a_refund_that_the_provider_refused_for_a_dispute_is_done_with_when_the_dispute_is_lost() -> None:
    story = Story()
    story.refuse = {"PayLeg": "rejected"}
    story.full()
    assert story.exceptions() == ["refund_rejected", "refund_unroutable"]
    story.tell(DisputeMoved("dp_1", "pi_1", 2000, "lost"), "psp", "psp")
    story.settle()
    assert (story.exceptions(), story.paid()) == ([], 2000)
    story.closed()


def test_edge_057_a_dispute_that_is_won_releases_the_leg() -> None:
    story = Story().request().settle().receive().settle()
    story.tell(DisputeMoved("dp_1", "pi_1", 2000, "opened"), "psp", "psp")
    story.inspect().settle()
    story.tell(DisputeMoved("dp_1", "pi_1", 2000, "won"), "psp", "psp")
    story.settle()
    assert story.paid() == 2000
    story.closed()


def test_edge_058_a_chargeback_after_the_refund_is_recovered() -> None:
    story = Story().full()
    story.tell(DisputeMoved("dp_1", "pi_1", 2000, "opened"), "psp", "psp")
    story.tell(DisputeMoved("dp_1", "pi_1", 2000, "lost"), "psp", "psp")
    assert story.exceptions() == ["double_refund"]
    story.tell(DisputeMoved("dp_1", "pi_1", 2000, "won"), "psp", "psp")
    assert story.exceptions() == []


def test_edge_059_two_cases_over_one_unit_pay_once() -> None:
    story = Story().request().settle()
    story.tell(SiblingsClaimed((("L1", 0, "rc_other"),)), "counterflow", "ours")
    assert story.exceptions() == ["claimed_twice"]
    story.receive().settle().inspect().settle()
    assert (story.legs(), "ReceiveGoods" in story.kinds()) == ([], False)
    story.tell(SiblingsClaimed(()), "counterflow", "ours")  # the other one was declined
    story.settle()
    assert story.exceptions() == []
    assert story.paid() == 2000


def test_edge_059_only_the_case_that_holds_the_pieces_tells_the_customer() -> None:
    story = Story()
    story.tell(SiblingsClaimed((("L1", 0, "rc_other"),)), "counterflow", "ours")
    story.request()
    assert story.exceptions() == ["claimed_twice"]
    assert story.commands("NotifyCustomer") == []


def test_edge_060_another_currency_is_never_mixed_in() -> None:
    story = Story().request().settle()
    story.tell(RefundReported("re_1", "pi_1", 2000, "USD", "succeeded"), "psp", "psp")
    assert story.exceptions() == ["wrong_currency"]
    assert story.paid() == 0


def test_edge_061_a_closed_provider_account_needs_another_rail() -> None:
    story = Story().request().settle().receive().settle()
    story.refuse["PayLeg"] = "rejected"
    story.inspect().settle()
    assert story.exceptions() == ["refund_rejected", "refund_unroutable"]
    story.refuse.clear()
    story.resolve("refund_rejected", "pay_store_credit").settle()
    assert story.paid() == 2000
    story.payout()
    assert story.view.status == "closed"


def test_edge_062_below_the_minimum_of_the_rail_is_credited_by_consent() -> None:
    story = Story(sale(line(paid=30))).request().settle().receive().settle()
    story.refuse["PayLeg"] = "rejected"
    story.inspect().settle()
    story.refuse.clear()
    story.resolve("refund_rejected", "pay_store_credit").settle()
    assert [(leg.rail, leg.amount_minor) for leg in story.legs()] == [("card", 30), ("store_credit", 30)]


# ---- marketplaces ----------------------------------------------------------------------------------------------------


def at_marketplace(returnless: bool = False, amount: int = 2000) -> Story:
    sold = sale(channel="marketplace", payments=(Payment("mp_1", "marketplace", 2000),))
    story = Story(sold)
    story.tell(MarketplaceRefunded("mr_1", amount, "EUR", returnless, payment_ref="mp_1"), "market", "marketplace")
    return story.settle()


def test_edge_071_a_marketplace_that_refunded_for_us_is_booked_and_not_paid_again() -> None:
    story = at_marketplace()
    assert (story.legs(), story.view.lines[0].money) == ([], "refunded_by_others")
    assert (story.credited(), story.exceptions()) == (2000, ["recovery_claim"])
    assert story.commands("PostRefundPayment")[0].provider == "market"
    story.receive().settle().inspect().settle()
    assert story.view.status == "closed", (story.view.waiting, story.exceptions())


def test_edge_071_the_marketplace_decides_the_amount() -> None:
    story = at_marketplace(amount=1500)
    assert (story.legs(), story.view.entitled_minor, story.credited()) == ([], 1500, 1500)


def test_edge_072_returnless_nothing_comes_and_nothing_is_restocked() -> None:
    story = at_marketplace(returnless=True)
    assert story.unit().goods == "not_expected"
    assert "ReceiveGoods" not in story.kinds()
    assert story.view.status == "closed", (story.view.waiting, story.exceptions())


# ---- people ----------------------------------------------------------------------------------------------------------


def expensive(paid: int) -> Story:
    return Story(sale(line(paid=paid))).full()


def test_one_person_signs_a_larger_refund_and_a_changed_amount_does_not_count() -> None:
    story = expensive(60000)
    assert story.exceptions() == ["approval_needed"]
    story.sign(amount=59999).settle()
    assert story.paid() == 0
    story.sign(role="cs_agent").settle()
    assert story.paid() == 0  # not of the role
    story.sign().settle()
    assert story.paid() == 60000
    story.closed()


def test_two_persons_sign_a_large_one_and_one_alone_is_not_two() -> None:
    story = expensive(300000)
    story.sign("ann", "finance_controller").sign("ann", "finance_controller").settle()
    assert story.paid() == 0
    story.sign("bob", "finance_controller").settle()
    assert story.paid() == 300000
    assert story.view.intents[0].approvals == ("ann", "bob")


def test_a_refused_refund_is_held() -> None:
    story = expensive(60000).sign(granted=False)
    assert story.exceptions() == ["approval_refused"]
    assert story.legs() == []


def test_a_hold_by_risk_stops_the_leg_until_it_is_lifted() -> None:
    story = Story().request()
    story.tell(HoldPlaced("risk", "scoring"), "risk", "person")
    story.settle().receive().settle().inspect().settle()
    assert (story.legs(), story.view.intents[0].state) == ([], "held")
    story.tell(HoldPlaced("risk", "scoring", lifted=True), "risk", "person")
    story.settle()
    assert story.paid() == 2000


def test_goodwill_is_signed_paid_and_credited() -> None:
    story = Story()
    story.tell(GoodwillGranted(2500, "kim", "late"), "console:kim", "person")
    assert (story.view.kind, story.exceptions()) == ("goodwill", ["approval_needed"])
    story.sign().settle()
    assert story.exceptions() == ["refund_unroutable"]  # 500 more than was ever captured, signed already
    assert story.paid() == 2000


def test_goodwill_alone_is_a_case_that_ends() -> None:
    story = Story()
    story.tell(GoodwillGranted(500, "kim", "late"), "console:kim", "person")
    story.settle()
    assert (story.paid(), story.credited()) == (500, 500)
    story.closed()


def test_returnless_by_an_agent() -> None:
    story = Story().request().settle()
    story.tell(GoodsWaived("kim"), "console:kim", "person")
    story.settle()
    assert (story.unit().goods, story.paid()) == ("not_expected", 2000)
    story.closed()


def test_store_credit_is_a_remedy() -> None:
    story = Story().request(wanted(remedy="store_credit")).settle().parcel("handed_over").settle()
    assert [(leg.rail, leg.state) for leg in story.view.legs] == [("store_credit", "settled")]


def test_a_withdrawal_has_its_legal_clock() -> None:
    story = Story().request().settle()
    story.tell(WithdrawalDeclared(story.now))
    assert (story.view.kind, story.view.refund_due_on) == ("withdrawal", "2026-11-16")
    story.wait(days=12)
    assert story.exceptions() == []  # it may wait for the goods
    story.parcel("delivered").wait(hours=1)
    assert story.exceptions() == ["refund_overdue"]
    story.receive().settle().inspect().settle()
    assert story.exceptions() == []
    story.closed()


def test_provider_down_keeps_the_intent_and_the_books_wait() -> None:
    story = (
        Story().request().settle().receive().settle().inspect().settle(keep=lambda e: not isinstance(e.command, PayLeg))
    )
    assert (story.view.pending_minor, story.credited(), story.view.status) == (2000, 0, "in_progress")
    story.wait(hours=1).settle()
    assert (story.paid(), story.credited()) == (2000, 2000)


def test_currencies_without_and_with_three_decimals() -> None:
    for currency, paid in (("JPY", 3001), ("KWD", 12345)):
        sold = sale(line(quantity=3, paid=paid), currency=currency)
        story = Story(sold).request(wanted(quantity=2)).settle()
        story.receive(quantity=2).settle().inspect(quantity=2).settle()
        assert story.paid() == paid * 2 // 3
        story.closed()


def test_a_late_warehouse_event_pays_after_the_return_had_expired() -> None:
    story = Story().request().settle().wait(days=31)
    assert story.view.status == "expired"
    early = story.now - timedelta(days=3)
    story.tell(ItemsReceived("r9", "wh-1", (Thing("TEE", 1),)), "wms", "warehouse", at=early)
    story.tell(ItemInspected("i9", "wh-1", "TEE", "A"), "wms", "warehouse", at=early + timedelta(hours=1))
    story.settle()
    assert story.paid() == 2000
    story.closed()


def test_a_resolution_counts_for_what_it_saw_and_not_for_what_comes_later() -> None:
    story = Story().request().settle().receive()
    effect = next(e for e in story.effects if e.kind == "ReceiveGoods")
    story.outcome(effect, "parked")
    first = story.view.exceptions[0].exception_id
    story.resolve("effect_stopped")
    assert story.exceptions() == []
    story.outcome(effect, "resumed")
    story.outcome(effect, "parked")
    assert [e.exception_id for e in story.view.exceptions] == [first]
    story.tell(ExceptionResolved(first, "resolve", "kim", "again"), "console:kim", "person")
    assert SETTING.window_shadow_seconds == 300
    assert story.exceptions() == []


def test_a_customer_is_told_of_a_refund_only_when_the_provider_says_that_it_succeeded() -> None:
    story = Story().request().settle().receive().settle().inspect().settle(lambda effect: effect.kind != "PayLeg")
    story.answer("PayLeg", "accepted", "re_1")
    for status, messages in (("pending", 0), ("succeeded", 1)):
        story.refunded_by("ours", 2000, "re_1", status).settle()
        assert [n.template for n in story.commands("NotifyCustomer")].count("refund_sent") == messages
        assert ("PostCreditNote" in story.kinds()) is bool(messages)
