"""Writing a decided batch: one transaction with a handful of set-based statements, whatever the size of the batch."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from psycopg import AsyncConnection

from counterflow.core.facts import OURSELVES, CasesLinked, EffectReported, Fact
from counterflow.core.ids import fact_id, make_id
from counterflow.core.returns.case import View
from counterflow.engine.batch import Batch, sale_fact
from counterflow.engine.held import Held, Open
from counterflow.store import cases, effects, exceptions, inbox, log, sales, timers, xref
from counterflow.store.cases import CaseWrite, Stale
from counterflow.store.codec import encode
from counterflow.store.exceptions import Raised
from counterflow.store.inbox import Incoming
from counterflow.store.shards import PAYOUTS, shard_of, wake

# References that name one physical thing: two cases that have one of them are about the same goods.
LINKING = ("rma:", "tracking:")


async def write(conn: AsyncConnection, batch: Batch, unreadable: Sequence[tuple[str, str]]) -> bool:
    """All of it, in the caller's transaction; whether that made facts of the batch's own shards ready.

    Raises Stale with the ids when somebody else has written a case of it.
    """
    written = {case_id: case for case_id, case in batch.opened.items() if case.view is not None}
    rows = [_row(case, case.view) for case in written.values() if case.view is not None]
    new, old = [row for row in rows if row.before == 0], [row for row in rows if row.before > 0]
    counts = (await cases.insert(conn, new) if new else 0, await cases.update(conn, old) if old else 0)
    if counts != (len(new), len(old)):
        raise Stale([row.case_id for row in rows])
    if batch.log:
        await log.append(conn, batch.log)
    if batch.done:
        await inbox.done(conn, batch.done)
        if batch.found_late:
            names = {unmatched_id(id_): "" for id_ in batch.found_late}
            await exceptions.end(conn, names, batch.now)
    if batch.waiting:
        await inbox.wait(conn, batch.waiting)
    if batch.unmatched:
        await inbox.stay(conn, [fact.fact_id for fact in batch.unmatched])
        await exceptions.put(conn, [unmatched_exception(fact, batch.now) for fact in batch.unmatched])
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
    woken: set[int] = set()
    if batch.new_refs:
        pairs = sorted((ref, case_id, "case") for case_id, refs in batch.new_refs.items() for ref in refs)
        await xref.add(conn, pairs)
        woken = await inbox.wake_waiting(conn, {ref for ref, _, _ in pairs})
        if linking := {ref for ref, _, _ in pairs if ref.startswith(LINKING)}:
            tell += await _links(conn, linking, batch.now)
    if tell:
        await inbox.add(conn, tell)
    ready = woken | {shard for _, shard in batch.moved} | {item.shard for item in tell}
    own = ready.intersection(batch.shards)
    await wake(conn, ready - own, {effect.connection for effect in batch.effects})
    return bool(own)


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


def unmatched_id(fact: str) -> str:
    return make_id("ex", "fact_unmatched", fact)


def unmatched_exception(fact: Fact, now: datetime) -> Raised:
    """A fact that has waited long enough; it goes on waiting, but somebody knows."""
    return Raised(
        unmatched_id(fact.fact_id),
        "fact_unmatched",
        "medium",
        "operations",
        fact.fact_id,
        now,
        now + timedelta(days=1),
        f"No case is known for {fact.kind} from {fact.connection} ({', '.join(fact.refs[:4])}). It is taken as soon as "
        "one is; find the case that it belongs to, or discard it",
    )


async def _links(conn: AsyncConnection, refs: Iterable[str], now: datetime) -> list[Incoming]:
    """Cases that turn out to be about the same goods are told of each other."""
    told = []
    for ref, targets in (await xref.find(conn, refs)).items():
        cases_ = [target for target in targets if target.kind == "case"]
        for case in cases_:
            for other in cases_:
                if other is not case:
                    body = CasesLinked(other.target, f"both have {ref}")
                    cause = fact_id(OURSELVES, "CasesLinked", case.target, f"{other.target}:{ref}")
                    fact = Fact(cause, OURSELVES, now, now, (f"case:{case.target}",), body, "ours")
                    told.append(Incoming(fact, case.shard, case.target))
    return told


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
