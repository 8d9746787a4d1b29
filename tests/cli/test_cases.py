"""Finding, reading and acting on cases and exceptions from the command line."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from counterflow.core.ids import email_ref
from tests.api.world import World, a_sale, a_world
from tests.cli.conftest import Command


def in_world(url: str, act: Callable[[World], Awaitable[Any]]) -> Any:
    async def go() -> Any:
        async with a_world(url) as world:
            return await act(world)

    return asyncio.run(go())


def settle(url: str) -> None:
    in_world(url, lambda world: world.settle())


@pytest.fixture
def case_id(fresh_database: str) -> str:
    return str(in_world(fresh_database, lambda world: world.returned()))


@pytest.mark.parametrize("query", ["#5001", "5001", "shop:order:5001", "TEE"])
def test_anything_printed_on_it_finds_the_case(command: Command, case_id: str, query: str) -> None:
    found = command("case", "find", query, "-o", "json")
    assert found.code == 0 and [row["case_id"] for row in found.json] == [case_id]


def test_a_customer_is_found_by_address(command: Command, fresh_database: str) -> None:
    sale = replace(a_sale(), email_ref=email_ref("kim@example.com"))
    case_id = in_world(fresh_database, lambda world: world.returned(sale))
    [found] = command("case", "find", "Kim@example.com", "-o", "json").json
    assert found["case_id"] == case_id
    assert command("case", "find", "ada@example.com").code == 3


def test_a_case_is_shown_by_its_number(command: Command, case_id: str) -> None:
    shown = command("case", "show", "5001")
    assert shown.code == 0
    assert case_id in shown.out and "owed" in shown.out and "expected" in shown.out
    assert command("case", "show", case_id, "-o", "json").json["order_number"] == "#5001"
    assert case_id in command("case", "list").out
    assert command("case", "list", "--status", "closed").out == "No case.\n"


def test_timeline_and_beliefs(command: Command, case_id: str) -> None:
    timeline = command("case", "timeline", case_id)
    assert "ReturnRequested" in timeline.out and "eligibility row" in timeline.out
    entries = command("case", "timeline", case_id, "--output", "json").json
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    beliefs = command("case", "beliefs", case_id, "-o", "json").json
    assert any(each["on_its_way"] for each in beliefs)


def test_nothing_is_known_of_it(command: Command) -> None:
    for verb in ("find", "show", "timeline", "beliefs", "retry"):
        ran = command("case", verb, "#404")
        assert ran.code == 3 and ran.out == "" and ran.err.count("\n") == 1, verb


def test_one_that_means_two_is_a_conflict(command: Command, fresh_database: str, case_id: str) -> None:
    other = in_world(fresh_database, lambda world: world.returned(a_sale("5002"), name="bob"))
    ran = command("case", "show", "TEE")
    assert ran.code == 5 and case_id in ran.err and other in ran.err


def test_a_case_is_cancelled_once_and_noted(command: Command, fresh_database: str, case_id: str) -> None:
    assert command("case", "note", case_id, "called twice").code == 0
    assert command("case", "cancel", case_id, "--reason", "changed their mind").code == 0
    settle(fresh_database)
    shown = command("case", "show", case_id, "-o", "json").json
    assert shown["status"] == "cancelled"
    assert "called twice" in command("case", "timeline", case_id).out
    again = command("case", "cancel", case_id, "--reason", "changed their mind")
    assert again.code == 5 and "cancelled" in again.err


def test_nothing_has_stopped(command: Command, case_id: str) -> None:
    ran = command("case", "retry", case_id)
    assert ran.code == 5 and "nothing" in ran.err


def test_what_has_stopped_is_retried(command: Command, fresh_database: str, case_id: str) -> None:
    async def stop(world: World) -> None:
        async with world.pool.connection() as conn:
            await conn.execute("UPDATE effects SET status = 'parked' WHERE kind = 'AnnounceReturn'")

    in_world(fresh_database, stop)
    ran = command("case", "retry", case_id, "-m", "the dock is up again", "-o", "json")
    assert ran.code == 0 and [(e["kind"], e["was"], e["is"]) for e in ran.json] == [
        ("AnnounceReturn", "parked", "planned")
    ]


def test_exceptions_are_listed_shown_parked_and_settled(command: Command, fresh_database: str) -> None:
    case_id = in_world(fresh_database, lambda world: world.returned(replace(a_sale(), delivered_at=None)))
    [row] = command("exceptions", "list", "-o", "json").json
    assert row["case_id"] == case_id and row["kind"] == "authorisation_review"
    exception = row["exception_id"]
    shown = command("exceptions", "show", exception)
    assert "approve, decline" in shown.out
    assert command("exceptions", "retry", exception, "-m", "no such action").code == 5
    assert command("exceptions", "park", exception, "--until", "2001-01-01", "-m", "too late").code == 5
    assert command("exceptions", "park", exception, "--until", "2199-01-01", "-m", "next century").code == 0
    assert command("exceptions", "list").out == "No exception.\n"
    assert exception in command("exceptions", "list", "--parked").out
    assert command("exceptions", "resolve", exception, "--action", "approve", "-m", "I was there").code == 0
    settle(fresh_database)
    assert command("case", "show", case_id, "-o", "json").json["lines"][0]["authorisation"] == "approved"
    assert command("exceptions", "show", exception, "-o", "json").json["status"] == "resolved"
    assert command("exceptions", "show", "ex_nobody").code == 3
    assert command("exceptions", "list", "--status", "dreamt").code == 2


def test_a_case_in_sentences(command: Command, case_id: str) -> None:
    said = command("case", "explain", case_id)
    assert case_id in said.out and "#5001" in said.out and "may come back" in said.out
    assert command("case", "explain", "#5001", "-o", "json").json["sentences"] == said.out.splitlines()


def test_the_proof_holds_and_a_changed_case_is_found(command: Command, fresh_database: str, case_id: str) -> None:
    proven = command("check", "invariants", "--json")
    assert proven.code == 0 and len(proven.json["invariants"]) > 10
    assert all(each["left"] == each["right"] for each in proven.json["invariants"] if each["name"] == "I6")

    async def tamper(world: World) -> None:
        async with world.pool.connection() as conn:
            await conn.execute("UPDATE cases SET version = version + 1")

    in_world(fresh_database, tamper)
    broken = command("check", "invariants")
    assert broken.code == 1 and "BROKEN  I6" in broken.out


def test_the_log_is_decided_again_and_other_rules_are_noticed(command: Command, case_id: str) -> None:
    ran = command("replay", "--dry-run", "-o", "json")  # this installation has no places: nothing would be announced
    assert ran.code == 1 and ran.json["different_effects"] == [case_id]
    assert ran.json["failed"] == [] and ran.json["broken_chains"] == []


def test_a_log_of_nothing_is_the_same_again(command: Command) -> None:
    ran = command("replay", "--since", "2026-01-01")
    assert ran.code == 0 and ran.out.startswith("0 facts of 0 cases")
