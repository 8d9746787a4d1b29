"""Cases in memory: folded from their log, kept while their version is the stored one."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import msgspec
from psycopg import AsyncConnection

from counterflow.core.facts import Fact, SiblingsClaimed
from counterflow.core.returns.case import Case, Timer, View
from counterflow.store import cases, log, timers
from counterflow.store.cases import CaseRow
from counterflow.store.codec import decode_log


@dataclass(frozen=True, slots=True)
class Held:
    """One case as it was committed. Never changed: a batch works on `Open` copies and puts new ones back."""

    case: Case
    shard: int
    version: int
    sale_ref: str = ""
    root: str = ""
    claims: str = ""
    head: bytes = log.GENESIS
    timers: frozenset[Timer] = frozenset()
    refs: frozenset[str] = frozenset()
    siblings: SiblingsClaimed | None = None  # as the case saw them last


@dataclass(slots=True)
class Open:
    """A case while a batch decides on it."""

    held: Held
    before: int  # stored version, 0 for one that this batch opens
    open_before: tuple[str, ...] = ()  # exceptions that were open
    view: View | None = None  # None: nothing was decided yet
    wanted: frozenset[Timer] = frozenset()
    resolutions: dict[str, str] = field(default_factory=dict)


class Cache:
    """The cases last used, bounded by the number of their facts (what their memory goes with)."""

    def __init__(self, facts: int = 50_000) -> None:
        self.bound, self.facts = facts, 0
        self.kept: OrderedDict[str, Held] = OrderedDict()

    def get(self, row: CaseRow) -> Held | None:
        """The case if it is held in just this version."""
        held = self.kept.get(row.case_id)
        if held is None or held.version != row.version or held.head != row.head_hash:
            return None
        self.kept.move_to_end(row.case_id)
        return held if held.shard == row.shard else replace(held, shard=row.shard)

    def put(self, held: Held) -> None:
        self.drop(held.case.case_id)
        self.kept[held.case.case_id] = held
        self.facts += held.version
        while self.facts > self.bound and len(self.kept) > 1:
            self.facts -= self.kept.popitem(last=False)[1].version

    def drop(self, case_id: str) -> None:
        if (old := self.kept.pop(case_id, None)) is not None:
            self.facts -= old.version


async def load(conn: AsyncConnection, rows: Sequence[CaseRow], cache: Cache) -> dict[str, Held]:
    """The cases of these rows, from memory or from their logs."""
    found = {row.case_id: held for row in rows if (held := cache.get(row)) is not None}
    missing = [row for row in rows if row.case_id not in found]
    if missing:
        ids = [row.case_id for row in missing]
        bodies = await log.bodies(conn, ids)
        open_timers = await timers.open_of(conn, ids)
        for row in missing:
            if len(bodies[row.case_id]) != row.version:
                raise cases.Stale([row.case_id])
            held = Held(
                fold(row, bodies[row.case_id]),
                row.shard,
                row.version,
                row.sale_ref,
                row.root_sale,
                row.claims,
                row.head_hash,
                frozenset(open_timers[row.case_id]),
            )
            found[row.case_id] = replace(held, siblings=last_siblings(held.case.facts))
    return found


def fold(row: CaseRow, bodies: Iterable[str]) -> Case:
    """A case from its log: nothing is decided again."""
    rows = [decode_log(body) for body in bodies]
    return Case(
        row.case_id,
        tuple(row.fact for row in rows),
        tuple(effect for row in rows for effect in row.effects),
        msgspec.json.decode(row.states, type=dict[str, str]),
        row.exceptions,
    )


def last_siblings(facts: Sequence[Fact]) -> SiblingsClaimed | None:
    return next((f.body for f in reversed(facts) if isinstance(f.body, SiblingsClaimed)), None)
