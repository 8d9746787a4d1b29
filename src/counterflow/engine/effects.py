"""The drain of a connection: claim due effects, commit, call, and record the outcomes with the facts that follow.

Between the two commits no transaction is open. Who dies there leaves the effect in `sending`, and `recover` turns that
into what it is: unknown.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import AsyncConnection

from counterflow.core.facts import EffectReported, Fact, SaleRecorded
from counterflow.core.ids import make_id
from counterflow.engine import circuit
from counterflow.engine.batch import sale_fact
from counterflow.engine.choose import choose
from counterflow.engine.commit import outcome_fact, outcome_shard
from counterflow.engine.send import find, heard, send
from counterflow.engine.verdict import KEY_GONE, READ, Verdict, after_crash, after_find, after_send, key_gone
from counterflow.intake.accept import accept
from counterflow.sdk.connector import Clock, Connector
from counterflow.sdk.manifest import Idempotency, Support
from counterflow.sdk.outcomes import Done, Malformed, Outcome, RateLimited, UnknownOutcome, legible
from counterflow.store import cases, connections, deliveries, effects, exceptions, inbox
from counterflow.store.deliveries import Kept
from counterflow.store.effects import READS, Claimed, Result
from counterflow.store.exceptions import Raised
from counterflow.store.inbox import Incoming
from counterflow.store.pool import Pool, gone
from counterflow.store.shards import shard_of, wake

LOOK_LEASE_SECONDS = 150.0  # longer than a call may take
CLAIM_MOST = 1000


@dataclass(frozen=True, slots=True)
class Ended:
    """One effect after its call, not recorded yet."""

    claimed: Claimed
    verdict: Verdict
    act: str
    started_at: datetime
    ended_at: datetime
    facts: tuple[Fact, ...] = ()
    pause_seconds: float = 0.0
    raw: bytes = b""  # an answer that could not be understood


@dataclass(slots=True)
class EffectDrain:
    """One connection in one worker. `wake` is set by notifications, sweeps and calls that end."""

    name: str
    connector: Connector
    pool: Pool
    clock: Clock
    worker: str
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    ended: list[list[Ended]] = field(default_factory=list)  # per call
    calls: set[asyncio.Task[None]] = field(default_factory=set)
    turn: int = 0
    grace_seconds: float = 0.0  # how long calls may still take when `run` is cancelled
    row: connections.ConnectionRow | None = None
    new_lease: Callable[[], str] = lambda: uuid4().hex

    async def run(self) -> None:
        """Until cancelled. Whatever may make more effects due or free a slot sets `wake`."""
        try:
            while True:
                self.wake.clear()
                await self.step()
                await self.wake.wait()
        finally:
            await self._finish()

    async def step(self) -> bool:
        """Record what ended, start what may start; False when there was nothing of either."""
        ended, self.ended = self.ended, []
        if ended:
            await self._record(ended)
        started = await self._claim()
        return bool(ended) or started

    async def _finish(self) -> None:
        """Let calls under way end and be recorded; what is cut off is found in `sending` and looked up by others."""
        if self.calls and self.grace_seconds:
            await asyncio.wait(self.calls, timeout=self.grace_seconds)
        for call in self.calls:
            call.cancel()
        if self.ended:
            with contextlib.suppress(psycopg.OperationalError):
                ended, self.ended = self.ended, []
                await self._record(ended)

    async def settle(self) -> None:
        """Work until nothing is due and nothing is under way: for tests, commands and simulations."""
        while await self.step() or self.calls:
            if self.calls:
                await asyncio.wait(self.calls, return_when=asyncio.FIRST_COMPLETED)

    # ---- claiming ----------------------------------------------------------------------------------------------------

    async def _claim(self) -> bool:
        now = self.clock()
        limits = self.connector.manifest.limits
        if len(self.calls) >= limits.concurrency:
            return False
        async with self.pool.connection() as conn:
            if not await effects.due_connections(conn, [self.name], now):
                return False  # woken for nothing, as by most calls that end: no lock, no transaction
        async with self.pool.connection() as conn, conn.transaction():
            await effects.lock_connection(conn, self.name)
            self.row = await connections.get(conn, self.name)
            assert self.row is not None, f"connection {self.name} has no row"
            allowed = circuit.calls_allowed(self.row, now)
            most = limits.concurrency if allowed is None else allowed
            free = min(most - await effects.calls_under_way(conn, self.name), limits.concurrency - len(self.calls))
            if free <= 0:
                return False
            groups: list[list[Claimed]] = []
            looks = await effects.claim_to_look(conn, self.name, now, now + timedelta(seconds=LOOK_LEASE_SECONDS), free)
            free -= len(looks)
            if free > 0:
                per_class = 1 if allowed == 1 else min(CLAIM_MOST, free * self._largest_batch())
                due = await effects.candidates(conn, self.name, now, per_class)
                if len(due) >= per_class:
                    self.wake.set()  # there may be more of a class
                chosen = choose(due, free, self._alone if allowed == 1 else self.support, self.turn)
                leases = [(c.effect_id, lease) for group in chosen for lease in [self.new_lease()] for c in group]
                claimed = await effects.claim(conn, leases, self.worker, now) if leases else {}
                groups = [[claimed[c.effect_id] for c in group if c.effect_id in claimed] for group in chosen]
        groups = [group for group in groups if group]
        self.turn += len(groups)
        for group in groups:
            self._start(self._send(group))
        for look in looks:
            self._start(self._find(look))
        return bool(groups or looks)

    def support(self, kind: str) -> Support:
        """How the connector supports a command; what it does not know is not safe to repeat."""
        if kind in READS:
            return self.connector.manifest.commands.get(kind, READ)
        return self.connector.manifest.commands.get(kind, Support(Idempotency.NONE))

    def _alone(self, kind: str) -> Support:
        """As `support`, when one effect is to try whether the other side is well again."""
        return replace(self.support(kind), batch=1)

    def _largest_batch(self) -> int:
        return max((support.batch for support in self.connector.manifest.commands.values()), default=1)

    # ---- calling -----------------------------------------------------------------------------------------------------

    def _start(self, call: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(call)
        self.calls.add(task)
        task.add_done_callback(self._call_ended)

    def _call_ended(self, task: asyncio.Task[None]) -> None:
        self.calls.discard(task)
        self.wake.set()

    async def _send(self, group: Sequence[Claimed]) -> None:
        started = self.clock()
        outcomes: list[Outcome]
        if any(key_gone(claimed, self.support(claimed.effect.kind), started) for claimed in group):
            outcomes = [UnknownOutcome(KEY_GONE)] * len(group)  # a second send could be a second refund
        else:
            outcomes = await send(self.connector, [claimed.effect for claimed in group])
        now = self.clock()
        self.ended.append(
            [
                self._ended(c, after_send(c, o, self.support(c.effect.kind), now), "send", started, now, o)
                for c, o in zip(group, outcomes, strict=True)
            ]
        )

    async def _find(self, claimed: Claimed) -> None:
        started = self.clock()
        if self.support(claimed.effect.kind).findable:
            outcome, raised = await find(self.connector, claimed.effect)
        else:
            async with self.pool.connection() as conn:
                outcome, raised = heard(await cases.get(conn, claimed.effect.owner), claimed.effect.effect_id)
        now = self.clock()
        verdict = after_find(claimed, outcome, self.support(claimed.effect.kind), now, raised)
        self.ended.append([self._ended(claimed, verdict, "find", started, now, outcome)])

    def _ended(
        self, claimed: Claimed, verdict: Verdict, act: str, started: datetime, now: datetime, outcome: Outcome | None
    ) -> Ended:
        facts = outcome.facts if isinstance(outcome, Done) else ()
        pause = outcome.retry_after if isinstance(outcome, RateLimited) else 0.0
        raw = outcome.raw if isinstance(outcome, Malformed) else b""
        return Ended(claimed, verdict, act, started, now, facts, pause, raw)

    # ---- recording ---------------------------------------------------------------------------------------------------

    async def _record(self, calls: Sequence[Sequence[Ended]]) -> None:
        """Outcomes, facts and circuit in one transaction; one by one if Postgres refuses something in them."""
        flat = [ended for call in calls for ended in call]
        if await self._refused(flat):
            for ended in flat:
                if why := await self._refused([ended]):
                    await self._write([_unwritable(ended, why)])

    async def _refused(self, ended: Sequence[Ended]) -> str:
        """Write them; why they cannot be written, empty when they were."""
        try:
            await self._write(ended)
        except (psycopg.Error, ValueError) as error:  # half a character is a ValueError
            if gone(error):
                raise
            return f"{type(error).__name__}: {error}"
        return ""

    async def _write(self, ended: Sequence[Ended]) -> None:
        now = self.clock()
        async with self.pool.connection() as conn, conn.transaction():
            await record(conn, ended, now)
            await self._circuit(conn, ended, now)

    async def _circuit(self, conn: AsyncConnection, ended: Sequence[Ended], now: datetime) -> None:
        if pause := max(e.pause_seconds for e in ended):
            await connections.pause(conn, self.name, now + timedelta(seconds=pause))
        row = self.row
        if row is None:
            return
        calls = {e.claimed.lease or e.claimed.effect.effect_id: e for e in ended}.values()
        changed = circuit.after(row, [e.verdict.word for e in calls], [e.verdict.message for e in calls], now)
        if changed is None:
            return
        await connections.set_circuit(
            conn,
            self.name,
            changed.state,
            failures=changed.failures,
            opened_at=None if changed.state == "closed" else row.opened_at or now,
            paused_until=changed.paused_until,
            reason=changed.reason,
        )
        self.row = replace(row, circuit=changed.state, failures=changed.failures)
        if changed.state == "stopped":
            await exceptions.put(conn, [auth_exception(self.name, changed.reason, now)])


async def record(conn: AsyncConnection, ended: Sequence[Ended], now: datetime) -> None:
    """Write outcomes, tell the owners, take in what reads answered, and wake everybody concerned."""
    results = [_result(e) for e in ended]
    written = await effects.record(conn, results)
    tell: list[Incoming] = []
    raised: list[Raised] = []
    answers: list[Fact] = []
    unread: list[Kept] = []
    for e in ended:
        effect, verdict = e.claimed.effect, e.verdict
        if effect.effect_id not in written:
            continue
        answers += e.facts
        if effect.owner.startswith("rc_"):  # who asked is told, by whatever name it asked: the fact may be an old one
            sold = [fact.body.sale for fact in e.facts if isinstance(fact.body, SaleRecorded)]
            tell += [Incoming(sale_fact(sale, now, effect.owner), shard_of(sale.root), effect.owner) for sale in sold]
        if verdict.report and effect.owner:
            body = EffectReported(
                effect.effect_id, verdict.report, verdict.ref, verdict.code, verdict.message, verdict.values
            )
            # A person's retry counts attempts anew and adds a look: the same answer again is another fact.
            version = "done" if verdict.report == "done" else f"{verdict.report}/{e.claimed.attempts}/{e.claimed.looks}"
            fact = outcome_fact(effect.effect_id, effect.owner, body, version, now)
            shard = outcome_shard(effect.owner, written[effect.effect_id])
            tell.append(Incoming(fact, shard, effect.owner if effect.owner.startswith("rc_") else ""))
        kept = unreadable(effect.connection, e.raw, verdict.message, now) if e.raw else None
        if kept is not None:
            unread.append(kept)
        if verdict.status == "parked":
            raised.append(_parked_exception(e, now, kept))
    await inbox.add(conn, tell)
    await exceptions.put(conn, raised)
    if unread:
        await deliveries.keep(conn, unread)
    if answers:
        await accept(conn, answers)
    done = [e.claimed.effect.effect_id for e in ended if e.verdict.status == "done"]
    await wake(conn, {item.shard for item in tell}, await effects.dependents(conn, done) if done else ())


async def recover(pool: Pool, connectors: dict[str, Connector], worker: str, now: datetime) -> int:
    """Effects that dead workers were sending: what can be repeated goes out again, the rest is unknown; how many."""
    total = 0
    async with pool.connection() as conn:
        for dead in sorted(await effects.sending_workers(conn) - {worker}):
            async with conn.transaction():
                if not await effects.is_dead(conn, dead):
                    continue
                lost = await effects.sent_by(conn, dead)
                ended = []
                for claimed in lost:
                    connector = connectors.get(claimed.effect.connection)
                    commands = connector.manifest.commands if connector else {}
                    support = commands.get(claimed.effect.kind, Support(Idempotency.LOOKUP))
                    ended.append(Ended(claimed, after_crash(claimed, support, now), "send", now, now))
                if ended:
                    await record(conn, ended, now)
                    await wake(conn, connections={claimed.effect.connection for claimed in lost})
                total += len(lost)
    return total


def auth_exception(name: str, reason: str, now: datetime) -> Raised:
    return Raised(
        make_id("ex", "connection_auth", name),
        "connection_auth",
        "high",
        "operations",
        name,
        now,
        now + timedelta(hours=1),
        f"{name} refuses our credentials ({reason}). Its effects are kept: mend the credentials, then resume it",
    )


def unreadable(connection: str, raw: bytes, reason: str, now: datetime) -> Kept:
    """An answer that could not be understood, to be kept as it came; the same bytes again are the same delivery."""
    key = make_id("raw", connection, hashlib.sha256(raw).hexdigest())
    return Kept(make_id("dl", key), connection, key, {}, raw, now, "malformed", 0, _clean(reason))


def where_raw(kept: Kept | None) -> str:
    """Where a person finds it."""
    return f" (the raw answer: `counterflow deliveries show {kept.delivery_id}`)" if kept else ""


def _parked_exception(ended: Ended, now: datetime, kept: Kept | None) -> Raised:
    effect, verdict = ended.claimed.effect, ended.verdict
    drift = verdict.word == "malformed"
    return Raised(
        make_id("ex", "effect_parked", effect.effect_id),
        "drift" if drift else "effect_parked",
        "high",
        "operations",
        effect.effect_id,
        now,
        now + timedelta(hours=4),
        f"{effect.kind} at {effect.connection} is parked: {verdict.message}{where_raw(kept)}. Retry it, or discard it",
        effect.owner if effect.owner.startswith("rc_") else "",
    )


def _result(e: Ended) -> Result:
    claimed, verdict = e.claimed, e.verdict
    return Result(
        claimed.effect.effect_id,
        claimed.lease,
        e.act,
        verdict.status,
        verdict.not_before,
        e.started_at,
        e.ended_at,
        claimed.attempts,
        verdict.word,
        _clean(verdict.message),
        _clean(verdict.code),
        _clean(verdict.ref),
        verdict.counted,
    )


def _clean(text: str) -> str:
    return legible(text.replace("\x00", ""), 600)  # a reference is indexed


def _unwritable(ended: Ended, why: str) -> Ended:
    """An answer that Postgres does not take: the effect's own outcome is kept without what else it said."""
    message = f"the answer cannot be stored ({_clean(why)}): {_clean(ended.verdict.message)}"[:1000]
    verdict = replace(ended.verdict, message=message, code=_clean(ended.verdict.code), ref=_clean(ended.verdict.ref))
    if ended.facts:
        verdict = replace(verdict, status="parked", word="malformed", report="parked")
    values = tuple((_clean(name), _clean(value)) for name, value in verdict.values)
    return replace(ended, verdict=replace(verdict, values=values), facts=())
