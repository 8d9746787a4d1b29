"""A return paid back at Adyen through the real core, engine and intake: asynchronous, lost, late, forged, settled."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from counterflow.core.effects import COMMANDS, Effect
from counterflow.core.facts import (
    BankLineBooked,
    Body,
    Counted,
    Fact,
    ItemInspected,
    ItemsReceived,
    RequestedLine,
    ReturnRequested,
    SaleRecorded,
)
from counterflow.core.ids import fact_id
from counterflow.core.returns.decide import decide
from counterflow.core.sale import Payment
from counterflow.engine.worker import Worker
from counterflow.intake.pressure import Pressure
from counterflow.intake.receive import Intake, Receipt
from counterflow.reconcile.payouts import Payouts
from counterflow.sdk.connector import Context, Delivery
from counterflow.sdk.http import Unlimited
from counterflow.sdk.manifest import Idempotency, Support
from counterflow.sdk.outcomes import AuthFailed, Done, Outcome
from counterflow.store.pool import make_pool
from tests.connectors.adyen.spec import Harness
from tests.core.returns.telling import SETTING, sale
from tests.engine.toy import FakePsp, World

RETURN = "shop:return:1"


class Agreeable(FakePsp):
    """Every other system of the retailer: it does what it is asked."""

    def __init__(self) -> None:
        super().__init__({name: Support(Idempotency.STATE) for name in COMMANDS})

    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        self.groups.append([effect.effect_id for effect in effects])
        return [Done(f"{effect.kind}-{effect.effect_id[-6:]}") for effect in effects]


class Shop(World):
    """The engine with Adyen behind it; `adyen` is the simulated merchant account, `payment` what the customer paid."""

    adyen: Harness
    payment: str

    async def say(self, body: Body, connection: str, origin: str, ref: str = RETURN) -> None:
        now = self.clock()
        id_ = fact_id(connection, type(body).__name__, f"{body}")
        await self.tell(Fact(id_, connection, now, now, (ref,), body, origin))
        await self.settle()

    async def bring_back(self) -> None:
        """A shirt of 20.00 is asked back, received and inspected: it is to be paid back."""
        await self.say(ReturnRequested(RETURN, "shop:order:5001", (RequestedLine("L1", 1),)), "shop", "channel")
        await self.say(ItemsReceived("r1", "wh-1", (Counted("TEE", 1),)), "wms", "warehouse")
        await self.say(ItemInspected("i1", "wh-1", "TEE", "A"), "wms", "warehouse")

    async def pass_time(self, seconds: float) -> None:
        """At Adyen, too; what it sends is received."""
        self.adyen.clock.advance(seconds)
        for delivery in await self.adyen.told():
            await self.receive(delivery)
        for _ in range(3):  # what Adyen answered is drained in the next round
            await self.settle()

    async def receive(self, delivery: Delivery) -> Receipt:
        async with Intake(self.pool, self.worker.connectors, self.clock, Pressure(self.pool)) as intake:
            return await intake.receive(Delivery("psp", delivery.headers, delivery.body, self.clock()))

    async def leg(self) -> dict[str, Any]:
        (legs,) = (await self.rows("SELECT view->'legs' FROM cases"))[0]
        found: dict[str, Any] = legs[-1]
        return found

    async def effect(self) -> tuple[str, str]:
        status, word = await self.one(
            "SELECT status, word FROM effects WHERE kind = 'PayLeg' ORDER BY decided_at LIMIT 1"
        )
        return status, word

    async def exceptions(self) -> set[str]:
        return {kind for (kind,) in await self.rows("SELECT kind FROM exceptions WHERE status = 'open'")}


@asynccontextmanager
async def a_shop(url: str) -> AsyncIterator[Shop]:
    adyen, others = Harness(), Agreeable()
    payment = (await adyen.act("pay", value=20_00, currency="EUR", reference="#1001"))["pspReference"]
    config = adyen.maker.Config.model_validate(dict(adyen.config))
    psp = adyen.maker.make(config, Context("psp", Unlimited(), adyen.clock.now, adyen.network))
    connectors = {"psp": psp, **dict.fromkeys(("odoo", "mail", "wms", "shop", "till-1"), others)}
    async with make_pool(url) as pool:
        handlers = Payouts("odoo").handlers
        worker = Worker(pool, url, SETTING, connectors, adyen.clock.now, decide, handlers, feeds=False)
        await worker.prepare()
        shop = Shop(pool, url, worker, others, adyen.clock.now)  # type: ignore[arg-type]
        shop.adyen, shop.payment = adyen, payment
        sold = sale(payments=(Payment(payment, "card", 20_00, "psp"),), ordered_at=shop.clock() - timedelta(days=4),
                    delivered_at=shop.clock() - timedelta(days=1))  # fmt: skip
        await shop.say(SaleRecorded(sold), "shop", "channel", sold.sale_ref)
        await adyen.told()  # the payment's own notifications
        yield shop


async def test_a_refund_is_accepted_heard_to_succeed_settled_and_found_on_the_bank(fresh_database) -> None:
    async with a_shop(fresh_database) as shop:
        await shop.bring_back()
        [refund] = shop.adyen.world.all("refunds")
        assert (refund["value"], refund["payment"]) == (20_00, shop.payment)
        assert (await shop.leg())["state"] == "accepted" and await shop.effect() == ("accepted", "accepted")

        await shop.pass_time(60)
        leg = await shop.leg()
        assert (leg["state"], leg["refund_ref"]) == ("succeeded", f"psp:refund:{refund['pspReference']}")
        await shop.pass_time(700)
        assert await shop.effect() == ("done", "done"), "what was heard closes the effect"

        await shop.adyen.act("pay", value=90_00, currency="EUR")
        closed = await shop.adyen.act("close_batch")
        await shop.pass_time(1)
        leg = await shop.leg()
        assert (leg["state"], leg["payout_ref"]) == ("settled", f"psp:payout:{closed['payouts'][0]}")
        net, currency = await shop.one("SELECT net_minor, currency FROM payouts")
        line = BankLineBooked("bank:1", net, currency, f"ADYEN {closed['payouts'][0]} BATCH 1", "2026-11-04")
        await shop.say(line, "bank", "bank", "bank:line:1")
        assert (await shop.leg())["bank_ref"] == "bank:1"
        assert await shop.one("SELECT status FROM payouts") == "posted"
        assert len(shop.adyen.world.all("refunds")) == 1


@pytest.mark.parametrize("fault", ["lost_reply", "error_before", "in_flight"])
async def test_whatever_is_lost_on_the_way_it_is_paid_once(fresh_database, fault: str) -> None:
    async with a_shop(fresh_database) as shop:
        shop.adyen.world.fault(fault, match="refunds", times=2)
        await shop.bring_back()
        for _ in range(5):
            await shop.pass_time(60)
        assert len(shop.adyen.world.all("refunds")) == 1
        assert (await shop.leg())["state"] == "succeeded"
        await shop.pass_time(700)
        assert (await shop.effect())[0] == "done" and not await shop.exceptions()


async def test_an_answer_that_is_lost_for_longer_than_keys_are_kept_is_told_by_the_webhook(fresh_database) -> None:
    """Nothing is sent again after seven days; a person is asked, and the webhook that did arrive has told the case."""
    async with a_shop(fresh_database) as shop:
        shop.adyen.world.fault("lost_reply", match="refunds", times=-1)  # every answer, however often the key goes out
        await shop.bring_back()
        await shop.pass_time(8 * 86_400)
        shop.adyen.world.clear_faults()
        assert len(shop.adyen.world.all("refunds")) == 1, "a second send could have been a second refund"
        assert (await shop.leg())["state"] == "succeeded"
        assert await shop.effect() == ("parked", "unknowable") and "effect_parked" in await shop.exceptions()


async def test_a_refund_that_is_refused_later_is_a_persons(fresh_database) -> None:
    """A colleague was faster by hand, and not enough is left of the payment."""
    async with a_shop(fresh_database) as shop:
        await shop.adyen.act("refund_in_customer_area", payment=shop.payment, value=5_00)
        shop.adyen.clock.advance(30)
        await shop.bring_back()
        await shop.pass_time(60)
        leg = next(leg for leg in (await shop.rows("SELECT view->'legs' FROM cases"))[0][0] if leg["origin"] == "ours")
        assert (leg["state"], leg["reason"]) == ("failed", "Insufficient balance on payment")
        assert await shop.exceptions()


@pytest.mark.parametrize(("act", "state"), [("fail_refund", "failed_after_success"), ("reverse_refund", "reversed")])
async def test_a_refund_that_comes_back_after_days_is_a_persons(fresh_database, act: str, state: str) -> None:
    async with a_shop(fresh_database) as shop:
        await shop.bring_back()
        await shop.pass_time(60)
        [refund] = shop.adyen.world.all("refunds")
        await shop.adyen.act(act, refund=refund["pspReference"])
        await shop.pass_time(9 * 86_400)
        states = [leg["state"] for (legs,) in await shop.rows("SELECT view->'legs' FROM cases") for leg in legs]
        assert state in states and await shop.exceptions()


async def test_notifications_doubled_late_and_out_of_order_change_nothing(fresh_database) -> None:
    async with a_shop(fresh_database) as shop:
        await shop.bring_back()
        shop.adyen.clock.advance(60)
        [succeeded] = await shop.adyen.told()
        [refund] = shop.adyen.world.all("refunds")
        await shop.adyen.act("fail_refund", refund=refund["pspReference"])
        [failed] = await shop.adyen.told()
        for delivery in (failed, succeeded, succeeded, failed):
            await shop.receive(delivery)
            await shop.settle()
        states = [leg["state"] for (legs,) in await shop.rows("SELECT view->'legs' FROM cases") for leg in legs]
        assert "succeeded" not in states and states[0] in ("failed", "failed_after_success")
        assert await shop.one("SELECT count(*) FROM deliveries WHERE connection = 'psp'") == 2


async def test_what_is_unknown_is_kept_what_drifts_alarms_what_is_forged_stays_out(fresh_database) -> None:
    async with a_shop(fresh_database) as shop:
        unknown = await shop.receive(shop.adyen.sign(shop.adyen.unknown_topic()))
        assert unknown.status == "ignored", "kept and counted"
        message = json.loads(shop.adyen.unknown_topic())
        item = message["notificationItems"][0]["NotificationRequestItem"]
        item |= {"eventCode": "REFUND", "success": "maybe"}
        drifted = await shop.receive(shop.adyen.sign(json.dumps(message).encode()))
        assert drifted.status == "malformed" and "malformed_delivery" in await shop.exceptions()
        raw = await shop.one("SELECT body FROM deliveries WHERE status = 'malformed'")
        assert b"maybe" in bytes(raw), "with the raw bytes"
        with pytest.raises(AuthFailed):
            await shop.receive(Delivery("psp", {}, shop.adyen.unknown_topic(), shop.clock()))
