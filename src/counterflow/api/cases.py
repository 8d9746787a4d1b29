"""Cases: lists, the one that an identifier means, one in full; asking for a return, cancelling it, writing notes."""

from typing import Annotated, Literal

from fastapi import Query
from pydantic import Field

from counterflow.api import shapes
from counterflow.api.access import Caller
from counterflow.api.problems import Problem, invalid, not_found
from counterflow.api.reach import case_of, tell
from counterflow.api.route import The, Who, make_router, needs
from counterflow.api.services import Services
from counterflow.api.shapes import CaseId, Cursor, Filter, Limit, Page, Strict, Told
from counterflow.core.facts import CONSOLE, RequestedLine, ReturnCancelled, ReturnRequested
from counterflow.core.ids import case_id as make_case_id
from counterflow.core.ids import make_id
from counterflow.core.policy.vocabulary import REASONS
from counterflow.core.returns.case import View
from counterflow.core.sale import Sale
from counterflow.engine import people, reading
from counterflow.store import case_queries, effect_queries, sales
from counterflow.store.case_queries import CaseRow
from counterflow.store.codec import decode, encode

router = make_router("cases")


@router.get("/cases", **needs("cases.read"))
async def list_cases(
    the: The,
    who: Who,
    status: Filter = "",
    kind: Filter = "",
    channel: Filter = "",
    attention: bool | None = None,
    opened_since: shapes.Instant | None = None,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Page[CaseRow]:
    """Cases, last changed first."""
    async with the.pool.connection() as conn:
        rows = await case_queries.page(
            conn,
            channels=who.channels,
            status=status,
            kind=kind,
            attention=attention,
            channel=channel,
            opened_since=opened_since,
            after=shapes.after(cursor),
            limit=limit + 1,
        )
    more = shapes.cursor(rows[limit - 1].updated_at, rows[limit - 1].case_id) if len(rows) > limit else ""
    return Page(items=rows[:limit], next=more)


@router.get("/cases/find", **needs("cases.read"))
async def find_cases(
    the: The,
    who: Who,
    q: Annotated[shapes.Ref, Query(description="Order, RMA, e-mail, SKU, serial, tracking, payment, document, case")],
) -> Page[CaseRow]:
    """The cases that any identifier means; the last changed 50."""
    async with the.pool.connection() as conn:
        rows = await case_queries.find(conn, q, list(the.accounts), channels=who.channels)
    return Page(items=rows)


@router.get("/cases/{case_id}", **needs("cases.read", also=[404]))
async def show_case(the: The, who: Who, case_id: CaseId) -> View:
    """Everything that is true of a case now."""
    return await view_of(the, who, case_id)


@router.get("/cases/{case_id}/timeline", **needs("cases.read", also=[404]))
async def timeline(the: The, who: Who, case_id: CaseId) -> Page[reading.Entry]:
    """What happened, what was decided and why, as the log has it."""
    await case_of(the, who, case_id)
    async with the.pool.connection() as conn:
        return Page(items=await reading.timeline(conn, case_id))


@router.get("/cases/{case_id}/beliefs", **needs("cases.read", also=[404]))
async def beliefs(the: The, who: Who, case_id: CaseId) -> Page[reading.Believed]:
    """What each outside system says of the case, since when, and what is on its way to it."""
    view = await view_of(the, who, case_id)
    async with the.pool.connection() as conn:
        effects = await effect_queries.of_owner(conn, case_id)
    return Page(items=reading.beliefs(view.beliefs, effects))


class LineWanted(Strict):
    line_ref: shapes.Ref
    quantity: shapes.Quantity
    reason: Annotated[str, shapes.OneOf(REASONS)] = "changed_mind"
    stated_condition: Literal["unopened", "opened", "used", "damaged", "unknown"] = "unopened"
    remedy: Literal["refund", "exchange", "store_credit", "replacement", "repair", "none"] = "refund"
    serials: list[shapes.Word] = Field(default_factory=list, max_length=100)
    part_sku: shapes.MaybeWord = ""
    replacement_sku: shapes.MaybeWord = ""
    replacement_unit_minor: shapes.AmountMinor = 0


class ReturnWanted(Strict):
    """Name the sale by `sale_ref` (ours: `<connection>:order:<their id>`) or by the order number that people read."""

    sale_ref: str = Field("", max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
    order_number: shapes.MaybeWord = ""
    lines: list[LineWanted] = Field(min_length=1, max_length=200)
    kind: Literal["return", "exchange", "warranty_claim", "delivery_claim"] = "return"
    zone: str = Field("UTC", max_length=6, pattern=r"^(UTC|[+-]\d\d:\d\d)$", description="Customer's offset: +02:00")


@router.post("/cases", status_code=202, **needs("cases.open", also=[404], post=True))
async def open_case(the: The, who: Who, body: ReturnWanted) -> Told:
    """Somebody asks to give something back. The decision follows within moments: read the case."""
    sale_ref = body.sale_ref or await _sale_by_number(the, who, body.order_number)
    _reachable(the, who, sale_ref)
    async with the.pool.connection() as conn:
        sale = (await sales.load(conn, [sale_ref])).get(sale_ref)
    if sale is not None:
        _fits(sale, body)
    act = who.act(the)
    return_ref = f"{CONSOLE}{act.name}:return:{make_id('rr', act.cause)}"
    lines = tuple(RequestedLine(**{**line.model_dump(), "serials": tuple(line.serials)}) for line in body.lines)
    asked = ReturnRequested(return_ref, sale_ref, lines, body.kind, zone=body.zone)
    return await tell(the, make_case_id(return_ref), act.fact(asked, return_ref))


class Why(Strict):
    reason: shapes.Reason


@router.post("/cases/{case_id}/cancel", status_code=202, **needs("cases.cancel", also=[404], post=True))
async def cancel_case(the: The, who: Who, case_id: CaseId, body: Why) -> Told:
    """The customer changed their mind. What is on its way or here already goes on (the goods axis wins)."""
    row = await case_of(the, who, case_id)
    if row["status"] in ("closed", "cancelled", "declined", "expired"):
        raise Problem("conflict", f"The case is {row['status']}: there is nothing left to cancel")
    act = who.act(the)
    return await tell(the, case_id, act.fact(ReturnCancelled(act.person, body.reason), f"case:{case_id}"))


class NoteText(Strict):
    text: shapes.Text


class NoteKept(Strict):
    case_id: str
    note_ref: str


@router.post("/cases/{case_id}/notes", status_code=201, **needs("cases.note", also=[404], post=True))
async def add_note(the: The, who: Who, case_id: CaseId, body: NoteText) -> NoteKept:
    """Write something down for the next person. Its text can be erased; that it was written stays in the log."""
    await case_of(the, who, case_id)
    await the.intake.pressure.check()
    async with the.pool.connection() as conn:
        return NoteKept(case_id=case_id, note_ref=await people.add_note(conn, case_id, body.text, who.act(the)))


async def view_of(the: Services, who: Caller, case_id: str) -> View:
    return decode(View, encode((await case_of(the, who, case_id))["view"]))


async def _sale_by_number(the: Services, who: Caller, number: str) -> str:
    if not number:
        raise invalid("body.sale_ref", "name the sale by sale_ref or by order_number")
    async with the.pool.connection() as conn:
        found = await case_queries.sales_of(conn, number)
    found = [ref for ref in found if who.channels is None or ref.partition(":")[0] in who.channels]
    if not found:
        raise not_found(f"No sale is known as {number}")
    if len(found) > 1:
        raise Problem("conflict", f"{number} is the number of several sales: send sale_ref, one of {', '.join(found)}")
    return found[0]


def _reachable(the: Services, who: Caller, sale_ref: str) -> None:
    channel = sale_ref.partition(":")[0]
    if channel not in the.accounts or (who.channels is not None and channel not in who.channels):
        raise not_found(f"No sale {sale_ref} is known")


def _fits(sale: Sale, body: ReturnWanted) -> None:
    """Raise Problem 422 where the sale as we know it cannot give this back. An unknown sale is read first."""
    wanted: dict[tuple[str, str], int] = {}
    for n, line in enumerate(body.lines):
        where = f"body.lines.{n}"
        sold = sale.line(line.line_ref)
        if sold is None or sold.component != "goods":
            refs = ", ".join(each.line_ref for each in sale.lines if each.component == "goods")
            raise invalid(f"{where}.line_ref", f"{line.line_ref} was not sold here; the lines are {refs}")
        if line.part_sku and line.part_sku not in {part.sku for part in sold.kit}:
            raise invalid(f"{where}.part_sku", f"{line.part_sku} is no part of {sold.sku}")
        pieces = next((part.quantity for part in sold.kit if part.sku == line.part_sku), 1) * sold.quantity
        key = (line.line_ref, line.part_sku)
        wanted[key] = wanted.get(key, 0) + line.quantity
        if wanted[key] > pieces:
            raise invalid(f"{where}.quantity", f"{wanted[key]} of {line.line_ref} are asked for and {pieces} were sold")
