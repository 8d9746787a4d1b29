"""Returns that run as they should, from the portal to the bank line."""

from counterflow.sandbox.stage import Stage
from counterflow.sandbox.stories.acts import arrive, ask, come_back, inspect


async def omnichannel(stage: Stage) -> None:
    """Ordered online, handed in at a store, inspected in the warehouse, refunded, restocked, booked."""
    bought = await stage.buy({"sku": "TEE", "quantity": 1, "price": 2000})
    case = await ask(stage, "omnichannel", bought, "TEE")
    await _hand_in(stage, case, bought.number, "TEE")
    await come_back(stage, case, "TEE")
    view = await stage.reaches(case, "closed")
    assert view.paid_minor == 2000, view.paid_minor
    assert [unit.disposition for unit in view.units] == ["restock"], view.units


async def write_off(stage: Stage) -> None:
    """A mug that broke on its way: refunded in full, nothing deducted, written off in the ERP."""
    bought = await stage.buy({"sku": "MUG", "quantity": 1, "price": 1000})
    case = await ask(stage, "write_off", bought, "MUG", reason="DEFECTIVE")
    await _hand_in(stage, case, bought.number, "MUG")
    await come_back(stage, case, "MUG", "D")
    view = await stage.reaches(case, "closed")
    assert [unit.disposition for unit in view.units] == ["scrap"], view.units
    assert view.paid_minor == 1000, view.paid_minor


async def promotion(stage: Stage) -> None:
    """Three socks for the price of two, one comes back: the kept basket is priced again, nobody loses a cent."""
    bought = await stage.buy({"sku": "SOCKS", "quantity": 3, "price": 900, "discount": 900})
    case = await ask(stage, "promotion", bought, "SOCKS")
    await come_back(stage, case, "SOCKS")
    view = await stage.reaches(case, "closed")
    assert 0 <= view.paid_minor == view.entitled_minor <= 900, view.paid_minor


async def kit_component(stage: Stage) -> None:
    """The plate of a set comes back, the mug stays: the plate's share of the set's price is refunded."""
    parts = [{"sku": "MUG", "quantity": 1, "price": 960}, {"sku": "PLATE", "quantity": 1, "price": 1440}]
    bought = await stage.buy({"sku": "TABLEWARE", "quantity": 1, "price": 2400, "components": parts})
    case = await ask(stage, "kit_component", bought, "PLATE")
    await come_back(stage, case, "PLATE")
    view = await stage.reaches(case, "closed")
    assert view.paid_minor == 1440, view.paid_minor


async def deduction(stage: Stage) -> None:
    """A hoodie that was worn: grade C by use beyond testing, thirty per cent are kept, and the reason is on record."""
    bought = await stage.buy({"sku": "HOODIE", "quantity": 1, "price": 5000})
    case = await ask(stage, "deduction", bought, "HOODIE")
    await come_back(stage, case, "HOODIE", "C", "used_beyond_testing")
    view = await stage.reaches(case, "closed")
    assert view.paid_minor == 3500, view.paid_minor
    assert any(row.component == "value_loss" and row.amount_minor == -1500 for row in view.components)


async def split_tender(stage: Stage) -> None:
    """Paid with a gift card and a card: each gets back what is its own, and no gift-card money leaves as cash."""
    bought = await stage.buy(
        {"sku": "TEE", "quantity": 1, "price": 2000}, {"sku": "MUG", "quantity": 1, "price": 1000}, gift_card_minor=1500
    )
    case = await ask(stage, "split_tender", bought, "TEE", "MUG")
    receipt = await arrive(stage, case, {"sku": "TEE", "quantity": 1}, {"sku": "MUG", "quantity": 1})
    await inspect(stage, receipt, "A")
    await inspect(stage, receipt, "A", line_no=2)
    view = await stage.reaches(case, "closed")
    paid = {rail: sum(leg.amount_minor for leg in view.legs if leg.rail == rail) for rail in ("card", "gift_card")}
    assert paid == {"card": 1500, "gift_card": 1500}, view.legs


async def opened_in_the_shop(stage: Stage) -> None:
    """Asked for and handed in at a till: opened in the shop that sold it, closed there with the case."""
    bought = await stage.buy({"sku": "TEE", "quantity": 1, "price": 2000})
    wanted = [{"line_ref": bought.lines[0], "quantity": 1, "reason": "arrived_late"}]
    await stage.act("till-1", "request_return", order_number=bought.number, lines=wanted, cashier="ada")
    case = await stage.case_of("opened_in_the_shop", f"order:{bought.number}")
    await stage.reaches(case, "awaiting_goods")
    await _hand_in(stage, case, bought.number, "TEE")
    await come_back(stage, case, "TEE")
    view = await stage.reaches(case, "closed")
    assert view.paid_minor == 2000, view.paid_minor


async def _hand_in(stage: Stage, case: str, number: str, sku: str) -> None:
    view = await stage.view(case)
    assert view is not None
    await stage.act(
        "till-1",
        "receive",
        order_number=number,
        rma_number=view.rma_number,
        lines=[{"sku": sku, "quantity": 1}],
        cashier="ada",
    )
    await stage.goods(case, "received")
