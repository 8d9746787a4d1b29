"""Exceptions: what needs a person, and what the person does with it."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from counterflow.api import shapes
from counterflow.api.access import SETTLES, Caller
from counterflow.api.problems import Problem, not_found
from counterflow.api.route import The, Who, make_router, needs
from counterflow.api.services import Services
from counterflow.api.shapes import Cursor, ExceptionId, Filter, Limit, Page, Strict
from counterflow.core.returns.exceptions import CLASSES
from counterflow.engine import people
from counterflow.store import exception_queries

router = make_router("exceptions")


class Open(BaseModel):
    """An exception. `actions`: what settles it; `playbook`: where the steps are written down."""

    exception_id: str
    case_id: str
    kind: str
    severity: str
    owner: str
    subject: str
    raised_at: datetime
    due_at: datetime
    impact_minor: int
    currency: str
    message: str
    status: str
    resolution: str
    ended_at: datetime | None
    parked_until: datetime | None
    actions: list[str]
    playbook: str


@router.get("/exceptions", **needs("exceptions.read"))
async def list_exceptions(
    the: The,
    who: Who,
    status: Literal["open", "resolved", "withdrawn", "all"] = "open",
    kind: Filter = "",
    owner: Filter = "",
    parked: bool = False,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Page[Open]:
    """The most urgent first; those parked until later only if asked for."""
    async with the.pool.connection() as conn:
        rows = await exception_queries.page(
            conn,
            channels=who.channels,
            status="" if status == "all" else status,
            kind=kind,
            owner=owner,
            awake_at=None if parked or status != "open" else the.clock(),
            after=shapes.after(cursor),
            limit=limit + 1,
        )
    more = shapes.cursor(rows[limit - 1]["due_at"], rows[limit - 1]["exception_id"]) if len(rows) > limit else ""
    return Page(items=[shown(row) for row in rows[:limit]], next=more)


@router.get("/exceptions/{exception_id}", **needs("exceptions.read", also=[404]))
async def show_exception(the: The, who: Who, exception_id: ExceptionId) -> Open:
    """One exception."""
    return shown(await _get(the, who, exception_id))


class Settlement(Strict):
    action: str = Field(pattern=r"^[a-z_]{2,30}$", max_length=30, description="One of the exception's `actions`")
    reason: shapes.Reason


class Why(Strict):
    reason: shapes.Reason


class Pause(Strict):
    until: shapes.Instant
    reason: shapes.Reason


@router.post("/exceptions/{exception_id}/resolve", status_code=202, **needs("exceptions.settle", also=[404], post=True))
async def resolve(the: The, who: Who, exception_id: ExceptionId, body: Settlement) -> Open:
    """Settle it by one of its actions."""
    return await _settle(the, who, exception_id, body.action, body.reason)


@router.post("/exceptions/{exception_id}/retry", status_code=202, **needs("exceptions.settle", also=[404], post=True))
async def retry(the: The, who: Who, exception_id: ExceptionId, body: Why) -> Open:
    """Try what it is about again, after its cause was mended. An outcome that is unknown is looked up, not repeated."""
    return await _settle(the, who, exception_id, "retry", body.reason)


@router.post("/exceptions/{exception_id}/discard", status_code=202, **needs("exceptions.settle", also=[404], post=True))
async def discard(the: The, who: Who, exception_id: ExceptionId, body: Why) -> Open:
    """Give up what it is about. That it was given up, by whom and why stays in the log."""
    return await _settle(the, who, exception_id, "discard", body.reason)


@router.post("/exceptions/{exception_id}/park", status_code=202, **needs("exceptions.settle", also=[404], post=True))
async def park(the: The, who: Who, exception_id: ExceptionId, body: Pause) -> Open:
    """Put it out of sight until a time; it stays open."""
    row = await _get(the, who, exception_id)
    _entitled(row, who)
    async with the.pool.connection() as conn:
        await people.park(conn, row, body.until, body.reason, who.act(the))
    return shown(await _get(the, who, exception_id))


def shown(row: dict[str, Any]) -> Open:
    found = CLASSES.get(row["kind"])
    playbook = f"docs/operations/playbooks.md#{found.playbook if found else row['kind'].replace('_', '-')}"
    return Open(**row, actions=[*people.actions_of(row["kind"]), "park"], playbook=playbook)


async def _settle(the: Services, who: Caller, exception_id: str, action: str, reason: str) -> Open:
    row = await _get(the, who, exception_id)
    _entitled(row, who)
    await the.intake.pressure.check()
    async with the.pool.connection() as conn:
        try:
            await people.settle(conn, row, action, reason, who.act(the), the.intake.connectors)
        except KeyError:
            raise Problem("conflict", f"What it is about ({row['subject']}) is gone: resolve it instead") from None
    return shown(await _get(the, who, exception_id))


def _entitled(row: dict[str, Any], who: Caller) -> None:
    roles = SETTLES.get(row["owner"])
    if roles is not None and who.key.role not in roles:
        raise Problem("denied", f"It belongs to {row['owner']}: {' or '.join(sorted(roles))} may settle it")


async def _get(the: Services, who: Caller, exception_id: str) -> dict[str, Any]:
    async with the.pool.connection() as conn:
        row = await exception_queries.get(conn, exception_id, who.channels)
    if row is None:
        raise not_found(f"There is no exception {exception_id}")
    return row
