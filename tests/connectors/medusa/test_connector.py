"""What the kit cannot know and a real server is not needed for: configuration, log-in, amounts, the border of pages."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from pydantic import ValidationError

from counterflow.connectors.medusa import connector
from counterflow.connectors.medusa.conformance import API_KEY, EMAIL, PASSWORD, Harness
from counterflow.connectors.medusa.sale import return_ref, sale_ref
from counterflow.core.effects import PayLeg, UpdateChannel
from counterflow.core.facts import RefundReported, ReturnRequested, SaleRecorded
from counterflow.core.sale import Sale
from counterflow.sdk.connector import Delivery
from counterflow.sdk.outcomes import AuthFailed, Done, UnknownOutcome
from counterflow.sdk.testing import CONNECTION


async def sale(harness: Harness, order: str, **config: Any) -> Sale:
    facts = await harness.connect(**config).fetch("orders", order)
    (found,) = [fact.body.sale for fact in facts if isinstance(fact.body, SaleRecorded)]
    return found


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"email": EMAIL},
        {"api_key": API_KEY, "email": EMAIL, "password": PASSWORD},
        {"api_key": "k", "since": "2026-01-01"},
    ],
)
def test_one_way_to_log_in_and_a_zone_for_the_beginning(given: dict[str, str]):
    with pytest.raises(ValidationError):
        connector.Config.model_validate({"base_url": "http://medusa.test", **given})


async def test_an_api_key_needs_no_log_in():
    harness = Harness()
    reader = harness.connect(email="", password="", api_key=API_KEY)
    assert [fine for _, fine, _ in await reader.check()] == [True, True, True]
    ((what, fine, do),) = await harness.connect(email="", password="", api_key="sk_stolen").check()
    assert (what, fine) == ("the shop answers", False) and "credentials" in do


async def test_a_token_that_has_expired_is_renewed_once_for_all_who_wait():
    harness = Harness()
    await harness.connector.pull("orders", "")
    harness.clock.advance(25 * 3600)
    await asyncio.gather(*(harness.connector.pull("orders", "") for _ in range(3)))
    assert len(harness.world.all("_tokens")) == 2


async def test_the_doctor_names_what_the_shop_does_not_have():
    harness = Harness()
    reader = harness.connect(gateways={"pp_none": "psp"}, restock_location="sloc_none", places={"sloc_gone": "wh-1"})
    told = {what: (fine, do) for what, fine, do in await reader.check()}
    assert told["payment providers"] == (False, "the shop has no pp_none: correct it")
    assert told["stock locations"] == (False, "the shop has no sloc_gone, sloc_none: correct it")


def test_whoever_sends_a_webhook_was_not_the_shop():
    harness = Harness()
    delivery = Delivery(CONNECTION, {}, b"{}", harness.clock.now())
    with pytest.raises(AuthFailed, match="sends no webhooks"):
        harness.connector.verify(delivery)


# ---- amounts ---------------------------------------------------------------------------------------------------------


async def test_taxes_on_top_and_percentages_are_rounded_once_and_half_up():
    harness = Harness()
    sold = await harness.act("sell", lines=[{"sku": "TEE", "quantity": 1, "price": 19.99}], exclusive=True)
    found = await sale(harness, sold["order"])
    (line, shipping) = found.lines
    assert not found.prices_include_tax and shipping.component == "shipping"
    assert (line.unit_price_minor, line.paid_minor, line.taxes[0].amount_minor) == (1999, 2379, 380)  # of 23.7881
    assert found.captured_minor == 2379  # the payment of a computed total has its decimals, too
    sold = await harness.act("sell", lines=[{"sku": "TEE", "quantity": 3, "price": 20}], discount=6.005)
    (line, _) = (await sale(harness, sold["order"])).lines
    assert (line.paid_minor, [(d.rule, d.amount_minor) for d in line.discounts]) == (5400, [("TEN", 601)])


async def test_a_price_with_more_decimals_than_its_currency_is_refused_by_name():
    harness = Harness()
    sold = await harness.act("sell", lines=[{"sku": "TEE", "quantity": 1, "price": 5.5}], currency="JPY")
    with pytest.raises(Exception, match=r"unit_price of ordli_\w+: 5.5 has more than the 0 decimals of JPY"):
        await harness.connector.fetch("orders", sold["order"])


async def test_a_provider_with_a_connection_of_its_own_pays_and_tells_itself():
    harness = Harness()
    sold = await harness.sell()
    await harness.act("refund_by_hand", payment=sold["payment"], amount=5)
    payment = harness.world.get("payments", sold["payment"]) or {}
    harness.world.put("payments", sold["payment"], {**payment, "data": {"id": "pi_7"}})
    own: dict[str, Any] = {"gateways": {"pp_system_default": "psp"}, "tenders": {"pp_system_default": "card"}}
    (paid,) = (await sale(harness, sold["order"], **own)).payments
    assert (paid.payment_ref, paid.tender, paid.connection) == ("pi_7", "card", "psp")
    facts = await harness.connect(**own).fetch("orders", sold["order"])
    assert not [fact for fact in facts if isinstance(fact.body, RefundReported)]


# ---- words -----------------------------------------------------------------------------------------------------------


async def test_a_conflict_that_speaks_of_an_idempotency_key_is_looked_up_and_sent_once():
    harness = Harness()
    effect = await harness.sample("PayLeg")
    harness.world.fault("locked", match=harness.write_label("PayLeg"))
    (outcome,) = await harness.connector.send([effect])
    assert isinstance(outcome, UnknownOutcome) and await harness.connector.find(effect) is None
    (outcome,) = await harness.connector.send([effect])
    assert isinstance(outcome, Done) and await harness.applied(effect) == 1


async def test_reasons_are_the_policys_words_and_one_of_them_asks_for_the_same_again():
    harness = Harness()
    sold = await harness.act("sell", lines=[{"sku": "TEE", "quantity": 4, "price": 20}])
    words: dict[str, Any] = {"reasons": {"too_small": "does_not_fit"}, "exchange_reasons": ("other_piece",)}
    told = []
    for reason in ("too_small", "other_piece", "defective", None):
        asked = [{"sku": "TEE", "quantity": 1, "reason": reason}]
        ret = await harness.act("request_return", order=sold["order"], lines=asked)
        facts = await harness.connect(**words).fetch("returns", ret["return"])
        (body,) = [fact.body for fact in facts if isinstance(fact.body, ReturnRequested)]
        told.append((body.lines[0].reason, body.lines[0].remedy))
    assert told == [
        ("does_not_fit", "refund"),
        ("other", "exchange"),
        ("defective", "refund"),
        ("none_given", "refund"),
    ]


# ---- pages -----------------------------------------------------------------------------------------------------------


async def test_rows_of_one_instant_do_not_stop_the_sweep():
    harness = Harness()
    sold = [await harness.sell() for _ in range(5)]
    for each in sold:  # a migration of the shop touched all orders at once
        order = harness.world.get("orders", each["order"]) or {}
        harness.world.put("orders", each["order"], {**order, "updated_at": "2026-11-20T08:00:00.000Z"})
    cursor, found = "", set()
    for _ in range(10):
        page = await harness.connector.pull("orders", cursor)
        found |= {item.ref for item in page.items if not hasattr(item, "body")}
        cursor = page.cursor
        if not page.more:
            break
    assert found == {each["order"] for each in sold} and cursor == "2026-11-20T08:00:00.000Z"


async def test_sweeps_begin_where_they_are_told_to():
    harness = Harness()
    await harness.sell()
    harness.clock.advance(60)
    since = harness.clock.now() - timedelta(seconds=30)
    new = await harness.sell()
    page = await harness.connect(since=since).pull("orders", "")
    assert [item.refs for item in page.items] == [(sale_ref(CONNECTION, new["order"]),)]


async def test_a_return_of_another_system_is_noted_and_not_received_here():
    harness = Harness()
    sold = await harness.sell()
    command = UpdateChannel(sale_ref(CONNECTION, sold["order"]), "till-1:return:RR-1", "dispositioned", ())
    (outcome,) = await harness.connector.send([harness.effect(command)])
    assert outcome == Done("till-1:return:RR-1")
    order = harness.world.get("orders", sold["order"]) or {}
    assert order["metadata"] == {"counterflow_dispositioned": "yes"}


async def test_an_answer_that_is_not_medusas_is_malformed_and_no_crash():
    harness = Harness()
    effect = await harness.sample("PayLeg")
    assert isinstance(effect.command, PayLeg)

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.startswith("/auth"):
            return httpx2.Response(200, json={"token": "t"})
        return httpx2.Response(200, json={"payment": {"id": "pay_1", "provider_id": "x", "currency_code": "eur"}})

    strange = harness.connect(network=httpx2.MockTransport(answer))
    (outcome,) = await strange.send([effect])
    assert getattr(outcome, "word", "") == "malformed", outcome
    assert return_ref(CONNECTION, "r") == f"{CONNECTION}:return:r"
