"""Double-everything: each message, each step and, where asked for, each call is done twice; nothing may come of it.

`steps()` wraps the functions through which everything goes: a delivery is received twice, facts and intentions are
stored twice, a drain, a sweep of a feed and a handler of payouts run twice. `calls()` sends every command twice under
its key. The second time has to find nothing to do, and what tests expect of the end has to be true all the same.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from counterflow.engine import send
from counterflow.engine.cases import CaseDrain
from counterflow.engine.feeds import FeedPuller
from counterflow.intake.receive import Intake
from counterflow.reconcile.payouts import Payouts
from counterflow.sdk.outcomes import ConnectorError
from counterflow.store import effects, inbox, xref

Wrapped = Callable[..., Awaitable[Any]]


def _again(wrapped: Wrapped, check: Callable[[Any, Any], bool]) -> Wrapped:
    """`wrapped` twice; the first answer counts, and the second has to pass the check."""

    async def twice(*args: Any, **more: Any) -> Any:
        first = await wrapped(*args, **more)
        second = await wrapped(*args, **more)
        assert check(first, second), f"{wrapped.__qualname__} did something the second time: {first!r}, {second!r}"
        return first

    return twice


def _same_receipt(first: Any, second: Any) -> bool:
    return bool(second.repeat and (second.delivery_id, second.status) == (first.delivery_id, first.status))


def _nothing(first: Any, second: Any) -> bool:
    return not second


def _anything(first: Any, second: Any) -> bool:
    return True


STEPS: tuple[tuple[Any, str, Callable[[Any, Any], bool]], ...] = (
    (Intake, "receive", _same_receipt),
    (inbox, "add", _nothing),  # ids that were new
    (effects, "plan", _nothing),
    (xref, "add", _anything),
    (CaseDrain, "drain", _anything),  # what arrived meanwhile is new
    (FeedPuller, "pull", _nothing),  # facts and signals that were new
    (Payouts, "reported", _nothing),
    (Payouts, "booked", _nothing),
)


@contextmanager
def steps() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for place, name, check in STEPS:
            patch.setattr(place, name, _again(getattr(place, name), check))
        yield


@contextmanager
def calls() -> Iterator[None]:
    """Every command that got its answer goes out once more, and the answer has to be one of the same kind."""
    original = send._call

    async def twice(connector: Any, asked: Sequence[Any]) -> Any:
        first = await original(connector, asked)
        if isinstance(first, ConnectorError) or any(isinstance(each, ConnectorError) for each in first):
            return first
        second = await original(connector, asked)
        words = [getattr(each, "word", type(each).__name__) for each in second] if isinstance(second, list) else second
        assert isinstance(second, list) and words == [type(each).__name__ for each in first], (asked, first, second)
        return first

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(send, "_call", twice)
        yield
