"""A small decision on the real types, a connector in memory, a world that steps by hand: what engine tests use."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from counterflow.core.effects import Effect, PayLeg, ReadSale, UpdateChannel
from counterflow.core.facts import (
    AuthorisationGiven,
    EffectReported,
    Fact,
    GoodwillGranted,
    HoldPlaced,
    NoteAdded,
    ReturnRequested,
    SaleRecorded,
    SiblingsClaimed,
    TimerFired,
    WithdrawalDeclared,
)
from counterflow.core.ids import effect_id, fact_id, make_id
from counterflow.core.returns.case import (
    Case,
    Change,
    Claims,
    Decision,
    ExceptionView,
    Routes,
    Setting,
    Timer,
    View,
)
from counterflow.engine.worker import Worker, drain_shards, sweep
from counterflow.intake.accept import accept
from counterflow.intake.pressure import Pressure
from counterflow.intake.receive import Intake
from counterflow.sdk.connector import Delivery, Page, Signal
from counterflow.sdk.manifest import Feed, Idempotency, Limits, Manifest, Support
from counterflow.sdk.outcomes import AuthFailed, ConnectorError, Done, Malformed, Outcome
from counterflow.store.pool import Pool, connect, make_pool

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SETTING = Setting((), Routes())


def a_fact(body: Any, their_id: str, *refs: str, connection: str = "shop", seen_at: datetime = START) -> Fact:
    their = fact_id(connection, type(body).__name__, their_id)
    return Fact(their, connection, seen_at, seen_at, refs, body)


def request(name: str, sale: str = "", seen_at: datetime = START) -> Fact:
    """A return that opens a case under `shop:return:<name>`."""
    ref = f"shop:return:{name}"
    refs = (ref, *((f"shop:order:{sale}",) if sale else ()))
    body = ReturnRequested(ref, f"shop:order:{sale}" if sale else "", ())
    return a_fact(body, name, ref, seen_at=seen_at) if not sale else a_fact(body, name, *refs, seen_at=seen_at)


def goodwill(name: str, n: int) -> Fact:
    """One more payment for the case of `name`."""
    return a_fact(GoodwillGranted(100, "alice", f"{n}"), f"{name}/{n}", f"shop:return:{name}")


def decide(case: Case, fact: Fact, setting: Setting) -> Decision:
    """Each request and each goodwill pays one leg; an authorisation tells the channel; the rest is recorded.

    HoldPlaced("poison") fails, HoldPlaced("look") raises an exception; WithdrawalDeclared sets a timer.
    """
    if any(known.fact_id == fact.fact_id for known in case.facts):
        return Decision(case, _view(case), (), (), (), (), (), Claims(), (), duplicate=True)
    if isinstance(fact.body, HoldPlaced) and fact.body.name == "poison":
        raise ValueError("this fact is poison")
    facts = (*case.facts, fact)
    new = tuple(_effects(case, fact))
    grown = Case(case.case_id, facts, (*case.effects, *new), case.states)
    view = _view(grown)
    grown = replace(grown, states={"status": view.status}, exceptions=tuple(e.exception_id for e in view.exceptions))
    before = case.states.get("status", "")
    changes = (Change("status", case.case_id, before, view.status),) if before != view.status else ()
    timers = tuple(
        Timer(make_id("tm", case.case_id, "refund_due"), "refund_due", f.body.declared_at + timedelta(days=14))
        for f in facts
        if isinstance(f.body, WithdrawalDeclared) and not any(isinstance(g.body, TimerFired) for g in facts)
    )
    refs = tuple(sorted({ref for f in facts for ref in f.refs if not ref.startswith("shop:order:")}))
    claims = Claims(pieces=tuple((f.fact_id, 1) for f in facts if isinstance(f.body, ReturnRequested)))
    return Decision(grown, view, new, timers, changes, (), refs, claims, ("because the toy says so",))


def _effects(case: Case, fact: Fact) -> Sequence[Effect]:
    match fact.body:
        case ReturnRequested() | GoodwillGranted():
            leg = PayLeg(fact.fact_id, "ri_1", "card", "psp:pay:1", "", "", 100, "EUR", ())
            return [_effect(case, "psp", leg, fact)]
        case AuthorisationGiven():
            return [_effect(case, "psp", UpdateChannel("o", "r", "refunded"), fact)]
        case NoteAdded(note_ref) if note_ref == "read the sale":
            return [_effect(case, "psp", ReadSale("shop:order:1"), fact)]
        case _:
            return []


def _effect(case: Case, connection: str, command: Any, fact: Fact) -> Effect:
    made = effect_id(case.case_id, type(command).__name__, fact.fact_id)
    return Effect(made, case.case_id, connection, command, fact.seen_at)


def _view(case: Case) -> View:
    reports = {f.body.effect_id: f.body.outcome for f in case.facts if isinstance(f.body, EffectReported)}
    undone = [e for e in case.effects if reports.get(e.effect_id) != "done"]
    status = "closed" if case.effects and not undone else "open"
    sale = next((f.body.sale for f in case.facts if isinstance(f.body, SaleRecorded)), None)
    named = next((f.body.sale_ref for f in case.facts if isinstance(f.body, ReturnRequested)), "")
    first = min((f.seen_at for f in case.facts), default=START)
    last = max((f.seen_at for f in case.facts), default=START)
    exceptions = tuple(
        ExceptionView(
            make_id("ex", case.case_id, "risk"), "risk", "look", "low", "support", f.seen_at, f.seen_at, "look", 5
        )
        for f in case.facts
        if isinstance(f.body, HoldPlaced) and f.body.name == "look"
        if not any(isinstance(g.body, HoldPlaced) and g.body.lifted for g in case.facts)
    )
    return View(
        case.case_id,
        "return",
        status,
        first,
        last,
        sale_ref=sale.sale_ref if sale else named,
        root_sale_ref=sale.root if sale else "",
        rma_number=next((f.body.rma_number for f in case.facts if isinstance(f.body, ReturnRequested)), ""),
        exceptions=exceptions,
        attention=bool(exceptions),
        linked=tuple(
            sorted({c for f in case.facts if isinstance(f.body, SiblingsClaimed) for _, _, c in f.body.pieces})
        ),
    )


@dataclass
class FakePsp:
    """An outside system that keeps our keys. `plan` says how the next sends end; what was applied is the truth."""

    commands: dict[str, Support] = field(
        default_factory=lambda: {
            "PayLeg": Support(Idempotency.LOOKUP),
            "UpdateChannel": Support(Idempotency.LOOKUP),
            "ReadSale": Support(Idempotency.STATE),
        }
    )
    concurrency: int = 4
    feeds: tuple[Feed, ...] = ()
    faults: list[Callable[[Effect], "Fault | None"]] = field(default_factory=list)
    answers: dict[str, tuple[Fact, ...]] = field(default_factory=dict)  # by kind: the facts that are read with it
    applied: list[str] = field(default_factory=list)  # effect ids, once per real-world change
    sends: list[str] = field(default_factory=list)
    groups: list[list[str]] = field(default_factory=list)
    finds: list[str] = field(default_factory=list)
    find_error: ConnectorError | None = None
    fetched: list[str] = field(default_factory=list)
    objects: dict[str, list[Fact]] = field(default_factory=dict)
    pages: dict[str, Page] = field(default_factory=dict)
    pulls: list[str] = field(default_factory=list)

    manifest: Manifest = field(init=False)

    def __post_init__(self) -> None:
        limits = Limits(concurrency=self.concurrency, per_second=10_000, burst=10_000)
        self.manifest = Manifest("fake", "Fake", (), self.commands, self.feeds, ("thing",), limits)

    def verify(self, delivery: Delivery) -> None:
        if delivery.header("signature") != "good":
            raise AuthFailed("the signature is wrong")

    def identify(self, delivery: Delivery) -> str:
        return delivery.header("id")

    def translate(self, delivery: Delivery) -> Sequence[Fact | Signal]:
        try:
            said = json.loads(delivery.body)
        except ValueError:
            raise Malformed("this is no JSON") from None
        if "look" in said:
            return [Signal("things", said["look"])]
        if "request" in said:
            return [request(said["request"], seen_at=delivery.received_at)]
        return []

    async def fetch(self, feed: str, ref: str) -> Sequence[Fact]:
        self.fetched.append(ref)
        return self.objects.get(ref, [])

    async def pull(self, feed: str, cursor: str) -> Page:
        self.pulls.append(cursor)
        return self.pages.get(cursor, Page((), cursor, False))

    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        await asyncio.sleep(0)
        self.groups.append([effect.effect_id for effect in effects])
        faults = [self._fault(effect) for effect in effects]
        for fault in faults:
            if fault is not None and fault.whole:
                raise fault.error
        outcomes: list[Outcome] = []
        for effect, fault in zip(effects, faults, strict=True):
            self.sends.append(effect.effect_id)
            if fault is None or fault.applies:
                self.applied.append(effect.effect_id)
            facts = self.answers.get(effect.kind, ())
            outcomes.append(fault.error if fault else Done(f"ref-{effect.effect_id[-4:]}", facts=facts))
        return outcomes

    def _fault(self, effect: Effect) -> "Fault | None":
        for rule in list(self.faults):
            if (fault := rule(effect)) is not None:
                return fault
        return None

    async def find(self, effect: Effect) -> Outcome | None:
        self.finds.append(effect.effect_id)
        if self.find_error is not None:
            raise self.find_error
        return Done(f"ref-{effect.effect_id[-4:]}") if effect.effect_id in self.applied else None

    async def aclose(self) -> None: ...

    async def check(self) -> Sequence[tuple[str, bool, str]]:
        return []


@dataclass(frozen=True)
class Fault:
    """How a send ends; `applies`: the change was made all the same. `whole`: raised for the whole batch."""

    error: ConnectorError
    applies: bool = False
    whole: bool = False


def times(n: int, fault: Fault) -> Callable[[Effect], Fault | None]:
    """A rule that holds for the first n sends."""
    left = [n]

    def rule(effect: Effect) -> Fault | None:
        left[0] -= 1
        return fault if left[0] >= 0 else None

    return rule


@dataclass
class World:
    """A database, one worker that steps by hand, a clock that is set."""

    pool: Pool
    url: str
    worker: Worker
    psp: FakePsp
    clock: "SetClock"

    async def tell(self, *facts: Fact) -> None:
        async with self.pool.connection() as conn, conn.transaction():
            await accept(conn, facts)

    async def drain(self) -> int:
        """All shards until nothing is ready."""
        total = 0
        async with await connect(self.url) as conn:
            while shards := await sweep(conn, self.clock):
                for shard in sorted(shards):
                    total += await drain_shards(conn, self.worker.cases, [shard])
        return total

    async def settle(self, steps: int = 100) -> None:
        """Facts and effects until nothing is due at this time."""
        for _ in range(steps):
            drained = await self.drain()
            sent = len(self.psp.groups) + len(self.psp.finds) + len(self.psp.fetched)
            for pump in self.worker.pumps.values():
                await pump.settle()
            if not drained and sent == len(self.psp.groups) + len(self.psp.finds) + len(self.psp.fetched):
                return
        raise AssertionError("it does not settle")

    async def later(self, seconds: float) -> None:
        self.clock.now += timedelta(seconds=seconds)
        await self.settle()

    async def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        async with self.pool.connection() as conn:
            return await (await conn.execute(sql, values or None)).fetchall()

    async def one(self, sql: str, *values: Any) -> Any:
        (row,) = await self.rows(sql, *values)
        return row[0] if len(row) == 1 else row

    def intake(self) -> Intake:
        return Intake(self.pool, {"psp": self.psp}, self.clock, Pressure(self.pool))


@dataclass
class SetClock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now


@asynccontextmanager
async def a_world(url: str, psp: FakePsp | None = None) -> AsyncIterator[World]:
    psp, clock = psp or FakePsp(), SetClock()
    async with make_pool(url) as pool:
        worker = Worker(pool, url, SETTING, {"psp": psp}, clock, decide)
        await worker.prepare()
        yield World(pool, url, worker, psp, clock)
