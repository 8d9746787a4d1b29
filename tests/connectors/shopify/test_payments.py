"""Shopify Payments: legs that the shop pays back itself, payouts to the cent, disputes."""

from typing import Any

import pytest

from counterflow.connectors.shopify.references import number
from counterflow.core.effects import Effect, PayLeg, SettlementEntry
from counterflow.core.facts import DisputeMoved, Fact, PayoutReported, RefundReported, RefundSettled
from counterflow.sdk.connector import Signal
from counterflow.sdk.outcomes import Accepted, Done, Malformed, Outcome, Rejected, UnknownOutcome
from tests.connectors.shopify.shop import Shop, bodies

SHIRT = {"sku": "SHIRT", "quantity": 2, "unit_price_minor": 50_00}
OWN = {"gateway": "shopify_payments", "payment_id": "pay_1"}


async def send(shop: Shop, effect: Effect) -> Outcome:
    [outcome] = await shop.connector.send([effect])
    return outcome


def leg(shop: Shop, order: dict[str, Any], amount: int = 20_00, rail: str = "card", **more: Any) -> Effect:
    given = {"payment_ref": "pay_1", "currency": order["presentment_currency"], **more}
    ref = f"here:order:{number(order['id'])}"
    return shop.effect(
        PayLeg("rl_1", "ri_1", rail, order_ref=ref, return_ref="", amount_minor=amount, allocation=(), **given)
    )


async def sold(shop: Shop, **more: Any) -> dict[str, Any]:
    return await shop.place(SHIRT, **{**OWN, **more})


# ---- legs ------------------------------------------------------------------------------------------------------------


async def test_a_card_payment_goes_back_through_the_shop_once():
    shop = Shop()
    order = await sold(shop)
    sale = await shop.sale(order)
    assert [(p.payment_ref, p.connection) for p in sale.payments] == [("pay_1", "here")]
    effect = leg(shop, order)
    shop.world.fault("lost_reply", match="refundCreate")
    assert isinstance(await send(shop, effect), UnknownOutcome)
    found = await shop.connector.find(effect)
    assert isinstance(found, Done) and found == await send(shop, effect)
    [moved] = shop.world.all("gateway_movements")
    assert (moved["payment_id"], moved["amount_minor"], moved["gateway"]) == ("pay_1", 20_00, "shopify_payments")
    [fact] = [fact for fact in await shop.facts("refunds", order) if isinstance(fact.body, RefundReported)]
    assert fact.origin == "ours" and fact.refs[0] == f"effect:{effect.effect_id}"
    assert isinstance(fact.body, RefundReported)
    assert (fact.body.refund_ref, fact.body.payment_ref, fact.body.key) == (found.ref, "pay_1", effect.effect_id)


async def test_more_than_was_paid_is_refused():
    shop = Shop()
    order = await sold(shop)
    outcome = await send(shop, leg(shop, order, 100_01))
    assert isinstance(outcome, Rejected) and "greater than the refundable amount" in outcome.message
    assert shop.world.all("gateway_movements") == []


async def test_what_another_provider_pays_is_not_paid_twice():
    shop = Shop()
    order = await sold(shop, gateway="stripe")
    outcome = await send(shop, leg(shop, order))
    assert isinstance(outcome, Rejected) and outcome.code == "rail" and "provider" in outcome.message


async def test_a_gateway_may_be_named_as_the_shops_own():
    shop = Shop(gateways={"paypal": "here"})
    order = await sold(shop, gateway="paypal")
    assert [(p.tender, p.connection) for p in (await shop.sale(order)).payments] == [("wallet", "here")]
    effect = leg(shop, order, rail="wallet")
    assert isinstance(await send(shop, effect), Done)
    [body] = bodies(await shop.facts("orders", order), RefundReported)
    assert (body.tender, body.key) == ("wallet", effect.effect_id)


