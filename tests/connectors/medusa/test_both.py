"""What Medusa really does, and what the connector makes of it: each test runs on the simulator and on a real server."""

from dataclasses import replace
from typing import Any

import pytest

from counterflow.connectors.medusa.conformance import Harness
from counterflow.connectors.medusa.sale import return_ref, sale_ref
from counterflow.core.effects import AnswerReturn, CreateReplacement, Effect, PayLeg, UnitResult, UpdateChannel
from counterflow.core.facts import (
    Fact,
    ItemsReceived,
    RefundReported,
    RefundSettled,
    ReplacementMoved,
    ReturnCancelled,
    ReturnRequested,
    SaleRecorded,
)
from counterflow.sdk.connector import Connector, Signal
from counterflow.sdk.outcomes import Conflict, Done, Malformed, NotFound, Outcome, Rejected, Transient, UnknownOutcome
from counterflow.sdk.testing import CONNECTION

TEE = {"sku": "TEE", "quantity": 1}


async def send(connector: Connector, effect: Effect) -> Outcome:
    (outcome,) = await connector.send([effect])
    return outcome


async def notes(shop: Harness, payment: str) -> list[str]:
    found = await shop.read(f"/admin/payments/{payment}", "payment", fields="id,*refunds")
    return [row["note"] for row in found["refunds"]]


def of(kind: type, facts: Any) -> list[Any]:
    return [fact.body for fact in facts if isinstance(fact.body, kind)]


async def swept(shop: Harness, feed: str) -> list[Fact | Signal]:
    """All pages; a row at the border of two comes twice."""
    cursor, found = "", list[Fact | Signal]()
    while True:
        page = await shop.connector.pull(feed, cursor)
        found += page.items
        if not page.more:
            return list({str(i.fact_id if isinstance(i, Fact) else i): i for i in found}.values())
        cursor = page.cursor


# ---- refunds ---------------------------------------------------------------------------------------------------------


async def test_the_shop_pays_what_it_is_sent_twice_and_only_the_look_up_prevents_it(shop: Harness):
    effect = await shop.sample("PayLeg")
    assert isinstance(effect.command, PayLeg)
    body = {"amount": 19.9, "note": f"Counterflow {effect.effect_id}"}
    for _ in range(2):  # the bare request, as a client without look-up would repeat it
        await shop.act("refund_by_hand", payment=effect.command.payment_ref, **body)
    assert len(await notes(shop, effect.command.payment_ref)) == 2
    with pytest.raises(UnknownOutcome, match="refunded 2 times"):
        await shop.connector.find(effect)

    other = await shop.sample("PayLeg")
    first, second = await send(shop.connector, other), await send(shop.connect(), other)
    assert isinstance(first, Done) and first == second
    assert await shop.applied(other) == 1


async def test_a_lost_reply_is_unknown_then_found_and_paid_once(shop: Harness):
    effect = await shop.sample("PayLeg")
    shop.world.fault("lost_reply", match=shop.write_label("PayLeg"))
    lost = await send(shop.connector, effect)
    assert isinstance(lost, UnknownOutcome)
    found = await shop.connector.find(effect)
    assert isinstance(found, Done) and await shop.applied(effect) == 1


async def test_a_refund_that_was_made_and_answered_400_counts_as_made(shop: Harness):
    effect = await shop.sample("PayLeg")
    command = effect.command
    assert isinstance(command, PayLeg)
    await shop.act("edit", order=command.order_ref.rpartition(":")[2])
    outcome = await send(shop.connector, effect)
    assert isinstance(outcome, Done), outcome
    assert await shop.applied(effect) == 1 and len(await notes(shop, command.payment_ref)) == 1


async def test_a_refund_by_a_person_is_swept_although_no_time_of_its_payment_or_order_changed(shop: Harness):
    sold = await shop.sell()
    before = await shop.read(f"/admin/payments/{sold['payment']}", "payment", fields="id,updated_at")
    assert of(RefundReported, await swept(shop, "refunds")) == []
    refund = (await shop.act("refund_by_hand", payment=sold["payment"], amount=5))["refund"]
    after = await shop.read(f"/admin/payments/{sold['payment']}", "payment", fields="id,updated_at")
    assert before == after
    told = await swept(shop, "refunds")
    (body,) = of(RefundReported, told)
    assert (body.refund_ref, body.amount_minor, body.currency, body.key) == (refund, 500, "EUR", "")
    assert (body.payment_ref, body.status, body.tender) == (sold["payment"], "succeeded", "bank")
    assert of(RefundSettled, told) == [RefundSettled(refund, "", 500, "EUR")]  # no payout will name it
    assert {fact.origin for fact in told if isinstance(fact, Fact)} == {"channel"}
    assert all(sale_ref(CONNECTION, sold["order"]) in fact.refs for fact in told)


