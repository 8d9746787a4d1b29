"""Stock moves and their lines: reserved, done, valued."""

from typing import Any

from counterflow.connectors.odoo.simulator.accounting import stock_entry
from counterflow.connectors.odoo.simulator.errors import UserError, ValidationError
from counterflow.connectors.odoo.simulator.places import BYPASS, available, quant_key, shift, valued
from counterflow.connectors.odoo.simulator.products import interim, unit_cost
from counterflow.connectors.odoo.simulator.records import Env, Model, Rec, Vals

OPEN = ("draft", "waiting", "confirmed", "partially_available", "assigned")


def _move_name(rec: Rec) -> str:
    origin = rec.picking_id.raw("origin") if rec.picking_id else rec.raw("origin")
    code = rec.product_id.raw("default_code")
    return (
        (f"{origin}/" if origin else "")
        + (f"{code}: " if code else "")
        + (f"{rec.location_id.raw('name')}>{rec.location_dest_id.raw('name')}")
    )


def _reference(rec: Rec) -> str:
    own = rec.row.get("reference")
    return str(own or (rec.picking_id.raw("name") if rec.picking_id else "") or rec.scrap_id.raw("name") or "")


class Move(Model):
    name = "stock.move"
    order = "sequence, id"
    title = "Stock Move"
    labels = {"product_id": "Product", "location_id": "Source Location", "location_dest_id": "Intermediate Location"}
    defaults = {
        "state": "draft",
        "company_id": 1,
        "product_uom": 1,
        "product_uom_qty": 0.0,
        "procure_method": "make_to_stock",
        "date": lambda env: env.stamp,
        "to_refund": False,
        "picked": False,
        "sequence": 10,
    }
    computed = {
        "quantity": lambda rec: sum(line.quantity for line in rec.move_line_ids),
        "product_qty": lambda rec: rec.raw("product_uom_qty"),
        "lot_ids": lambda rec: sorted({line.lot_id.id for line in rec.move_line_ids} - {0}),
        "reference": _reference,
        "origin": lambda rec: rec.row.get("origin") or rec.picking_id.raw("origin"),
        "partner_id": lambda rec: rec.row.get("partner_id") or rec.picking_id.partner_id,
        "returned_move_ids": lambda rec: rec.env.having("stock.move", "origin_returned_move_id", rec.id),
        "move_dest_ids": lambda rec: rec.env.having("stock.move", "move_orig_ids", rec.id),
        "product_tmpl_id": lambda rec: rec.product_id.product_tmpl_id,
        "location_usage": lambda rec: rec.location_id.usage,
        "location_dest_usage": lambda rec: rec.location_dest_id.usage,
        "is_in": lambda rec: rec.raw("state") == "done" and _incoming(rec),
        "is_out": lambda rec: rec.raw("state") == "done" and _outgoing(rec),
        "picking_code": lambda rec: rec.picking_id.picking_type_id.code,
    }

    def display(self, rec: Rec) -> str:
        return _move_name(rec)

    def prepare(self, env: Env, vals: Vals) -> Vals:
        picking = env.rec("stock.picking", vals.get("picking_id"))
        for name in ("location_id", "location_dest_id", "picking_type_id"):
            if picking and not vals.get(name):
                vals[name] = picking.row.get(name)
        if env.db.release.major < 19 and not vals.get("name"):
            if env.entered:
                raise ValidationError("Missing required value for the field 'name' on a linked model [stock_move]")
            vals["name"] = env.display_name("product.product", int(vals.get("product_id") or 0))
        line = env.rec("sale.order.line", vals.get("sale_line_id"))
        if line and not _ids(vals.get("reference_ids")):
            # Without the delivery's reference Odoo makes a second one of the same name, shared within the picking.
            vals["reference_ids"] = [(6, 0, [_own_reference(env, picking, line).id])]
        return vals

    def created(self, rec: Rec, vals: Vals) -> None:
        lots = _ids(vals.get("lot_ids"))
        if lots and env_keeps_lots(rec):
            self._set_lots(rec, lots)
        elif vals.get("move_line_ids"):
            rec.set(state="waiting" if rec.row.get("move_orig_ids") else "confirmed")
        elif vals.get("quantity"):
            set_quantity(rec, float(vals["quantity"]))

    def before_write(self, rec: Rec, vals: Vals) -> Vals:
        if rec.raw("state") == "done" and {"product_uom_qty", "product_id"} & set(vals):
            raise UserError("You can not modify a done move: unlock the transfer first.")
        return vals

    def written(self, rec: Rec, vals: Vals) -> None:
        if "quantity" in vals:
            set_quantity(rec, float(vals["quantity"]))
        if lots := _ids(vals.get("lot_ids")):
            self._set_lots(rec, lots)
        if "picked" in vals:
            for line in rec.move_line_ids:
                line.set(picked=bool(vals["picked"]))

    def _set_lots(self, rec: Rec, lots: list[int]) -> None:
        kept = {line.lot_id.id for line in rec.move_line_ids}
        rec.env.unlink("stock.move.line", [line.id for line in rec.move_line_ids if line.lot_id.id not in lots])
        demand = rec.product_uom_qty
        for index, lot in enumerate(lot for lot in lots if lot not in kept):
            serial = rec.product_id.tracking == "serial"
            share = 1.0 if serial else demand if index == 0 else 0.0
            add_line(rec, share, rec.env.rec("stock.lot", lot))
        rec.set(state="assigned" if rec.quantity >= demand else "partially_available")


