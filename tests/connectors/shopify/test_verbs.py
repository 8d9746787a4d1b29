"""What we change in the shop: answers, milestones, replacements, credit; each against what the shop then really has."""

from dataclasses import replace
from typing import Any

import pytest

from counterflow.connectors.shopify.answers import decline_reason
from counterflow.connectors.shopify.references import gift_card_code, number
from counterflow.core.effects import (
    AnswerReturn,
    CreateReplacement,
    Effect,
    PayLeg,
    ReplacementLine,
    UnitResult,
    UpdateChannel,
)
from counterflow.core.facts import RefundReported, ReplacementMoved, SaleRecorded
from counterflow.sdk.outcomes import (
    Accepted,
    Conflict,
    Done,
    MissingRight,
    Outcome,
    RateLimited,
    Rejected,
    UnknownOutcome,
)
from tests.connectors.shopify.shop import Shop, bodies

SHIRT = {"sku": "SHIRT", "quantity": 2, "unit_price_minor": 19_90}


async def send(shop: Shop, effect: Effect) -> Outcome:
    [outcome] = await shop.connector.send([effect])
    return outcome


def return_ref(ret: dict[str, Any]) -> str:
    return f"here:return:{number(ret['id'])}"


def the_return(shop: Shop, ret: dict[str, Any]) -> dict[str, Any]:
    return dict(shop.world.get("returns", ret["id"]) or {})


# ---- answers ---------------------------------------------------------------------------------------------------------


async def test_a_decline_carries_its_reason():
    shop = Shop()
    ret = await shop.request(await shop.place(SHIRT), "SHIRT")
    effect = shop.effect(AnswerReturn(return_ref(ret), "decline", "row window-over (fallback)" + "x" * 600))
    assert await send(shop, effect) == Done(ret["name"])
    now = the_return(shop, ret)
    assert now["status"] == "DECLINED" and now["decline"]["reason"] == "RETURN_PERIOD_ENDED"
    assert len(now["decline"]["note"]) == 500


@pytest.mark.parametrize(
    ("reason", "told"),
    [("row final_sale", "FINAL_SALE"), ("row guarantee-over (late)", "RETURN_PERIOD_ENDED"), ("customised", "OTHER")],
)
def test_reasons_to_decline(reason: str, told: str):
    assert decline_reason(reason) == told


async def test_an_answer_against_the_shops_own_is_a_conflict():
    shop = Shop()
    ret = await shop.request(await shop.place(SHIRT), "SHIRT")
    await shop.act("approve_return", **{"return": ret["name"]})
    outcome = await send(shop, shop.effect(AnswerReturn(return_ref(ret), "decline", "no")))
    assert isinstance(outcome, Conflict) and outcome.actual == "OPEN"


async def test_a_return_that_is_approved_in_part_says_so():
    """Shopify answers a return as a whole; what is declined stays ours to tell."""
    shop = Shop()
    order = await shop.place(SHIRT)
    ret = await shop.request(order, "SHIRT")
    await send(shop, shop.effect(AnswerReturn(return_ref(ret), "approve", "", "", ("1",), ("2",))))
    assert the_return(shop, ret)["status"] == "OPEN"
    assert "Return partly declined" in (shop.world.get("orders", order["id"]) or {})["tags"]


# ---- milestones ------------------------------------------------------------------------------------------------------


async def dispositioned(shop: Shop, order: dict[str, Any], ret: dict[str, Any], *results: UnitResult) -> Outcome:
    command = UpdateChannel(f"here:order:{number(order['id'])}", return_ref(ret), "dispositioned", results)
    return await send(shop, shop.effect(command))


def told(shop: Shop, ret: dict[str, Any]) -> list[tuple[str, int]]:
    return [
        (done["type"], done["quantity"])
        for reverse in the_return(shop, ret)["reverse"]
        for row in reverse["lines"]
        for done in row["dispositions"]
    ]


async def test_each_piece_gets_its_final_disposition_once():
    """Edge case 43: what is only held is not told, and what was told is not told again."""
    shop = Shop()
    order = await shop.place({**SHIRT, "quantity": 4})
    ret = await shop.request(order, "SHIRT", 4)
    await shop.act("approve_return", **{"return": ret["name"]})
    line = number(order["lines"][0]["id"])
    restock, scrap = UnitResult(line, "SHIRT", 2, "restock"), UnitResult(line, "SHIRT", 1, "scrap")
    for _ in range(2):
        await dispositioned(shop, order, ret, restock, scrap, UnitResult(line, "SHIRT", 1, "refurbish"))
        assert told(shop, ret) == [("RESTOCKED", 2), ("NOT_RESTOCKED", 1)]
    await dispositioned(shop, order, ret, restock, scrap, UnitResult(line, "SHIRT", 1, "liquidate"))
    assert told(shop, ret) == [("RESTOCKED", 2), ("NOT_RESTOCKED", 1), ("NOT_RESTOCKED", 1)]


