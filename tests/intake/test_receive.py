"""What arrives is verified, kept raw, known repeats dropped, translated, and answered after the commit."""

import asyncio
import json

import psycopg
import pytest

from counterflow.core.effects import Look
from counterflow.core.facts import GoodwillGranted
from counterflow.intake.again import translate_again
from counterflow.intake.pressure import Bounds, Busy, Pressure
from counterflow.intake.receive import Intake, TooLarge, UnknownConnection
from counterflow.sdk.connector import Delivery
from counterflow.sdk.outcomes import AuthFailed
from tests.engine.toy import START, a_fact, a_world, goodwill, request


def delivery(said: object, id_: str = "d1", signature: str = "good", connection: str = "psp") -> Delivery:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    return Delivery(connection, {"id": (id_,), "signature": (signature,)}, body, START)


async def test_a_delivery_is_kept_and_becomes_a_case(fresh_database):
    async with a_world(fresh_database) as world, world.intake() as intake:
        receipt = await intake.receive(delivery({"request": "R1"}))
        assert (receipt.status, receipt.facts, receipt.repeat) == ("translated", 1, False)
        await world.settle()
        assert await world.one("SELECT status FROM cases") == "closed"
        assert await world.one("SELECT body, headers->'signature' FROM deliveries") == (
            b'{"request": "R1"}',
            ["good"],
        )
        assert await world.one("SELECT body::jsonb #>> '{fact,delivery_id}' FROM log WHERE seq = 1") == (
            receipt.delivery_id
        )


async def test_a_repeat_gets_the_same_answer_and_no_work(fresh_database):
    async with a_world(fresh_database) as world, world.intake() as intake:
        first = await intake.receive(delivery({"request": "R1"}))
        await world.settle()
        again = await asyncio.gather(*(intake.receive(delivery({"request": "R1"})) for _ in range(5)))
        assert {(r.delivery_id, r.status, r.facts, r.repeat) for r in again} == {
            (first.delivery_id, "translated", 1, True)
        }
        await world.settle()
        assert await world.one("SELECT count(*) FROM inbox WHERE delivery_id <> ''") == 1
        assert len(world.psp.applied) == 1


async def test_repeats_within_one_commit_are_one_delivery(fresh_database):
    async with a_world(fresh_database) as world, world.intake() as intake:
        receipts = await asyncio.gather(*(intake.receive(delivery({"request": "R1"})) for _ in range(10)))
        assert len({receipt.delivery_id for receipt in receipts}) == 1
        assert sum(not receipt.repeat for receipt in receipts) == 1


async def test_a_forged_delivery_is_refused_counted_and_sampled(fresh_database):
    async with a_world(fresh_database) as world, world.intake() as intake:
        for n in range(5):
            with pytest.raises(AuthFailed):
                await intake.receive(delivery({"token=hunter2": n}, signature="bad"))
        count, samples = await world.one("SELECT count, samples FROM rejected_deliveries")
        assert count == 5 and len(samples) == 3 and "hunter2" not in json.dumps(samples)
        assert await world.one("SELECT count(*) FROM deliveries") == 0


async def test_a_malformed_delivery_is_kept_and_shown_to_a_person(fresh_database):
    async with a_world(fresh_database) as world, world.intake() as intake:
        receipt = await intake.receive(delivery(b"\x00 this is no json"))
        assert (receipt.status, receipt.facts) == ("malformed", 0)
        assert await world.one("SELECT status, reason, body FROM deliveries") == (
            "malformed",
            "this is no JSON",
            b"\x00 this is no json",
        )
        assert await world.one("SELECT kind, subject FROM exceptions") == ("malformed_delivery", receipt.delivery_id)


async def test_a_malformed_delivery_is_translated_again_when_the_translation_was_mended(fresh_database, monkeypatch):
    async with a_world(fresh_database) as world, world.intake() as intake:
        receipt = await intake.receive(delivery(b"R1 please"))
        assert receipt.status == "malformed"
        monkeypatch.setattr(world.psp, "translate", lambda d: [request(d.body.decode().split()[0])])
        for _ in range(2):
            async with world.pool.connection() as conn:
                again = await translate_again(conn, {"psp": world.psp}, receipt.delivery_id, "bob", START)
            assert (again.status, again.facts) == ("translated", 1)
            await world.settle()
        assert len(world.psp.applied) == 1
        assert await world.one("SELECT status, resolution FROM exceptions") == (
            "resolved",
            "translated again by bob",
        )


async def test_what_postgres_cannot_store_fails_nobody_else(fresh_database):
    async with a_world(fresh_database) as world, world.intake() as intake:
        receipts = await asyncio.gather(
            *(intake.receive(delivery({"request": "\0" if n == 3 else f"R{n}"}, f"d{n}")) for n in range(8))
        )
        assert [r.status for r in receipts].count("translated") == 7
        assert receipts[3].status == "malformed"
        await world.settle()
        assert await world.one("SELECT count(*) FROM cases") == 7


LONG = "".join(map(chr, range(256, 9999)))  # no index takes it


