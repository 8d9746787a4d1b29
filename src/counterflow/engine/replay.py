"""Replay: fold the log again through the decision, and compare with what is stored.

`verify` proves that the log alone gives the same views, chains and hash. `preview` offers the facts again as if they
came now, and lists the effects that would be planned anew: there are none unless the rules have changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

import msgspec
from psycopg import AsyncConnection

from counterflow.core.effects import Effect
from counterflow.core.returns.case import Case, Setting, View
from counterflow.engine.batch import Decide
from counterflow.store import log
from counterflow.store.codec import decode_log, encode
from counterflow.store.log import GENESIS, LogRow, chain


@dataclass(slots=True)
class Replayed:
    """`state_hash` is over all folded views, `stored_hash` over the stored ones, both by case id."""

    cases: int = 0
    facts: int = 0
    state_hash: str = ""
    stored_hash: str = ""
    broken_chains: list[str] = field(default_factory=list)  # case ids
    different_views: list[str] = field(default_factory=list)
    different_effects: list[str] = field(default_factory=list)
    new_effects: list[Effect] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)  # case id, why

    @property
    def holds(self) -> bool:
        """The log gives what is stored, and no effect that it did not have."""
        return not (self.broken_chains or self.different_views or self.different_effects or self.failed)


@dataclass(frozen=True, slots=True)
class Folded:
    """One case folded from its log."""

    view: View | None
    facts: int
    different: bool  # the effects differ from the logged ones
    new: tuple[Effect, ...]


def refold(case_id: str, bodies: Sequence[str], decide: Decide, setting: Setting) -> Folded:
    """One case from its log, every fact decided again; effects that the log does not have are `new`."""
    case, view, different = Case(case_id), None, False
    rows = [decode_log(body) for body in bodies]
    logged = {effect.effect_id for row in rows for effect in row.effects}
    new: list[Effect] = []
    for row in rows:
        decision = decide(case, row.fact, setting)
        case, view = decision.case, decision.view
        different |= tuple(e.effect_id for e in decision.effects) != tuple(e.effect_id for e in row.effects)
        new += [effect for effect in decision.effects if effect.effect_id not in logged]
    return Folded(view, len(rows), different, tuple(new))


async def verify(
    conn: AsyncConnection, decide: Decide, setting: Setting, *, since: datetime | None = None, page: int = 200
) -> Replayed:
    """Replay all cases, or those with something recorded since then (from their first row). Reads, writes nothing."""
    result = Replayed()
    folded_hash, stored_hash = sha256(), sha256()
    case_ids = await log.cases_since(conn, since)
    for start in range(0, len(case_ids), page):
        ids = case_ids[start : start + page]
        rows = await log.rows(conn, ids)
        stored = await _stored(conn, ids)
        for case_id in ids:
            result.cases += 1
            if not _chain_holds(rows[case_id], stored.get(case_id, ("", b""))[1]):
                result.broken_chains.append(case_id)
            try:
                folded = refold(case_id, [row.body for row in rows[case_id]], decide, setting)
            except Exception as error:
                result.failed.append((case_id, f"{type(error).__name__}: {error}"))
                continue
            view = encode(msgspec.json.decode(encode(folded.view)))
            kept = stored.get(case_id, ("", b""))[0]
            result.facts += folded.facts
            result.new_effects += folded.new
            if view != kept:
                result.different_views.append(case_id)
            if folded.different:
                result.different_effects.append(case_id)
            folded_hash.update(view.encode())
            stored_hash.update(kept.encode())
    result.state_hash, result.stored_hash = folded_hash.hexdigest(), stored_hash.hexdigest()
    return result


async def _stored(conn: AsyncConnection, case_ids: Sequence[str]) -> dict[str, tuple[str, bytes]]:
    """{case id: (view as canonical JSON, hash of the last log row)}."""
    found = await conn.execute("SELECT case_id, view, head_hash FROM cases WHERE case_id = ANY(%s)", (list(case_ids),))
    return {case_id: (encode(view), bytes(head)) for case_id, view, head in await found.fetchall()}


def _chain_holds(rows: Sequence[LogRow], head: bytes) -> bool:
    before = GENESIS
    for seq, row in enumerate(rows, start=1):
        if row.seq != seq or row.prev_hash != before or row.hash != chain(before, row.body):
            return False
        before = row.hash
    return before == head