async def test_nothing_is_restocked_where_another_system_tells_the_stock():
    shop = Shop(restock_location="")
    order = await shop.place(SHIRT)
    ret = await shop.request(order, "SHIRT")
    await shop.act("approve_return", **{"return": ret["name"]})
    await dispositioned(shop, order, ret, UnitResult(number(order["lines"][0]["id"]), "SHIRT", 1, "restock"))
    assert told(shop, ret) == [("NOT_RESTOCKED", 1)]


async def test_a_part_of_a_kit_is_dispositioned_by_its_sku():
    shop = Shop()
    parts = [{"sku": "MUG", "unit_price_minor": 10_00}, {"sku": "PLATE", "unit_price_minor": 14_00}]
    order = await shop.place({"sku": "TABLEWARE", "components": parts})
    ret = await shop.act(
        "request_return", order=order["name"], lines=[{"sku": "MUG", "quantity": 1}, {"sku": "PLATE", "quantity": 1}]
    )
    await shop.act("approve_return", **{"return": ret["name"]})
    [kit] = (await shop.sale(order)).lines
    results = (UnitResult(kit.line_ref, "PLATE", 1, "restock"), UnitResult(kit.line_ref, "MUG", 1, "scrap"))
    await dispositioned(shop, order, ret, *results)
    assert told(shop, ret) == [("NOT_RESTOCKED", 1), ("RESTOCKED", 1)]


async def test_milestones_are_tags_and_the_return_is_closed():
    shop = Shop()
    order = await shop.place(SHIRT)
    ret = await shop.request(order, "SHIRT")
    await shop.act("approve_return", **{"return": ret["name"]})
    for milestone in ("received", "refunded", "closed", "closed"):
        command = UpdateChannel(f"here:order:{number(order['id'])}", return_ref(ret), milestone)
        assert isinstance(await send(shop, shop.effect(command)), Done)
    tags = (shop.world.get("orders", order["id"]) or {})["tags"]
    assert {"Return received", "Return refunded"} <= set(tags)
    assert the_return(shop, ret)["status"] == "CLOSED"


@pytest.mark.parametrize("approved", [True, False])
async def test_a_return_that_was_cancelled_elsewhere_is_cancelled_in_the_shop(approved: bool):
    shop = Shop()
    order = await shop.place(SHIRT)
    ret = await shop.request(order, "SHIRT")
    if approved:
        await shop.act("approve_return", **{"return": ret["name"]})
    effect = shop.effect(UpdateChannel(f"here:order:{number(order['id'])}", return_ref(ret), "cancelled"))
    shop.world.fault("lost_reply", match="returnCancel")
    assert not isinstance(await send(shop, effect), Done)
    assert isinstance(await send(shop, effect), Done)
    assert the_return(shop, ret)["status"] == "CANCELED"


async def test_what_the_shop_has_ended_stays_so():
    shop = Shop()
    order = await shop.place(SHIRT)
    ret = await shop.request(order, "SHIRT")
    await shop.act("decline_return", **{"return": ret["name"]})
    for milestone in ("cancelled", "closed"):
        command = UpdateChannel(f"here:order:{number(order['id'])}", return_ref(ret), milestone)
        assert isinstance(await send(shop, shop.effect(command)), Done)
    assert the_return(shop, ret)["status"] == "DECLINED"


# ---- replacements ----------------------------------------------------------------------------------------------------


async def test_a_replacement_that_the_return_carries_is_added_to_its_order():
    shop = Shop(native_exchanges=True)
    await shop.act("add_product", sku="HOODIE", price_minor=25_00, stock={"Warehouse": 9})
    order = await shop.place(SHIRT)
    ret = await shop.request(order, "SHIRT")
    await shop.act("customer_picks", **{"return": ret["name"], "remedy": "exchange", "sku": "HOODIE"})
    await shop.act("approve_return", **{"return": ret["name"]})
    line = ReplacementLine("HOODIE", 1, 25_00, number(order["lines"][0]["id"]))
    ref = f"here:order:{number(order['id'])}"
    effect = shop.effect(CreateReplacement(ref, return_ref(ret), (line,), "EUR", 19_90, 5_10))
    assert await shop.connector.find(effect) is None
    shop.world.fault("lost_reply", match="returnProcess")
    assert isinstance(await send(shop, effect), UnknownOutcome)
    found = await shop.connector.find(effect)
    assert found == Done(f"here:exchange:{number(ret['id'])}") == await send(shop, effect)
    skus = [row["sku"] for row in (shop.world.get("orders", order["id"]) or {})["lines"]]
    assert skus == ["SHIRT", "HOODIE"] and len(shop.world.all("orders")) == 1
    shop.clock.advance(5)
    await shop.act("fulfil", order=order["name"])
    facts = await shop.facts("orders", order)
    assert bodies(facts, ReplacementMoved) == [
        ReplacementMoved(f"here:exchange:{number(ret['id'])}", state, 25_00) for state in ("created", "shipped")
    ]
    assert [row.sku for row in bodies(facts, SaleRecorded)[0].sale.lines] == ["SHIRT", "HOODIE"]


