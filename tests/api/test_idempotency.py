"""A POST is carried out once per Idempotency-Key, whoever clicks twice and whatever breaks in between."""

import asyncio
from datetime import timedelta

import pytest

from counterflow.intake.receive import Intake
from counterflow.store import answers
from counterflow.store.answers import IN_FLIGHT
from tests.api.world import World, a_sale

CASE = {"sale_ref": "shop:order:5001", "lines": [{"line_ref": "L1", "quantity": 1}]}


async def facts(world: World) -> int:
    async with world.pool.connection() as conn:
        row = await (await conn.execute("SELECT count(*) FROM inbox WHERE kind = 'ReturnRequested'")).fetchone()
        return int(row[0]) if row else 0


async def test_the_same_request_gets_the_same_answer(world: World) -> None:
    await world.sold()
    first = await world.post("/cases", CASE, key="k1")
    again = await world.post("/cases", CASE, key="k1")
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true" and "idempotent-replayed" not in first.headers
    assert await facts(world) == 1


async def test_another_request_under_the_same_key_is_refused(world: World) -> None:
    await world.sold(a_sale(quantity=2))
    await world.post("/cases", CASE, key="k1")
    other = {**CASE, "lines": [{"line_ref": "L1", "quantity": 2}]}
    for answer in (await world.post("/cases", other, key="k1"), await world.post("/policies/check", CASE, key="k1")):
        assert answer.status_code == 422 and answer.json()["type"] == "/problems#key-used"
    assert await facts(world) == 1


async def test_two_callers_may_use_the_same_key(world: World) -> None:
    await world.sold()
    answers = [await world.post("/cases", CASE, name=name, key="k1") for name in ("ann", "bob")]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert len({answer.json()["case_id"] for answer in answers}) == 2


async def test_a_refused_request_frees_its_key(world: World) -> None:
    await world.sold()
    wrong = {**CASE, "lines": [{"line_ref": "L9", "quantity": 1}]}
    assert (await world.post("/cases", wrong, key="k1")).status_code == 422
    assert (await world.post("/cases", CASE, key="k1")).status_code == 202


async def test_twenty_clicks_at_once_are_one_return(world: World) -> None:
    await world.sold()
    await world.key("agent")
    answers = await asyncio.gather(*(world.post("/cases", CASE, key="k1") for _ in range(20)))
    codes = [answer.status_code for answer in answers]
    assert set(codes) <= {202, 409} and 202 in codes
    assert all(a.json()["type"] == "/problems#in-flight" for a in answers if a.status_code == 409)
    assert len({answer.text for answer in answers if answer.status_code == 202}) == 1
    assert await facts(world) == 1


async def test_a_request_that_died_in_the_middle_is_carried_out_again_as_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.sold()
    tell = Intake.tell

    async def tell_and_die(self: Intake, *args: object) -> None:
        await tell(self, *args)  # type: ignore[arg-type]
        raise RuntimeError("the process ends here")

    with monkeypatch.context() as patch:
        patch.setattr(Intake, "tell", tell_and_die)
        assert (await world.post("/cases", CASE, key="k1")).status_code == 500
    assert (await world.post("/cases", CASE, key="k1")).status_code == 409
    world.now += IN_FLIGHT + timedelta(seconds=1)
    assert (await world.post("/cases", CASE, key="k1")).status_code == 202
    assert await facts(world) == 1


async def test_answers_are_kept_for_a_month(world: World) -> None:
    await world.sold()
    first = await world.post("/cases", CASE, key="k1")
    async with world.pool.connection() as conn:
        assert await answers.forget(conn, world.now + timedelta(days=29)) == 0
        assert (await world.post("/cases", CASE, key="k1")).json() == first.json()
        assert await answers.forget(conn, world.now + timedelta(days=31)) == 1
