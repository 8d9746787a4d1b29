"""A case in sentences."""

from pydantic import BaseModel

from counterflow.api.cases import view_of
from counterflow.api.route import The, Who, make_router, needs
from counterflow.api.shapes import CaseId
from counterflow.engine import reading

router = make_router("cases")


class Explanation(BaseModel):
    """In the order in which people ask: where it stands, what allowed it, the money, the books, what is open."""

    case_id: str
    sentences: list[str]


@router.get("/cases/{case_id}/explain", **needs("cases.read", also=[404]))
async def explain_case(the: The, who: Who, case_id: CaseId) -> Explanation:
    """What happened, who initiated the refund, which row allowed it, what the ERP posted, what it waits for."""
    view = await view_of(the, who, case_id)
    async with the.pool.connection() as conn:
        return Explanation(case_id=case_id, sentences=await reading.explained(conn, view))