@pytest.mark.parametrize(
    "said",
    [{"request": "\ud800"}, {"look": "\ud800"}, {"look": LONG}],
    ids=["half a character", "in a look", "too long"],
)
async def test_what_nothing_can_write_is_malformed(fresh_database, said):
    """It was answered 500, so that the sender came again and again."""
    async with a_world(fresh_database) as world, world.intake() as intake:
        assert (await intake.receive(delivery(said))).status == "malformed"
        assert await world.one("SELECT count(*) FROM exceptions") == 1


async def test_an_identity_that_is_too_long_for_an_index_is_malformed(fresh_database):
    async with a_world(fresh_database) as world, world.intake() as intake:
        assert (await intake.receive(delivery({"request": "R1"}, LONG))).status == "malformed"
        assert (await intake.receive(delivery({"request": "R1"}, LONG))).repeat


async def test_an_unknown_topic_is_kept_and_ignored(fresh_database):
    async with a_world(fresh_database) as world, world.intake() as intake:
        assert (await intake.receive(delivery({"weather": "fine"}))).status == "ignored"
        assert await world.one("SELECT status FROM deliveries") == "ignored"


async def test_what_is_too_large_or_for_nobody_is_refused(fresh_database):
    async with a_world(fresh_database) as world, world.intake() as intake:
        with pytest.raises(TooLarge):
            await intake.receive(delivery(b"x" * 2_000_001))
        with pytest.raises(UnknownConnection):
            await intake.receive(delivery({}, connection="nobody"))
        assert await world.one("SELECT count(*) FROM deliveries") == 0


async def test_a_signal_is_looked_at_fresh_and_several_are_one_look(fresh_database):
    async with a_world(fresh_database) as world, world.intake() as intake:
        world.psp.objects["thing-1"] = [request("R1")]
        for n in range(3):
            receipt = await intake.receive(delivery({"look": "thing-1"}, f"d{n}"))
            assert (receipt.status, receipt.facts) == ("translated", 1)
        assert await world.one("SELECT kind, count(*) FROM effects GROUP BY 1") == (Look.__name__, 1)
        await world.settle()
        assert world.psp.fetched == ["thing-1"]
        assert await world.one("SELECT status FROM cases") == "closed"
        await intake.receive(delivery({"look": "thing-1"}, "d9"))
        await world.settle()
        assert world.psp.fetched == ["thing-1", "thing-1"], "news after the look is looked at again"


async def test_when_too_much_waits_nothing_more_is_taken_and_nothing_is_lost(fresh_database):
    async with a_world(fresh_database) as world:
        bounded = Intake(world.pool, {"psp": world.psp}, world.clock, Pressure(world.pool, Bounds(inbox=10)))
        async with bounded as intake:
            await world.tell(*(goodwill("R0", n) for n in range(10)))  # ten that wait for their case
            with pytest.raises(Busy) as busy:
                await intake.receive(delivery({"request": "R1"}))
            assert busy.value.retry_after == 5
            assert await world.one("SELECT count(*) FROM deliveries") == 0
            await world.tell(request("R0"))
            await world.settle()
            intake.pressure.read_at = float("-inf")  # a second later
            assert (await intake.receive(delivery({"request": "R1"}))).status == "translated"


async def test_too_many_effects_of_a_class_are_pressure_too(fresh_database):
    async with a_world(fresh_database) as world:
        await world.tell(*(request(f"R{n}") for n in range(5)))
        await world.drain()
        with pytest.raises(Busy, match="5 wait in money"):
            await Pressure(world.pool, Bounds(money=5)).check()
        await Pressure(world.pool, Bounds(money=6)).check()


async def test_facts_of_people_share_the_commit(fresh_database):
    async with a_world(fresh_database) as world, world.intake() as intake:
        await asyncio.gather(*(intake.tell([request(f"R{n}")]) for n in range(20)))
        await intake.tell([a_fact(GoodwillGranted(5, "bob", "sorry"), "g", "shop:return:R3")])
        await world.settle()
        assert await world.one("SELECT count(*) FROM cases WHERE status = 'closed'") == 20


async def test_cut_connections_are_not_the_senders_business(fresh_database):
    async with a_world(fresh_database) as world, world.intake() as intake:
        await asyncio.gather(*(intake.receive(delivery({"request": f"R{n}"}, f"d{n}")) for n in range(5)))
        with psycopg.connect(fresh_database, autocommit=True) as conn:
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        intake.pressure.read_at = float("inf")  # its own reading is not what is tried here
        receipts = await asyncio.gather(*(intake.receive(delivery({"request": "X"}, f"x{n}")) for n in range(5)))
        assert {receipt.status for receipt in receipts} == {"translated"}


async def test_without_a_database_nobody_gets_a_receipt(fresh_database):
    async with a_world(fresh_database) as world, world.intake() as intake:
        await intake.receive(delivery({"request": "R1"}))
        await world.pool.close()
        with pytest.raises(psycopg.OperationalError):
            await intake.receive(delivery({"request": "R2"}, "d2"))