async def test_a_refund_that_fails_after_it_was_taken():
    shop = Shop()
    order = await sold(shop)
    effect = leg(shop, order)
    shop.world.fault("refund_fails", match="refundCreate")
    assert isinstance(await send(shop, effect), Accepted)
    shop.clock.advance(120)
    topics = [delivery.header("x-shopify-topic") for delivery in await shop.told()]
    assert topics[-1] == "order_transactions/create"
    [body] = bodies(await shop.facts("refunds", order), RefundReported)
    assert (body.status, body.reason) == ("failed", "generic_error")
    outcome = await shop.connector.find(effect)
    assert isinstance(outcome, Rejected) and "another rail" in outcome.message


# ---- payouts ---------------------------------------------------------------------------------------------------------


async def payout(shop: Shop, doc: dict[str, Any]) -> tuple[PayoutReported, list[RefundSettled]]:
    facts = await shop.facts("payouts", doc)
    [told] = bodies(facts, PayoutReported)
    assert sum(entry.amount_minor for entry in told.entries) == told.net_minor
    return told, bodies(facts, RefundSettled)


async def test_a_payout_sums_up_and_names_its_refunds():
    shop = Shop()
    order = await sold(shop)
    effect = leg(shop, order)
    sent = await send(shop, effect)
    assert isinstance(sent, Done)
    doc = await shop.act("pay_out", adjustment_minor=-3_49)
    told, [settled] = await payout(shop, doc)
    assert told.net_minor == 100_00 - 2_90 - 20_00 - 3_49 and told.currency == "EUR"
    kinds = {(entry.kind, entry.amount_minor) for entry in told.entries}
    assert kinds == {("charge", 100_00), ("refund", -20_00), ("adjustment", -3_49), ("fee", -2_90)}
    refund = next(entry for entry in told.entries if entry.kind == "refund")
    [fact] = [fact for fact in await shop.facts("refunds", order) if isinstance(fact.body, RefundReported)]
    assert refund.ref in fact.refs  # by which the case is told that its refund was banked
    assert settled == RefundSettled(sent.ref, told.payout_ref, 20_00, "EUR", 0)
    assert SettlementEntry("charge", "here:payment:pay_1", 100_00) in told.entries


async def test_what_is_scheduled_may_still_change():
    shop = Shop()
    await sold(shop)
    doc = await shop.act("pay_out", status="SCHEDULED")
    assert await shop.facts("payouts", doc) == []
    await shop.act("move_payout", payout=doc["id"], status="PAID")
    assert (await payout(shop, doc))[0].net_minor == 97_10


async def test_a_payout_that_failed_comes_with_the_next():
    shop = Shop()
    await sold(shop)
    first = await shop.act("pay_out")
    before = await shop.facts("payouts", first)
    await shop.act("move_payout", payout=first["id"], status="FAILED")
    again = await shop.facts("payouts", first)
    assert bodies(again, PayoutReported)[0].net_minor == 0 and again[0].fact_id != before[0].fact_id
    second, _ = await payout(shop, await shop.act("pay_out"))
    assert [(entry.kind, entry.amount_minor) for entry in second.entries] == [("adjustment", 97_10)]


async def test_a_refund_that_bounced_comes_back_in_the_payout():
    shop = Shop()
    order = await sold(shop)
    effect = leg(shop, order)
    await send(shop, effect)
    await shop.act("pay_out")
    doc = shop.world.get("orders", order["id"]) or {}
    rows = [{**row, "status": "FAILURE"} if row["kind"] == "REFUND" else row for row in doc["transactions"]]
    shop.world.put("orders", order["id"], {**doc, "transactions": rows})
    told, [settled] = await payout(shop, await shop.act("pay_out"))
    assert (told.net_minor, settled.amount_minor) == (20_00, -20_00)


async def test_a_balance_below_zero_is_taken_from_the_bank():
    shop = Shop()
    order = await sold(shop)
    await shop.act("pay_out")
    await send(shop, leg(shop, order))
    told, _ = await payout(shop, await shop.act("pay_out"))
    assert told.net_minor == -20_00


