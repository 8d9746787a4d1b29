"""Messages that come late, or not at all."""

from counterflow.sandbox.stage import Stage
from counterflow.sandbox.stories.acts import arrive, ask, inspect


async def late_warehouse(stage: Stage) -> None:
    """The dock is offline: receipt and inspection arrive in one burst, later, and stock and value are right."""
    bought = await stage.buy({"sku": "PLATE", "quantity": 1, "price": 1500})
    case = await ask(stage, "late_warehouse", bought, "PLATE")
    view = await stage.view(case)
    assert view is not None
    await stage.fault("wms", "lose_webhook", times=-1, match=view.rma_number)  # what the dock says of it is dropped
    receipt = await arrive(stage, case, {"sku": "PLATE", "quantity": 1})
    await inspect(stage, receipt, "A")
    view = await stage.reaches(case, "closed")
    assert view.paid_minor == 1500


async def lost_webhook(stage: Stage) -> None:
    """The provider's messages about a refund are lost: the sweep finds what they would have told."""
    bought = await stage.buy({"sku": "TEE", "quantity": 1, "price": 2000})
    case = await ask(stage, "lost_webhook", bought, "TEE")
    await stage.fault("psp", "lose_webhook", times=-1, match=bought.payment)
    await stage.act("psp", "refund_in_dashboard", payment_intent=bought.payment, amount_minor=2000)
    await stage.see(case, "the refund that no message told", lambda v: any(leg.origin == "psp" for leg in v.legs))
    receipt = await arrive(stage, case, {"sku": "TEE", "quantity": 1})
    await inspect(stage, receipt, "A")
    view = await stage.reaches(case, "closed")
    assert view.paid_minor == 2000
