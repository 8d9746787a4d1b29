"""Goods that were announced and did not come: what the search found."""

from typing import Literal

from pydantic import Field

from counterflow.api import shapes
from counterflow.api.cases import view_of
from counterflow.api.problems import invalid
from counterflow.api.reach import tell
from counterflow.api.route import The, Who, make_router, needs
from counterflow.api.shapes import CaseId, Strict, Told
from counterflow.core.facts import MissingResolved

router = make_router("missing goods")


class Verdict(Strict):
    verdict: Literal["lost", "denied", "kept"] = Field(
        description="lost on its way; denied: the claim is refused with evidence; kept: the customer keeps it"
    )
    reason: shapes.Reason
    line_refs: list[shapes.Ref] = Field(default_factory=list, max_length=200, description="Empty: all that is missing")


@router.post("/cases/{case_id}/missing", status_code=202, **needs("goods.decide", also=[404], post=True))
async def resolve_missing(the: The, who: Who, case_id: CaseId, body: Verdict) -> Told:
    """Say what became of pieces that did not arrive. What has arrived is not touched."""
    view = await view_of(the, who, case_id)
    known = {line.line_ref for line in view.lines}
    if strange := [ref for ref in body.line_refs if ref not in known]:
        raise invalid("body.line_refs", f"{', '.join(strange)}: no such line; the case has {', '.join(sorted(known))}")
    act = who.act(the)
    found = MissingResolved(body.verdict, act.person, body.reason, tuple(body.line_refs))
    return await tell(the, case_id, act.fact(found, f"case:{case_id}"))
