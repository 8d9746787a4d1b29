"""Receipts: what was counted when goods arrived. Over, under, wrong or blind: never refused."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from counterflow.api import shapes
from counterflow.api.reach import case_by, case_of, known_place, tell
from counterflow.api.route import The, Who, make_router, needs
from counterflow.api.shapes import CaseId, Page, Strict, Told
from counterflow.core.facts import CONSOLE, Counted, ItemsReceived
from counterflow.core.ids import case_id as make_case_id
from counterflow.core.ids import make_id
from counterflow.engine import reading

router = make_router("receipts")


class About(Strict):
    """What an act is about: the case, or whatever is on the parcel. Naming nothing makes it a blind return."""

    case_id: str = Field("", pattern=r"^(rc_[0-9a-hjkmnp-tv-z]{26})?$", max_length=29)
    rma_number: shapes.MaybeWord = ""
    tracking: shapes.MaybeWord = ""
    order_number: shapes.MaybeWord = ""

    def refs(self) -> list[str]:
        named = (("case", self.case_id), ("rma", self.rma_number), ("tracking", self.tracking))
        found = [f"{kind}:{value}" for kind, value in named if value]
        return [*found, f"order:{self.order_number}"] if self.order_number else found


class CountedItem(Strict):
    sku: shapes.Word
    quantity: shapes.Quantity
    serial: shapes.MaybeWord = ""
    lot: shapes.MaybeWord = ""
    line_ref: shapes.MaybeWord = ""
    condition: Literal["ok", "damaged_parcel"] = "ok"


class Counting(About):
    place: shapes.Word = Field(description="A configured place")
    items: list[CountedItem] = Field(min_length=1, max_length=500)
    complete: bool = Field(True, description="Nothing more is in this parcel: what is missing is missing")
    receipt: shapes.MaybeWord = Field("", description="Your number of this receipt; told again it is a correction")
    occurred_at: shapes.Instant | None = Field(None, description="When it was counted, if not now")


@router.post("/receipts", status_code=202, **needs("goods.count", also=[404], post=True))
async def count_receipt(the: The, who: Who, body: Counting) -> Told:
    """Tell what was counted."""
    known_place(the, body.place)
    act = who.act(the)
    receipt_ref = f"{CONSOLE}{act.name}:receipt:{body.receipt or make_id('rt', act.cause)}"
    case_id = await reach_case(the, who, body)
    items = tuple(Counted(i.sku, i.quantity, i.serial, i.lot, i.line_ref, i.condition) for i in body.items)
    received = ItemsReceived(receipt_ref, body.place, items, body.complete)
    refs = tuple(body.refs()) or (receipt_ref,)
    occurred_at = happened(body.occurred_at, act.at)
    return await tell(the, case_id or make_case_id(refs[0]), act.fact(received, *refs, occurred_at=occurred_at))


class Receipt(BaseModel):
    receipt_ref: str
    place: str
    items: list[dict[str, Any]]
    complete: bool
    occurred_at: datetime
    by: str
    fact_id: str


@router.get("/cases/{case_id}/receipts", **needs("goods.read", also=[404]))
async def list_receipts(the: The, who: Who, case_id: CaseId) -> Page[Receipt]:
    """What was counted for a case, as it was told."""
    await case_of(the, who, case_id)
    async with the.pool.connection() as conn:
        found = await reading.facts_of(conn, case_id, "ItemsReceived")
    return Page(items=[Receipt(**each) for each in found])


async def reach_case(the: The, who: Who, about: About) -> str:
    """The case that is named, or that its references lead to; empty for a blind act. Raises Problem 404."""
    if about.case_id:
        await case_of(the, who, about.case_id)
        return about.case_id
    refs = about.refs()
    return await case_by(the, who, refs) if refs or not who.sees_all_channels else ""


def happened(at: datetime | None, now: datetime) -> datetime:
    """When it happened: not later than now, whatever the scanner's clock says."""
    return min(at, now) if at is not None else now
