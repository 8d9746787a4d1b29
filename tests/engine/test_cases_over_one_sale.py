"""Several returns of one sale, decided by the real core on Postgres: each cent and each piece belongs to one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from counterflow.core.facts import (
    Counted,
    DisputeMoved,
    ExceptionResolved,
    ItemInspected,
    ItemsReceived,
    RefundReported,
    RequestedLine,
    ReturnRequested,
    SaleRecorded,
)
from counterflow.core.returns.case import View
from counterflow.core.returns.decide import decide
from counterflow.core.sale import Sale
from counterflow.engine.parked import By, NotPossible, act_on_effect
from counterflow.engine.people import Act
from counterflow.engine.prove import prove
from counterflow.engine.replay import verify
from counterflow.engine.worker import Worker
from counterflow.intake.accept import accept
from counterflow.sdk.manifest import Idempotency, Support
from counterflow.sdk.outcomes import Rejected
from counterflow.store import exceptions
from counterflow.store.codec import decode as decode_value
from counterflow.store.codec import encode
from counterflow.store.pool import make_pool
from tests.core.returns.telling import SETTING, START, line, sale
from tests.engine.toy import FakePsp, Fault, SetClock, World, a_fact, times

KINDS = (
    *("PayLeg", "ReadSale", "AnswerReturn", "AnnounceReturn", "NotifyCustomer", "UpdateChannel", "PostCreditNote"),
    *("ReceiveGoods", "MoveGoods", "InstructDisposition", "PostRefundPayment", "PostPaymentReversal", "CancelRefund"),
)
NOW = START + timedelta(hours=1)


@asynccontextmanager
async def a_retailer(url: str) -> AsyncIterator[World]:
    """A world in which every connection does at once what it is told."""
    commands = {kind: Support(Idempotency.LOOKUP) for kind in KINDS}
    outside = {name: FakePsp(commands) for name in ("shop", "psp", "odoo", "mail", "wms", "till-1")}
    clock = SetClock(NOW)
    async with make_pool(url) as pool:
        worker = Worker(pool, url, SETTING, outside, clock, decide)
        await worker.prepare()
        yield World(pool, url, worker, outside["psp"], clock)


def told(sold: Sale):
    return a_fact(SaleRecorded(sold), f"{sold.sale_ref}/{sold.version}", sold.sale_ref, seen_at=NOW)


def asked(name: str, *lines: str, connection: str = "shop", minutes: int = 0, sale_ref: str = "shop:order:5001"):
    ref = f"{connection}:return:{name}"
    body = ReturnRequested(ref, sale_ref, tuple(RequestedLine(each, 1) for each in lines))
    at = NOW + timedelta(minutes=minutes)
    return a_fact(body, name, ref, sale_ref, connection=connection, seen_at=at)


def handed_in(name: str, sku: str, connection: str = "shop", minutes: int = 5):
    at, ref = NOW + timedelta(minutes=minutes), f"{connection}:return:{name}"
    return (
        a_fact(ItemsReceived(f"r/{name}", "wh-1", (Counted(sku, 1),)), f"r/{name}", ref, connection="wms", seen_at=at),
        a_fact(
            ItemInspected(f"i/{name}", "wh-1", sku, "A"),
            f"i/{name}",
            ref,
            connection="wms",
            seen_at=at + timedelta(minutes=1),
        ),
    )


def refunded(amount: int, ref: str, *lines: str, connection: str = "psp", status: str = "succeeded", minutes: int = 3):
    body = RefundReported(f"{connection}:refund:{ref}", "pi_1", amount, "EUR", status, line_refs=lines)
    refs = (body.refund_ref, f"{connection}:payment:pi_1", "psp:payment:pi_1", "shop:order:5001")
    at = NOW + timedelta(minutes=minutes)
    return replace(a_fact(body, f"{ref}/{status}", *refs, connection=connection, seen_at=at), origin="psp")


async def view(world: World, name: str, connection: str = "shop") -> View:
    ref = f"{connection}:return:{name}"
    found = await world.one("SELECT view FROM cases JOIN xref ON target = case_id WHERE ref = %s", ref)
    return decode_value(View, encode(found))


async def paid_out(world: World) -> int:
    found = "SELECT coalesce(sum((command::jsonb->>'amount_minor')::int), 0) FROM effects WHERE kind = 'PayLeg'"
    return int(await world.one(found))


async def holds(world: World) -> None:
    async with world.pool.connection() as conn:
        findings = await prove(conn)
        again = await verify(conn, decide, SETTING)
    assert not [f for f in findings if not f.holds]
    assert again.holds, again
    assert await world.rows("SELECT fact_id, kind, reason FROM inbox WHERE status = 'parked'") == []


async def tell(world: World, *facts) -> None:
    await world.tell(*facts)
    world.clock.now += timedelta(minutes=10)
    await world.settle()


async def test_one_piece_asked_back_in_two_channels_at_one_instant_is_refunded_once(fresh_database):
    async with a_retailer(fresh_database) as world:
        sold = sale(line("L1", "TEE", 2000))
        await tell(world, told(sold), asked("A", "L1"), asked("B", "L1", connection="till-1"))
        await tell(world, *handed_in("A", "TEE"), *handed_in("B", "TEE", "till-1"))
        await tell(world)
        assert await paid_out(world) == 2000
        rows = await world.rows("SELECT kind FROM exceptions WHERE status = 'open' ORDER BY kind")
        assert ("claimed_twice",) in rows, rows
        await holds(world)


async def test_a_refund_by_hand_reaches_the_case_whose_lines_it_names(fresh_database):
    for_case = {"A": "L1", "B": "L2"}
    async with a_retailer(fresh_database) as world:
        sold = sale(line("L1", "TEE", 2000), line("L2", "MUG", 1000), line("L3", "CAP", 9000))
        await tell(world, told(sold), *(asked(name, ref, minutes=n) for n, (name, ref) in enumerate(for_case.items())))
        await tell(world, refunded(2000, "hand", "L1"))
        await tell(world, *handed_in("A", "TEE"), *handed_in("B", "MUG"))
        assert [leg.amount_minor for leg in (await view(world, "A")).legs] == [2000]
        assert await paid_out(world) == 1000, "what was paid by hand is not paid again"
        await holds(world)


THREE = sale(line("L1", "TEE", 2000), line("L2", "MUG", 1000), line("L3", "CAP", 9000))


@pytest.mark.parametrize(("minutes", "cases"), [(20, 2), (11, 2)], ids=["it waits for it", "it has a case of its own"])
async def test_a_refund_of_lines_that_are_asked_back_later_is_theirs(fresh_database, minutes, cases):
    async with a_retailer(fresh_database) as world:
        await tell(world, told(THREE), asked("B", "L2"))
        await tell(world, refunded(2000, "hand", "L1", minutes=minutes))
        assert await world.one("SELECT status FROM inbox WHERE kind = 'RefundReported'") == "waiting"
        await tell(world, asked("A", "L1", minutes=15))
        await tell(world, *handed_in("A", "TEE", minutes=16), *handed_in("B", "MUG"))
        assert [leg.amount_minor for leg in (await view(world, "A")).legs] == [2000]
        assert (await paid_out(world), await world.one("SELECT count(*) FROM cases")) == (1000, cases)
        await holds(world)


async def test_a_refund_of_lines_that_nobody_asks_back_becomes_a_case_for_a_person(fresh_database):
    async with a_retailer(fresh_database) as world:
        await tell(world, told(THREE), asked("B", "L2"))
        await tell(world, refunded(9000, "hand", "L3"))
        await tell(world)
        await tell(world, *handed_in("B", "MUG"))
        assert await world.rows("SELECT kind FROM exceptions WHERE status = 'open'") == [("unattributed_refund",)]
        assert await paid_out(world) == 1000
        await holds(world)


async def test_a_refund_by_hand_without_lines_is_one_cases_by_its_amount(fresh_database):
    async with a_retailer(fresh_database) as world:
        await tell(world, told(THREE), asked("A", "L1"), asked("B", "L2", minutes=1))
        await tell(world, refunded(2000, "hand"))
        await tell(world, refunded(2000, "hand", status="failed", minutes=4), refunded(2000, "again", minutes=5))
        await tell(world, *handed_in("A", "TEE"), *handed_in("B", "MUG"))
        live = [leg.amount_minor for leg in (await view(world, "A")).legs if leg.state in ("succeeded", "settled")]
        assert (live, await paid_out(world)) == ([2000], 1000)
        await holds(world)


async def test_the_shops_word_of_our_own_refund_is_no_refund_in_another_case(fresh_database):
    async with a_retailer(fresh_database) as world:
        await tell(world, told(THREE), asked("A", "L1"), asked("B", "L2", minutes=1))
        await tell(world, *handed_in("A", "TEE"))
        assert await paid_out(world) == 2000
        leg = (await view(world, "A")).legs[0]
        minutes = int((leg.since - NOW).total_seconds() // 60)
        await tell(world, refunded(2000, "echo", connection="shop", minutes=minutes))
        assert [len((await view(world, name)).legs) for name in "AB"] == [1, 0]
        await tell(world, *handed_in("B", "MUG"))
        assert await paid_out(world) == 3000
        await holds(world)


async def test_a_dispute_stops_every_case_that_would_pay_on_the_payment_and_is_counted_once(fresh_database):
    def dispute(phase: str, minutes: int):
        body = DisputeMoved("psp:dispute:d1", "pi_1", 12_000, phase)
        at = NOW + timedelta(minutes=minutes)
        return a_fact(body, phase, "psp:dispute:d1", "psp:payment:pi_1", connection="psp", seen_at=at)

    async with a_retailer(fresh_database) as world:
        await tell(world, told(THREE), asked("A", "L1"), asked("B", "L2", minutes=1))
        await tell(world, dispute("opened", 2))
        await tell(world, *handed_in("A", "TEE"), *handed_in("B", "MUG"))
        assert await paid_out(world) == 0
        await tell(world, dispute("lost", 30))
        await tell(world)
        legs = [leg for name in "AB" for leg in (await view(world, name)).legs]
        assert [(leg.amount_minor, leg.reason) for leg in legs] == [(12_000, "dispute lost")]
        assert await paid_out(world) == 0
        await holds(world)


async def test_a_refused_refund_that_was_paid_another_way_is_not_sent_again(fresh_database):
    async with a_retailer(fresh_database) as world:
        world.psp.faults.append(times(1, Fault(Rejected("the card is gone"))))
        await tell(world, told(sale(line("L1", "TEE", 2000))), asked("A", "L1"))
        await tell(world, *handed_in("A", "TEE"))
        refused = await world.one("SELECT effect_id FROM effects WHERE kind = 'PayLeg'")
        by = Act("kim", "kim", "finance", "1", world.clock())
        async with world.pool.connection() as conn:
            open_ = (await exceptions.page(conn, kind="refund_rejected"))[0]
            settled = ExceptionResolved(open_["exception_id"], "pay_store_credit", "kim", "asked the customer")
            await accept(conn, [by.fact(settled, f"case:{open_['case_id']}")])
        await tell(world)
        assert (await view(world, "A")).paid_minor == 2000
        async with world.pool.connection() as conn:
            with pytest.raises(NotPossible, match="another way"):
                await act_on_effect(conn, refused, "retry", By("kim", "again"), world.clock())
        await holds(world)


async def test_two_returns_of_an_order_that_nobody_has_told_us_yet_are_two_cases(fresh_database):
    async with a_retailer(fresh_database) as world:
        await tell(
            world,
            at_the_till("A", "L1", sale_ref="shop:order:5001"),
            at_the_till("B", "L2", sale_ref="shop:order:5001"),
        )
        await tell(world, at_the_till("C", "L3", sale_ref="shop:order:5001"))
        await tell(world, told(THREE))
        assert [(await view(world, name, "till-1")).lines[0].line_ref for name in "ABC"] == ["L1", "L2", "L3"]
        await holds(world)


def at_the_till(name: str, *lines: str, sale_ref: str = "shop:order:#1001"):
    """A till that has read the order's number, and by default knows it by nothing else."""
    fact = asked(name, *lines, connection="till-1", sale_ref=sale_ref)
    return replace(fact, refs=(*fact.refs, "order:#1001"))