def env_keeps_lots(move: Rec) -> bool:
    """18 loses the lots that a new move is given, unless they are serials."""
    return move.env.db.release.major >= 19 or bool(move.product_id.tracking == "serial")


def _ids(value: Any) -> list[int]:
    """Ids out of x2many commands or a plain list."""
    ids: list[int] = []
    for item in value or []:
        ids.extend([item] if isinstance(item, int) else item[2] if item[0] == 6 else [item[1]])
    return ids


def _own_reference(env: Env, picking: Rec, line: Rec) -> Rec:
    order = line.order_id
    for sibling in picking.move_ids if picking else []:
        if sibling.sale_line_id.order_id == order and sibling.reference_ids:
            return sibling.reference_ids[0]  # type: ignore[no-any-return]
    return env.create("stock.reference", {"name": order.raw("name")})


def _incoming(move: Rec) -> bool:
    return valued(move.location_dest_id) and not valued(move.location_id)


def _outgoing(move: Rec) -> bool:
    return valued(move.location_id) and not valued(move.location_dest_id)


class MoveLine(Model):
    name = "stock.move.line"
    order = "result_package_id desc, id"
    defaults = {"company_id": 1, "product_uom_id": 1, "date": lambda env: env.stamp, "picked": False, "quantity": 0.0}
    computed = {
        "state": lambda rec: rec.move_id.state if rec.move_id else "draft",
        "reference": lambda rec: rec.move_id.reference,
        "tracking": lambda rec: rec.product_id.tracking,
    }

    def prepare(self, env: Env, vals: Vals) -> Vals:
        # A line given inside `move_ids` gets its move, but never the picking: in the UI it vanishes from the transfer.
        move = env.rec("stock.move", vals.get("move_id"))
        for name in ("product_id", "location_id", "location_dest_id"):
            if move and not vals.get(name):
                vals[name] = move.row.get(name)
        return vals

    def created(self, rec: Rec, vals: Vals) -> None:
        reserve(rec)
        if rec.raw("state") == "done":
            _settle(rec, +1)  # a line that is added to a done move is done at once

    def before_write(self, rec: Rec, vals: Vals) -> Vals:
        if rec.raw("state") == "done" and {"quantity", "lot_id", "location_id", "location_dest_id"} & set(vals):
            _settle(rec, -1)
            vals["_resettle"] = True
        return vals

    def written(self, rec: Rec, vals: Vals) -> None:
        if rec.row.get("_resettle"):
            rec.set(_resettle=None)
            _settle(rec, +1)
        reserve(rec)


def reserve(line: Rec) -> None:
    """Keep the key by which a quant finds the open lines that hold it."""
    row = line.row
    key = quant_key(row.get("product_id") or 0, row.get("location_id") or 0, row.get("lot_id") or 0)
    line.set(_open=key if line.state in OPEN else None)


def add_line(
    move: Rec, quantity: float, lot: Rec | None = None, location: Rec | None = None, lot_name: str | bool = False
) -> Rec:
    return move.env.create(
        "stock.move.line",
        {
            "move_id": move.id,
            "picking_id": move.picking_id.id or False,
            "quantity": quantity,
            "lot_id": lot.id or False if lot else False,
            "lot_name": lot_name,
            "location_id": (location or move.location_id).id,
        },
    )


def set_quantity(move: Rec, quantity: float) -> None:
    """`stock.move.quantity` is the sum of its lines; writing it grows or shrinks them, in stock or not."""
    lines = move.move_line_ids
    missing = quantity - sum(line.quantity for line in lines)
    if missing > 0 and not lines:
        assign(move, quantity)
        missing = quantity - move.quantity
    if missing > 0:
        plain = next((line for line in move.move_line_ids if not line.lot_id), None)
        if plain:
            plain.write(quantity=plain.quantity + missing)
        else:
            add_line(move, missing)
    for line in reversed(lines):
        cut = min(line.quantity, -missing) if missing < 0 else 0.0
        if cut:
            line.write(quantity=line.quantity - cut)
            missing += cut


def confirm(move: Rec) -> None:
    if move.state == "draft":
        move.set(state="confirmed")
        for line in move.move_line_ids:
            reserve(line)


