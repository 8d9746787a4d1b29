"""How fast the simulated world is: seeds of forty cases with all kinds of failures, on all cores."""

import os
import time

from benchmarks import lab
from counterflow.simulate.campaign import Campaign, spread

SEEDS, CASES = 4, 40
TARGET = 0.022  # seconds a case: 300 seeds of 45 cases in five minutes


async def bench(url: str) -> None:
    jobs, started = os.cpu_count() or 1, time.perf_counter()
    ran = [each for _, each in spread(Campaign(CASES), 1, 1 + SEEDS, jobs)]
    seconds, cases = time.perf_counter() - started, sum(each.cases for each in ran)
    lab.emit(
        "simulation_seconds_a_case",
        seconds / cases,
        TARGET,
        seeds=len(ran),
        cases=cases,
        jobs=jobs,
        failures=sum(each.fired.total() for each in ran),
        violations=sum(not each.holds for each in ran),
        processor_seconds_a_case=round(sum(each.seconds for each in ran) / cases, 3),
        simulated_days_a_second=round(sum(each.days for each in ran) / seconds, 2),
    )
