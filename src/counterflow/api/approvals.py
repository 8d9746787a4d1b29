"""Approvals: refund intents that wait for a second pair of eyes, and signing them."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from counterflow.api import shapes
from counterflow.api.access import Caller
from counterflow.api.problems import invalid, not_found
from counterflow.api.route import The, Who, make_router, needs
from counterflow.api.services import Services
from counterflow.api.shapes import Cursor, IntentId, Limit, Page, Strict, Told
from counterflow.core.returns.case import IntentView
from counterflow.engine import people
from counterflow.store import api_keys, exception_queries

router = make_router("approvals")


class Approval(BaseModel):
    """An intent that waits. `message` says how many signatures by whom are missing, and why."""

    exception_id: str
    case_id: str
    order_number: str
    currency: str
    raised_at: datetime
    due_at: datetime
    message: str
    intent: IntentView


@router.get("/approvals", **needs("refunds.read"))
async def list_approvals(the: The, who: Who, cursor: Cursor = "", limit: Limit = 50) -> Page[Approval]:
    """Intents that wait for approval, the most urgent first."""
    async with the.pool.connection() as conn:
        rows = await exception_queries.approvals(
            conn, channels=who.channels, after=shapes.after(cursor), limit=limit + 1
        )
    more = shapes.cursor(rows[limit - 1]["due_at"], rows[limit - 1]["exception_id"]) if len(rows) > limit else ""
    return Page(items=[Approval(**row) for row in rows[:limit]], next=more)


class Signature(Strict):
    """The amount and currency that are signed: if the intent has changed meanwhile, the signature does not count."""

    amount_minor: shapes.AmountMinor
    currency: shapes.Currency
    reason: str = Field("", max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")


@router.post("/approvals/{intent_id}/grant", status_code=202, **needs("refunds.approve", also=[404], post=True))
async def grant(the: The, who: Who, intent_id: IntentId, body: Signature) -> Told:
    """Sign a refund. Who has a part in the case may not."""
    return await _sign(the, who, intent_id, body, granted=True)


@router.post("/approvals/{intent_id}/refuse", status_code=202, **needs("refunds.approve", also=[404], post=True))
async def refuse(the: The, who: Who, intent_id: IntentId, body: Signature) -> Told:
    """Refuse a refund; a reason is needed."""
    if len(body.reason) < 3:
        raise invalid("body.reason", "say why, in 3 characters or more")
    return await _sign(the, who, intent_id, body, granted=False)


async def _sign(the: Services, who: Caller, intent_id: str, body: Signature, *, granted: bool) -> Told:
    await the.intake.pressure.check()
    async with the.pool.connection() as conn:
        rows: list[dict[str, Any]] = await exception_queries.approvals(
            conn, channels=who.channels, intent_id=intent_id, limit=1
        )
        if not rows:
            raise not_found(f"No open approval is known for {intent_id}")
        if body.currency != rows[0]["currency"]:
            raise invalid("body.currency", f"the intent is in {rows[0]['currency']}, not in {body.currency}")
        names = [*await people.actors(conn, rows[0]["case_id"])]
        persons = await api_keys.persons(conn, names)
        act = who.act(the)
        fact_id = await people.sign(conn, rows[0], body.amount_minor, body.reason, act, persons, granted=granted)
    return Told(case_id=rows[0]["case_id"], fact_ids=[fact_id])
