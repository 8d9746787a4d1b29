"""Plants a mutant into a process of its own, plays until something notices it, and says what did.

`python -m counterflow.simulate.planting plays|tests NAME SERVER` is that process: what it imports before the bug is
planted is nothing of the product, since that could not be changed any more.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import json
import logging
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from counterflow.simulate.mutants import MUTANTS, PLAYS, Edit, Hit, Mutant, Play

REST_DAYS = 16.0  # after which a story without an end is a finding: longer than any that has one takes
TESTS = Path(__file__).parents[3] / "tests"  # there in a clone, not in an installed package
SECONDS = 600.0  # of real time for one mutant; one that never ends by itself is noticed by that


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a mutant. `caught_by`: an invariant, `story`, `oracle`, `crash`, `hang`, `test`, else empty."""

    name: str
    caught_by: str
    what: str
    seconds: float

    @property
    def caught(self) -> bool:
        return bool(self.caught_by)


def find(name: str) -> Mutant:
    """Raises KeyError for a name that no mutant has."""
    return {mutant.name: mutant for mutant in MUTANTS}[name]


def source_of(module: str) -> str:
    """The text of a module below `counterflow`, without importing it."""
    path = Path(__file__).parent.parent.joinpath(*module.split("."))
    found = path.with_suffix(".py")
    return (found if found.exists() else path / "__init__.py").read_text("utf-8")


# ---- planting --------------------------------------------------------------------------------------------------------


class _Planted(importlib.machinery.SourceFileLoader):
    """Compiles a changed text, and neither reads nor writes a compiled one."""

    def __init__(self, name: str, path: str, edits: Sequence[Edit]) -> None:
        super().__init__(name, path)
        self._edits = edits

    def get_code(self, fullname: str) -> CodeType:
        text = Path(self.path).read_text("utf-8")
        for _, old, new in self._edits:
            if text.count(old) != 1:
                raise ImportError(f"{fullname} has {text.count(old)} times what a mutant changes once: {old!r}")
            text = text.replace(old, new)
        return compile(text, self.path, "exec")


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, edits: Sequence[Edit]) -> None:
        self._edits: dict[str, list[Edit]] = {}
        for edit in edits:
            self._edits.setdefault(f"counterflow.{edit[0]}", []).append(edit)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        edits = self._edits.get(fullname)
        spec = importlib.machinery.PathFinder.find_spec(fullname, path) if edits else None
        if spec is None or edits is None or spec.origin is None:
            return None
        loader = _Planted(fullname, spec.origin, edits)
        places = spec.submodule_search_locations
        return importlib.util.spec_from_file_location(
            fullname, spec.origin, loader=loader, submodule_search_locations=places
        )


def plant(mutant: Mutant) -> None:
    """From now on this process imports the mutant's modules as it has them. Raises RuntimeError if one is there."""
    late = [edit[0] for edit in mutant.edits if f"counterflow.{edit[0]}" in sys.modules]
    if late:
        raise RuntimeError(f"{', '.join(late)} is imported already: plant in a process of its own")
    sys.meta_path.insert(0, _Finder(mutant.edits))


# ---- playing ---------------------------------------------------------------------------------------------------------


@dataclass
class Hits:
    """Failures where the play says (a `faults.Plan`)."""

    hits: Sequence[Hit]
    fired: Counter[str] = field(default_factory=Counter)
    left: dict[int, int] = field(init=False)

    def __post_init__(self) -> None:
        self.left = {n: hit.times for n, hit in enumerate(self.hits)}
        self._rng = random.Random("hits")

    def at(self, point: str, detail: str = "") -> str:
        for n, hit in enumerate(self.hits):
            if hit.point == point and self.left[n] and hit.detail in detail:
                self.left[n] -= 1
                self.fired[hit.kind] += 1
                return hit.kind
        return ""

    def rng(self) -> random.Random:
        return self._rng


def play(stage: Any, name: str) -> tuple[str, str]:
    """What notices something in a play of this name, and what; two empty texts if nothing does."""
    from counterflow.simulate import kernel
    from counterflow.simulate.families import write

    kernel.REST_DAYS = REST_DAYS
    chosen = PLAYS.get(name) or Play(name)
    story = write(1, chosen.number, chosen.family)
    ran = stage.run(1, [story], Hits(chosen.hits), workers=chosen.workers)
    return ran.invariant, ran.what


