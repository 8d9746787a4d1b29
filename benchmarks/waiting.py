"""100,000 waiting cases: what they cost a worker in memory, in time to start, and in idle CPU."""

import asyncio
import time

from benchmarks import lab
from counterflow.store.pool import Pool

WAITING, IDLE_SECONDS, ROUNDS = 100_000, 10.0, 3
# One real case that waits for its goods is made by the engine; the rest are its copies under other names.
_COPIES = """
INSERT INTO cases (case_id, shard, version, kind, status, attention, sale_ref, root_sale, view, claims, states,
                   exceptions, head_hash, opened_at, updated_at)
SELECT 'rc_copy_' || n, n %% 64, version, kind, status, attention, sale_ref || n, root_sale || n, view, claims, states,
       exceptions, head_hash, opened_at, updated_at
FROM cases, generate_series(1, %s) n WHERE case_id NOT LIKE 'rc_copy_%%';
"""
_LOG = """
INSERT INTO log (case_id, seq, body, prev_hash, hash, recorded_at)
SELECT 'rc_copy_' || n, seq, body, prev_hash, hash, recorded_at
FROM log, generate_series(1, %s) n WHERE case_id NOT LIKE 'rc_copy_%%';
"""
_TIMERS = """
INSERT INTO timers (timer_id, case_id, shard, name, due_at)
SELECT 'tm_copy_' || n, 'rc_copy_' || n, n %% 64, 'authorisation_expiry', now() + interval '30 days'
FROM generate_series(1, %s) n;
"""
_XREF = "INSERT INTO xref SELECT 'shop:return:copy' || n, 'rc_copy_' || n, 'case' FROM generate_series(1, %s) n"


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
            " AND e.status = 'done'",
            (f"shop:order:{n}",),
        )
        row = await found.fetchone()
    return bool(row and row[0])


async def rounds(url: str, first: int) -> tuple[float, float, float]:
    """The median of a few, each figure by itself."""
    runs = [await measure(url, first + n) for n in range(ROUNDS)]
    return tuple(sorted(figures)[ROUNDS // 2] for figures in zip(*runs, strict=True))


async def bench(server: str) -> None:
    with lab.database(server, "bench_waiting") as url:
        await measure(url, 1)  # the case that is copied, and warm files
        none = await rounds(url, 10)
        async with lab.opened(url) as pool, pool.connection() as conn:
            for statement in (_COPIES, _LOG, _TIMERS, _XREF):
                await conn.execute(
                    statement.replace("NOT LIKE 'rc_copy_%%'", "= (SELECT min(case_id) FROM cases)"), (WAITING,)
                )
            await conn.execute("ANALYZE")
            found = await conn.execute("SELECT count(*) FROM cases WHERE status = 'awaiting_goods'")
            row = await found.fetchone()
            if row is None or row[0] < WAITING:
                raise RuntimeError(f"only {row} cases wait")
        many = await rounds(url, 20)
    start, memory = many[0] / none[0], many[1] / none[1]
    lab.emit(
        "waiting_100k_overhead",
        max(start, memory),
        1.10,
        start_ratio=round(start, 3),
        memory_ratio=round(memory, 3),
        start_s=round(many[0], 3),
        memory_mb=round(many[1], 1),
        cases=WAITING,
    )
    lab.emit(
        "waiting_100k_cpu_pct", many[2] - none[2], 0.5, idle_pct=round(many[2], 2), idle_pct_none=round(none[2], 2)
    )
