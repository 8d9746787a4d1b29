"""Double-everything: each message, each step and, where asked for, each call is done twice; nothing may come of it.

`steps()` wraps the functions through which everything goes: a delivery is received twice, facts and intentions are
stored twice, drains, timers, a sweep of a feed and the handlers of payouts run twice. `calls()` sends every command
twice under its key. The second time has to find nothing to do, and what tests expect of the end has to be true all the
same.

Processes that a test starts do the same (`everywhere`): Python imports `doubled/sitecustomize.py` in each of them. What
something did the second time is also written to the file that FOUND names, for a worker or an API may live on.
"""

import os
from collections.abc import Awaitable, Callable, Iterator, MutableMapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from counterflow.engine import send, timers
from counterflow.engine.cases import CaseDrain
from counterflow.engine.effects import EffectDrain
from counterflow.engine.feeds import FeedPuller
from counterflow.intake.receive import Intake
from counterflow.reconcile.payouts import Payouts
from counterflow.sdk.outcomes import ConnectorError
from counterflow.store import effects, inbox, xref

Wrapped = Callable[..., Awaitable[Any]]
FOUND = "COUNTERFLOW_TWICE_FOUND"  # environment: the file
alive = False  # true in a town and in a simulation: others act meanwhile, and what they did is new


def _again(wrapped: Wrapped, check: Callable[[Any, Any], bool]) -> Wrapped:
    """`wrapped` twice; the first answer counts, and the second has to pass the check."""

    async def twice(*args: Any, **more: Any) -> Any:
        first = await wrapped(*args, **more)
        second = await wrapped(*args, **more)
        if not check(first, second):
            what = f"{wrapped.__qualname__} did something the second time: {first!r}, {second!r}"
            if FOUND in os.environ:
                with Path(os.environ[FOUND]).open("a") as found:
                    found.write(f"{what}\n")
            raise AssertionError(what)
        return first

    return twice


def _same_receipt(first: Any, second: Any) -> bool:
    return bool(second.repeat and (second.delivery_id, second.status) == (first.delivery_id, first.status))


def _nothing(first: Any, second: Any) -> bool:
    return not second


def _nothing_in_a_still_world(first: Any, second: Any) -> bool:
    return alive or not second


def _anything(first: Any, second: Any) -> bool:
    return True


STEPS: tuple[tuple[Any, str, Callable[[Any, Any], bool]], ...] = (
    (Intake, "receive", _same_receipt),
    (Intake, "tell", _anything),
    (inbox, "add", _nothing),  # ids that were new
    (effects, "plan", _nothing_in_a_still_world),  # an object may be looked at again
    (xref, "add", _anything),
    (CaseDrain, "drain", _anything),  # what arrived meanwhile is new
    (EffectDrain, "step", _anything),
    (timers, "fire", _anything),
    (FeedPuller, "pull", _nothing_in_a_still_world),  # facts and signals that were new
    (Payouts, "reported", _nothing),
    (Payouts, "booked", _nothing),
    (Payouts, "settled", _nothing),
)


@contextmanager
def steps() -> Iterator[None]:
    with ExitStack() as stack:
        for place, name, check in STEPS:
            stack.enter_context(patch.object(place, name, _again(getattr(place, name), check)))
        yield


def everywhere(environment: MutableMapping[str, str], found: Path) -> None:
    """Let the Python processes that get this environment do every step twice."""
    folders = (str(Path(__file__).parent / "doubled"), environment.get("PYTHONPATH"))
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, folders))
    environment[FOUND] = str(found)


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

    with patch.object(send, "_call", twice):
        yield