async def test_two_replacements_under_one_key_are_for_a_person():
    shop = Shop()
    effect = await shop.sample("CreateReplacement")
    for _ in range(2):
        await send(shop, effect)
    with pytest.raises(UnknownOutcome, match="cancel all but one"):
        await shop.connector.find(effect)


async def test_a_replacement_in_another_currency_than_the_shops_is_for_a_person():
    shop = Shop()
    order = await shop.place(SHIRT, presentment_currency="JPY", exchange_rate=0.0061)
    line = ReplacementLine("SHIRT", 1, 1990, number(order["lines"][0]["id"]))
    command = CreateReplacement(f"here:order:{number(order['id'])}", "", (line,), "JPY", 1990)
    outcome = await send(shop, shop.effect(command))
    assert isinstance(outcome, Rejected) and outcome.code == "currency"


# ---- credit ----------------------------------------------------------------------------------------------------------


async def credit(shop: Shop, currency: str = "EUR", amount: int = 19_90) -> tuple[dict[str, Any], Effect]:
    """Store credit for an order that was paid by card."""
    order = await shop.place({**SHIRT, "unit_price_minor": amount}, presentment_currency=currency)
    command = PayLeg(
        "rl_1", "ri_1", "store_credit", "pi_1", f"here:order:{number(order['id'])}", "", amount, currency, ()
    )
    return order, shop.effect(command)


@pytest.mark.parametrize(("currency", "amount"), [("EUR", 19_99), ("JPY", 1999), ("KWD", 12_345)])
async def test_store_credit_is_given_once_to_the_minor_unit(currency: str, amount: int):
    shop = Shop()
    order, effect = await credit(shop, currency, amount)
    shop.world.fault("lost_reply", match="refundCreate")
    assert isinstance(await send(shop, effect), UnknownOutcome)
    found = await shop.connector.find(effect)
    assert isinstance(found, Done) and found == await send(shop, effect)
    [account] = shop.world.all("store_credit")
    assert (account["balance_minor"], account["currency"]) == (amount, currency)
    [body] = bodies(await shop.facts("orders", order), RefundReported)
    assert (body.key, body.refund_ref, body.amount_minor) == (effect.effect_id, found.ref, amount)
    assert (body.tender, body.status) == ("store_credit", "succeeded")


async def test_store_credit_needs_a_customer():
    shop = Shop()
    order = await shop.place(SHIRT, customer=None)
    command = PayLeg("rl_1", "ri_1", "store_credit", "pi_1", f"here:order:{number(order['id'])}", "", 500, "EUR", ())
    assert isinstance(await send(shop, shop.effect(command)), Rejected)


async def test_a_burnt_key_is_looked_up_before_the_next_one():
    """The shop applied it and remembers it as failed: the same key answers that it failed, for ever."""
    shop = Shop()
    _, effect = await credit(shop)
    shop.world.fault("idempotency_burnt", match="refundCreate")
    shop.world.fault("lost_reply", match="refundCreate")
    assert isinstance(await send(shop, effect), UnknownOutcome)
    again = await send(shop, effect)  # as if nobody had looked
    assert isinstance(again, Done)
    assert [account["balance_minor"] for account in shop.world.all("store_credit")] == [19_90]


async def test_a_key_that_was_burnt_by_a_refusal_is_replaced():
    shop = Shop()
    order, effect = await credit(shop)
    too_much = replace(effect, command=replace(effect.command, amount_minor=19_90))  # type: ignore[arg-type]
    await shop.act("refund_in_admin", order=order["name"], amount_minor=39_80)
    assert isinstance(await send(shop, too_much), Rejected)
    doc = shop.world.get("orders", order["id"]) or {}
    shop.world.put("orders", order["id"], {**doc, "transactions": doc["transactions"][:1], "refunds": []})
    assert isinstance(await send(shop, effect), Done)