async def test_more_decimals_than_the_currency_has_are_refused_by_name(shop: Harness):
    sold, other = await shop.sell(), await shop.sell()
    refund = (await shop.act("refund_by_hand", payment=sold["payment"], amount=1.005))["refund"]
    fine = (await shop.act("refund_by_hand", payment=other["payment"], amount=2))["refund"]
    told = await swept(shop, "refunds")
    assert [body.refund_ref for body in of(RefundReported, [i for i in told if isinstance(i, Fact)])] == [fine]
    (look,) = [item for item in told if isinstance(item, Signal)]
    with pytest.raises(Malformed, match=rf"amount of {refund}: 1.005 has more than the 2 decimals of EUR"):
        await shop.connector.fetch(look.feed, look.ref)


async def test_a_payment_in_another_currency_or_of_another_provider_is_not_touched(shop: Harness):
    effect = await shop.sample("PayLeg", "JPY", 500)
    wrong = replace(effect, command=replace(effect.command, currency="EUR"))  # type: ignore[arg-type]
    outcome = await send(shop.connector, wrong)
    assert isinstance(outcome, Rejected) and outcome.code == "currency"
    elsewhere = shop.connect(gateways={"pp_system_default": "psp"})
    outcome = await send(elsewhere, effect)
    assert isinstance(outcome, Rejected) and outcome.code == "gateway"
    card = replace(effect, command=replace(effect.command, rail="gift_card"))  # type: ignore[arg-type]
    outcome = await send(shop.connector, card)
    assert isinstance(outcome, Rejected) and outcome.code == "rail"
    assert await shop.applied(effect) == 0


# ---- sales -----------------------------------------------------------------------------------------------------------


async def test_a_sale_is_told_as_it_was_paid_and_what_comes_back_does_not_shrink_it(shop: Harness):
    lines = [{"sku": "TEE", "quantity": 2, "price": 20}, {"sku": "HOODIE", "quantity": 1, "price": 50}]
    sold = await shop.act("sell", lines=lines)
    await shop.act("fulfil", order=sold["order"])
    ref = sale_ref(CONNECTION, sold["order"])
    (sale,) = [body.sale for body in of(SaleRecorded, await shop.connector.fetch("orders", ref))]
    rows = {line.sku: line for line in sale.lines if line.component == "goods"}
    tee = rows["TEE"]
    assert (tee.quantity, tee.delivered, tee.unit_price_minor, tee.paid_minor) == (2, 2, 2000, 4000)
    assert [(tax.code, tax.rate_ppm, tax.amount_minor) for tax in tee.taxes] == [("DE-19", 190_000, 639)]
    assert (sale.currency, sale.country, sale.prices_include_tax) == ("EUR", "DE", True)
    assert (sale.captured_minor, sale.paid_minor, sale.order_number) == (9000, 9000, sold["number"])
    (payment,) = sale.payments
    assert (payment.payment_ref, payment.tender, payment.connection) == (sold["payment"], "bank", CONNECTION)

    ret = await shop.act("request_return", order=sold["order"], lines=[TEE])
    await shop.act("receive_by_hand", **{"return": ret["return"]}, lines=[TEE])
    (again,) = [body.sale for body in of(SaleRecorded, await shop.connector.fetch("orders", sold["number"]))]
    assert [line.paid_minor for line in again.lines] == [line.paid_minor for line in sale.lines]
    assert again.version >= sale.version


async def test_an_order_that_is_not_there_is_not_found(shop: Harness):
    for ref in ("order_none", "#999999"):
        with pytest.raises(NotFound):
            await shop.connector.fetch("orders", ref)


# ---- returns ---------------------------------------------------------------------------------------------------------


async def test_a_return_made_by_a_person_in_the_admin_is_swept_and_is_authorised(shop: Harness):
    sold = await shop.sell()
    ret = await shop.act("agent_return", order=sold["order"], lines=[{**TEE, "reason": "defective"}])
    signals = await swept(shop, "returns")
    assert Signal("returns", ret["return"], (return_ref(CONNECTION, ret["return"]),)) in signals
    (asked,) = of(ReturnRequested, await shop.connector.fetch("returns", ret["return"]))
    assert asked.authorised_by_channel and asked.rma_number == ret["number"]
    assert [(row.line_ref, row.quantity, row.reason) for row in asked.lines] == [
        (sold["items"][0]["id"], 1, "defective")
    ]


