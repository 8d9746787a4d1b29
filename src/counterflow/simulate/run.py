"""One seed: a world, stories, failures, and what became of it."""

import gc
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg

from counterflow.simulate.families import FAMILIES, write
from counterflow.simulate.faults import Chance, Exact, Plan, kinds_of
from counterflow.simulate.kernel import Kernel
from counterflow.simulate.loop import VirtualLoop
from counterflow.simulate.script import Story
from counterflow.simulate.store import Server, emptier
from counterflow.simulate.town import Broken, Ground, running


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run ended. `digest` is over every turn: two runs of one seed have the same."""

    seed: int
    stories: tuple[str, ...]
    cases: int
    turns: int
    days: float
    digest: str
    fired: Counter[str]
    seconds: float
    invariant: str = ""
    what: str = ""
    trace: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()  # what people could not do, in stories whose ends nobody has foreseen
    foreseen: int = 0  # ends that were held against the oracle, of as many stories as there are

    @property
    def holds(self) -> bool:
        return not self.invariant


@dataclass
class Stage:
    """What the runs of a process share."""

    ground: Ground
    server: Server = field(init=False)

    def __post_init__(self) -> None:
        self.server = Server(self.ground.url)
        self._conn = psycopg.connect(self.ground.url, autocommit=True)
        self.empty = emptier(self._conn)

    @contextmanager
    def kernel(
        self,
        seed: int,
        stories: Sequence[Story],
        plan: Plan,
        *,
        kind: type[Kernel] = Kernel,
        workers: int = 1,
        trace: bool = False,
    ) -> Iterator[Kernel]:
        """A new world with these stories, in which nothing has happened yet; gone afterwards."""
        self.empty()
        gc.collect()  # and not in between: a run makes little garbage that refers to itself
        if not gc.get_freeze_count():
            gc.freeze()  # what was imported stays, and is not gone through before every run
        gc.disable()
        try:
            with running(VirtualLoop()) as loop:
                kernel = kind(loop, self.ground, self.server, seed, stories, plan, workers, trace)
                try:
                    yield kernel
                finally:
                    kernel.close()
        finally:
            gc.enable()

    def run(self, seed: int, stories: Sequence[Story], plan: Plan, *, workers: int = 1, trace: bool = False) -> Ran:
        """Play the stories under this plan. Never raises for what the product does wrong: the result says it."""
        started = time.process_time()
        invariant = what = ""
        with self.kernel(seed, stories, plan, workers=workers, trace=trace) as kernel:
            try:
                kernel.loop.run_until_complete(kernel.run())
            except Broken as broken:
                invariant, what = broken.invariant, broken.what
        return Ran(
            seed,
            tuple(story.title for story in stories),
            len(kernel.checks.seen),
            kernel.turns,
            kernel.days,
            kernel.digest.hexdigest(),
            plan.fired,
            time.process_time() - started,
            invariant,
            what,
            tuple(kernel.trace),
            tuple(said for playing in kernel.playing for said in playing.told),
            kernel.checks.foreseen,
        )

    def close(self) -> None:
        self.server.close()
        self._conn.close()


def planned(
    seed: int, count: int, families: Sequence[str] = (), faults: Sequence[str] = ()
) -> tuple[Sequence[Story], Plan]:
    """The stories and failures of a seed. Raises KeyError for a name that there is not."""
    if unknown := [name for name in families if name not in FAMILIES]:
        raise KeyError(unknown[0])
    stories = [
        write(seed, number, families[(seed + number) % len(families)] if families else "")
        for number in range(1, count + 1)
    ]
    return stories, Exact({}) if tuple(faults) == ("none",) else Chance(seed, kinds_of(faults), count)
