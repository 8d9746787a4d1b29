"""100,000 waiting cases: what they cost a worker in memory, in time to start, and in idle CPU."""

import asyncio
import time
from statistics import mean, median

from benchmarks import lab
from counterflow.store.pool import Pool

WAITING, IDLE_SECONDS, ROUNDS = 100_000, 6.0, 5
# One real case that waits for its goods is made by the engine; the rest are its copies under other names.
_COPIES = (
    """
    INSERT INTO cases (case_id, shard, version, kind, status, attention, sale_ref, root_sale, view, claims, states,
                       exceptions, head_hash, opened_at, updated_at)
    SELECT case_id || '~' || n, n %% 64, version, kind, status, attention, sale_ref || '~' || n, root_sale || '~' || n,
           view, claims, states, exceptions, head_hash, opened_at, updated_at
    FROM cases, generate_series(1, %s) n
    """,
    """
    INSERT INTO log (case_id, seq, body, prev_hash, hash, recorded_at)
    SELECT case_id || '~' || n, seq, body, prev_hash, hash, recorded_at FROM log, generate_series(1, %s) n
    """,
    """
    INSERT INTO timers (timer_id, case_id, shard, name, due_at)
    SELECT timer_id || '~' || n, case_id || '~' || n, n %% 64, name, due_at FROM timers, generate_series(1, %s) n
    """,
    """
    INSERT INTO effects (effect_id, owner, connection, kind, priority, scope, command, because, after, status, attempts,
                         not_before, word, ref, decided_at, first_sent_at, done_at)
    SELECT effect_id || '~' || n, owner || '~' || n, connection, kind, priority, scope, command, because, after,
           status, attempts, not_before, word, ref, decided_at, first_sent_at, done_at
    FROM effects, generate_series(1, %s) n
    """,
    """
    INSERT INTO inbox (fact_id, shard, kind, case_id, status, fact, refs, seen_at, opens_at)
    SELECT fact_id || '~' || n, n %% 64, kind, case_id || '~' || n, status, fact, refs, seen_at, opens_at
    FROM inbox, generate_series(1, %s) n
    """,
    "INSERT INTO xref SELECT ref || '~' || n, target || '~' || n, kind FROM xref, generate_series(1, %s) n",
)


async def measure(url: str, first: int) -> tuple[float, float, float]:
    """(seconds from start to the first effect of a new case, resident MB, idle CPU in % of a core)."""
    async with lab.opened(url) as pool:
        with lab.processes(1, "benchmarks.lab", url, "silent") as (process,):
            began = time.perf_counter()
            await lab.tell(pool, lab.a_request(first))
            async with asyncio.timeout(30):
                while not await _sent(pool, first):
                    await asyncio.sleep(0.005)
            started = time.perf_counter() - began
            await asyncio.sleep(2)
            before = lab.cpu_seconds([process.pid])
            await asyncio.sleep(IDLE_SECONDS)
            cpu = 100 * (lab.cpu_seconds([process.pid]) - before) / IDLE_SECONDS
            return started, lab.rss_mb(process.pid), cpu


async def _sent(pool: Pool, n: int) -> bool:
    async with pool.connection() as conn:
        found = await conn.execute(
            "SELECT count(*) FROM cases c JOIN effects e ON e.owner = c.case_id WHERE c.sale_ref = %s"
            " AND e.status = 'done' AND e.owner <> ''",
            (f"shop:order:{n}",),
        )
        row = await found.fetchone()
    return bool(row and row[0])


async def fill(url: str) -> None:
    """100,000 copies of the case that is there. Raises RuntimeError unless so many wait."""
    async with lab.opened(url) as pool, pool.connection() as conn:
        for statement in _COPIES:
            await conn.execute(statement, (WAITING,))
        await conn.execute("VACUUM ANALYZE")
        await conn.execute("CHECKPOINT")  # what the filling has left to write is not what waiting costs
        found = await conn.execute("SELECT count(*) FROM cases WHERE status = 'awaiting_goods'")
        row = await found.fetchone()
    if row is None or row[0] < WAITING:
        raise RuntimeError(f"only {row} cases wait")


async def bench(server: str) -> None:
    with lab.database(server, "bench_none") as empty, lab.database(server, "bench_waiting") as full:
        await measure(empty, 1)
        await measure(full, 1)  # the case that is copied, and warm files
        await fill(full)
        await measure(full, 2)
        runs = [(await measure(empty, 10 + n), await measure(full, 10 + n)) for n in range(ROUNDS)]
    none, many = (list(zip(*side, strict=True)) for side in zip(*runs, strict=True))
    start_s, memory_mb = median(many[0]), median(many[1])
    start, memory = start_s / median(none[0]), memory_mb / median(none[1])
    cpu_pct, cpu_pct_none = mean(many[2]), mean(none[2])  # a reading is a few ticks of 10 ms: their mean says more
    lab.emit(
        "waiting_100k_overhead",
        max(start, memory),
        1.10,
        start_ratio=round(start, 3),
        memory_ratio=round(memory, 3),
        start_s=round(start_s, 3),
        memory_mb=round(memory_mb, 1),
        cases=WAITING,
    )
    lab.emit(
        "waiting_100k_cpu_pct",
        cpu_pct - cpu_pct_none,
        0.5,
        idle_pct=round(cpu_pct, 2),
        idle_pct_none=round(cpu_pct_none, 2),
    )
