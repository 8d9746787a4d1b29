"""Checks as small named functions with a subject; pytest and `counterflow conformance` run the same ones."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points

from counterflow.sdk.manifest import Manifest
from counterflow.sdk.testing.harness import Harness

Function = Callable[[Harness, str], Awaitable[None]]
Subjects = Callable[[Manifest], Iterable[str]]


class Skipped(Exception):
    """The harness has no answer for an optional hook; the message says which."""


POINTS = {
    1: "the manifest is complete, and says no to what it does not name",
    2: "a write is applied once",
    3: "the same key twice is once",
    4: "the same key with other content is a conflict",
    5: "what never left is transient, what may have left is unknown",
    6: "a lost answer is unknown, and a look-up recovers it",
    7: "a 5xx after a write is unknown, done or not",
    8: "garbage after a write is unknown",
    9: "a 429 is rate limited with the sender's delay; every fault of a read and every broken answer has its word",
    10: "a 401 is refused credentials: refreshed once, in no loop",
    11: "what cannot be is rejected with a code",
    12: "a stale assumption is a conflict",
    13: "two concurrent sends of one key are one",
    14: "a feed resumes from any cursor without loss",
    15: "rows that change between pages are not lost",
    16: "one state gives the same facts, however often it is read",
    17: "a late row within the lag is found",
    18: "an empty feed and a last page end",
    19: "a good signature gets in",
    20: "a forged, old, doubled or missing signature does not, at volume; compared in constant time",
    21: "a repeated delivery is known as one",
    22: "an unknown topic gives nothing, a broken body is malformed, at volume",
    23: "amounts are exact, and no fraction of a minor unit is believed",
    24: "text is text, four-byte letters too",
    25: "no log line, error or representation shows a secret",
    26: "clock skew harms nothing",
    27: "files: columns in any order, byte order marks, other languages, cut, repeated, corrected and spoiled files",
    28: "a thousand random faults leave everything done exactly once",
}


@dataclass(frozen=True, slots=True)
class Check:
    point: int
    name: str
    subjects: Subjects  # which commands or feeds it applies to, by the manifest; [""] = the connector as a whole
    function: Function

    @property
    def about(self) -> str:
        return (self.function.__doc__ or "").strip().splitlines()[0]


@dataclass(frozen=True, slots=True)
class Case:
    """One check of one subject. `run` raises AssertionError when the connector does not hold to it."""

    check: Check
    subject: str

    def __str__(self) -> str:
        return f"{self.check.name}[{self.subject}]" if self.subject else self.check.name

    async def run(self, harness: Harness) -> None:
        await self.check.function(harness, self.subject)


@dataclass(frozen=True, slots=True)
class Result:
    point: int  # of `POINTS`; of a live proof the number of its own point
    case: str
    outcome: str  # passed | failed | skipped
    message: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """A real system for a live proof: where it is, our user's key, and that of somebody who may set things up."""

    url: str
    database: str = ""
    key: str = field(default="", repr=False)
    admin_key: str = field(default="", repr=False)  # empty: our user may do everything
    login: str = ""  # where a key alone does not say whose it is
    admin_login: str = ""
    settings: tuple[tuple[str, str], ...] = ()  # of the connection's configuration


CHECKS: list[Check] = []


def check(point: int, subjects: Subjects) -> Callable[[Function], Function]:
    """Add a check of one of `POINTS` to the kit."""

    def add(function: Function) -> Function:
        CHECKS.append(Check(point, function.__name__, subjects, function))
        return function

    return add


def connector(manifest: Manifest) -> list[str]:
    return [""]


def feeds(manifest: Manifest) -> list[str]:
    return [feed.name for feed in manifest.feeds]


def files(manifest: Manifest) -> list[str]:
    """The feeds whose rows come in files."""
    return [feed.name for feed in manifest.feeds if feed.files]


def topics(manifest: Manifest) -> list[str]:
    """Once, if it takes webhooks at all."""
    return [""] if manifest.topics else []


def cases(manifest: Manifest) -> list[Case]:
    """Every check that applies, in the order of the kit."""
    return [Case(each, subject) for each in all_checks() for subject in each.subjects(manifest)]


def all_checks() -> list[Check]:
    """The whole kit, in its order."""
    for part in ("static", "writes", "faults", "reads", "money", "webhooks", "files", "spoiled", "soak"):
        import_module(f"counterflow.sdk.testing.{part}")
    return CHECKS


def run_harness(harness: type[Harness], only: str = "") -> list[Result]:
    """All checks of one connector, each in a fresh world."""
    return [_result(case, harness) for case in cases(harness.maker.manifest) if only.lower() in str(case).lower()]


def run(name: str, faults: int = 0, spoiled: int = 0, only: str = "") -> list[Result]:
    """All checks of an installed connector; `faults` of the soak and `spoiled` inputs, 0: as many as its harness says.

    `only` chooses checks by words. Raises LookupError when it has no `conformance` module with a `Harness`.
    """
    harness = harness_of(name)
    more = {name: value for name, value in (("faults", faults), ("spoiled", spoiled)) if value}
    return run_harness(type(harness.__name__, (harness,), more), only)


def live(
    name: str, target: Target | None = None, only: str = "", tell: Callable[[Result], None] = lambda result: None
) -> list[Result]:
    """The live proof of a connector: on the target, or (None) on its own simulator; `only` chooses points by words.

    Its module `live` has `async def prove(target, only, tell)`; `tell` hears of each result at once. A connector
    without one has no points on its simulator. Raises LookupError when it is given a target, and ConnectorError when
    the target cannot be used.
    """
    module = f"{_package(name)}.live"
    try:
        prove = import_module(module).prove
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        if target is None:
            return []
        raise LookupError(f"connector {name!r} has no live proof: leave out --url to use its simulator") from None
    results: list[Result] = asyncio.run(prove(target, only, tell))
    return results


def _package(name: str) -> str:
    found = entry_points(group="counterflow.connectors", name=name)
    if not found:
        known = ", ".join(sorted(point.name for point in entry_points(group="counterflow.connectors")))
        install = "install yours: `make setup-dev` in this repository, else `pip install -e .` where its entry point is"
        raise LookupError(f"no connector {name!r} is installed: use one of {known}, or {install}")
    return next(iter(found)).module


def harness_of(name: str) -> type[Harness]:
    """The class `Harness` in the module `conformance` beside the object that the entry point `name` names."""
    module = f"{_package(name)}.conformance"
    try:
        harness: type[Harness] = import_module(module).Harness
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise LookupError(f"connector {name!r} has no module {module}: write one with a class Harness") from None
    return harness


def _result(case: Case, harness: type[Harness]) -> Result:
    outcome, message = "passed", ""
    try:
        asyncio.run(case.run(harness()))
    except Skipped as skipped:
        outcome, message = "skipped", str(skipped)
    except Exception as error:  # a bug of the connector fails its check, and the run goes on
        outcome, message = "failed", f"{type(error).__name__}: {error}"
    return Result(case.check.point, str(case), outcome, message)
