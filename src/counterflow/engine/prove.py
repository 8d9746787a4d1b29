"""The proof over the stored cases: D1-D9 of each, and of I1-I14 those that need nothing from outside.

Cases are read a page at a time and their sums added up, so that memory goes with the page and not with the log.
"""

import re
from collections.abc import Iterable
from dataclasses import replace

from psycopg import AsyncConnection

from counterflow.core import invariants
from counterflow.core.effects import Effect
from counterflow.core.returns.case import Case, View
from counterflow.core.returns.invariants import Finding, check
from counterflow.sdk.http import redact
from counterflow.store import log
from counterflow.store.codec import decode, decode_log, encode

PAGE = 200
_HIDDEN = re.compile(r"\[redacted\]\S*")


async def prove(conn: AsyncConnection) -> list[Finding]:
    """One finding per invariant, its two sides added up over all cases; all as of one instant."""
    found: dict[str, Finding] = {}
    serials: list[View] = []
    async with conn.transaction():
        await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        ids = [row[0] for row in await (await conn.execute("SELECT case_id FROM cases ORDER BY case_id")).fetchall()]
        for start in range(0, len(ids), PAGE):
            views = await _page(conn, ids[start : start + PAGE], found)
            serials += [view for view in views if any(unit.serial for unit in view.units)]
        for finding in (
            invariants.serials(serials),
            await _accepted(conn),
            invariants.progress(await moving(conn)),
            invariants.unsaid(await messages(conn), tells),
        ):
            found[finding.name] = finding
    return [found[name] for name in sorted(found, key=order)]


async def _page(conn: AsyncConnection, ids: list[str], found: dict[str, Finding]) -> list[View]:
    stored = await conn.execute("SELECT case_id, version, view FROM cases WHERE case_id = ANY(%s)", (ids,))
    versions: dict[str, int] = {}
    views: dict[str, View] = {}
    for case_id, version, view in await stored.fetchall():
        versions[case_id], views[case_id] = version, decode(View, encode(view))
    effects: list[Effect] = []
    histories: dict[str, list[int]] = {}
    for case_id, bodies in (await log.bodies(conn, ids)).items():
        rows = [decode_log(body) for body in bodies]
        histories[case_id] = [row.seq for row in rows]
        issued = tuple(effect for row in rows for effect in row.effects)
        effects += issued
        _add(found, check(Case(case_id, tuple(row.fact for row in rows), issued), views[case_id]))
    _add(found, invariants.within(list(views.values()), effects))
    counted = {case_id: len(seen) for case_id, seen in histories.items()}
    _add(found, [invariants.log_rows(versions, counted), invariants.versions(histories)])
    return list(views.values())


async def moving(conn: AsyncConnection) -> dict[str, bool]:
    """{open case: whether anything of ours moves it on, or a person has it}."""
    rows = await conn.execute(
        """
        SELECT case_id,
            EXISTS (SELECT 1 FROM timers t WHERE t.case_id = c.case_id AND t.fired_at IS NULL)
            OR EXISTS (SELECT 1 FROM effects e WHERE e.owner = c.case_id
                       AND e.status IN ('planned', 'sending', 'unknown', 'accepted', 'parked', 'rejected'))
            OR EXISTS (SELECT 1 FROM inbox i WHERE i.case_id = c.case_id AND i.status <> 'done')
            OR EXISTS (SELECT 1 FROM exceptions x WHERE x.case_id = c.case_id AND x.status <> 'withdrawn')
            OR view->'waiting' <> '[]'::jsonb
        FROM cases c WHERE status NOT IN ('closed', 'declined', 'cancelled', 'expired')
        """
    )
    return {case_id: bool(moves) for case_id, moves in await rows.fetchall()}


def tells(text: str) -> bool:
    """Whether it holds something that looks like a secret and was not made unreadable."""
    return _HIDDEN.sub("", redact(text)) != _HIDDEN.sub("", text)


async def messages(conn: AsyncConnection) -> list[str]:
    """What we have written of calls and exceptions, as far as anything is said."""
    rows = await conn.execute(
        "SELECT DISTINCT left(message, 500) FROM (SELECT message FROM attempts UNION ALL "
        "SELECT message FROM exceptions UNION ALL SELECT message FROM effects) said WHERE message <> ''"
    )
    return [str(row[0]) for row in await rows.fetchall()]


async def _accepted(conn: AsyncConnection) -> Finding:
    rows = await (await conn.execute("SELECT status, count(*) FROM inbox GROUP BY status")).fetchall()
    count = {str(status): int(n) for status, n in rows}
    unsaid = await (await conn.execute("SELECT count(*) FROM inbox WHERE status = 'parked' AND reason = ''")).fetchone()
    parked = count.get("parked", 0) - (unsaid[0] if unsaid else 0)  # parked without a reason is lost, not parked
    waiting = count.get("ready", 0) + count.get("waiting", 0)
    return invariants.accepted(sum(count.values()), count.get("done", 0), waiting, parked)


def _add(found: dict[str, Finding], findings: Iterable[Finding]) -> None:
    for finding in findings:
        before = found.get(finding.name, replace(finding, holds=True, left=0, right=0))
        found[finding.name] = replace(
            finding,
            holds=finding.holds and before.holds,
            left=finding.left + before.left,
            right=finding.right + before.right,
        )


def order(name: str) -> tuple[str, int, str]:
    """D1, D2, ..., I1, I2, ..., I14: by number, not by text."""
    digits = "".join(c for c in name.partition("-")[0] if c.isdigit())
    return (name[:1], int(digits or 0), name)
