"""Returns that were asked for elsewhere: opened in the shop once, known when they are told back, restocked once."""

from dataclasses import replace
from typing import Any

import pytest

from counterflow.connectors.shopify.references import number
from counterflow.core.effects import OpenReturn, ReturnedItem, UnitResult, UpdateChannel
from counterflow.core.facts import ReturnRequested, SaleRecorded
from counterflow.core.ids import fact_id
from counterflow.core.policy import PolicySet, parse
from counterflow.core.returns.case import Routes, Setting
from counterflow.core.returns.decide import decide
from counterflow.engine.worker import Worker
from counterflow.guards import compile_guard
from counterflow.policies import default_text
from counterflow.sdk.outcomes import Done, Rejected, UnknownOutcome
from counterflow.store.pool import make_pool
from tests.connectors.shopify.shop import Shop, bodies
from tests.core.returns.telling import wanted
from tests.core.returns.test_opened_in_the_channel import APPROVES
from tests.engine.toy import FakePsp, SetClock, World, a_fact

SHIRT = {"sku": "SHIRT", "quantity": 2, "unit_price_minor": 19_90}


def order_ref(order: dict[str, Any]) -> str:
    return f"here:order:{number(order['id'])}"


def available(shop: Shop) -> int:
    levels = next(row for row in shop.world.all("variants") if row["sku"] == "SHIRT")["levels"]
    return sum(level["available"] for level in levels.values())


@pytest.mark.parametrize("fault", ["lost_reply", "lost_request"])
async def test_a_lost_answer_opens_one_return(fault: str):
    shop = Shop()
    order = await shop.place(SHIRT)
    line = number(order["lines"][0]["id"])
    effect = shop.effect(OpenReturn(order_ref(order), (ReturnedItem(line, "SHIRT", 1, "changed_mind"),)))
    shop.world.fault(fault, match="returnCreate")
    [lost] = await shop.connector.send([effect])
    assert not isinstance(lost, Done)
    found = await shop.connector.find(effect)
    if isinstance(lost, UnknownOutcome) and fault == "lost_reply":
        assert isinstance(found, Done)
    [done] = await shop.connector.send([effect])
    [ret] = shop.world.all("returns")
    assert isinstance(done, Done) and done.ref == f"here:return:{number(ret['id'])}" and ret["status"] == "OPEN"
    assert (ret["lines"][0]["reason"], ret["lines"][0]["quantity"]) == ("UNWANTED", 1)


async def test_told_back_it_names_the_effect_that_opened_it():
    shop = Shop()
    order = await shop.place(SHIRT)
    line = number(order["lines"][0]["id"])
    effect = shop.effect(OpenReturn(order_ref(order), (ReturnedItem(line, "SHIRT", 1, "defective"),)))
    await shop.connector.send([effect])
    [ret] = shop.world.all("returns")
    facts = await shop.facts("returns", ret)
    [fact] = [f for f in facts if isinstance(f.body, ReturnRequested)]
    assert fact.refs[0] == f"effect:{effect.effect_id}" and bodies(facts, ReturnRequested)[0].key == effect.effect_id


async def test_a_kit_is_opened_by_its_components_and_too_much_is_refused():
    shop = Shop()
    order = await shop.place(SHIRT)
    line = number(order["lines"][0]["id"])
    for item in (ReturnedItem(line, "SHIRT", 3, "defective"), ReturnedItem("kit-9", "CUP", 1, "defective")):
        [refused] = await shop.connector.send([shop.effect(OpenReturn(order_ref(order), (item,)))])
        assert isinstance(refused, Rejected) and refused.code == "returnable"
    assert shop.world.all("returns") == []


async def test_restocked_once_ended_and_opened_again():
    """What Odoo restocked is on sale in the shop again by the disposition of its return, and by nothing else."""
    shop = Shop()
    order = await shop.place(SHIRT)
    line = number(order["lines"][0]["id"])
    opened = shop.effect(OpenReturn(order_ref(order), (ReturnedItem(line, "SHIRT", 1, "changed_mind"),)))
    [done] = await shop.connector.send([opened])
    assert isinstance(done, Done)
    before = available(shop)
    for milestone, status in (("dispositioned", "OPEN"), ("closed", "CLOSED"), ("reopened", "OPEN")):
        results = (UnitResult(line, "SHIRT", 1, "restock"),)
        effect = shop.effect(UpdateChannel(order_ref(order), done.ref, milestone, results))
        for _ in range(2):
            assert isinstance((await shop.connector.send([effect]))[0], Done)
        [ret] = shop.world.all("returns")
        assert ret["status"] == status and available(shop) == before + 1


async def test_the_webhook_that_overtakes_our_answer_opens_no_second_case(fresh_database):
    shop, clock = Shop(), SetClock()
    order = await shop.place(SHIRT)
    sold = await shop.sale(order)
    policies = parse(default_text().replace(APPROVES, f"{APPROVES}\nthen.open_in_channel = true"), compile_guard)
    assert isinstance(policies, PolicySet)
    setting = Setting((policies,), Routes(erp="odoo"))
    async with make_pool(fresh_database) as pool:
        worker = Worker(pool, fresh_database, setting, {"here": shop.connector}, clock, decide)
        await worker.prepare()
        world = World(pool, fresh_database, worker, FakePsp(), clock)
        await world.tell(a_fact(SaleRecorded(sold), "sale", sold.sale_ref))
        asked = ReturnRequested("till-1:return:1", sold.sale_ref, (wanted(sold.lines[0].line_ref),))
        told = a_fact(asked, "R1", "till-1:return:1")
        await world.tell(replace(told, connection="till-1", fact_id=fact_id("till-1", "ReturnRequested", "R1", 0)))
        shop.world.fault("lost_reply", match="returnCreate")
        await world.settle()
        [ret] = shop.world.all("returns")
        assert await world.one("SELECT status FROM effects WHERE kind = 'OpenReturn'") == "unknown"
        for _ in range(2):  # the webhook, and again after our answer is known
            for fact in await shop.connector.fetch("returns", ret["id"]):
                await world.tell(replace(fact, seen_at=clock()))
            await world.later(900)
            await world.settle()
        assert await world.one("SELECT status FROM effects WHERE kind = 'OpenReturn'") == "done"
        assert await world.one("SELECT count(*) FROM cases") == 1 and len(shop.world.all("returns")) == 1


async def test_what_the_shop_has_refunded_by_itself_is_not_opened_to_be_restocked_again():
    shop = Shop()
    order = await shop.place(SHIRT)
    line = number(order["lines"][0]["id"])
    await shop.act("refund_in_admin", order=order["name"], lines=[{"sku": "SHIRT", "quantity": 2}])
    effect = shop.effect(OpenReturn(order_ref(order), (ReturnedItem(line, "SHIRT", 1, "changed_mind"),)))
    [refused] = await shop.connector.send([effect])
    assert isinstance(refused, Rejected) and refused.code == "returnable"