async def test_a_sale_that_is_told_after_a_request_by_its_number_reaches_that_case(fresh_database):
    async with a_retailer(fresh_database) as world:
        await tell(world, at_the_till("A", "L1"))
        assert [each.sku for each in (await view(world, "A", "till-1")).lines] == [""]
        await tell(world, told(THREE))
        seen = await view(world, "A", "till-1")
        assert (seen.sale_ref, seen.lines[0].sku, seen.waiting != ()) == (THREE.sale_ref, THREE.lines[0].sku, True)
        await holds(world)


async def test_a_sale_that_is_told_while_a_request_by_its_number_is_decided_reaches_that_case(fresh_database):
    """Each transaction does not see the other; then the sale is read, and the answer is a fact that is known."""
    async with a_retailer(fresh_database) as world:
        shop = world.worker.connectors["shop"]
        assert isinstance(shop, FakePsp)
        shop.answers["ReadSale"] = (told(THREE),)
        await tell(world, told(THREE))
        await world.rows("UPDATE xref SET ref = 'unseen:' || ref WHERE kind = 'sale' RETURNING 1")
        await world.tell(at_the_till("A", "L1"))
        await world.drain()
        await world.rows("UPDATE xref SET ref = substr(ref, 8) WHERE kind = 'sale' RETURNING 1")
        await tell(world)  # what is sent now is taken
        await tell(world)  # now
        seen = await view(world, "A", "till-1")
        assert (seen.sale_ref, seen.lines[0].sku, seen.waiting != ()) == (THREE.sale_ref, THREE.lines[0].sku, True)
        assert await world.one('SELECT count(*) FROM log WHERE body LIKE \'%%"kind":"SaleRecorded"%%\'') == 1
        await holds(world)


async def test_a_second_return_of_a_line_leaves_the_first_the_piece_that_it_was_paid_for(fresh_database):
    async with a_retailer(fresh_database) as world:
        sold = sale(line("L1", "TEE", 949, quantity=2))
        await tell(world, told(sold), asked("A", "L1"))
        await tell(world, *handed_in("A", "TEE"))
        assert await paid_out(world) == 474
        # The shop tells its order anew with each return: both arrive together, and the first case is read for it.
        await tell(world, told(replace(sold, version=2)), asked("B", "L1", minutes=30))
        assert await paid_out(world) == 474, "nothing has come back yet: the odd cent belongs to the second piece"
        await tell(world, *handed_in("B", "TEE", minutes=40))
        assert await paid_out(world) == 949
        await holds(world)