async def test_a_return_of_the_shopper_is_answered_and_a_decline_cancels_it_with_its_label(shop: Harness):
    sold = await shop.sell()
    ret = await shop.act("request_return", order=sold["order"], lines=[{**TEE, "reason": "odd"}])
    ref = return_ref(CONNECTION, ret["return"])
    (asked,) = of(ReturnRequested, await shop.connector.fetch("returns", ref))
    assert not asked.authorised_by_channel and asked.lines[0].reason == "other"
    for _ in range(2):
        assert await send(shop.connector, shop.effect(AnswerReturn(ref, "decline", "too late"))) == Done(ret["number"])
    found = await shop.read(f"/admin/returns/{ret['return']}", "return", fields="id,status")
    assert found["status"] == "canceled"
    assert of(ReturnCancelled, await shop.connector.fetch("returns", ref)) == []  # it was we
    outcome = await send(shop.connector, shop.effect(AnswerReturn(ref, "approve", "")))
    assert isinstance(outcome, Conflict) and outcome.actual == "canceled"


async def test_a_return_cancelled_in_the_shop_is_told(shop: Harness):
    sold = await shop.sell()
    ret = await shop.act("request_return", order=sold["order"], lines=[TEE])
    await shop.act("cancel_return", **{"return": ret["return"]})
    assert of(ReturnCancelled, await shop.connector.fetch("returns", ret["return"]))


async def test_what_was_disposed_of_is_received_once_and_in_parts(shop: Harness):
    sold = await shop.act("sell", lines=[{"sku": "TEE", "quantity": 3, "price": 20}])
    ret = await shop.act("request_return", order=sold["order"], lines=[{"sku": "TEE", "quantity": 3}])
    location = (await shop.read(f"/admin/returns/{ret['return']}", "return", fields="id,location_id"))["location_id"]
    connector = shop.connect(restock_location=location)
    stock = await level(shop, location)

    async def tell(*results: tuple[int, str]) -> tuple[int, int, int]:
        rows = tuple(UnitResult(sold["items"][0]["id"], "TEE", n, disposition) for n, disposition in results)
        ref = return_ref(CONNECTION, ret["return"])
        command = UpdateChannel(sale_ref(CONNECTION, sold["order"]), ref, "dispositioned", rows)
        assert isinstance(await send(connector, shop.effect(command)), Done)
        order = await shop.read(f"/admin/orders/{sold['order']}", "order", fields="id,*items,*items.detail")
        detail = order["items"][0]["detail"]
        parts = ("requested", "received", "dismissed")
        requested, received, dismissed = (int(detail[f"return_{part}_quantity"]) for part in parts)
        return requested, received, dismissed

    assert await tell((1, "restock")) == (2, 1, 0)
    assert await tell((1, "restock")) == (2, 1, 0)  # told twice
    assert await tell((2, "restock"), (1, "scrap")) == (0, 2, 1)
    assert await tell((2, "restock"), (1, "scrap")) == (0, 2, 1)
    found = await shop.read(f"/admin/returns/{ret['return']}", "return", fields="id,status,*items")
    (row,) = found["items"]  # Medusa forgets the first receipt, so that nobody may count here
    assert (found["status"], row["received_quantity"], row["damaged_quantity"]) == ("partially_received", 2, 1)
    assert await level(shop, location) == stock + 2


async def level(shop: Harness, location: str) -> int:
    fields = "id,sku,location_levels.location_id,location_levels.stocked_quantity"
    (item,) = await shop.read("/admin/inventory-items", "inventory_items", sku="TEE", fields=fields)
    return sum(row["stocked_quantity"] for row in item["location_levels"] if row["location_id"] == location)


async def test_a_receipt_of_ours_that_was_left_open_is_carried_on_with(shop: Harness):
    effect = await shop.sample("UpdateChannel")
    shop.world.fault("refused", match=r"dismiss-items$")
    assert isinstance(await send(shop.connector, effect), Transient)
    assert isinstance(await send(shop.connector, effect), Done)
    assert await shop.applied(effect) == 1


async def test_a_receipt_waits_while_somebody_edits_the_order(shop: Harness):
    effect = await shop.sample("UpdateChannel")
    assert isinstance(effect.command, UpdateChannel)
    await shop.act("edit", order=effect.command.order_ref.rpartition(":")[2])
    outcome = await send(shop.connector, effect)
    assert isinstance(outcome, Transient) and "editing" in outcome.message
    assert await shop.applied(effect) == 0


