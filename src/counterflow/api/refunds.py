"""Refunds: the legs of all cases by the state that they are in."""

from datetime import datetime
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel

from counterflow.api import shapes
from counterflow.api.reach import case_of
from counterflow.api.route import The, Who, make_router, needs
from counterflow.api.shapes import Cursor, Limit, Page
from counterflow.core.returns.case import LegView
from counterflow.core.returns.states import LEG
from counterflow.store import case_queries

router = make_router("refunds")
State = Annotated[str, shapes.OneOf(LEG)]


class Refund(BaseModel):
    """One refund leg, and the case that it belongs to."""

    case_id: str
    currency: str
    updated_at: datetime
    leg: LegView


@router.get("/refunds", **needs("refunds.read", also=[404]))
async def list_refunds(
    the: The,
    who: Who,
    state: Annotated[list[State] | None, Query(max_length=20)] = None,
    case_id: Annotated[shapes.CaseRef | None, Query()] = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Page[Refund]:
    """Legs of the cases that are not closed, or of one case. A page holds the legs of `limit` cases."""
    if case_id:
        await case_of(the, who, case_id)
    async with the.pool.connection() as conn:
        rows = await case_queries.legs(
            conn,
            channels=who.channels,
            states=state or (),
            case_id=case_id or "",
            after=shapes.after(cursor),
            limit=limit,
        )
    full = len({row["case_id"] for row in rows}) == limit
    more = shapes.cursor(rows[-1]["updated_at"], rows[-1]["case_id"]) if full and rows else ""
    return Page(items=[Refund(**row) for row in rows], next=more)
