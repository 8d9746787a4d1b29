"""Inspections: what the warehouse or the store saw."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from counterflow.api import shapes
from counterflow.api.reach import case_of, known_place, tell
from counterflow.api.receipts import About, happened, reach_case
from counterflow.api.route import The, Who, make_router, needs
from counterflow.api.shapes import CaseId, Page, Told
from counterflow.core.facts import CONSOLE, ItemInspected
from counterflow.core.ids import case_id as make_case_id
from counterflow.core.ids import make_id
from counterflow.engine import reading

router = make_router("inspections")

Finding = Literal["used_beyond_testing", "incomplete", "wiped", "seal_broken", "empty_box", "damaged", "dirty"]


class Seen(About):
    place: shapes.Word = Field(description="A configured place")
    sku: shapes.Word
    grade: Literal["A", "B", "C", "D"]
    quantity: shapes.Quantity = 1
    serial: shapes.MaybeWord = ""
    lot: shapes.MaybeWord = ""
    line_ref: shapes.MaybeWord = ""
    findings: list[Finding] = Field(default_factory=list, max_length=10)
    lot_status: Literal["ok", "recalled", "expired"] = "ok"
    inspection: shapes.MaybeWord = Field("", description="Your number of this inspection")
    occurred_at: shapes.Instant | None = Field(None, description="When it was seen, if not now")


@router.post("/inspections", status_code=202, **needs("goods.count", also=[404], post=True))
async def inspect(the: The, who: Who, body: Seen) -> Told:
    """Tell what was seen. A later inspection of the same thing supersedes an earlier one."""
    known_place(the, body.place)
    act = who.act(the)
    inspection_ref = f"{CONSOLE}{act.name}:inspection:{body.inspection or make_id('is', act.cause)}"
    case_id = await reach_case(the, who, body)
    seen = ItemInspected(
        inspection_ref,
        body.place,
        body.sku,
        body.grade,
        body.quantity,
        body.serial,
        body.lot,
        body.line_ref,
        tuple(body.findings),
        lot_status=body.lot_status,
        inspector=act.person,
    )
    refs = tuple(body.refs()) or (inspection_ref,)
    occurred_at = happened(body.occurred_at, act.at)
    return await tell(the, case_id or make_case_id(refs[0]), act.fact(seen, *refs, occurred_at=occurred_at))


class Inspection(BaseModel):
    inspection_ref: str
    place: str
    sku: str
    grade: str
    quantity: int
    serial: str
    lot: str
    line_ref: str
    findings: list[str]
    occurred_at: datetime
    by: str
    fact_id: str


@router.get("/cases/{case_id}/inspections", **needs("goods.read", also=[404]))
async def list_inspections(the: The, who: Who, case_id: CaseId) -> Page[Inspection]:
    """What was seen of a case's goods, as it was told."""
    await case_of(the, who, case_id)
    async with the.pool.connection() as conn:
        found = await reading.facts_of(conn, case_id, "ItemInspected")
    return Page(items=[Inspection(**each) for each in found])