def judge(mutant: Mutant, server: str = "") -> tuple[str, str]:
    """Plant it here and play until something notices. Raises what keeps the world from being founded: no verdict."""
    plant(mutant)
    logging.disable(logging.CRITICAL)
    from counterflow.simulate.ground import stage

    with stage(server) as made:
        for name in mutant.plays:
            try:
                caught_by, what = play(made, name)
            except Exception as error:
                caught_by, what = "crash", f"{type(error).__name__}: {error}"
            if caught_by:
                return caught_by, f"{name}: {what}"
    return "", ""


def test(mutant: Mutant) -> tuple[str, str]:
    """Plant it here and run the tests that it names; which of them fails. Raises RuntimeError if they cannot be run."""
    plant(mutant)
    import pytest

    failed: list[str] = []

    class Listener:
        def pytest_runtest_logreport(self, report: Any) -> None:
            if report.failed:
                failed.append(report.nodeid)

    paths = [str(TESTS / each) for each in mutant.tests]
    code = pytest.main(["-q", "-x", "-p", "no:cacheprovider", "--tb=no", *paths], plugins=[Listener()])
    if code == pytest.ExitCode.TESTS_FAILED and failed:
        return "test", failed[0]
    if code != pytest.ExitCode.OK:
        raise RuntimeError(f"pytest ended with {code} for {' '.join(mutant.tests)}")
    return "", ""


def run(
    mutants: Sequence[Mutant], server: str = "", tell: Callable[[Verdict], None] = lambda verdict: None
) -> list[Verdict]:
    """A process for each mutant, as many at once as there are cores; `tell` hears of each, in their order.

    `server` is a PostgreSQL server on which databases may be made; without it one is started for all of them. Raises
    RuntimeError without a verdict.
    """
    if not server:
        from counterflow.simulate.ground import FAST
        from counterflow.store.embedded import Embedded

        with tempfile.TemporaryDirectory(prefix="counterflow-mutants-") as home:
            try:
                return run(mutants, Embedded.start(Path(home) / "server", **FAST), tell)
            finally:
                Embedded.stop(Path(home) / "server")
    verdicts = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for verdict in pool.map(partial(_judge, server), mutants):
            verdicts.append(verdict)
            tell(verdict)
    return verdicts


def _judge(server: str, mutant: Mutant) -> Verdict:
    started = time.monotonic()
    found = _process("plays", mutant, server)
    if not found["caught_by"] and mutant.tests and TESTS.is_dir():
        found = _process("tests", mutant, server)
    return Verdict(mutant.name, found["caught_by"], found["what"], time.monotonic() - started)


def _process(how: str, mutant: Mutant, server: str) -> dict[str, str]:
    command = [sys.executable, "-m", "counterflow.simulate.planting", how, mutant.name, server]
    env = {**os.environ, "COUNTERFLOW_TEST_DATABASE_URL": server}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, env=env)
    except subprocess.TimeoutExpired:
        return {"caught_by": "hang", "what": f"no end in {SECONDS:.0f} s"}
    if done.returncode:
        raise RuntimeError(f"{mutant.name} could not be judged: {done.stderr[-500:]}")
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


def report(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """As the command prints it: total, caught, those by tests alone, survivors with why, and all verdicts."""
    survivors = [verdict.name for verdict in verdicts if not verdict.caught]
    return {
        "total": len(verdicts),
        "caught": sum(verdict.caught for verdict in verdicts),
        "caught_by_tests": sum(verdict.caught_by == "test" for verdict in verdicts),
        "survivors": [{"name": name, "because": find(name).survives} for name in survivors],
        "verdicts": [asdict(verdict) for verdict in verdicts],
    }


if __name__ == "__main__":
    how, name, database = sys.argv[1:]
    caught_by, what = test(find(name)) if how == "tests" else judge(find(name), database)
    print(json.dumps({"caught_by": caught_by, "what": what[:500]}))
