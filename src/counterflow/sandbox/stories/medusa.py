"""A real Medusa as the shop: everything about it is found by sweeps, and it pays twice whatever is sent twice."""

from typing import Any

from counterflow.core.returns.case import View
from counterflow.sandbox.stage import Stage, Stuck, told
from counterflow.sandbox.stories.acts import come_back

TEE = {"sku": "TEE", "quantity": 1}


async def swept_return(stage: Stage) -> None:
    """Ordered and returned in Medusa; its answer to the refund is lost: looked up, not paid again, and booked."""
    sold = await _buy(stage)
    asked = [{**TEE, "reason": "does_not_fit"}]
    case = await _returned(stage, "swept_return", await stage.act("shop", "request_return", **_of(sold), lines=asked))
    await stage.fault("shop", "lost_reply", match=rf"^POST /admin/payments/{sold['payment']}/refund$")
    await come_back(stage, case, "TEE")
    view = await _closed(stage, case)
    assert view.paid_minor == 2000 and len(view.legs) == 1, view.legs
    await stage.looked_up(case, "PayLeg")
    assert await stage.outcomes(case, "AnswerReturn") == ["done"]


async def by_hand(stage: Stage) -> None:
    """An agent enters the return and refunds it in Medusa's admin: both are found, nothing is paid again."""
    sold = await _buy(stage)
    asked = [{**TEE, "reason": "changed_mind"}]
    case = await _returned(stage, "by_hand", await stage.act("shop", "agent_return", **_of(sold), lines=asked))
    await stage.act("shop", "refund_by_hand", payment=sold["payment"], amount=20)
    await stage.sweep("shop")
    await stage.see(case, "the refund by hand", lambda v: any(leg.origin == "channel" for leg in v.legs))
    await come_back(stage, case, "TEE")
    view = await _closed(stage, case)
    assert [leg.origin for leg in view.legs] == ["channel"], view.legs
    assert await stage.outcomes(case, "PayLeg") == []


async def agents_exchange(stage: Stage) -> None:
    """An agent exchanges in Medusa: the replacement is Medusa's own, linked, and followed to the door."""
    sold = await _buy(stage)
    out = [{"sku": "TEE-L", "quantity": 1, "price": 20}]
    asked = [{**TEE, "reason": "does_not_fit"}]
    made = await stage.act("shop", "exchange", **_of(sold), lines=asked, outbound=out)
    case = await _returned(stage, "agents_exchange", made)
    view = await _exchanged(stage, case, sold["order"])
    assert view.exchange is not None and view.exchange.replacement_ref == f"shop:exchange:{made['exchange']}", view


async def another_piece(stage: Stage) -> None:
    """The customer wants the same article again: a replacement order of its own, though its first answer was lost."""
    sold = await _buy(stage)
    asked = [{**TEE, "reason": "other_piece"}]
    case = await _returned(stage, "another_piece", await stage.act("shop", "request_return", **_of(sold), lines=asked))
    await stage.fault("shop", "lost_reply", match=r"^POST /admin/draft-orders/[^/]+/convert-to-order$")
    view = await _exchanged(stage, case, "")
    assert view.exchange is not None and view.exchange.replacement_ref.startswith("shop:order:"), view.exchange
    await stage.looked_up(case, "CreateReplacement")


# ---- what they have in common ----------------------------------------------------------------------------------------


async def _buy(stage: Stage) -> dict[str, Any]:
    """A T-shirt: ordered in the storefront and delivered, invoiced and paid in the ERP."""
    sold = await stage.act("shop", "order", lines=[TEE])
    await stage.act("shop", "fulfil", **_of(sold))
    await stage.act("shop", "deliver", **_of(sold))
    await stage.act(
        "odoo",
        "sell",
        order_ref=sold["number"],
        customer={"ref": sold["payment"], "name": "Kim Example", "email": "kim@example.com"},
        currency="EUR",
        lines=[{**TEE, "price": sold["total"], "discount": 0.0, "taxes": ["19% incl."]}],
        payments=[{"journal": "BNK1", "amount": sold["total"], "ref": sold["payment"]}],
    )
    return sold


def _of(sold: dict[str, Any]) -> dict[str, str]:
    return {"order": sold["order"]}


async def _returned(stage: Stage, story: str, made: dict[str, Any]) -> str:
    """The case of a return, once a sweep has found it and it waits for the goods."""
    await stage.sweep("shop")
    case = await stage.case_of(story, f"shop:return:{made['return']}")
    await stage.reaches(case, "awaiting_goods")
    return case


async def _exchanged(stage: Stage, case: str, order: str) -> View:
    """The goods come back, and the replacement goes out: by `order`, or by the order that was made for it."""
    await come_back(stage, case, "TEE")
    view = await stage.see(case, "a replacement", lambda v: v.exchange is not None and bool(v.exchange.replacement_ref))
    assert view.exchange is not None
    order = order or view.exchange.replacement_ref.rpartition(":")[2]
    await stage.act("shop", "fulfil", order=order)
    await stage.act("shop", "deliver", order=order)
    return await _closed(stage, case)


async def _closed(stage: Stage, case: str) -> View:
    """What Medusa did last is found by a sweep, too."""

    async def look() -> View | None:
        await stage.sweep("shop")
        view = await stage.view(case)
        return view if view is not None and view.status == "closed" else None

    try:
        return await stage.until(f"{case}: closed", look)
    except Stuck as stuck:
        raise Stuck(f"{stuck}; {told(await stage.view(case))}") from None
