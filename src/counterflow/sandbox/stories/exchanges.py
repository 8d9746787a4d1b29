"""Goods for goods: the original sale, the return, the replacement and the difference stay linked."""

from counterflow.core.returns.case import View
from counterflow.sandbox.stage import Stage
from counterflow.sandbox.stories.acts import come_back


async def exchange_even(stage: Stage) -> None:
    """Another size at the same price: nothing is paid either way."""
    view = await _exchange(stage, "exchange_even", "TEE", 2000, "TEE-L", 2000)
    assert view.exchange is not None and (view.exchange.offset_minor, view.paid_minor) == (2000, 0), view.exchange


async def exchange_down(stage: Stage) -> None:
    """Something cheaper: the difference goes back to the card."""
    view = await _exchange(stage, "exchange_down", "HOODIE", 5000, "TEE", 2000)
    assert view.paid_minor == 3000, view.paid_minor


async def exchange_up(stage: Stage) -> None:
    """Something dearer: it is sent once the customer has paid the difference."""
    view = await _exchange(stage, "exchange_up", "TEE", 2000, "HOODIE", 5000, pays=3000)
    assert view.exchange is not None and view.exchange.customer_pays_minor == 3000, view.exchange


async def replacement_out_of_stock(stage: Stage) -> None:
    """The replacement cannot be had: the whole entitlement goes back as money."""
    bought = await stage.buy({"sku": "TEE", "quantity": 1, "price": 2000})
    case = await _pick(stage, "replacement_out_of_stock", bought.number, "TEE", "TEE-L", 2000)
    await come_back(stage, case, "TEE")
    view = await stage.see(
        case, "a replacement order", lambda v: v.exchange is not None and bool(v.exchange.replacement_ref)
    )
    assert view.exchange is not None
    await stage.act("shop", "cancel_order", order=view.exchange.replacement_ref.rpartition(":")[2], reason="INVENTORY")
    view = await stage.reaches(case, "closed")
    assert view.paid_minor == 2000, view.paid_minor


async def _exchange(stage: Stage, story: str, sku: str, price: int, wanted: str, today: int, pays: int = 0) -> View:
    bought = await stage.buy({"sku": sku, "quantity": 1, "price": price})
    case = await _pick(stage, story, bought.number, sku, wanted, today)
    await come_back(stage, case, sku)
    if pays:
        await stage.see(
            case, "the difference", lambda v: v.exchange is not None and v.exchange.state == "awaiting_payment"
        )
        await stage.act("psp", "pay", amount_minor=pays, currency="eur", payment_intent=f"{bought.payment}_up")
        await stage.post(
            f"/cases/{case}/payments", payment_ref=f"{bought.payment}_up", amount_minor=pays, currency="EUR"
        )
    view = await stage.see(
        case, "a replacement order", lambda v: v.exchange is not None and bool(v.exchange.replacement_ref)
    )
    assert view.exchange is not None
    order = view.exchange.replacement_ref.rpartition(":")[2]
    await stage.act("shop", "fulfil", order=order, tracking={"company": "Post", "number": f"T{order}"})
    await stage.act("shop", "deliver", order=order)
    return await stage.reaches(case, "closed")


async def _pick(stage: Stage, story: str, number: str, sku: str, wanted: str, price: int) -> str:
    """Request a return and choose the replacement in the portal before anybody answers."""
    asked = await stage.act(
        "shop", "request_return", order=number, lines=[{"sku": sku, "quantity": 1, "reason": "SIZE_TOO_SMALL"}]
    )
    await stage.act(
        "shop",
        "customer_picks",
        **{"return": asked["id"]},
        remedy="exchange",
        sku=wanted,
        quantity=1,
        unit_price_minor=price,
    )
    case = await stage.case_of(story, f"order:{number}")
    return (
        await stage.see(
            case,
            "the exchange to be known",
            lambda v: v.status == "awaiting_goods" and all(line.remedy == "exchange" for line in v.lines),
        )
    ).case_id