async def test_a_key_in_work_is_unknown():
    shop = Shop()
    _, effect = await credit(shop)
    shop.world.fault("idempotency_concurrent", match="refundCreate")
    outcome = await send(shop, effect)
    assert isinstance(outcome, UnknownOutcome) and outcome.code == "IDEMPOTENCY_CONCURRENT_REQUEST"


async def test_an_expired_gift_card_is_issued_anew():
    """Edge case 48: its money never leaves as cash, so it becomes a new card."""
    shop = Shop()
    effect = await shop.sample("PayLeg")
    [card] = shop.world.all("gift_cards")
    await shop.act("disable_gift_card", gift_card=card["id"])
    failed = await send(shop, effect)
    assert isinstance(failed, Rejected) and "money failed" in failed.message
    second = shop.effect(effect.command)  # the case decides again, under a new key
    assert await shop.connector.find(second) is None
    shop.world.fault("lost_reply", match="giftCardCreate")
    assert isinstance(await send(shop, second), UnknownOutcome)
    found = await shop.connector.find(second)
    assert isinstance(found, Done) and found == await send(shop, second)
    cards = [c for c in shop.world.all("gift_cards") if c["id"] != card["id"]]
    assert [(c["initial_minor"], c["id"]) for c in cards] == [(19_90, found.ref)]
    other = replace(second, command=replace(second.command, amount_minor=5_00))  # type: ignore[arg-type]
    assert isinstance(await send(shop, other), Conflict)


async def test_a_gift_card_in_the_version_that_knows_no_other_currency():
    shop = Shop(api_version="2026-04")
    for currency, fine in (("EUR", True), ("JPY", False)):
        first = await shop.sample("PayLeg", currency, 19_90)
        await shop.act("disable_gift_card", gift_card=shop.world.all("gift_cards")[-1]["id"])
        assert isinstance(await send(shop, first), Rejected)
        outcome = await send(shop, shop.effect(first.command))
        if fine:
            assert isinstance(outcome, Done)
        else:
            assert isinstance(outcome, Rejected) and "set api_version" in outcome.message


async def test_money_under_way_is_accepted_and_asked_about():
    shop = Shop()
    effect = await shop.sample("PayLeg")
    shop.world.fault("refund_pending", match="refundCreate")
    assert isinstance(await send(shop, effect), Accepted)
    assert isinstance(await shop.connector.find(effect), Accepted)
    shop.clock.advance(120)
    await shop.told()
    assert isinstance(await shop.connector.find(effect), Done)


async def test_a_card_is_not_for_the_shop_to_pay():
    shop = Shop()
    effect = await shop.sample("PayLeg")
    card = replace(effect, command=replace(effect.command, rail="card"))  # type: ignore[arg-type]
    outcome = await send(shop, card)
    assert isinstance(outcome, Rejected) and outcome.code == "rail"


def test_nobody_can_guess_a_gift_card():
    codes = {gift_card_code(secret, key) for secret in ("one", "two") for key in ("ef_1", "ef_2")}
    assert len(codes) == 4 and all(len(code) == 16 and code.isalnum() for code in codes)


# ---- the client ------------------------------------------------------------------------------------------------------


async def test_throttled_waits_until_the_document_fits():
    shop = Shop()
    effect = await shop.sample("ReadSale")
    shop.world.fault("throttled", match="order")
    outcome = await send(shop, effect)
    assert isinstance(outcome, RateLimited) and 0 < outcome.retry_after < 5


async def test_a_missing_scope_stops_the_connection():
    shop = Shop()
    effect = await shop.sample("ReadSale")
    shop.world.fault("access_denied", match="order")
    outcome = await send(shop, effect)
    assert isinstance(outcome, MissingRight) and "access scope" in outcome.message


async def test_check_says_what_is_wrong():
    shop = Shop()
    assert [(what, fine) for what, fine, _ in await shop.connector.check()] == [
        ("the shop answers", True),
        ("access scopes", True),
        ("API version", True),
        ("webhooks", True),
    ]
    [lost] = [row for row in shop.world.all("subscriptions") if row["topic"] == "RETURNS_REQUEST"]
    shop.world.delete("subscriptions", lost["id"])
    old = shop.connect(api_version="2020-01")
    problems = {what: advice for what, fine, advice in await old.check() if not fine}
    assert set(problems) == {"API version", "webhooks"} and "answered as 2025-10" in problems["API version"]
    await shop.act("uninstall_app")
    [(_, fine, advice)] = await shop.connector.check()
    assert not fine and "credentials" in advice
