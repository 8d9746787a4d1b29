"""Replay of the log into all views: facts per second, and the same hash as what is stored."""

import time

from benchmarks import lab
from benchmarks.engine import run
from counterflow.core.returns.decide import decide
from counterflow.engine import replay

CASES = 400


async def bench(server: str) -> None:
    with lab.database(server, "bench_replay") as url:
        await run(url, CASES, "benchmarks.lab", 1)
        async with lab.opened(url) as pool, pool.connection() as conn:
            began = time.perf_counter()
            result = await replay.verify(conn, decide, lab.SETTING)
            seconds = time.perf_counter() - began
    equal = result.holds and result.state_hash == result.stored_hash
    if not equal or result.cases != CASES:
        raise RuntimeError(f"the replay of {result.cases} cases does not give what is stored: {result}"[:2000])
    lab.emit(
        "replay_per_s",
        result.facts / seconds,
        None,
        facts=result.facts,
        cases=result.cases,
        equal_hash=equal,
    )