async def test_goods_that_people_received_in_the_shop_are_a_receipt_and_ours_are_none(shop: Harness):
    sold = await shop.act("sell", lines=[{"sku": "TEE", "quantity": 2, "price": 20}])
    ret = await shop.act("request_return", order=sold["order"], lines=[{"sku": "TEE", "quantity": 2}])
    location = (await shop.read(f"/admin/returns/{ret['return']}", "return", fields="id,location_id"))["location_id"]
    await shop.act("receive_by_hand", **{"return": ret["return"]}, lines=[{**TEE, "damaged": True}])
    rows = (UnitResult(sold["items"][0]["id"], "TEE", 2, "scrap"),)
    ref = return_ref(CONNECTION, ret["return"])
    command = UpdateChannel(sale_ref(CONNECTION, sold["order"]), ref, "dispositioned", rows)
    assert isinstance(await send(shop.connector, shop.effect(command)), Done)
    connector = shop.connect(places={location: "wh-1"})
    (receipt,) = of(ItemsReceived, await connector.fetch("returns", ret["return"]))
    (item,) = receipt.items
    assert (receipt.place, item.sku, item.quantity, item.condition) == ("wh-1", "TEE", 1, "damaged_parcel")
    assert item.line_ref == sold["items"][0]["id"]
    assert of(ItemsReceived, await shop.connector.fetch("returns", ret["return"])) == []  # no place of ours


# ---- replacements ----------------------------------------------------------------------------------------------------


async def test_an_exchange_of_the_shop_is_told_and_carries_its_replacement(shop: Harness):
    sold = await shop.act("sell", lines=[{"sku": "TEE", "quantity": 1, "price": 20}])
    out = [{"sku": "TEE-L", "quantity": 1, "price": 21}]
    made = await shop.act("exchange", order=sold["order"], lines=[TEE], outbound=out)
    facts = await shop.connector.fetch("returns", made["return"])
    (asked,) = of(ReturnRequested, facts)
    (line,) = asked.lines
    assert asked.authorised_by_channel and (line.remedy, line.replacement_sku) == ("exchange", "TEE-L")
    assert line.replacement_unit_minor == 2100
    assert [(body.state, body.total_minor) for body in of(ReplacementMoved, facts)] == [("created", 2100)]

    order, ref = sale_ref(CONNECTION, sold["order"]), return_ref(CONNECTION, made["return"])
    effect = shop.effect(CreateReplacement(order, ref, (), "EUR", 20_00, 1_00))
    outcome = await send(shop.connector, effect)
    assert outcome == Done(f"{CONNECTION}:exchange:{made['exchange']}") == await shop.connector.find(effect)
    await shop.act("fulfil", order=sold["order"])
    await shop.act("deliver", order=sold["order"])
    states = [body.state for body in of(ReplacementMoved, await shop.connector.fetch("orders", sold["order"]))]
    assert states == ["created", "shipped", "delivered"]


async def test_a_replacement_of_its_own_is_paid_by_credit_and_followed_to_the_door(shop: Harness):
    effect = await shop.sample("CreateReplacement")
    outcome = await send(shop.connector, effect)
    assert isinstance(outcome, Done)
    facts = await shop.connector.fetch("orders", outcome.ref)
    (sale,) = [body.sale for body in of(SaleRecorded, facts)]
    (line,) = [line for line in sale.lines if line.component == "goods"]
    assert isinstance(effect.command, CreateReplacement)
    assert (line.sku, line.paid_minor, sale.root) == ("TEE-L", 2190, effect.command.order_ref)
    assert [(p.tender, p.captured_minor) for p in sale.payments] == [("exchange_credit", 1990)]
    (moved,) = [fact for fact in facts if isinstance(fact.body, ReplacementMoved)]
    assert moved.refs[0] == f"effect:{effect.effect_id}"
    id_ = outcome.ref.rpartition(":")[2]
    await shop.act("fulfil", order=id_)
    await shop.act("deliver", order=id_)
    states = [body.state for body in of(ReplacementMoved, await shop.connector.fetch("orders", id_))]
    assert states == ["created", "shipped", "delivered"]


async def test_a_draft_that_a_lost_answer_left_behind_becomes_the_one_replacement(shop: Harness):
    effect = await shop.sample("CreateReplacement")
    shop.world.fault("lost_reply", match=r"^POST /admin/draft-orders$")
    assert isinstance(await send(shop.connector, effect), UnknownOutcome)
    assert await shop.connector.find(effect) is None  # a draft is no order yet
    assert isinstance(await send(shop.connector, effect), Done)
    assert await shop.applied(effect) == 1
    drafts = await shop.read("/admin/draft-orders", "draft_orders", fields="id,metadata", limit=1000)
    assert not [row for row in drafts if effect.effect_id in str(row["metadata"])]
