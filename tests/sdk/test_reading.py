"""What is not as described is Malformed, and what nobody can keep is not told."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from counterflow.core.facts import BankLineBooked, Fact
from counterflow.sdk.connector import Delivery, Page, Signal
from counterflow.sdk.fields import Fields
from counterflow.sdk.http import json_of
from counterflow.sdk.outcomes import Done, Malformed, NotFound, Transient
from counterflow.sdk.reading import keepable, reading
from counterflow.sdk.signed_json import document

AT = datetime(2026, 3, 1, tzinfo=UTC)
LINE = BankLineBooked("bank:line:1", 5, "EUR", "text", "2026-03-01")
FACT = Fact("fc_1", "bank", AT, AT, ("bank:line:1",), LINE)
DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    "error", [KeyError("id"), TypeError("no"), ValueError("no"), AttributeError("x"), OverflowError(), RecursionError()]
)
async def test_what_an_answer_makes_fail_is_malformed(error: Exception):
    @reading
    async def fetch() -> None:
        raise error

    with pytest.raises(Malformed, match=type(error).__name__):
        await fetch()


@pytest.mark.parametrize("error", [NotFound("gone"), Transient("down"), AssertionError("a bug")])
async def test_words_and_other_errors_stay_what_they_are(error: Exception):
    @reading
    async def fetch() -> None:
        raise error

    with pytest.raises(type(error)):
        await fetch()


@pytest.mark.parametrize(
    "changes",
    [
        {"text": "a\0b"},
        {"text": "\ud800"},
        {"text": 5},
        {"text": {"id": "x"}},
        {"text": "x" * 20_001},
        {"amount_minor": 19.9},
        {"amount_minor": 5.0},
        {"amount_minor": 2**63},
        {"amount_minor": None},
        {"bank_ref": "bank:line:" + "1" * 600},
    ],
    ids=str,
)
async def test_a_fact_that_cannot_be_kept_is_not_told(changes: dict[str, Any]):
    @reading
    async def pull() -> Page:
        return Page((replace(FACT, body=replace(LINE, **changes)),), "1", False)

    with pytest.raises(Malformed):
        await pull()


@pytest.mark.parametrize(
    "told",
    [
        Signal("lines", ""),
        Signal("lines", 7),  # type: ignore[arg-type]
        [replace(FACT, refs=("bank:line:\0",))],
        [replace(FACT, refs=())],
        Page((), "\0", False),
        Done("re_\ud800"),
        Done("re_1", (("status", 1.5),)),  # type: ignore[arg-type]
        Done("re_1", facts=(replace(FACT, refs=("x" * 601,)),)),
    ],
    ids=repr,
)
def test_nor_are_references(told: object):
    with pytest.raises(ValueError):
        keepable(told)


async def test_what_can_be_kept_is_told():
    @reading
    async def find() -> Done:
        return Done("re_1", (("status", "ok"),), (FACT,))

    assert await find() == Done("re_1", (("status", "ok"),), (FACT,))
    keepable(Page((FACT, Signal("lines", "bank:line:1")), "", False))
    keepable(None)


def test_what_is_nested_too_deep_is_malformed():
    with pytest.raises(Malformed):
        document(Delivery("bank", {}, DEEP, AT))
    with pytest.raises(Malformed):
        json_of(httpx2.Response(200, content=DEEP), write=False)


def test_a_list_that_is_needed_has_to_be_there():
    assert Fields({}).rows("lines") == []
    for doc in ({}, {"lines": None}):
        with pytest.raises(Malformed, match="lines is missing"):
            Fields(doc).rows("lines", needed=True)


def test_an_error_that_quotes_them_can_be_written_down():
    error = Malformed("it says a\0b and \ud800" + "x" * 5_000, code="\0", field="\0")
    assert error.message.startswith("it says a\ufffdb and \ufffd") and len(error.message) == 2_000
    assert (error.code, error.field) == ("\ufffd", "\ufffd")
