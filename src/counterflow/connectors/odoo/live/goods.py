"""Goods: what comes back, where it goes, and what it is worth there."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from counterflow.connectors.odoo.live.point import point, same, total
from counterflow.connectors.odoo.live.proof import Proof
from counterflow.core.effects import ReceiveGoods
from counterflow.sdk.outcomes import Done

OUT, BACK = "customers", "returns"


@point("goods")
async def all_of_it_comes_back(at: Proof) -> None:
    """The whole quantity, linked with the delivery both ways, with one line in the chatter that says why"""
    sale = await at.sale(("MUG", 3))
    async with at.leaves(at.goods("MUG", 3, OUT, BACK)):
        got = await at.done(at.receive(sale, at.item("MUG", 3)))
    fields = ("origin", "return_id", "state", "picking_type_id", "location_dest_id", "move_ids", "user_id")
    picking = await at.document(got, "stock.picking", *fields)
    same(picking["return_id"], sale.deliveries[0], "the transfer returns")
    same(picking["state"], "done", "it is")
    same(picking["origin"], f"Return of {sale.name} [{sale.rma}]", "its origin is")
    delivery = await at.person.row("stock.picking", sale.deliveries[0], "return_ids")
    same(delivery["return_ids"], [picking["id"]], "the delivery's returns are")
    order = await at.person.row("sale.order", sale.order, "picking_ids")
    same(sorted(order["picking_ids"]), sorted([*sale.deliveries, picking["id"]]), "the order's transfers are")
    [move] = await at.person.rows(
        "stock.move", [["picking_id", "=", picking["id"]]], "to_refund", "origin_returned_move_id"
    )
    same((move["to_refund"], bool(move["origin_returned_move_id"])), (True, True), "to_refund, and the delivery's move")
    same(await at.lines_of(sale), [(3, 0, 3)], "ordered, delivered, invoiced are")
    same(await at.said("stock.picking", picking["id"], sale.rma), 1, "lines in its chatter that name the return:")


@point("goods")
async def valued_at_its_own_cost(at: Proof) -> str:
    """Valued at the cost at which it left, although the cost has changed since"""
    sale = await at.sale(("OLD", 2))
    held = (await at.state())["OLD in sellable"]
    await at.person.write("product.product", at.company.products["OLD"], standard_price=5.00)
    await asyncio.sleep(1.1)  # 19 counts what came in within the second of a new cost as held before it
    async with at.leaves(at.goods("OLD", 1, OUT, BACK, cost=4_00)):
        await at.done(at.receive(sale, at.item("OLD")))
    async with at.leaves(at.goods("OLD", 1, OUT, BACK, cost=4_00)):
        await at.done(at.receive(sale, at.item("OLD")))
    await at.person.write("product.product", at.company.products["OLD"], standard_price=4.00)
    return f"2 x 4.00 into {held} x 5.00"


@point("goods")
async def in_parts(at: Proof) -> None:
    """One of three, then the others: nothing is left open in between"""
    sale = await at.sale(("MUG", 3))
    async with at.leaves(at.goods("MUG", 1, OUT, BACK)):
        await at.done(at.receive(sale, at.item("MUG", 1)))
    same(await at.lines_of(sale), [(3, 2, 3)], "ordered, delivered, invoiced are")
    async with at.leaves(at.goods("MUG", 2, OUT, BACK)):
        await at.done(at.receive(sale, at.item("MUG", 2)))
    same(await at.lines_of(sale), [(3, 0, 3)], "ordered, delivered, invoiced are")


@point("goods")
async def more_than_left(at: Proof) -> None:
    """More than was delivered is refused, and nothing of it is booked"""
    sale = await at.sale(("MUG", 2))
    async with at.leaves({}):
        await at.rejected(at.receive(sale, at.item("MUG", 3)), "over_return")


@point("goods")
async def what_was_not_sold(at: Proof) -> None:
    """A piece too many, or another thing, is received without a link to the sale"""
    sale = await at.sale(("MUG", 1))
    async with at.leaves(at.goods("TEE", 1, OUT, BACK)):
        await at.done(at.receive(sale, at.item("TEE", 1, line="")))
    same(await at.lines_of(sale), [(1, 1, 1)], "ordered, delivered, invoiced are")


@point("goods")
async def at_another_warehouse(at: Proof) -> None:
    """Shipped from the warehouse, handed in at the store: the store's receipt, into the store's returns"""
    sale = await at.sale(("MUG", 1))
    async with at.leaves(at.goods("MUG", 1, OUT, "store_returns")):
        got = await at.done(at.receive(sale, at.item("MUG"), place="store-1"))
    picking = await at.document(got, "stock.picking", "picking_type_id", "return_id")
    kind = await at.person.row("stock.picking.type", picking["picking_type_id"], "warehouse_id", "code")
    same((kind["warehouse_id"], kind["code"]), (at.company.warehouses["store-1"], "incoming"), "the operation is")
    same(picking["return_id"], sale.deliveries[0], "the transfer returns")
    async with at.leaves(at.goods("MUG", 1, "store_returns", "sellable")):
        await at.done(at.move(sale, at.item("MUG"), source=("store-1", "returns")))


@point("goods")
async def counted_meanwhile(at: Proof) -> None:
    """Told late, and counted between: booked as ever, and the count is told, one that found all as expected, too"""
    sale = await at.sale(("MUG", 2))
    held = (await at.state()).get("MUG in returns", 0)
    place, came = at.company.places["returns"], datetime.now(UTC) - timedelta(hours=2)
    await at.person.count(at.company.products["MUG"], place, held)
    async with at.leaves(at.goods("MUG", 1, OUT, BACK)):
        late = await at.done(at.receive(sale, at.item("MUG"), at=came))
    same("counted" in dict(late.values), True, "that it was counted is told:")
    await asyncio.sleep(1.1)  # Odoo tells whole seconds
    elsewhere = (await at.state())["MUG in sellable"]
    await at.person.count(at.company.products["MUG"], at.company.places["sellable"], elsewhere)
    second = at.receive(sale, at.item("MUG"), at=came)
    async with at.leaves(at.goods("MUG", 1, OUT, BACK)):
        await at.done(second)
    found = await at.connector.find(second)
    same(isinstance(found, Done) and dict(found.values)["counted"], dict(late.values)["counted"], "its last count was")
    await asyncio.sleep(1.1)
    await at.person.count(at.company.products["MUG"], place, held + 2)
    same(await at.connector.find(second), found, "after a count that came later it is")


@point("goods")
async def restocked(at: Proof) -> None:
    """Back on sale: an internal transfer, no value and no entry"""
    sale = await at.sale(("MUG", 2))
    await at.done(at.receive(sale, at.item("MUG", 2)))
    async with at.leaves(at.goods("MUG", 2, BACK, "sellable")):
        moved = await at.done(at.move(sale, at.item("MUG", 2)))
    picking = await at.document(moved, "stock.picking", "origin", "state")
    same((sale.rma in picking["origin"], picking["state"]), (True, "done"), "the transfer names the return, and is")
    same(await at.said("stock.picking", picking["id"], "policy row 7"), 1, "lines in its chatter that say why:")


@point("goods")
async def quarantined_and_back(at: Proof) -> None:
    """Into quarantine, and out of it again when the decision is undone"""
    sale = await at.sale(("MUG", 1))
    await at.done(at.receive(sale, at.item("MUG")))
    async with at.leaves(at.goods("MUG", 1, BACK, "quarantine")):
        first = at.move(sale, at.item("MUG"), disposition="quarantine", to="quarantine")
        await at.done(first)
    async with at.leaves(at.goods("MUG", 1, "quarantine", BACK)):
        await at.done(at.move(sale, at.item("MUG"), disposition="", to="returns", source=("wh-1", "quarantine")))


@point("goods")
async def refurbished(at: Proof) -> None:
    """To the workbench with a repair order, which a person carries out; then back on sale"""
    sale = await at.sale(("MUG", 1))
    await at.done(at.receive(sale, at.item("MUG")))
    with_order = total(at.goods("MUG", 1, BACK, "refurbish"), {"open repair.order": 1})
    async with at.leaves(with_order):
        effect = at.move(sale, at.item("MUG"), disposition="refurbish", operation="repair_order", to="refurbishment")
        await at.done(effect)
    domain = [["product_id", "=", at.company.products["MUG"]], ["state", "=", "draft"]]
    [repair] = await at.person.rows("repair.order", domain, "internal_notes", "product_qty", "partner_id")
    same((sale.rma in repair["internal_notes"], repair["product_qty"]), (True, 1), "it names the return, pieces")
    async with at.leaves({"open repair.order": -1}):
        for step in ("action_validate", "action_repair_start", "action_repair_end"):
            await at.person.call("repair.order", step, [repair["id"]])
    async with at.leaves(at.goods("MUG", 1, "refurbish", "sellable")):
        await at.done(at.move(sale, at.item("MUG"), source=("wh-1", "refurbishment")))


@point("goods")
async def written_off(at: Proof) -> None:
    """Scrapped: a scrap order with its loss, once however often it is sent"""
    sale = await at.sale(("MUG", 2))
    await at.done(at.receive(sale, at.item("MUG", 2)))
    effect = at.move(sale, at.item("MUG", 2), disposition="scrap", operation="scrap_entry", to="scrap")
    async with at.leaves(at.goods("MUG", 2, BACK, "scrap")):
        first = await at.done(effect)
        same(await at.done(effect), first, "sent again it gives")
    scrap = await at.document(first, "stock.scrap", "origin", "state")
    same((sale.rma in scrap["origin"], scrap["state"]), (True, "done"), "the scrap order names the return, and is")
    same(await at.said("stock.scrap", scrap["id"], "policy row 7"), 1, "lines in its chatter that say why:")


@point("goods")
async def to_the_vendor(at: Proof) -> None:
    """Returned to the vendor: a delivery out of our stock, with its value"""
    sale = await at.sale(("MUG", 1))
    await at.done(at.receive(sale, at.item("MUG")))
    async with at.leaves(at.goods("MUG", 1, BACK, "vendor")):
        effect = at.move(sale, at.item("MUG"), disposition="return_to_vendor", operation="outgoing", to="vendor")
        gone = await at.done(effect)
    picking = await at.document(gone, "stock.picking", "picking_type_id")
    kind = await at.person.row("stock.picking.type", picking["picking_type_id"], "code")
    same(kind["code"], "outgoing", "the operation is")


@point("goods")
async def what_is_not_there(at: Proof) -> None:
    """Nothing is moved or written off that its place does not hold"""
    sale = await at.sale(("MUG", 1))
    async with at.leaves({}):
        source = ("wh-1", "refurbishment")
        await at.rejected(at.move(sale, at.item("MUG"), source=source), "no_stock")
        effect = at.move(sale, at.item("MUG"), disposition="scrap", operation="scrap_entry", to="scrap", source=source)
        await at.rejected(effect, "no_stock")
    left = await at.person.rows("stock.scrap", [["origin", "like", f"{sale.rma} %"]], "state")
    same([row["state"] for row in left if row["state"] != "draft"], [], "scrap orders left are")


@point("goods")
async def its_own_serial(at: Proof) -> None:
    """A serial comes back as itself, and is found at its place"""
    one, two = at.serials.pop(0), at.serials.pop(0)
    sale = await at.sale(("CAM", 2), lots=(one, two))
    async with at.leaves(at.goods("CAM", 1, OUT, BACK)):
        await at.done(at.receive(sale, at.item("CAM", serial=two)))
    same(await _where(at, two), ["returns"], f"{two} is at")
    same(await _where(at, one), ["customers"], f"{one} is at")
    async with at.leaves(at.goods("CAM", 1, BACK, "sellable")):
        await at.done(at.move(sale, at.item("CAM", serial=two)))
    same(await _where(at, two), ["sellable"], f"{two} is at")


@point("goods")
async def another_serial(at: Proof) -> None:
    """Another serial than the delivery says: the record changes places, no piece is at two places"""
    noted, real = at.serials.pop(0), at.serials.pop(0)
    sale = await at.sale(("CAM", 1), lots=(noted,))
    item = replace(at.item("CAM", serial=real), lot_sold=at.company.lot(noted))
    async with at.leaves(at.goods("CAM", 1, OUT, BACK)):
        await at.done(at.receive(sale, item))
    same(await _where(at, real), ["returns"], f"{real} is at")
    same(await _where(at, noted), ["sellable"], f"{noted} is at")


@point("goods")
async def an_unknown_serial(at: Proof) -> None:
    """A serial that Odoo does not know is refused with its name"""
    serial = at.serials.pop(0)
    sale = await at.sale(("CAM", 1), lots=(serial,))
    async with at.leaves({}):
        item = replace(at.item("CAM"), serial="nobody's")
        await at.rejected(at.receive(sale, item), "lot_missing")


@point("goods")
async def its_own_lot(at: Proof) -> None:
    """Pieces of a lot come back into that lot"""
    sale = await at.sale(("CREAM", 2), lots=("LOT-B",))
    async with at.leaves(at.goods("CREAM", 1, OUT, BACK)):
        got = await at.done(at.receive(sale, at.item("CREAM", lot="LOT-B")))
    same(await _lots(at, got), [at.company.lot("LOT-B")], "the lots of the receipt are")


@point("goods")
async def another_lot(at: Proof) -> None:
    """Another lot than the delivery says: a swap on record, the quantities of both lots stay true"""
    sale = await at.sale(("CREAM", 3), lots=("LOT-A",))
    before = {lot: await _held(at, lot) for lot in ("LOT-A", "LOT-B")}
    item = replace(at.item("CREAM", lot="LOT-B"), lot_sold=at.company.lot("LOT-A"))
    for _ in range(2):
        async with at.leaves(at.goods("CREAM", 1, OUT, BACK)):
            got = await at.done(at.receive(sale, item))
        same(await _lots(at, got), [at.company.lot("LOT-B")], "the lots of the receipt are")
    after = {lot: await _held(at, lot) for lot in ("LOT-A", "LOT-B")}
    same((after["LOT-A"] - before["LOT-A"], after["LOT-B"] - before["LOT-B"]), (2, 0), "pieces of A and B in our hands")


@point("goods")
async def a_kit(at: Proof) -> None:
    """A kit comes back as its parts and goes on sale again as them"""
    sale = await at.sale(("KIT", 2))
    async with at.leaves(at.goods("PART-A", 2, OUT, BACK), at.goods("PART-B", 1, OUT, BACK)):
        await at.done(at.receive(sale, at.item("KIT")))
    same(await at.lines_of(sale), [(2, 1, 2)], "ordered, delivered, invoiced are")
    async with at.leaves(at.goods("PART-A", 2, BACK, "sellable"), at.goods("PART-B", 1, BACK, "sellable")):
        await at.done(at.move(sale, at.item("KIT")))


@point("goods")
async def a_kit_in_parts(at: Proof) -> None:
    """One part of a kit: its quantity delivered drops only when a whole set is back"""
    sale = await at.sale(("KIT", 1))
    async with at.leaves(at.goods("PART-B", 1, OUT, BACK)):
        await at.done(at.receive(sale, at.item("PART-B")))
    async with at.leaves(at.goods("PART-A", 2, OUT, BACK)):
        await at.done(at.receive(sale, at.item("PART-A", 2)))
    same(await at.lines_of(sale), [(1, 0, 1)], "ordered, delivered, invoiced are")


@point("goods")
async def a_kit_written_off(at: Proof) -> None:
    """A kit written off whole: a scrap order for each part"""
    sale = await at.sale(("KIT", 1))
    await at.done(at.receive(sale, at.item("KIT")))
    effect = at.move(sale, at.item("KIT"), disposition="scrap", operation="scrap_entry", to="scrap")
    async with at.leaves(at.goods("PART-A", 2, BACK, "scrap"), at.goods("PART-B", 1, BACK, "scrap")):
        first = await at.done(effect)
        same(await at.done(effect), first, "sent again it gives")
        same(await at.connector.find(effect), first, "looked up it is")
    same(len(await at.ids(first, "stock.scrap")), 2, "scrap orders")


@point("goods")
async def every_verb_again(at: Proof) -> None:
    """What is done is found, and sent again it changes nothing"""
    sale = await at.sale(("MUG", 1))
    for effect in (at.receive(sale, at.item("MUG")), at.move(sale, at.item("MUG"))):
        same(await at.connector.find(effect), None, "before it is sent there is")
        first = await at.done(effect)
        async with at.leaves({}):
            same((await at.done(effect)).ref, first.ref, "sent again it gives")
            found = await at.connector.find(effect)
            same(isinstance(found, Done) and found.ref, first.ref, "looked up it is")


@point("goods")
async def a_sale_that_is_not_there(at: Proof) -> None:
    """Without a sale order, or with two, it says which reference to correct"""
    sale = await at.sale(("MUG", 1))
    effect = at.receive(sale, at.item("MUG"))
    assert isinstance(effect.command, ReceiveGoods)
    async with at.leaves({}):
        await at.rejected(replace(effect, command=replace(effect.command, order_number="#nobody")), "order_missing")
    twin = await at.sale(("MUG", 1))
    await at.person.write("sale.order", twin.order, client_order_ref=sale.number)
    async with at.leaves({}):
        await at.rejected(effect, "order_twice")
    await at.person.write("sale.order", twin.order, client_order_ref=twin.number)


async def _where(at: Proof, serial: str) -> list[str]:
    """The places that hold a serial, by their roles."""
    places = {id: role for role, id in at.company.places.items()}
    quants = await at.person.rows(
        "stock.quant", [["lot_id", "=", at.company.lots[serial]], ["quantity", ">", 0]], "location_id"
    )
    return sorted(places.get(quant["location_id"], "?") for quant in quants)


async def _held(at: Proof, lot: str) -> int:
    """Pieces of a lot in our own places."""
    domain = [["lot_id", "=", at.company.lots[lot]], ["location_id.usage", "=", "internal"]]
    return sum(round(row["quantity"]) for row in await at.person.rows("stock.quant", domain, "quantity"))


async def _lots(at: Proof, got: Done) -> list[str]:
    [picking] = await at.ids(got, "stock.picking")
    rows = await at.person.rows("stock.move.line", [["picking_id", "=", picking]], "lot_id")
    return [(await at.person.row("stock.lot", row["lot_id"], "name"))["name"] for row in rows]
