"""The engine against the same work done as a job per fact and a job per effect; one worker against two."""

import asyncio
import os
import subprocess
import sys
import time
from dataclasses import dataclass

from benchmarks import lab

CASES, CASES_AS_JOBS = 1500, 120
_LEFT = """
SELECT (SELECT count(*) FROM inbox WHERE status = 'ready')
     + (SELECT count(*) FROM effects WHERE status IN ('planned', 'sending')),
       (SELECT count(*) FROM effects WHERE status = 'done'), (SELECT count(*) FROM cases WHERE status = 'resolved')
"""


@dataclass(frozen=True, slots=True)
class Run:
    pairs: int
    seconds: float
    cpu_ms_per_pair: float

    @property
    def per_second(self) -> float:
        return self.pairs / self.seconds


async def run(url: str, cases: int, command: list[str], processes: int) -> Run:
    """Tell everything first, then let the processes work until nothing is left."""
    async with lab.opened(url) as pool:
        for start in range(0, cases, 100):
            await lab.tell(pool, [fact for n in range(start, min(cases, start + 100)) for fact in lab.a_return(n)])
        started = [subprocess.Popen([sys.executable, *command, url]) for _ in range(processes)]
        began = time.perf_counter()
        pids = [process.pid for process in started]
        try:
            while True:
                await asyncio.sleep(0.1)
                async with pool.connection() as conn:
                    row = await (await conn.execute(_LEFT)).fetchone()
                assert row is not None
                left, pairs, resolved = row
                if left == 0 and resolved == cases:
                    break
                if any(process.poll() is not None for process in started) or time.perf_counter() - began > 120:
                    raise RuntimeError(f"{left} left, {resolved} of {cases} cases resolved")
            seconds, cpu = time.perf_counter() - began, lab.cpu_seconds(pids)
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait()
    return Run(pairs, seconds, 1000 * cpu / pairs)


async def bench(server: str) -> None:
    ours, jobs = ["-m", "benchmarks.lab"], ["-m", "benchmarks.jobs"]
    with lab.database(server, "bench_jobs") as url:
        os.environ.setdefault("PROCRASTINATE_LOG_LEVEL", "ERROR")
        by_jobs = await run(url, CASES_AS_JOBS, jobs, 1)
    with lab.database(server, "bench_one") as url:
        commits = await asyncio.to_thread(lab.commits_per_second, url)
        one = await run(url, CASES, ours, 1)
    with lab.database(server, "bench_two") as url:
        two = await run(url, CASES, ours, 2)
    lab.emit(
        "engine_vs_jobs",
        one.per_second / by_jobs.per_second,
        10,
        pairs_per_s=round(one.per_second),
        jobs_pairs_per_s=round(by_jobs.per_second),
        worker_cpu_ms_per_pair=round(one.cpu_ms_per_pair, 3),
        jobs_cpu_ms_per_pair=round(by_jobs.cpu_ms_per_pair, 3),
        vs_insert_commit=round(one.per_second / commits, 2),
        cases=CASES,
    )
    lab.emit("two_workers", two.per_second / one.per_second, None, pairs_per_s=round(two.per_second))
