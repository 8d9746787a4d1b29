"""The drain of shards: claim facts, read what they need, decide in memory, write all of it in one transaction."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice

import psycopg
from psycopg import AsyncConnection

from counterflow.core.facts import OPENS_AFTER_SECONDS, Fact, ReturnRequested, SaleRecorded
from counterflow.core.returns.case import Setting
from counterflow.engine import commit
from counterflow.engine.batch import OVER_PAYMENT, Batch, Decide, Item, Known
from counterflow.engine.enrich import serial_refs
from counterflow.engine.held import Cache, load
from counterflow.sdk.connector import Clock
from counterflow.store import cases, exceptions, inbox, sales, xref
from counterflow.store.cases import Stale
from counterflow.store.codec import decode_fact
from counterflow.store.pool import gone

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
    breath_seconds: float = BREATH_SECONDS
    facts: int = 0  # taken by this worker, for its metrics
    parked: int = 0

    async def drain(self, conn: AsyncConnection, shards: Sequence[int]) -> int:
        """Take the shards' ready facts until none is left; how many. The caller holds the shards' locks.

        A failing transaction is tried with half of its facts, down to the one that fails, which is parked. Raises
        psycopg.OperationalError when the database is gone.
        """
        limit, total, stale = self.batch, 0, 0
        while True:
            try:
                taken, more = await self._transaction(conn, shards, limit)
            except Stale as error:
                stale += 1
                for case_id in error.args[0]:
                    self.cache.drop(case_id)
                if stale > STALE_TRIES:
                    raise
                continue
            except Exception as error:
                if gone(error) or isinstance(error, psycopg.ProgrammingError):
                    raise  # the database is gone, or our statement is wrong: no fact is to blame
                if limit == 1:
                    await self._park_first(conn, shards, f"{type(error).__name__}: {error}"[:1000])
                limit = max(1, limit // 2)
                continue
            total += taken
            if not more:
                return total
            shards = [*shards[1:], shards[0]]  # one that fills every batch holds up no other
            stale, limit = 0, min(self.batch, limit * 2)

    async def _transaction(self, conn: AsyncConnection, shards: Sequence[int], limit: int) -> tuple[int, bool]:
        """How many facts were taken, and whether more may be ready: what others add wakes the shards by itself."""
        now = self.clock()
        async with conn.transaction():
            waiting = await inbox.claim(conn, shards, limit)
            if not waiting:
                return 0, False
            unreadable: list[tuple[str, str]] = []
            items: list[Item] = []
            for row in waiting:
                try:
                    items.append(Item(decode_fact(row.fact), row.case_id, row.opens_at))
                except (KeyError, ValueError) as error:
                    unreadable.append((row.fact_id, f"cannot be read: {error}"[:1000]))
            items = await self._handle(conn, items, now)
            known = await self._read(conn, shards, items)
            batch = Batch(frozenset(shards), now, known, self.decide, self.setting)
            breath = time.perf_counter()
            for item in items:
                batch.take(item)
                if time.perf_counter() - breath > self.breath_seconds:
                    await asyncio.sleep(0)
                    breath = time.perf_counter()
            added = await commit.write(conn, batch, unreadable)
        for case in batch.opened.values():
            if case.view is not None:
                self.cache.put(replace(case.held, timers=case.wanted))
        self.facts += len(batch.done)
        self.parked += len(batch.parked) + len(unreadable)
        return len(waiting), len(waiting) == limit or added or bool(batch.broken)

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

    async def _read(self, conn: AsyncConnection, shards: Sequence[int], items: Sequence[Item]) -> Known:
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
        refs_of = {sale.sale_ref: sales.refs(sale) for sale in arrived}
        refs.update(*refs_of.values())
        targets = await xref.find(conn, refs) if refs else {}
        # Cases that have been told of an arrived sale by its number, payment or serial, and may still be without one.
        pointing = {
            sale_ref: {t.target for ref in its for t in targets.get(ref, ()) if t.kind == "case"}
            for sale_ref, its in refs_of.items()
        }
        case_ids.update(*pointing.values())
        named_sales |= {
            t.target
            for item in items
            if item.fact.kind in OPENS_AFTER_SECONDS
            for ref in item.fact.refs
            for t in targets.get(ref, ())
            if t.kind == "sale"
        }
        for item in items:
            if not item.case_id:
                first = (t.target for ref in item.fact.refs for t in targets.get(ref, ()) if t.kind == "case")
                several = item.fact.kind in OVER_PAYMENT or item.fact.kind == "ReturnRequested"
                case_ids.update(first if several else islice(first, 1))
        roots = {sale.root for sale in arrived} | {
            t.root for ref in named_sales for t in targets.get(ref, ()) if t.root
        }
        arrived_refs = {sale.sale_ref for sale in arrived}
        rows = await cases.load(conn, sorted(case_ids), sorted(arrived_refs), sorted(roots))
        over_sale: dict[str, list[str]] = {}
        claims: dict[str, dict[str, str]] = {}
        pointed = set().union(*pointing.values())
        # A till asks over an order by its number: such a case has a sale's name and no sale.
        told = await sales.known(conn, {row.sale_ref for row in rows if row.case_id in pointed} - arrived_refs - {""})
        for row in rows:
            if row.sale_ref in arrived_refs or row.sale_ref in told:
                over_sale.setdefault(row.sale_ref, []).append(row.case_id)
            else:
                for sale_ref in (ref for ref, ids in pointing.items() if row.case_id in ids):
                    over_sale.setdefault(sale_ref, []).append(row.case_id)
            if row.root_sale:
                claims.setdefault(row.root_sale, {})[row.case_id] = row.claims
        mine = [r for r in rows if r.sale_ref in arrived_refs or (r.case_id in case_ids and r.shard in shards)]
        held = await load(conn, mine, self.cache) if mine else {}
        # A refund that is none of the known cases', and a return, open one of their own over the sale that those hold.
        named_sales -= {h.sale_ref for h in held.values()} - {
            *(
                t.target
                for item in items
                if item.fact.kind in OVER_PAYMENT
                for ref in item.fact.refs
                for t in targets.get(ref, ())
                if t.kind == "sale"
            ),
            *(item.fact.body.sale_ref for item in items if isinstance(item.fact.body, ReturnRequested)),
        }
        stored = await sales.load(conn, named_sales) if named_sales else {}
        elsewhere = {row.case_id: row.shard for row in rows if row.shard not in shards and row.case_id not in held}
        return Known(held, elsewhere, targets, stored, over_sale, claims)

    async def _park_first(self, conn: AsyncConnection, shards: Sequence[int], reason: str) -> None:
        async with conn.transaction():
            for row in await inbox.claim(conn, shards, 1):
                await inbox.park(conn, [(row.fact_id, reason)])
                await exceptions.put(conn, [commit.parked_exception(row.fact_id, reason, self.clock())])
                self.parked += 1
