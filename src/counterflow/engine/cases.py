"""The drain of a shard: claim facts, read what they need, decide in memory, write all of it in one transaction."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice

import psycopg
from psycopg import AsyncConnection

from counterflow.core.facts import OURSELVES, EffectReported, Fact, SaleRecorded
from counterflow.core.ids import fact_id, make_id
from counterflow.core.returns.case import Setting, View
from counterflow.engine.batch import Batch, Decide, Item, Known, sale_fact
from counterflow.engine.enrich import serial_refs
from counterflow.engine.held import Cache, Held, Open, load
from counterflow.sdk.connector import Clock
from counterflow.store import cases, effects, exceptions, inbox, log, sales, timers, xref
from counterflow.store.cases import CaseWrite, Stale
from counterflow.store.codec import decode_fact, encode
from counterflow.store.exceptions import Raised
from counterflow.store.inbox import Incoming
from counterflow.store.shards import PAYOUTS, shard_of, wake

BATCH = 200
BREATH_SECONDS = 0.02  # decisions let the calls of the same process go on this often
STALE_TRIES = 5

# What takes facts that no case owns (payouts, bank lines), in the drain's transaction.
Handler = Callable[[AsyncConnection, Sequence[Fact], datetime], Awaitable[None]]


@dataclass(slots=True)
class CaseDrain:
    """What a worker needs to drain shards. `handlers` by the class name of the fact's body."""

    decide: Decide
    setting: Setting
    clock: Clock
    handlers: Mapping[str, Handler] = field(default_factory=dict)
    cache: Cache = field(default_factory=Cache)
    batch: int = BATCH
    facts: int = 0  # taken by this worker, for its metrics
    parked: int = 0

    async def drain(self, conn: AsyncConnection, shard: int) -> int:
        """Take the shard's ready facts until none is left; how many. The caller holds the shard's lock.

        A failing transaction is tried with half of its facts, down to the one that fails, which is parked. Raises
        psycopg.OperationalError when the database is gone.
        """
        limit, total, stale = self.batch, 0, 0
        while True:
            try:
                taken = await self._transaction(conn, shard, limit)
            except (psycopg.OperationalError, psycopg.ProgrammingError):
                raise  # the database is gone, or our statement is wrong: no fact is to blame
            except Stale:
                stale += 1
                if stale > STALE_TRIES:
                    raise
                continue
            except Exception as error:
                if limit == 1:
                    await self._park_first(conn, shard, f"{type(error).__name__}: {error}"[:1000])
                limit = max(1, limit // 2)
                continue
            if taken == 0:
                return total
            total, stale, limit = total + taken, 0, min(self.batch, limit * 2)

    async def _transaction(self, conn: AsyncConnection, shard: int, limit: int) -> int:
        now = self.clock()
        async with conn.transaction():
            waiting = await inbox.claim(conn, shard, limit)
            if not waiting:
                return 0
            unreadable: list[tuple[str, str]] = []
            items: list[Item] = []
            for row in waiting:
                try:
                    items.append(Item(decode_fact(row.fact), row.case_id, row.opens_at))
                except (KeyError, ValueError) as error:
                    unreadable.append((row.fact_id, f"cannot be read: {error}"[:1000]))
            items = await self._handle(conn, items, now)
            known = await self._read(conn, shard, items)
            batch = Batch(shard, now, known, self.decide, self.setting)
            breath = time.perf_counter()
            for item in items:
                batch.take(item)
                if time.perf_counter() - breath > BREATH_SECONDS:
                    await asyncio.sleep(0)
                    breath = time.perf_counter()
            await self._write(conn, batch, unreadable)
        for case in batch.opened.values():
            if case.view is not None:
                self.cache.put(replace(case.held, timers=case.wanted))
        self.facts += len(batch.done)
        self.parked += len(batch.parked) + len(unreadable)
        return len(waiting)

    async def _handle(self, conn: AsyncConnection, items: Sequence[Item], now: datetime) -> list[Item]:
        """Give facts about payouts to their handlers; the rest is for cases."""
        rest: list[Item] = []
        theirs: dict[str, list[Fact]] = {}
        for item in items:
            kind = item.fact.kind
            if kind in self.handlers and not (kind == "EffectReported" and item.case_id):
                theirs.setdefault(kind, []).append(item.fact)
            else:
                rest.append(item)
        for kind, facts in theirs.items():
            await self.handlers[kind](conn, facts, now)
            await inbox.done(conn, [fact.fact_id for fact in facts])
        return rest

    # ---- reading -----------------------------------------------------------------------------------------------------

    async def _read(self, conn: AsyncConnection, shard: int, items: Sequence[Item]) -> Known:
        arrived = [item.fact.body.sale for item in items if isinstance(item.fact.body, SaleRecorded)]
        if arrived:
            await sales.keep(conn, arrived)
        refs: set[str] = set()
        case_ids = {item.case_id for item in items if item.case_id}
        named_sales: set[str] = set()
        for item in items:
            refs.update(serial_refs(item.fact))
            if sale_ref := getattr(item.fact.body, "sale_ref", ""):
                named_sales.add(sale_ref)
                refs.add(sale_ref)
            if not item.case_id and not isinstance(item.fact.body, SaleRecorded):
                refs.update(item.fact.refs)
                case_ids.update(ref[5:] for ref in item.fact.refs[:1] if ref.startswith("case:"))
        targets = await xref.find(conn, refs) if refs else {}
        for item in items:
            if not item.case_id:
                first = (t.target for ref in item.fact.refs for t in targets.get(ref, ()) if t.kind == "case")
                case_ids.update(islice(first, 1))
        roots = {sale.root for sale in arrived} | {
            t.root for ref in named_sales for t in targets.get(ref, ()) if t.root
        }
        arrived_refs = {sale.sale_ref for sale in arrived}
        rows = await cases.load(conn, sorted(case_ids), sorted(arrived_refs), sorted(roots))
        over_sale: dict[str, list[str]] = {}
        claims: dict[str, dict[str, str]] = {}
        for row in rows:
            if row.sale_ref:
                over_sale.setdefault(row.sale_ref, []).append(row.case_id)
            if row.root_sale:
                claims.setdefault(row.root_sale, {})[row.case_id] = row.claims
        mine = [r for r in rows if r.sale_ref in arrived_refs or (r.case_id in case_ids and r.shard == shard)]
        held = await load(conn, mine, self.cache) if mine else {}
        named_sales -= {h.sale_ref for h in held.values()}
        stored = await sales.load(conn, named_sales) if named_sales else {}
        elsewhere = {row.case_id: row.shard for row in rows if row.shard != shard and row.case_id not in held}
        return Known(held, elsewhere, targets, stored, over_sale, claims)

    # ---- writing -----------------------------------------------------------------------------------------------------

    async def _write(self, conn: AsyncConnection, batch: Batch, unreadable: Sequence[tuple[str, str]]) -> None:
        written = {case_id: case for case_id, case in batch.opened.items() if case.view is not None}
        rows = [_row(case, case.view) for case in written.values() if case.view is not None]
        new, old = [row for row in rows if row.before == 0], [row for row in rows if row.before > 0]
        counts = (
            await cases.insert(conn, new) if new else 0,
            await cases.update(conn, old) if old else 0,
        )
        if counts != (len(new), len(old)):
            for row in rows:
                self.cache.drop(row.case_id)
            raise Stale(f"{len(new) + len(old) - sum(counts)} cases were written by somebody else")
        if batch.log:
            await log.append(conn, batch.log)
        if batch.done:
            await inbox.done(conn, batch.done)
        if batch.waiting:
            await inbox.wait(conn, batch.waiting)
        if batch.moved:
            await inbox.move(conn, batch.moved)
        parked = [*unreadable, *((fact.fact_id, reason) for fact, reason in batch.parked)]
        if parked:
            await inbox.park(conn, parked)
            await exceptions.put(conn, [parked_exception(id_, reason, batch.now) for id_, reason in parked])
        if batch.effects:
            await effects.plan(conn, batch.effects)
        changed = {
            case_id: (case.held.shard, tuple(case.wanted))
            for case_id, case in written.items()
            if case.wanted != case.held.timers
        }
        if changed:
            await timers.replace(conn, changed)
        await _exceptions(conn, written, batch.now)
        tell = list(batch.tell)
        if batch.learnt:
            stored = await sales.load(conn, batch.learnt.values())
            tell += [
                Incoming(sale_fact(stored[sale_ref], batch.now, case_id), shard_of(stored[sale_ref].root), case_id)
                for case_id, sale_ref in batch.learnt.items()
                if sale_ref in stored
            ]
        if tell:
            await inbox.add(conn, tell)
        if batch.new_refs:
            pairs = sorted((ref, case_id, "case") for case_id, refs in batch.new_refs.items() for ref in refs)
            await xref.add(conn, pairs)
            await inbox.wake_waiting(conn, {ref for ref, _, _ in pairs}, batch.shard)
        await wake(
            conn,
            {shard for _, shard in batch.moved} | {item.shard for item in tell} - {batch.shard},
            {effect.connection for effect in batch.effects},
        )

    async def _park_first(self, conn: AsyncConnection, shard: int, reason: str) -> None:
        async with conn.transaction():
            for row in await inbox.claim(conn, shard, 1):
                await inbox.park(conn, [(row.fact_id, reason)])
                await exceptions.put(conn, [parked_exception(row.fact_id, reason, self.clock())])
                self.parked += 1


def parked_exception(fact_id: str, reason: str, now: datetime) -> Raised:
    """A fact that no decision could take: somebody has to look, today."""
    return Raised(
        make_id("ex", "fact_parked", fact_id),
        "fact_parked",
        "high",
        "operations",
        fact_id,
        now,
        now + timedelta(hours=8),
        f"A fact is parked ({reason}). Mend the cause and retry it, or discard it",
    )


def outcome_fact(effect_id: str, owner: str, body: EffectReported, version: str, now: datetime) -> Fact:
    """What became of an effect, as a fact for its owner."""
    refs = (f"case:{owner}" if owner.startswith("rc_") else f"payout:{owner}",)
    return Fact(fact_id(OURSELVES, "EffectReported", effect_id, version), OURSELVES, now, now, refs, body, "ours")


def outcome_shard(owner: str, shard: int) -> int:
    """Where an outcome is drained: its case's shard, or the one of all payouts."""
    return shard if owner.startswith("rc_") else shard_of(PAYOUTS)


async def _exceptions(conn: AsyncConnection, written: Mapping[str, Open], now: datetime) -> None:
    raised: list[Raised] = []
    ended: dict[str, str] = {}
    for case_id, case in written.items():
        assert case.view is not None
        raised += [
            Raised(
                e.exception_id,
                e.kind,
                e.severity,
                e.owner,
                e.subject,
                e.raised_at,
                e.due_at,
                e.message,
                case_id,
                e.impact_minor,
                case.view.currency,
            )
            for e in case.view.exceptions
        ]
        gone = set(case.open_before) - {e.exception_id for e in case.view.exceptions}
        ended.update({exception_id: case.resolutions.get(exception_id, "") for exception_id in gone})
    await exceptions.put(conn, raised)
    await exceptions.end(conn, ended, now)


def _row(case: Open, view: View) -> CaseWrite:
    held: Held = case.held
    return CaseWrite(
        held.case.case_id,
        case.before,
        held.version,
        held.shard,
        view.kind,
        view.status,
        view.attention,
        held.sale_ref,
        held.root,
        encode(view),
        held.claims,
        encode(held.case.states),
        held.case.exceptions,
        held.head,
        view.opened_at,
        view.updated_at,
        view.resolved_at,
        view.closed_at,
    )
