"""MoveGoods: a disposition in stock. Transfers for what stays or is sent off, scrap orders for what is written off."""

from typing import Any

from counterflow.connectors.odoo import transfers
from counterflow.connectors.odoo.client import Document
from counterflow.connectors.odoo.original import kit_of, lot_ids
from counterflow.connectors.odoo.session import Odoo, done, names_of
from counterflow.connectors.odoo.turnstile import stock
from counterflow.core.effects import Effect, MoveGoods
from counterflow.sdk.outcomes import Done, Rejected

_SCRAP = ("name", "state", "date_done")


async def find(odoo: Odoo, effect: Effect) -> Done | None:
    command = effect.command
    assert isinstance(command, MoveGoods)
    if command.operation != "scrap_entry":
        return await transfers.find(odoo, effect.effect_id)
    ids = await _scraps(odoo, effect.effect_id)
    return await _scrapped(odoo, ids) if len(ids) >= len(command.items) else None


async def send(odoo: Odoo, effect: Effect) -> Done:
    command = effect.command
    assert isinstance(command, MoveGoods)
    if (already := await find(odoo, effect)) is not None:
        return already
    source = await odoo.names.location(command.place_from, command.location_from)
    target = await odoo.names.location(command.place_to, command.location_to)
    lines = await _lines(odoo, command, source)
    async with odoo.turnstile.alone(stock((line["product"] for line in lines), source, target)):
        try:
            await _need_stock(odoo, command, lines, source)
        except Rejected:
            if (already := await find(odoo, effect)) is None:
                raise
            return already  # another process was faster: they left by this very move
        if command.operation == "scrap_entry":
            result = await _scrap(odoo, effect.effect_id, command, lines, source, target)
        else:
            result = await _transfer(odoo, effect.effect_id, command, lines, source, target)
    if effect.because:
        model, id, *_ = result.ref.rpartition(":")[2].split(",")
        await odoo.say(model, int(id), f"{command.rma_number} for {command.order_number}: {effect.because}.")
    return result


async def _transfer(
    odoo: Odoo, key: str, command: MoveGoods, lines: list[dict[str, Any]], source: int, target: int
) -> Done:
    head: dict[str, Any] = {
        "picking_type_id/.id": await odoo.names.operation(
            command.place_from, "out" if command.operation == "outgoing" else "internal"
        ),
        "location_id/.id": source,
        "location_dest_id/.id": target,
        "origin": f"{command.rma_number} {command.disposition.replace('_', ' ')} {command.order_number}".strip(),
        "user_id/.id": None,
    }
    moves = [
        {
            "product_id/.id": line["product"],
            "product_uom_qty": f"{line['quantity']:g}",
            "location_id/.id": source,
            "location_dest_id/.id": target,
            **({"lot_ids/.id": [line["lot"]]} if line["lot"] else {}),
        }
        for line in lines
    ]
    if command.operation == "repair_order" and odoo.config.repair_orders:
        await _repairs(odoo, key, command, lines, target)
    return await transfers.carry_out(odoo, Document(key, head, "move_ids", moves))


async def _repairs(odoo: Odoo, key: str, command: MoveGoods, lines: list[dict[str, Any]], place: int) -> None:
    """A draft repair order for each line, for people to carry out; entered before the transfer whose end is ours."""
    documents = [
        Document(
            f"{key}_repair_{number}",
            {
                "product_id/.id": line["product"],
                "product_qty": f"{line['quantity']:g}",
                "lot_id/.id": line["lot"] or None,
                "product_location_src_id/.id": place,
                "product_location_dest_id/.id": place,
                "internal_notes": f"{command.rma_number} {command.disposition}",
            },
        )
        for number, line in enumerate(lines, start=1)
    ]
    await odoo.client.load("repair.order", documents)


