"""The same decisions, tables and connector, as one would do it with a job queue: a job per fact, a job per effect."""

import asyncio
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import procrastinate
from psycopg import AsyncConnection

from benchmarks import lab
from counterflow.core.returns.decide import decide
from counterflow.engine.batch import Batch
from counterflow.engine.cases import CaseDrain
from counterflow.engine.effects import Ended, record
from counterflow.engine.send import send
from counterflow.engine.verdict import after_send
from counterflow.store import effects
from counterflow.store.pool import Pool
from counterflow.store.shards import LOCK_SHARD

CONCURRENCY = 10
_READY = """
SELECT effect_id FROM effects e WHERE status = 'planned' AND effect_id = ANY(%s) AND NOT EXISTS (
    SELECT 1 FROM unnest(e.after) a JOIN effects d ON d.effect_id = a WHERE d.status <> 'done')
"""


def now() -> datetime:
    return datetime.now(UTC)


class Drain(CaseDrain):
    """One fact at a time; what follows from it is deferred in the same transaction."""

    defer: Any = None

    async def _write(self, conn: AsyncConnection, batch: Batch, unreadable: Sequence[tuple[str, str]]) -> None:
        await super()._write(conn, batch, unreadable)
        await self.defer(conn, [e.effect_id for e in batch.effects], [item.shard for item in batch.tell])


async def main(url: str) -> None:
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url, min_size=2, max_size=12))
    connector = lab.Nothing()
    async with app.open_async(), lab.opened(url, 24) as pool:
        await app.schema_manager.apply_schema_async()
        fact_task, effect_task = _tasks(app, pool, connector)

        async def defer(conn: AsyncConnection, effect_ids: Sequence[str], shards: Sequence[int]) -> None:
            ready = await (await conn.execute(_READY, (list(effect_ids),))).fetchall()
            for (effect_id,) in ready:
                await effect_task.configure(connection=conn).defer_async(effect_id=effect_id)
            for shard in shards:
                await fact_task.configure(connection=conn).defer_async(shard=shard)

        Drain.defer = staticmethod(defer)
        async with pool.connection() as conn:
            rows = await (
                await conn.execute("SELECT shard FROM inbox WHERE status = 'ready' ORDER BY position")
            ).fetchall()
        for (shard,) in rows:
            await fact_task.defer_async(shard=shard)
        working = asyncio.create_task(
            app.run_worker_async(concurrency=CONCURRENCY, install_signal_handlers=False, delete_jobs="successful")
        )
        sweeping = asyncio.create_task(_sweep(pool, fact_task))
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await stop.wait()
        working.cancel()
        sweeping.cancel()
        await asyncio.gather(working, sweeping, return_exceptions=True)


async def _sweep(pool: Pool, fact_task: Any) -> None:
    """Facts that another fact's commit has made ready have no job of their own: look for them when the queue is empty."""
    while True:
        await asyncio.sleep(0.05)
        async with pool.connection() as conn:
            rows = await (
                await conn.execute(
                    "SELECT shard FROM inbox WHERE status = 'ready' AND NOT EXISTS"
                    " (SELECT 1 FROM procrastinate_jobs WHERE status IN ('todo', 'doing'))"
                )
            ).fetchall()
        for (shard,) in rows:
            await fact_task.defer_async(shard=shard)


def _tasks(app: procrastinate.App, pool: Pool, connector: lab.Nothing) -> tuple[Any, Any]:
    drain = Drain(decide, lab.SETTING, now, batch=1)

    @app.task(name="fact")
    async def fact(shard: int) -> None:
        async with pool.connection() as conn:
            await conn.execute("SELECT pg_advisory_lock(%s, %s)", (LOCK_SHARD, shard))
            try:
                await drain._transaction(conn, shard, 1)
            finally:
                await conn.execute("SELECT pg_advisory_unlock(%s, %s)", (LOCK_SHARD, shard))

    @app.task(name="effect")
    async def effect(effect_id: str) -> None:
        async with pool.connection() as conn, conn.transaction():
            claimed = (await effects.claim(conn, [(effect_id, uuid4().hex)], "jobs", now())).get(effect_id)
        if claimed is None:
            return
        outcome = (await send(connector, [claimed.effect]))[0]
        support = connector.manifest.commands[claimed.effect.kind]
        ended = Ended(claimed, after_send(claimed, outcome, support, now()), "send", now(), now())
        async with pool.connection() as conn, conn.transaction():
            await record(conn, [ended], now())
            row = await (
                await conn.execute("SELECT shard FROM inbox WHERE case_id = %s LIMIT 1", (claimed.effect.owner,))
            ).fetchone()
            waiting = await (
                await conn.execute("SELECT effect_id FROM effects WHERE %s = ANY(after)", (effect_id,))
            ).fetchall()
            await Drain.defer(conn, [each for (each,) in waiting], [row[0]] if row else [])

    return fact, effect


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
