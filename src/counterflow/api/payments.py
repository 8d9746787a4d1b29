"""Payments of customers: the difference of an exchange."""

from pydantic import Field

from counterflow.api import shapes
from counterflow.api.cases import view_of
from counterflow.api.problems import invalid
from counterflow.api.reach import tell
from counterflow.api.route import The, Who, make_router, needs
from counterflow.api.shapes import CaseId, Strict, Told
from counterflow.core.facts import CustomerPaid

router = make_router("payments")


class Payment(Strict):
    payment_ref: shapes.Ref = Field(description="The provider's id of the payment, so that it counts once")
    amount_minor: int = Field(gt=0, le=10**12, description="Minor units of the currency")
    currency: str = Field(pattern=r"^[A-Z]{3}$", max_length=3)
    tender: str = Field("card", pattern=r"^[a-z_]{2,20}$", max_length=20)


@router.post("/cases/{case_id}/payments", status_code=202, **needs("cases.decide", also=[404], post=True))
async def customer_paid(the: The, who: Who, case_id: CaseId, body: Payment) -> Told:
    """Note that the customer has paid what an exchange costs more, so that the replacement may be ordered."""
    view = await view_of(the, who, case_id)
    if view.currency and body.currency != view.currency:
        raise invalid("body.currency", f"is {body.currency}, the case is in {view.currency}: send what was paid in it")
    act = who.act(the)
    paid = CustomerPaid(body.payment_ref, body.amount_minor, body.currency, body.tender)
    return await tell(the, case_id, act.fact(paid, f"case:{case_id}"))