def assign(move: Rec, wanted: float | None = None) -> None:
    """Reserve: from the delivery that is coming back, from nowhere (customers), or first in first out."""
    need = (move.product_uom_qty if wanted is None else wanted) - move.quantity
    if need > 0 and move.location_id.usage in BYPASS:
        for lot, quantity in _coming_back(move):
            take = min(need, quantity)
            if take > 0:
                add_line(move, take, lot, lot_name=lot.raw("name") if lot else False)
                need -= take
        if need > 0:
            add_line(move, need)
            need = 0.0
    elif need > 0:
        if not move.product_id.is_storable:
            add_line(move, need)
            need = 0.0
        for quant, offer in available(move.env, move.product_id, move.location_id) if need > 0 else []:
            serial = move.product_id.tracking == "serial"
            take = min(need, offer, 1.0 if serial else offer)
            if take > 0:
                add_line(move, take, quant.lot_id, quant.location_id)
                need -= take
    if move.state not in ("done", "cancel"):
        done_so_far = move.quantity
        full = done_so_far >= move.product_uom_qty
        move.set(state="assigned" if full else "partially_available" if done_so_far else "confirmed")


def _coming_back(move: Rec) -> list[tuple[Rec, float]]:
    """(lot, quantity) of the original delivery that is not back yet."""
    left: dict[Rec, float] = {}
    for origin in move.move_orig_ids:
        for line in origin.move_line_ids:
            left[line.lot_id] = left.get(line.lot_id, 0.0) + line.quantity
        for returned in origin.returned_move_ids:
            if returned.state == "done":
                for line in returned.move_line_ids:
                    left[line.lot_id] = left.get(line.lot_id, 0.0) - line.quantity
    return [(lot, quantity) for lot, quantity in left.items() if quantity > 0]


def finish(moves: list[Rec]) -> None:
    """Do the moves: values are fixed, quants change line by line, a location with a valuation account posts."""
    for move in moves:
        for line in move.move_line_ids:
            if not line.quantity:
                move.env.unlink("stock.move.line", [line.id])
            elif line.product_id.tracking != "none" and not line.lot_id and line.product_id.is_storable:
                _lot_of(line)
        quantity, unit = move.quantity, _unit_value(move)
        if _incoming(move) and quantity:
            _average_in(move.product_id, quantity, unit)
        value = round(unit * quantity, 2) if _incoming(move) or _outgoing(move) else 0.0
        now = move.env.stamp
        move.set(state="done", value=value, date=now, picked=True, price_unit=unit if _incoming(move) else 0.0)
    for line in sorted((line for move in moves for line in move.move_line_ids), key=lambda line: line.id):
        line.set(picked=True, date=line.env.stamp)
        reserve(line)
        _settle(line, +1)
    for line in {move.sale_line_id for move in moves if move.sale_line_id}:
        line.touch()
        line.order_id.touch()
    for move in moves:
        outside = move.location_dest_id if _outgoing(move) else move.location_id
        account = outside.valuation_account_id
        older = move.env.db.release.major < 19
        if older and not account:  # every move posts there, against an interim account
            account = interim(move.product_id.categ_id, "output" if outside.usage == "customer" else "input")
        if move.value and account and move.product_id.categ_id.property_valuation == "real_time":
            value = move.value if _outgoing(move) else -move.value
            move.set(account_move_id=stock_entry(move, account, value).id)
        if older and move.value:
            _layer(move)


def _layer(move: Rec) -> None:
    """What 18 keeps of a valued move."""
    sign = -1 if _outgoing(move) else 1
    row = {"product_id": move.product_id.id, "quantity": sign * move.quantity, "value": sign * move.value}
    entry = {"stock_move_id": move.id, "account_move_id": move.account_move_id.id or False}
    move.env.create("stock.valuation.layer", {**row, **entry, "unit_cost": move.value / move.quantity})


class Layer(Model):
    name = "stock.valuation.layer"
    defaults = {"company_id": 1}


def _lot_of(line: Rec) -> None:
    product = line.product_id
    if not line.lot_name:
        label = line.env.display_name("product.product", product.id)
        raise UserError(f"You need to supply a Lot/Serial Number for product:\n{label}")
    lot = line.env.one("stock.lot", name=line.lot_name, product_id=product.id)
    lot = lot or line.env.create("stock.lot", {"name": line.lot_name, "product_id": product.id})
    line.set(lot_id=lot.id)


def _settle(line: Rec, sign: int) -> None:
    env = line.env
    shift(env, line.product_id, line.location_id, line.lot_id, -sign * line.quantity)
    shift(env, line.product_id, line.location_dest_id, line.lot_id, sign * line.quantity)


def _unit_value(move: Rec) -> float:
    origin = move.origin_returned_move_id
    if origin and origin.state == "done" and origin.quantity:
        return float(origin.value / origin.quantity)
    return unit_cost(move.product_id)


def _average_in(product: Rec, quantity: float, unit: float) -> None:
    if product.categ_id.property_cost_method != "average":
        return
    if product.row.get("_cost_set") == product.env.stamp and product.env.db.release.major >= 19:
        return  # 19 counts from the second of a new cost on: what came in within it is held at that cost
    held = sum(
        quant.quantity for quant in product.env.find("stock.quant", product_id=product.id) if valued(quant.location_id)
    )
    average = (held * product.standard_price + quantity * unit) / (held + quantity) if held > 0 else unit
    product.set(standard_price=round(average, 6))


MODELS: list[type[Model]] = [Move, MoveLine, Layer]
