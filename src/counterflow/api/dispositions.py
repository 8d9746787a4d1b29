"""Dispositions: where each unit goes. A person may choose, and the warehouse says that it is done."""

from typing import Annotated

from pydantic import Field

from counterflow.api import shapes
from counterflow.api.cases import view_of
from counterflow.api.problems import invalid, not_found
from counterflow.api.reach import known_place, tell
from counterflow.api.receipts import About, happened, reach_case
from counterflow.api.route import The, Who, make_router, needs
from counterflow.api.shapes import CaseId, Page, Strict, Told
from counterflow.core.facts import DispositionChosen, DispositionExecuted
from counterflow.core.policy import TABLES
from counterflow.core.policy.vocabulary import Word
from counterflow.core.returns.case import UnitView

router = make_router("dispositions")

_answers = TABLES["disposition"]["disposition"]
assert isinstance(_answers, Word)
Disposition = Annotated[str, shapes.OneOf(map(str, _answers.words))]


@router.get("/cases/{case_id}/dispositions", **needs("goods.read", also=[404]))
async def list_dispositions(the: The, who: Who, case_id: CaseId) -> Page[UnitView]:
    """The units of a case: where each is, what was seen, where it goes and by which row."""
    return Page(items=list((await view_of(the, who, case_id)).units))


class Choice(Strict):
    unit_ids: Annotated[list[shapes.Ref], Field(min_length=1, max_length=200)]
    disposition: Disposition
    reason: shapes.Reason


@router.post("/cases/{case_id}/dispositions", status_code=202, **needs("goods.decide", also=[404], post=True))
async def choose_disposition(the: The, who: Who, case_id: CaseId, body: Choice) -> Told:
    """Override the policy's disposition for units, with a reason."""
    view = await view_of(the, who, case_id)
    known = {unit.unit_id for unit in view.units}
    if strange := [unit for unit in body.unit_ids if unit not in known]:
        raise invalid("body.unit_ids", f"{', '.join(strange)}: no such unit; the case has {', '.join(sorted(known))}")
    act = who.act(the)
    chosen = DispositionChosen(tuple(body.unit_ids), body.disposition, act.person, body.reason)
    return await tell(the, case_id, act.fact(chosen, f"case:{case_id}"))


class Execution(About):
    disposition: Disposition
    sku: shapes.Word
    quantity: shapes.Quantity = 1
    serial: shapes.MaybeWord = ""
    line_ref: shapes.MaybeWord = ""
    place: shapes.Word = Field(description="A configured place")
    undone: bool = Field(False, description="It was carried out before and has been undone")
    occurred_at: shapes.Instant | None = None


@router.post("/dispositions", status_code=202, **needs("goods.count", also=[404], post=True))
async def execute_disposition(the: The, who: Who, body: Execution) -> Told:
    """Tell that a disposition was carried out, or undone."""
    known_place(the, body.place)
    case_id = await reach_case(the, who, body)
    if not case_id:
        raise not_found("No case is known for this. Name its case_id, rma_number, tracking or order_number")
    act = who.act(the)
    done = DispositionExecuted(
        body.disposition, body.sku, body.quantity, body.serial, body.line_ref, body.place, body.undone
    )
    occurred_at = happened(body.occurred_at, act.at)
    return await tell(the, case_id, act.fact(done, f"case:{case_id}", occurred_at=occurred_at))