async def test_a_refund_settles_in_what_the_customer_paid():
    shop = Shop()
    order = await sold(shop, presentment_currency="JPY", exchange_rate=0.0061)
    await send(shop, leg(shop, order, 4000))
    told, [settled] = await payout(shop, await shop.act("pay_out"))
    assert told.currency == "EUR" and (settled.amount_minor, settled.currency) == (4000, "JPY")
    assert {entry.amount_minor for entry in told.entries if entry.kind == "refund"} == {-24_40}


async def test_a_payout_of_many_pages():
    shop = Shop()
    for _ in range(101):
        await sold(shop)
    told, _ = await payout(shop, await shop.act("pay_out"))
    assert len([entry for entry in told.entries if entry.kind == "charge"]) == 101


async def test_entries_that_do_not_sum_up_are_told():
    shop = Shop()
    await sold(shop)
    doc = await shop.act("pay_out")
    shop.world.put("payouts", doc["id"], {**doc, "net": 1})
    with pytest.raises(Malformed, match="do not sum up"):
        await shop.facts("payouts", doc)


# ---- sweeps ----------------------------------------------------------------------------------------------------------


async def swept(shop: Shop, feed: str, cursor: str) -> tuple[list[str], str]:
    refs: list[str] = []
    while True:
        page = await shop.connector.pull(feed, cursor)
        refs += [item.ref for item in page.items if isinstance(item, Signal)]
        cursor = page.cursor
        if not page.more:
            return refs, cursor


async def test_only_a_state_that_moved_is_told_again():
    shop = Shop()
    docs = []
    for _ in range(5):
        await sold(shop)
        shop.clock.advance(86_400)
        docs.append((await shop.act("pay_out", status="SCHEDULED"))["id"])
    told, cursor = await swept(shop, "payouts", "")
    assert told == docs
    assert await swept(shop, "payouts", cursor) == ([], cursor)
    await shop.act("move_payout", payout=docs[1], status="PAID")
    told, later = await swept(shop, "payouts", cursor)
    assert told == [docs[1]]
    shop.clock.advance(30 * 86_400)  # what is final and old is forgotten, what is open is not
    for doc in docs[2:]:
        await shop.act("move_payout", payout=doc, status="PAID")
    told, last = await swept(shop, "payouts", later)
    assert told == docs[2:] and len(last) < len(cursor)
    assert await swept(shop, "payouts", last) == ([], last)


async def test_without_shopify_payments_nothing_is_asked():
    shop = Shop(shopify_payments=False)
    before = shop.network.requests
    assert await swept(shop, "payouts", "") == ([], "") == await swept(shop, "disputes", "")
    assert shop.network.requests == before


async def test_a_cursor_of_nobody():
    with pytest.raises(Malformed, match="no cursor"):
        await Shop().connector.pull("payouts", "2026-01-01")


# ---- disputes --------------------------------------------------------------------------------------------------------


def moved(facts: list[Fact]) -> list[tuple[str, str, int]]:
    return [(body.phase, body.payment_ref, body.amount_minor) for body in bodies(facts, DisputeMoved)]


async def test_a_dispute_goes_its_way():
    shop = Shop()
    order = await sold(shop)
    await shop.told()
    doc = await shop.act("open_dispute", order=order["name"])
    [delivery] = await shop.told()
    assert shop.connector.translate(delivery) == [Signal("disputes", doc["id"])]
    facts = await shop.facts("disputes", doc)
    assert moved(facts) == [("opened", "pay_1", 100_00)]
    assert facts[0].refs[1] == "here:payment:pay_1" and f"here:order:{number(order['id'])}" in facts[0].refs
    for status, phase in (("UNDER_REVIEW", "opened"), ("LOST", "lost"), ("WON", "won"), ("CHARGE_REFUNDED", "won")):
        await shop.act("move_dispute", dispute=doc["id"], status=status)
        assert moved(await shop.facts("disputes", doc)) == [(phase, "pay_1", 100_00)]
    await shop.act("move_dispute", dispute=doc["id"], status="PREVENTED")
    assert await shop.facts("disputes", doc) == []


async def test_an_inquiry_takes_no_money():
    shop = Shop()
    doc = await shop.act("open_dispute", order=(await sold(shop))["name"], type="INQUIRY")
    assert await shop.facts("disputes", doc) == []