async def _lines(odoo: Odoo, command: MoveGoods, source: int) -> list[dict[str, Any]]:
    """Product, quantity and lot per item; a kit is moved as the components that came back."""
    products = await odoo.names.products({item.sku for item in command.items})
    lots = await lot_ids(odoo, command.items)
    lines = []
    for item in command.items:
        product = products.get(item.sku)
        if product is None:
            raise Rejected(
                f"Odoo has no product {item.sku!r}: enter it, then retry", code="product_missing", field=item.sku
            )
        parts = await kit_of(odoo, product.id, item.quantity) or [(product.id, float(item.quantity))]
        lot = lots.get((product.id, item.serial or item.lot), 0)
        lines += [{"product": id, "quantity": quantity, "lot": lot, "sku": item.sku} for id, quantity in parts]
    return lines


async def _need_stock(odoo: Odoo, command: MoveGoods, lines: list[dict[str, Any]], source: int) -> None:
    """Odoo moves what is not there and leaves a negative quant: look first."""
    rows = await odoo.client.search(
        "stock.quant",
        [["location_id", "=", source], ["product_id", "in", sorted({line["product"] for line in lines})]],
        ["product_id", "lot_id", "quantity"],
    )
    wanted: dict[tuple[int, int], float] = {}
    skus = {}
    for line in lines:
        key = (line["product"], line["lot"])
        wanted[key] = wanted.get(key, 0.0) + line["quantity"]
        skus[key] = line["sku"]
    for (product, lot), quantity in wanted.items():
        held = sum(
            row["quantity"] for row in rows if row["product_id"] == product and (not lot or row["lot_id"] == lot)
        )
        if held < quantity:
            raise Rejected(
                f"{command.place_from}/{command.location_from} holds {held:g} x {skus[product, lot]} in Odoo and "
                f"{quantity:g} are to leave it: somebody moved them; move them back there, then retry, or discard this",
                code="no_stock",
                field=skus[product, lot],
            )


# ---- write-off -------------------------------------------------------------------------------------------------------


async def _scraps(odoo: Odoo, key: str) -> list[int]:
    """The scrap orders under a key: one per item, of a kit one per part. They were made together or not at all."""
    ids: list[int] = []
    while id := await odoo.client.find_key(_scrap_key(key, len(ids) + 1), "stock.scrap"):
        ids.append(id)
    return ids


def _scrap_key(key: str, number: int) -> str:
    return key if number == 1 else f"{key}_{number}"


async def _scrap(
    odoo: Odoo, key: str, command: MoveGoods, lines: list[dict[str, Any]], source: int, target: int
) -> Done:
    ids = await _scraps(odoo, key)
    if len(ids) < len(lines):
        documents = [
            Document(
                _scrap_key(key, number),
                {
                    "product_id/.id": line["product"],
                    "scrap_qty": f"{line['quantity']:g}",
                    "lot_id/.id": line["lot"] or None,
                    "location_id/.id": source,
                    "scrap_location_id/.id": target,
                    "origin": f"{command.rma_number} {command.disposition}",
                },
            )
            for number, line in enumerate(lines, start=1)
        ]
        ids += await odoo.client.load("stock.scrap", documents[len(ids) :])
    # Validating a scrap that is done scraps once more, and answers True: never without reading the state first.
    for row in await odoo.client.read("stock.scrap", ids, _SCRAP):
        if (
            row["state"] == "draft"
            and await odoo.client.do("stock.scrap", "action_validate", ids=[row["id"]]) is not True
        ):
            raise Rejected(
                f"Odoo cannot write off {row['name']}: {command.place_from}/{command.location_from} does not hold it "
                "any more; move it there, then retry",
                code="no_stock",
            )
    result = await _scrapped(odoo, ids)
    if result is None:
        raise Rejected("Odoo did not validate the scrap order: finish it there, then retry")
    return result


async def _scrapped(odoo: Odoo, ids: list[int]) -> Done | None:
    rows = await odoo.client.read("stock.scrap", ids, _SCRAP)
    if len(rows) != len(ids) or any(row["state"] != "done" for row in rows):
        return None
    day = str(rows[0]["date_done"])[:10]
    return done(odoo.ref("stock.scrap", *ids), name=names_of(rows), state="done", accounting_on=day)
