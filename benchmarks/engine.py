"""The engine against the same work done as a job per fact and a job per effect; one worker against two."""

import asyncio
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean

from benchmarks import lab
from counterflow.store.pool import Pool

CASES, CASES_AS_JOBS, ROUNDS = 700, 120, 2
PATIENCE_SECONDS = 120.0
_BEGUN = "SELECT EXISTS (SELECT 1 FROM effects)"  # the processes are up: starting is not what is measured
_IDLE = """
SELECT NOT EXISTS (SELECT 1 FROM inbox WHERE status = 'ready')
   AND NOT EXISTS (SELECT 1 FROM effects WHERE status = 'planned')
   AND NOT EXISTS (SELECT 1 FROM effects WHERE status = 'sending')
"""
_RESULT = """
SELECT (SELECT count(*) FROM inbox WHERE status <> 'done') + (SELECT count(*) FROM effects WHERE status <> 'done'),
       (SELECT count(*) FROM effects), (SELECT count(*) FROM cases WHERE status = 'resolved'),
       (SELECT count(*) FROM exceptions)
"""


@dataclass(frozen=True, slots=True)
class Run:
    pairs: int
    seconds: float
    cpu_ms_per_pair: float

    @property
    def per_second(self) -> float:
        return self.pairs / self.seconds


def together(runs: Sequence[Run]) -> Run:
    pairs = sum(each.pairs for each in runs)
    cpu_ms = sum(each.pairs * each.cpu_ms_per_pair for each in runs)
    return Run(pairs, sum(each.seconds for each in runs), cpu_ms / pairs)


async def run(url: str, cases: int, module: str, count: int) -> Run:
    """Tell everything first, then let so many processes work until nothing is left.

    Raises RuntimeError unless every case came to its end without a person.
    """
    async with lab.opened(url) as pool:
        for start in range(0, cases, 100):
            await lab.tell(pool, [fact for n in range(start, min(cases, start + 100)) for fact in lab.a_request(n)])
        with lab.processes(count, module, url) as started:
            pids = [process.pid for process in started]
            await _until(pool, _BEGUN, started)
            began, cpu = time.perf_counter(), lab.cpu_seconds(pids)
            await _until(pool, _IDLE, started)
            seconds, cpu = time.perf_counter() - began, lab.cpu_seconds(pids) - cpu
        async with pool.connection() as conn:
            row = await (await conn.execute(_RESULT)).fetchone()
    assert row is not None
    left, pairs, resolved, exceptions = row
    if left or exceptions or resolved != cases:
        raise RuntimeError(f"{left} left, {resolved} of {cases} cases resolved, {exceptions} exceptions")
    return Run(pairs, seconds, 1000 * cpu / pairs)


async def _until(pool: Pool, question: str, started: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask this often enough; each question is a probe of an index, whatever the size of the tables."""
    end = time.perf_counter() + PATIENCE_SECONDS
    while True:
        async with pool.connection() as conn:
            row = await (await conn.execute(question)).fetchone()
        if row and row[0]:
            return
        if any(process.poll() is not None for process in started) or time.perf_counter() > end:
            raise RuntimeError(f"not so: {' '.join(question.split())}")
        await asyncio.sleep(0.05)


async def bench(server: str) -> None:
    with lab.database(server, "bench_jobs") as url:
        commits = [await asyncio.to_thread(lab.commits_per_second, url)]
        by_jobs = await run(url, CASES_AS_JOBS, "benchmarks.jobs", 1)
    ones: list[Run] = []
    twos: list[Run] = []
    for _ in range(ROUNDS):  # by turns: the machine is not equally quiet all the time
        for count, runs in ((1, ones), (2, twos)):
            with lab.database(server, f"bench_{count}") as url:
                commits.append(await asyncio.to_thread(lab.commits_per_second, url))
                runs.append(await run(url, CASES, "benchmarks.lab", count))
    one, two = together(ones), together(twos)
    lab.emit(
        "engine_vs_jobs",
        one.per_second / by_jobs.per_second,
        10,
        pairs_per_s=round(one.per_second),
        jobs_pairs_per_s=round(by_jobs.per_second),
        worker_cpu_ms_per_pair=round(one.cpu_ms_per_pair, 3),
        jobs_cpu_ms_per_pair=round(by_jobs.cpu_ms_per_pair, 3),
        vs_insert_commit=round(one.per_second / mean(commits), 2),
        cases=CASES,
    )
    lab.emit("two_workers", two.per_second / one.per_second, None, pairs_per_s=round(two.per_second))
