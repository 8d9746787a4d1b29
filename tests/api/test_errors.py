"""Every error is a problem that names the next move."""

import json
from typing import Any

import httpx2
import psycopg
import pytest
import structlog

from counterflow.api.problems import KINDS
from counterflow.api.throttle import Throttle
from tests.api.world import World, a_world

CASE = {"sale_ref": "shop:order:1", "lines": [{"line_ref": "L1", "quantity": 1}]}


def problem(answer: httpx2.Response, kind: str) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["type"] == f"/problems#{kind}", body
    assert body["status"] == answer.status_code == KINDS[kind].status
    assert body["detail"] and body["title"] == KINDS[kind].title
    return body


async def raw(world: World, content: bytes, path: str = "/cases", **headers: str) -> httpx2.Response:
    sent = {**await world.bearer("agent"), "Idempotency-Key": "k", "Content-Type": "application/json", **headers}
    return await world.client.post(path, content=content, headers={k: v for k, v in sent.items() if v})


@pytest.mark.parametrize(
    "content",
    [
        *(b"{", b"nonsense", b"\xff\xfe", b'{"lines": NaN}', b"[" * 5000, b'{"a":' * 1000 + b"1" + b"}" * 1000),
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
)
async def test_a_body_that_cannot_be_read(world: World, content: bytes) -> None:
    problem(await raw(world, content), "unreadable")


async def test_half_a_character_is_refused(world: World) -> None:
    answer = await raw(world, json.dumps({**CASE, "sale_ref": "shop:\ud800"}).encode())
    problem(answer, "invalid")


async def test_another_content_type(world: World) -> None:
    problem(await raw(world, b"a=b", **{"Content-Type": "application/x-www-form-urlencoded"}), "not-json")
    problem(await raw(world, json.dumps(CASE).encode(), **{"Content-Type": ""}), "not-json")


async def test_no_idempotency_key(world: World) -> None:
    problem(await raw(world, json.dumps(CASE).encode(), **{"Idempotency-Key": ""}), "no-idempotency-key")


async def test_a_body_too_large(world: World) -> None:
    problem(await raw(world, b'{"a": "' + b"x" * 200_000 + b'"}'), "too-large")


async def test_unknown_fields_are_named(world: World) -> None:
    body = problem(await world.post("/cases", {**CASE, "colour": "red"}), "invalid")
    assert body["errors"] == [{"where": "body.colour", "what": "Extra inputs are not permitted"}]


async def test_wrong_address_and_method(world: World) -> None:
    problem(await world.client.get("/nowhere"), "not-found")
    answer = await world.client.delete("/cases")
    problem(answer, "method-not-allowed")
    assert "GET" in answer.headers["allow"]


async def test_too_many_requests_of_one_key(fresh_database: str) -> None:
    async with a_world(fresh_database, throttle=Throttle(per_second=0.001, burst=2)) as world:
        assert [(await world.get("/cases")).status_code for _ in range(3)] == [200, 200, 429]
        answer = await world.get("/cases")
        problem(answer, "too-many")
        assert int(answer.headers["retry-after"]) > 0
        assert (await world.get("/cases", "finance")).status_code == 200  # another key's requests go on


async def test_a_database_that_is_gone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.key("reader")

    def gone(*_: object, **__: object) -> None:
        raise psycopg.OperationalError("server closed the connection")

    monkeypatch.setattr(type(world.pool), "connection", gone)
    answer = await world.get("/cases")
    assert problem(answer, "unavailable") and answer.headers["retry-after"] == "5"
    problem(await world.client.get("/readyz"), "unavailable")


async def test_a_fault_of_ours_tells_nothing_of_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from counterflow.store import case_queries

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret inner words")

    monkeypatch.setattr(case_queries, "page", broken)
    with structlog.testing.capture_logs() as logs:
        answer = await world.get("/cases")
    problem(answer, "internal")
    assert "secret" not in answer.text
    [line] = [each for each in logs if each["event"] == "api.failed"]
    assert "secret inner words" in line["trace"]  # for us, in the log
    assert await world.key("reader") not in str(logs) and "exc_info" not in line  # without the values of variables


async def test_every_kind_has_its_place_on_the_page(world: World) -> None:
    page = (await world.client.get("/problems")).text
    assert all(f'id="{kind}"' in page for kind in KINDS)
