"""Many runs on all cores: processes that take the next number from each other, each with a stage of its own."""

import logging
import multiprocessing
import os
import queue
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from counterflow.simulate.ground import stage
from counterflow.simulate.run import Ran, Stage, planned

LOOK_SECONDS = 1.0  # how often it is seen that a process has died


class Work(Protocol):
    """What the runs of a command have in common; every process gets it."""

    def run(self, stage: Stage, number: int) -> Ran:
        """The run of this number."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """Seeds. Raises KeyError for a family or a kind of failure that there is not."""

    cases: int
    families: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        planned(0, self.cases, self.families, self.faults)

    def run(self, stage: Stage, number: int) -> Ran:
        return stage.run(number, *planned(number, self.cases, self.families, self.faults))


def spread(
    work: Work, first: int, last: int, jobs: int, *, database: str = "", budget: float = 0.0
) -> Iterator[tuple[int, Ran]]:
    """How the numbers from `first` up to `last` ended, as they end; those that were run follow each other.

    `jobs`: processes, 0: one for each core; `budget`: seconds of processor time after which none is begun, 0: no end.
    Raises RuntimeError when a process died.
    """
    jobs = min(jobs or os.cpu_count() or 1, last - first)
    if jobs < 1:
        return
    if jobs == 1:
        quiet()
        used = 0.0
        with stage(database) as made:
            for number in range(first, last):
                if budget and used >= budget:
                    return
                ran = work.run(made, number)
                used += ran.seconds
                yield number, ran
        return
    spawn = multiprocessing.get_context("spawn")
    results, next_one, used_by_all = spawn.Queue(), spawn.Value("q", first), spawn.Value("d", 0.0)
    workers = [
        spawn.Process(target=_work, args=(work, last, database, budget, next_one, used_by_all, results), daemon=True)
        for _ in range(jobs)
    ]
    for worker in workers:
        worker.start()
    left = jobs
    while left:
        try:
            result = results.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            if dead := [worker.exitcode for worker in workers if worker.exitcode]:
                raise RuntimeError(f"a process of the simulation ended with {dead[0]}: see what it printed") from None
            continue
        if result is None:
            left -= 1
        else:
            yield result
    for worker in workers:
        worker.join()


def _work(work: Work, last: int, database: str, budget: float, next_one: Any, used: Any, results: Any) -> None:
    quiet()
    with stage(database) as made:
        while True:
            with next_one.get_lock():
                number = next_one.value
                if number >= last or (budget and used.value >= budget):
                    break
                next_one.value += 1
            ran = work.run(made, number)
            with used.get_lock():
                used.value += ran.seconds
            results.put((number, ran))
    results.put(None)


def quiet() -> None:
    """What goes wrong is what this is about: it is in the timeline and needs no log."""
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
