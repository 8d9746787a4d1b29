"""Facts that overtake each other, name nobody, or poison the decision: each ends somewhere a person can see."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

from counterflow.core.facts import (
    Counted,
    Fact,
    HoldPlaced,
    ItemsReceived,
    NoteAdded,
    ReturnRequested,
    SaleRecorded,
    TimerFired,
    WithdrawalDeclared,
)
from counterflow.core.ids import case_id
from counterflow.core.sale import Payment, Sale, SoldLine
from counterflow.engine.cases import CaseDrain
from counterflow.engine.people import Act, settle
from counterflow.engine.worker import sweep
from counterflow.store import exceptions
from counterflow.store.pool import connect
from counterflow.store.shards import shard_of
from tests.engine.toy import SETTING, START, a_fact, a_world, decide, goodwill, request


def a_sale(name: str, *, version: int = 0, root: str = "", serial: str = "") -> Sale:
    line = SoldLine("line-1", "sku", 1, 1, 100, 100, serials=(serial,) if serial else ())
    root_ref = f"shop:order:{root}" if root else ""
    return Sale(
        f"shop:order:{name}",
        "shop",
        "web",
        "EUR",
        START,
        (line,),
        (Payment(f"psp:pay:{name}", "card", 100),),
        root_sale_ref=root_ref,
        version=version,
    )


def sale_fact(name: str, **kwargs) -> Fact:
    sale = a_sale(name, **kwargs)
    return a_fact(SaleRecorded(sale), f"{name}/{sale.version}", sale.sale_ref)


async def kinds(world, name: str) -> list[str]:
    rows = await world.rows(
        "SELECT body::jsonb #>> '{fact,kind}' FROM log WHERE case_id = %s ORDER BY seq", case_id(f"shop:return:{name}")
    )
    return [row[0] for row in rows]


async def test_a_fact_that_comes_before_its_case_waits_for_it(fresh_database):
    async with a_world(fresh_database) as world:
        await world.tell(goodwill("R1", 1))
        await world.settle()
        assert await world.one("SELECT status FROM inbox") == "waiting"
        await world.tell(request("R1"))
        await world.settle()
        assert await kinds(world, "R1") == ["ReturnRequested", "GoodwillGranted", "EffectReported", "EffectReported"]


async def test_a_fact_that_nobody_waits_for_opens_a_case_after_its_time(fresh_database):
    async with a_world(fresh_database) as world:
        await world.tell(a_fact(ItemsReceived("r1", "store-1", (Counted("sku", 1),)), "r1", "rma:77"))
        await world.settle()
        await world.later(299)
        assert await world.one("SELECT count(*) FROM cases") == 0
        await world.later(2)
        assert await world.one("SELECT case_id FROM cases") == case_id("rma:77")


async def test_a_reference_that_becomes_known_unseen_is_found_by_the_sweep(fresh_database):
    """The fact goes to wait in a transaction that does not see the case, which commits without seeing the fact."""
    async with a_world(fresh_database) as world:
        await world.tell(request("R1"))
        await world.settle()
        await world.tell(goodwill("R1", 1))
        await world.rows("UPDATE inbox SET status = 'waiting' WHERE kind = 'GoodwillGranted' RETURNING 1")
        await world.settle()
        assert "GoodwillGranted" in await kinds(world, "R1")


async def test_a_poisonous_fact_parks_alone(fresh_database):
    async with a_world(fresh_database) as world:
        poison = a_fact(HoldPlaced("poison", "eve"), "p1", "shop:return:R1")
        await world.tell(request("R1"), request("R2"), poison, goodwill("R1", 1), goodwill("R2", 1))
        await world.settle()
        assert await world.one("SELECT fact_id, reason FROM inbox WHERE status = 'parked'") == (
            poison.fact_id,
            "ValueError: this fact is poison",
        )
        assert await world.rows("SELECT status, count(*) FROM inbox GROUP BY 1 ORDER BY 1") == [
            ("done", 8),
            ("parked", 1),
        ]
        assert await world.one("SELECT kind, subject FROM exceptions") == ("fact_parked", poison.fact_id)
        assert len(world.psp.applied) == 4


async def test_a_fact_that_the_database_refuses_is_found_by_splitting(fresh_database):
    """A NUL in a view is no jsonb: the whole batch fails, and only this fact is parked."""
    async with a_world(fresh_database) as world:
        bad = a_fact(ReturnRequested("shop:return:bad", "", (), rma_number="\0"), "bad", "shop:return:bad")
        await world.tell(*(request(f"R{n}") for n in range(30)), bad)
        await world.settle()
        assert await world.one("SELECT count(*) FROM cases WHERE status = 'closed'") == 30
        fact_id, reason = await world.one("SELECT fact_id, reason FROM inbox WHERE status = 'parked'")
        assert (fact_id == bad.fact_id and "UntranslatableCharacter" in reason) or "\\u0000" in reason


async def test_something_that_cannot_be_read_is_parked(fresh_database):
    async with a_world(fresh_database) as world:
        await world.tell(request("R1"), request("R2"))
        await world.rows("UPDATE inbox SET fact = '{' WHERE fact_id = %s RETURNING 1", request("R1").fact_id)
        await world.settle()
        assert await world.one("SELECT count(*) FROM cases") == 1
        assert await world.one("SELECT status FROM inbox WHERE fact_id = %s", request("R1").fact_id) == "parked"


async def test_the_stored_sale_is_handed_to_a_new_case_first(fresh_database):
    async with a_world(fresh_database) as world:
        await world.tell(sale_fact("S1"))
        await world.settle()
        await world.tell(request("R1", sale="S1"))
        await world.settle()
        assert await kinds(world, "R1") == ["SaleRecorded", "ReturnRequested", "EffectReported"]
        assert await world.one("SELECT sale_ref, root_sale FROM cases") == ("shop:order:S1", "shop:order:S1")


async def test_a_sale_that_comes_later_and_its_new_version_reach_the_case(fresh_database):
    async with a_world(fresh_database) as world:
        await world.tell(request("R1", sale="S1"))
        await world.settle()
        await world.tell(sale_fact("S1", version=1))
        await world.settle()
        await world.tell(sale_fact("S1", version=2), sale_fact("S1", version=1))
        await world.settle()
        assert await kinds(world, "R1") == ["ReturnRequested", "EffectReported", "SaleRecorded", "SaleRecorded"]
        assert await world.one("SELECT version FROM sales") == 2


async def test_a_sale_with_another_root_moves_its_case_to_the_roots_shard(fresh_database):
    async with a_world(fresh_database) as world:
        await world.tell(request("R1", sale="S2"))
        await world.settle()
        assert await world.one("SELECT shard FROM cases") == shard_of("shop:order:S2")
        await world.tell(sale_fact("S2", root="S1"))
        await world.settle()
        assert await world.one("SELECT shard FROM cases") == shard_of("shop:order:S1") != shard_of("shop:order:S2")
        await world.tell(goodwill("R1", 1))
        await world.settle()
        assert (await kinds(world, "R1"))[-2:] == ["GoodwillGranted", "EffectReported"]


async def test_two_cases_over_one_sale_see_each_others_claims_once(fresh_database):
    async with a_world(fresh_database) as world:
        await world.tell(sale_fact("S1"), request("R1", sale="S1"))
        await world.settle()
        await world.tell(request("R2", sale="S1"))
        await world.settle()
        first, second = case_id("shop:return:R1"), case_id("shop:return:R2")
        seen = dict(await world.rows("SELECT case_id, view->'linked' FROM cases"))
        assert seen == {first: [second], second: [first]}
        assert (await kinds(world, "R1")).count("SiblingsClaimed") == 1
        assert (await kinds(world, "R2")).count("SiblingsClaimed") == 1
        versions = await world.rows("SELECT case_id, version FROM cases ORDER BY 1")
        await world.later(10)
        assert await world.rows("SELECT case_id, version FROM cases ORDER BY 1") == versions, "no ping-pong"


async def test_a_serial_is_known_from_the_sales(fresh_database):
    def received(n: int, serial: str):
        return a_fact(ItemsReceived(f"r{n}", "store-1", (Counted("sku", 1, serial),)), f"r{n}", "shop:return:R1")

    async with a_world(fresh_database) as world:
        await world.tell(sale_fact("S1", serial="mine"), sale_fact("S2", serial="theirs"))
        await world.settle()
        await world.tell(request("R1", sale="S1"))
        await world.settle()
        await world.tell(received(1, "mine"), received(2, "theirs"), received(3, "nobodys"))
        await world.settle()
        found = await world.rows(
            "SELECT i->>'serial', (i->>'serial_known')::bool, (i->>'sold_to_other')::bool FROM log, "
            "jsonb_array_elements(body::jsonb #> '{fact,body,items}') i ORDER BY seq"
        )
        assert found == [("mine", True, False), ("theirs", True, True), ("nobodys", False, False)]


async def test_a_timer_fires_once_when_it_is_due_and_is_withdrawn_with_its_reason(fresh_database):
    async with a_world(fresh_database) as world:
        withdrawal = a_fact(WithdrawalDeclared(START), "w1", "shop:return:R1")
        await world.tell(request("R1"), withdrawal)
        await world.settle()
        assert await world.one("SELECT due_at, fired_at FROM timers") == (START + timedelta(days=14), None)
        await world.later(14 * 86_400 - 1)
        assert TimerFired.__name__ not in await kinds(world, "R1")
        await world.later(1)
        await world.later(1)
        assert (await kinds(world, "R1")).count("TimerFired") == 1
        assert await world.one("SELECT count(*) FROM timers WHERE fired_at IS NULL") == 0


async def test_exceptions_follow_the_view(fresh_database):
    async with a_world(fresh_database) as world:
        look = a_fact(HoldPlaced("look", "eve"), "h1", "shop:return:R1")
        await world.tell(request("R1"), look)
        await world.settle()
        assert await world.one("SELECT kind, status, impact_minor FROM exceptions") == ("risk", "open", 5)
        assert await world.one("SELECT attention FROM cases")
        await world.tell(a_fact(HoldPlaced("look", "eve", lifted=True), "h2", "shop:return:R1"))
        await world.settle()
        assert await world.one("SELECT status FROM exceptions") == "withdrawn"


async def test_a_fact_that_nobody_will_ever_take_is_discarded_by_somebody(fresh_database):
    async with a_world(fresh_database) as world:
        await world.tell(goodwill("never", 1))
        await world.settle()
        await world.later(86_401)
        async with world.pool.connection() as conn:
            row = (await exceptions.page(conn, kind="fact_unmatched"))[0]
            await settle(
                conn, row, "discard", "a test of theirs", Act("kim", "kim", "operations", "1", world.clock()), {}
            )
        assert await world.one("SELECT status FROM inbox") == "done"
        assert await world.one("SELECT status FROM exceptions") == "resolved"


async def test_a_fact_for_a_case_that_does_not_exist_is_parked(fresh_database):
    async with a_world(fresh_database) as world:
        await world.tell(a_fact(NoteAdded("n", "bob"), "n1", "case:rc_nothing"))
        await world.settle()
        assert "there is no case rc_nothing" in await world.one("SELECT reason FROM inbox WHERE status = 'parked'")


async def test_a_second_return_of_one_sale_is_another_case_whatever_it_refers_to(fresh_database):
    async with a_world(fresh_database) as world:
        await world.tell(sale_fact("S1"), request("R1", sale="S1"))
        await world.settle()
        await world.rows(
            "INSERT INTO xref VALUES ('shop:order:S1', %s, 'case') RETURNING 1", case_id("shop:return:R1")
        )  # the real decision makes the sale a reference of its case
        await world.tell(request("R2", sale="S1"))
        await world.settle()
        assert await world.one("SELECT count(*) FROM cases") == 2


async def test_a_fact_that_waits_too_long_is_shown_and_still_taken_when_its_case_comes(fresh_database):
    async with a_world(fresh_database) as world:
        late = goodwill("R1", 1)
        await world.tell(late)
        await world.settle()
        await world.later(86_401)
        await world.later(86_401)
        assert await world.one("SELECT status, opens_at FROM inbox") == ("waiting", None)
        assert await world.one("SELECT kind, subject, status FROM exceptions") == (
            "fact_unmatched",
            late.fact_id,
            "open",
        )
        await world.tell(request("R1", seen_at=world.clock.now))
        await world.settle()
        assert "GoodwillGranted" in await kinds(world, "R1")
        assert await world.one("SELECT status FROM exceptions") == "withdrawn"


async def test_two_cases_about_the_same_goods_are_told_of_each_other(fresh_database):
    async with a_world(fresh_database) as world:
        await world.tell(a_fact(ItemsReceived("r1", "store-1", (Counted("sku", 1),)), "r1", "rma:77"))
        await world.settle()
        await world.later(301)  # a blind return now
        for fact in (request("R1"), a_fact(NoteAdded("n", "bob"), "n1", "shop:return:R1", "rma:77")):
            await world.tell(fact)
            await world.settle()
        linked = await world.rows(
            "SELECT case_id, body::jsonb #>> '{fact,body,other_case_id}' FROM log "
            "WHERE body::jsonb #>> '{fact,kind}' = 'CasesLinked' ORDER BY case_id"
        )
        blind, asked = case_id("rma:77"), case_id("shop:return:R1")
        assert linked == sorted([(blind, asked), (asked, blind)])


async def test_two_drains_of_one_shard_at_once_write_every_case_once(fresh_database):
    """Without the lock, as after a lost network: the version guard is the last line of defence."""
    async with a_world(fresh_database) as world:
        await world.tell(*(request(f"R{n}") for n in range(20)))
        await world.tell(*(goodwill(f"R{n}", k) for n in range(20) for k in range(5)))
        drains = [CaseDrain(decide, SETTING, world.clock, batch=7) for _ in range(3)]
        async with AsyncExitStack() as stack:
            conns = [await stack.enter_async_context(await connect(fresh_database)) for _ in drains]
            for shard in sorted(await sweep(conns[0], world.clock)):
                await asyncio.gather(*(d.drain(c, [shard]) for d, c in zip(drains, conns, strict=True)))
        assert await world.rows("SELECT DISTINCT version FROM cases") == [(6,)]
        assert await world.one("SELECT count(*), count(DISTINCT body::jsonb #>> '{fact,fact_id}') FROM log") == (
            120,
            120,
        )
        assert await world.one("SELECT count(*) FROM effects") == 120
