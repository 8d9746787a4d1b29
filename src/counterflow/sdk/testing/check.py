"""Checks as small named functions with a subject; pytest and `counterflow conformance` run the same ones."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points

from counterflow.sdk.manifest import Manifest
from counterflow.sdk.testing.harness import Harness

Function = Callable[[Harness, str], Awaitable[None]]
Subjects = Callable[[Manifest], Iterable[str]]


class Skipped(Exception):
    """The harness has no answer for an optional hook; the message says which."""


@dataclass(frozen=True, slots=True)
class Check:
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
    case: str
    outcome: str  # passed | failed | skipped
    message: str = ""


CHECKS: list[Check] = []


def check(subjects: Subjects) -> Callable[[Function], Function]:
    """Add a check to the kit."""

    def add(function: Function) -> Function:
        CHECKS.append(Check(function.__name__, subjects, function))
        return function

    return add


def connector(manifest: Manifest) -> list[str]:
    return [""]


def feeds(manifest: Manifest) -> list[str]:
    return [feed.name for feed in manifest.feeds]


def topics(manifest: Manifest) -> list[str]:
    """Once, if it takes webhooks at all."""
    return [""] if manifest.topics else []


def cases(manifest: Manifest) -> list[Case]:
    """Every check that applies, in the order of the kit."""
    for part in ("static", "writes", "faults", "reads", "webhooks", "soak"):
        import_module(f"counterflow.sdk.testing.{part}")
    return [Case(each, subject) for each in CHECKS for subject in each.subjects(manifest)]


def run_harness(harness: type[Harness]) -> list[Result]:
    """All checks of one connector, each in a fresh world."""
    return [_result(case, harness) for case in cases(harness.maker.manifest)]


def run(name: str) -> list[Result]:
    """All checks of an installed connector. Raises LookupError when it has no `conformance` module with a `Harness`."""
    return run_harness(harness_of(name))


def harness_of(name: str) -> type[Harness]:
    """The class `Harness` in the module `conformance` beside the object that the entry point `name` names."""
    found = entry_points(group="counterflow.connectors", name=name)
    if not found:
        known = ", ".join(sorted(point.name for point in entry_points(group="counterflow.connectors")))
        raise LookupError(f"no connector {name!r} is installed: use one of {known}")
    module = f"{next(iter(found)).module}.conformance"
    try:
        harness: type[Harness] = import_module(module).Harness
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise LookupError(f"connector {name!r} has no module {module}: write one with a class Harness") from None
    return harness


def _result(case: Case, harness: type[Harness]) -> Result:
    try:
        asyncio.run(case.run(harness()))
    except Skipped as skipped:
        return Result(str(case), "skipped", str(skipped))
    except Exception as error:  # a bug of the connector fails its check, and the run goes on
        return Result(str(case), "failed", f"{type(error).__name__}: {error}")
    return Result(str(case), "passed")
