"""Return lines: what a case asks back, and a person's decision on what the policy left open."""

from typing import Literal

from pydantic import Field

from counterflow.api import shapes
from counterflow.api.cases import view_of
from counterflow.api.problems import Problem, invalid
from counterflow.api.reach import tell
from counterflow.api.route import The, Who, make_router, needs
from counterflow.api.shapes import CaseId, Page, Strict, Told
from counterflow.core.facts import AuthorisationGiven
from counterflow.core.returns.case import LineView

router = make_router("lines")


@router.get("/cases/{case_id}/lines", **needs("goods.read", also=[404]))
async def list_lines(the: The, who: Who, case_id: CaseId) -> Page[LineView]:
    """The lines of a case with their answer and the state of their money."""
    return Page(items=list((await view_of(the, who, case_id)).lines))


class Authorisation(Strict):
    decision: Literal["approve", "decline"]
    reason: shapes.Reason
    line_refs: list[shapes.Ref] = Field(default_factory=list, max_length=200, description="Empty: all lines")


@router.post("/cases/{case_id}/lines/authorisations", status_code=202, **needs("cases.decide", also=[404], post=True))
async def authorise_lines(the: The, who: Who, case_id: CaseId, body: Authorisation) -> Told:
    """Approve or decline lines by hand; it overrides the policy's answer and says why."""
    view = await view_of(the, who, case_id)
    known = {line.line_ref for line in view.lines}
    if strange := [ref for ref in body.line_refs if ref not in known]:
        raise invalid("body.line_refs", f"{', '.join(strange)}: no such line; the case has {', '.join(sorted(known))}")
    if view.status in ("closed", "cancelled"):
        raise Problem("conflict", f"The case is {view.status}: there is nothing left to decide")
    act = who.act(the)
    given = AuthorisationGiven(body.decision, act.person, body.reason, tuple(body.line_refs))
    return await tell(the, case_id, act.fact(given, f"case:{case_id}"))
