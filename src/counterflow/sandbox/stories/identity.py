"""Returns in which the goods are not what was announced; a person decides, and the case says what about."""

from counterflow.sandbox.stage import Stage
from counterflow.sandbox.stories.acts import arrive, ask, come_back, inspect


async def serial_mismatch(stage: Stage) -> None:
    """Another camera comes back than was sold: the refund is held until the right one is here."""
    bought = await stage.buy({"sku": "CAM", "quantity": 1, "price": 39900, "serial": "CAM-0001"})
    case = await ask(stage, "serial_mismatch", bought, "CAM")
    wrong = await arrive(stage, case, {"sku": "CAM", "quantity": 1, "serial": "CAM-9999"})
    await stage.raised(case, "serial_mismatch")
    view = await stage.view(case)
    assert view is not None and view.paid_minor == view.pending_minor == 0
    await stage.resolve(case, "serial_mismatch", "send_back", "sent back to the customer")
    del wrong
    await come_back(stage, case, "CAM", serial="CAM-0001")
    view = await stage.reaches(case, "closed")
    assert view.paid_minor == 39900


async def recalled_lot(stage: Stage) -> None:
    """A face cream of a recalled lot: locked away, refunded all the same, then destroyed by the quality team."""
    bought = await stage.buy({"sku": "CREAM", "quantity": 1, "price": 2500, "lot": "LOT-B"})
    case = await ask(stage, "recalled_lot", bought, "CREAM")
    receipt = await arrive(stage, case, {"sku": "CREAM", "quantity": 1, "lot": "LOT-B"})
    await stage.goods(case, "received")
    await inspect(stage, receipt, "A", "lot_recalled", lot="LOT-B")
    view = await stage.goods(case, "quarantined")
    await stage.see(case, "the refund", lambda v: v.paid_minor == 2500)
    units = [unit.unit_id for unit in view.units]
    await stage.post(
        f"/cases/{case}/dispositions", unit_ids=units, disposition="scrap", reason="the recall says to destroy"
    )
    view = await stage.reaches(case, "closed")
    assert [unit.disposition for unit in view.units] == ["scrap"]


async def blind_return(stage: Stage) -> None:
    """A parcel that nobody announced, with the order's number inside: received, attributed, judged, refunded."""
    bought = await stage.buy({"sku": "TEE", "quantity": 1, "price": 2000})
    receipt = await stage.act(
        "till-1", "receive", order_number=bought.number, lines=[{"sku": "TEE", "quantity": 1}], cashier="ada"
    )
    assert receipt
    case = await stage.case_of("blind_return", f"order:{bought.number}")
    await stage.goods(case, "received")
    await come_back(stage, case, "TEE")
    view = await stage.reaches(case, "closed")
    assert view.paid_minor == 2000


async def over_receipt(stage: Stage) -> None:
    """One was announced, two arrive: the second is kept safe for a person, the first is refunded."""
    bought = await stage.buy({"sku": "MUG", "quantity": 1, "price": 1000})
    case = await ask(stage, "over_receipt", bought, "MUG")
    receipt = await arrive(stage, case, {"sku": "MUG", "quantity": 2})
    await stage.raised(case, "over_receipt")
    await inspect(stage, receipt, "A", quantity=1)
    await stage.see(case, "the refund of one", lambda v: v.paid_minor == 1000)
    await stage.resolve(case, "over_receipt", "send_back", "offered back to the customer, who had bought it elsewhere")
    view = await stage.reaches(case, "closed")
    assert view.paid_minor == 1000


async def under_receipt(stage: Stage) -> None:
    """Two were announced, one arrives: it is paid at once, the other is searched for and found to be kept."""
    bought = await stage.buy({"sku": "MUG", "quantity": 2, "price": 1000})
    case = await ask(stage, "under_receipt", bought, "MUG", quantity=2)
    receipt = await arrive(stage, case, {"sku": "MUG", "quantity": 1}, complete=True)
    await inspect(stage, receipt, "A")
    await stage.see(case, "the refund of one", lambda v: v.paid_minor == 1000)
    await stage.post(f"/cases/{case}/missing", verdict="kept", reason="the customer found it at home and keeps it")
    view = await stage.reaches(case, "closed")
    assert view.paid_minor == 1000


async def two_channels(stage: Stage) -> None:
    """The same T-shirt is asked back in the portal and handed in at a till: one refund."""
    bought = await stage.buy({"sku": "TEE", "quantity": 1, "price": 2000})
    case = await ask(stage, "two_channels", bought, "TEE")
    await stage.act(
        "till-1", "receive", order_number=bought.number, lines=[{"sku": "TEE", "quantity": 1}], cashier="ada"
    )
    await stage.goods(case, "received")
    await come_back(stage, case, "TEE")
    view = await stage.reaches(case, "closed")
    assert view.paid_minor == 2000
