"""The same decisions, tables and connector, as one would do it with a job queue: a job per fact, a job per effect.

Whatever stores a fact or plans an effect defers its job in the same transaction. All else is the engine's own code, a
batch being one; what only wakes the engine is left out.
"""

import asyncio
import logging
import signal
import sys
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import uuid4

import procrastinate
from psycopg import AsyncConnection

from benchmarks import lab
from counterflow.core.effects import Effect
from counterflow.core.returns.decide import decide
from counterflow.engine import commit
from counterflow.engine import effects as engine_effects
from counterflow.engine.cases import CaseDrain
from counterflow.engine.effects import Ended, record
from counterflow.engine.quiet import quiet
from counterflow.engine.send import send
from counterflow.engine.verdict import after_send
from counterflow.intake import accept
from counterflow.store import effects, inbox
from counterflow.store.inbox import Incoming
from counterflow.store.pool import Pool
from counterflow.store.shards import LOCK_SHARD

CONCURRENCY = 10
_MAY_GO = """
SELECT effect_id FROM effects e
WHERE status = 'planned' AND effect_id = ANY(%s) AND NOT EXISTS (
    SELECT 1 FROM effects d WHERE d.effect_id = ANY(e.after) AND d.status <> 'done')
"""
# Locked, so that two predecessors that end at once see each other.
_AFTER = """
SELECT effect_id FROM effects WHERE status = 'planned' AND after <> '{}' AND after && %s::text[] ORDER BY 1 FOR UPDATE
"""


async def main(url: str) -> None:
    logging.getLogger("procrastinate").setLevel(logging.ERROR)
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url, min_size=2, max_size=12))
    async with app.open_async(), lab.opened(url, 24) as pool:
        await app.schema_manager.apply_schema_async()
        fact, effect = _tasks(app, pool, lab.Nothing())
        async with pool.connection() as conn:
            told = await conn.execute("SELECT shard FROM inbox WHERE status = 'ready' ORDER BY position")
            await fact.batch_defer_async(*({"shard": shard} for (shard,) in await told.fetchall()))
        _defer_with_the_rows(fact, effect)
        quiet()
        working = asyncio.create_task(
            app.run_worker_async(concurrency=CONCURRENCY, install_signal_handlers=False, delete_jobs="successful")
        )
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await stop.wait()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


def _defer_with_the_rows(fact: Any, effect: Any) -> None:
    add, plan = inbox.add, effects.plan

    async def add_and_defer(conn: AsyncConnection, incoming: Sequence[Incoming]) -> set[str]:
        new = await add(conn, incoming)
        jobs = [{"shard": item.shard} for item in incoming if item.fact.fact_id in new]
        if jobs:
            await fact.configure(connection=conn).batch_defer_async(*jobs)
        return new

    async def plan_and_defer(conn: AsyncConnection, planned: Sequence[Effect]) -> set[str]:
        new = await plan(conn, planned)
        await _defer_effects(conn, effect, new)
        return new

    async def nobody(*_: object, **__: object) -> None:
        """Jobs have woken the worker already."""

    inbox.add, effects.plan = add_and_defer, plan_and_defer  # type: ignore[assignment]
    for module in (commit, accept, engine_effects):
        module.wake = nobody  # type: ignore[attr-defined]


async def _defer_effects(conn: AsyncConnection, effect: Any, ids: Iterable[str]) -> None:
    """Jobs for those whose predecessors are done; the others get theirs from the last predecessor."""
    if ids := list(ids):
        found = await (await conn.execute(_MAY_GO, (ids,), prepare=True)).fetchall()
        if found:
            jobs = ({"effect_id": effect_id} for (effect_id,) in found)
            await effect.configure(connection=conn).batch_defer_async(*jobs)


def _tasks(app: procrastinate.App, pool: Pool, connector: lab.Nothing) -> tuple[Any, Any]:
    drain = CaseDrain(decide, lab.SETTING, lab.now, batch=1)

    @app.task(name="fact")
    async def fact(shard: int) -> None:
        """The next fact of the shard: there are as many jobs as facts."""
        async with pool.connection() as conn:
            await conn.execute("SELECT pg_advisory_lock(%s, %s)", (LOCK_SHARD, shard), prepare=True)
            try:
                await drain._transaction(conn, [shard], 1)
            finally:
                await conn.execute("SELECT pg_advisory_unlock(%s, %s)", (LOCK_SHARD, shard), prepare=True)

    @app.task(name="effect")
    async def effect(effect_id: str) -> None:
        async with pool.connection() as conn, conn.transaction():
            claimed = (await effects.claim(conn, [(effect_id, uuid4().hex)], "jobs", lab.now())).get(effect_id)
        if claimed is None:
            return
        started = lab.now()
        outcome = (await send(connector, [claimed.effect]))[0]
        support = connector.manifest.commands[claimed.effect.kind]
        facts = getattr(outcome, "facts", ())
        ended = Ended(claimed, after_send(claimed, outcome, support, lab.now()), "send", started, lab.now(), facts)
        async with pool.connection() as conn, conn.transaction():
            await record(conn, [ended], lab.now())
            following = await (await conn.execute(_AFTER, ([effect_id],), prepare=True)).fetchall()
            await _defer_effects(conn, effect_task, [each for (each,) in following])

    effect_task = effect
    return fact, effect


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
