"""Many seeds on all cores: processes that take the next seed from each other, each with a stage of its own."""

import logging
import multiprocessing
import queue
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import structlog

from counterflow.simulate.ground import stage
from counterflow.simulate.run import Ran, planned

LOOK_SECONDS = 1.0  # how often it is seen that a process has died


@dataclass(frozen=True, slots=True)
class Campaign:
    """What all seeds have in common. `budget`: seconds of processor time after which no seed is begun, 0: no end."""

    cases: int
    families: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    database: str = ""
    budget: float = 0.0

    def runs(self, first: int, last: int, jobs: int) -> Iterator[Ran]:
        """How the seeds from `first` up to `last` ended, as they end; those that were run follow each other.

        Raises KeyError for a family or a kind of failure that there is not, RuntimeError when a process has died.
        """
        planned(first, self.cases, self.families, self.faults)
        jobs = min(jobs, last - first)
        if jobs < 2:
            quiet()
            used = 0.0
            with stage(self.database) as made:
                for seed in range(first, last):
                    if self.budget and used >= self.budget:
                        return
                    ran = made.run(seed, *planned(seed, self.cases, self.families, self.faults))
                    used += ran.seconds
                    yield ran
            return
        spawn = multiprocessing.get_context("spawn")
        results, number, used_by_all = spawn.Queue(), spawn.Value("q", first), spawn.Value("d", 0.0)
        workers = [
            spawn.Process(target=_work, args=(self, last, number, used_by_all, results), daemon=True)
            for _ in range(jobs)
        ]
        for worker in workers:
            worker.start()
        left = jobs
        while left:
            try:
                ran = results.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                if dead := [worker.exitcode for worker in workers if worker.exitcode]:
                    raise RuntimeError(
                        f"a process of the simulation ended with {dead[0]}: see what it printed"
                    ) from None
                continue
            if ran is None:
                left -= 1
            else:
                yield ran
        for worker in workers:
            worker.join()


def _work(campaign: Campaign, last: int, number: Any, used: Any, results: Any) -> None:
    quiet()
    with stage(campaign.database) as made:
        while True:
            with number.get_lock():
                seed = number.value
                if seed >= last or (campaign.budget and used.value >= campaign.budget):
                    break
                number.value += 1
            ran = made.run(seed, *planned(seed, campaign.cases, campaign.families, campaign.faults))
            with used.get_lock():
                used.value += ran.seconds
            results.put(ran)
    results.put(None)


def quiet() -> None:
    """What goes wrong is what this is about: it is in the timeline and needs no log."""
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
