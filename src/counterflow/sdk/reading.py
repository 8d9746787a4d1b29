"""Reading what is not as described: whatever fails on an answer is Malformed, and what nobody can keep is not told."""

import re
from collections.abc import Callable, Coroutine
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import msgspec

from counterflow.core.facts import Fact
from counterflow.sdk.connector import Page, Signal
from counterflow.sdk.outcomes import Accepted, Done, Malformed

P = ParamSpec("P")
R = TypeVar("R")

# What a connector fails with when an answer is not as it was.
DRIFT = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
REFERENCE_MOST = 600  # characters: it is indexed, and four bytes each are less than an index takes
TEXT_MOST = 20_000
_INDEXED = ("ref", "refs", "key", "number", "serial", "serials", "tracking")
_BROKEN = re.compile("[\x00\ud800-\udfff]").search


def reading(verb: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """For `fetch`, `pull` and `find`: what they fail with on an answer is Malformed, and so is what cannot be kept."""

    @wraps(verb)
    async def read(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            told = await verb(*args, **kwargs)
            keepable(told)
        except DRIFT as error:
            message = f"the answer is not as described: {type(error).__name__}: {error}"
            raise Malformed(message[:500]) from error
        return told

    return read


def keepable(told: object) -> None:
    """Hold a page, facts, signals or an outcome against their types and `storable`. Raises ValueError."""
    match told:
        case Page(items, cursor):
            keepable(items)
            storable(cursor, "cursor")
        case Done(ref, values, facts):
            keepable(facts)
            _typed(Accepted(ref, values))
        case Fact():
            keepable(Signal("", told.refs[0] if told.refs else "", told.refs))
            _typed(told.body)
        case Signal():
            if not told.ref:
                raise ValueError("what was told names nothing")
            _typed(told)
        case Accepted():
            _typed(told)
        case list() | tuple():
            for each in told:
                keepable(each)


def storable(value: Any, name: str) -> None:
    """Text that a database takes, whole numbers of 64 bits, UTC instants. Raises ValueError that says `name`."""
    if isinstance(value, str):
        most = REFERENCE_MOST if name.endswith(_INDEXED) else TEXT_MOST
        if _BROKEN(value) or len(value) > most:
            raise ValueError(f"{name} is no text of at most {most} whole characters: {value[:60]!r}")
    elif isinstance(value, int):
        if abs(value) >= 2**63:
            raise ValueError(f"{name} is larger than any amount: {str(value)[:30]}")
    elif isinstance(value, datetime):
        if value.utcoffset() != timedelta(0):
            raise ValueError(f"{name} is no instant in UTC: {value}")
    elif isinstance(value, tuple):
        for each in value:
            storable(each, name)
    elif is_dataclass(value):
        for field in fields(value):
            storable(getattr(value, field.name), f"{name}.{field.name}")
    elif value is not None:
        raise ValueError(f"{name} is {value!r:.60}, neither text nor a whole number")


def _typed(value: object) -> None:
    storable(value, type(value).__name__)
    try:
        msgspec.json.decode(msgspec.json.encode(value), type=type(value))
    except msgspec.MsgspecError as error:
        raise ValueError(f"{type(value).__name__}: {error}") from None
