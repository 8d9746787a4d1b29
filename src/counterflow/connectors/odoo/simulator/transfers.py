"""Transfers (stock.picking), the return wizard and repairs."""

from typing import Any

from counterflow.connectors.odoo.simulator.base import note
from counterflow.connectors.odoo.simulator.errors import UserError, ValidationError
from counterflow.connectors.odoo.simulator.moves import add_line, assign, confirm, finish, set_quantity
from counterflow.connectors.odoo.simulator.records import Env, Model, Rec, Vals, method

_OPEN = ("draft", "waiting", "confirmed", "partially_available", "assigned")


def _state(rec: Rec) -> str:
    states = [move.state for move in rec.move_ids]
    if not states:
        return "cancel" if rec.row.get("_cancelled") else "draft"
    live = [state for state in states if state != "cancel"]
    if not live:
        return "cancel"
    if "draft" in live:
        return "draft"
    if all(state == "done" for state in live):
        return "done"
    waiting = [state for state in live if state != "done"]
    if all(state in ("assigned", "partially_available") for state in waiting):
        return "assigned"
    return "waiting" if all(state == "waiting" for state in waiting) else "confirmed"


def _sale(rec: Rec) -> Rec:
    orders = [move.sale_line_id.order_id for move in rec.move_ids if move.sale_line_id]
    return orders[0] if orders else rec.env.rec("sale.order", rec.row.get("sale_id"))


class Picking(Model):
    name = "stock.picking"
    order = "priority desc, scheduled_date, id desc"
    title = "Transfer"
    labels = {
        "location_id": "Source Location",
        "location_dest_id": "Destination Location",
        "picking_type_id": "Operation Type",
    }
    defaults = {
        "company_id": 1,
        "priority": "0",
        "user_id": lambda env: env.uid,
        "scheduled_date": lambda env: env.stamp,
        "is_locked": True,
    }
    computed = {
        "state": _state,
        "sale_id": _sale,
        "move_line_ids": lambda rec: rec.env.having("stock.move.line", "picking_id", rec.id),
        "reference_ids": lambda rec: list(
            dict.fromkeys(reference.id for move in rec.move_ids for reference in move.reference_ids)
        ),
        "picking_type_code": lambda rec: rec.picking_type_id.code,
        "return_count": lambda rec: len(rec.env.having("stock.picking", "return_id", rec.id)),
        "backorder_ids": lambda rec: rec.env.having("stock.picking", "backorder_id", rec.id),
    }

    def prepare(self, env: Env, vals: Vals) -> Vals:
        kind = env.rec("stock.picking.type", vals.get("picking_type_id"))
        if env.db.release.major < 19 and env.entered and kind.code == "incoming" and "move_type" not in vals:
            raise ValidationError("Missing required value for the field 'Shipping Policy' (move_type)")
        vals.setdefault("move_type", "direct")
        for name, default in (
            ("location_id", "default_location_src_id"),
            ("location_dest_id", "default_location_dest_id"),
        ):
            if kind and not vals.get(name):
                vals[name] = kind.row.get(default)
        if kind and not vals.get("name"):
            prefix = f"{kind.warehouse_id.code}/{kind.sequence_code}"
            vals["name"] = f"{prefix}/{env.db.next(f'number:{prefix}'):05d}"
        return vals

    def created(self, rec: Rec, vals: Vals) -> None:
        note(rec, "<p>Transfer created</p>")

    def before_write(self, rec: Rec, vals: Vals) -> Vals:
        if vals.get("picking_type_id") and rec.state in ("done", "cancel"):
            raise UserError("Changing the operation type of this record is forbidden at this point.")
        return vals

    def written(self, rec: Rec, vals: Vals) -> None:
        for name in ("location_id", "location_dest_id"):
            for move in rec.move_ids if name in vals else []:
                if move.state in _OPEN:
                    move.set(**{name: rec.row[name]})
                    for line in move.move_line_ids:
                        line.write(**{name: rec.row[name]})

    def before_unlink(self, rec: Rec) -> None:
        if rec.state == "done":
            raise UserError("You can not delete a done transfer.")
        rec.env.unlink("stock.move", [move.id for move in rec.move_ids])

    @method()
    def action_confirm(self, env: Env, ids: list[int]) -> bool:
        for move in (move for id in ids for move in env.rec(self.name, id).move_ids):
            confirm(move)
            if move.state == "confirmed":
                assign(move)
        return True

    @method()
    def action_assign(self, env: Env, ids: list[int]) -> bool:
        self.action_confirm(env, ids)
        moves = [move for id in ids for move in env.rec(self.name, id).move_ids if move.state in _OPEN]
        if not moves:
            raise UserError("Nothing to check the availability for.")
        for move in moves:
            assign(move)
        return True

    @method()
    def do_unreserve(self, env: Env, ids: list[int]) -> bool:
        for move in (move for id in ids for move in env.rec(self.name, id).move_ids):
            if move.state in ("assigned", "partially_available"):
                env.unlink("stock.move.line", [line.id for line in move.move_line_ids])
                move.set(state="confirmed")
        return True

    @method()
    def action_cancel(self, env: Env, ids: list[int]) -> bool:
        for picking in (env.rec(self.name, id) for id in ids):
            for move in picking.move_ids:
                if move.state == "done":
                    raise UserError(
                        "You cannot cancel a stock move that has been set to 'Done'. "
                        "Create a return in order to reverse the moves which took place."
                    )
                env.unlink("stock.move.line", [line.id for line in move.move_line_ids])
                move.set(state="cancel")
            picking.set(_cancelled=True)
        return True

    @method()
    def button_validate(self, env: Env, ids: list[int]) -> Any:
        """True when done (or nothing was left to do); anything else is a question to a person, and nothing is done."""
        pickings = [env.rec(self.name, id) for id in ids]
        pickings = [picking for picking in pickings if picking.state not in ("done", "cancel")]
        for picking in pickings:
            if picking.state == "draft":
                for move in picking.move_ids:
                    confirm(move)
                    if not move.quantity and move.product_uom_qty and env.db.release.major < 19:
                        add_line(move, move.product_uom_qty)  # 18 looks for no lot here
                    elif not move.quantity and move.product_uom_qty:
                        set_quantity(move, move.product_uom_qty)
            if not any(move.quantity for move in picking.move_ids):
                raise UserError(
                    "You cannot validate a transfer if no quantities are reserved. "
                    "To force the transfer, encode quantities."
                )
            _need_lots(picking)
        short = [picking for picking in pickings if _short(picking)]
        if short and not env.context.get("skip_backorder"):
            return _ask_backorder([picking.id for picking in pickings], [picking.id for picking in short])
        no_backorder = env.context.get("picking_ids_not_to_backorder") or []
        for picking in pickings:
            _finish(picking, backorder=picking.id not in no_backorder)
        return True


def _chosen(picking: Rec) -> list[Rec]:
    """The moves that a validation does: the picked ones; if nobody picked any, all."""
    moves = [move for move in picking.move_ids if move.state in _OPEN]
    return [move for move in moves if move.picked] or moves


def _short(picking: Rec) -> bool:
    chosen = _chosen(picking)
    return any(
        move.state in _OPEN and (move not in chosen or move.quantity < move.product_uom_qty)
        for move in picking.move_ids
    )


def _need_lots(picking: Rec) -> None:
    products = [
        picking.env.display_name("product.product", line.product_id.id)
        for move in _chosen(picking)
        for line in move.move_line_ids
        if line.product_id.is_storable
        and line.product_id.tracking != "none"
        and line.quantity
        and not line.lot_id
        and not line.lot_name
    ]
    if products:
        raise UserError("You need to supply a Lot/Serial Number for product:\n" + "\n".join(dict.fromkeys(products)))


def _ask_backorder(ids: list[int], short: list[int]) -> dict[str, Any]:
    return {
        "name": "Create Backorder?",
        "type": "ir.actions.act_window",
        "view_mode": "form",
        "res_model": "stock.backorder.confirmation",
        "views": [[944, "form"]],
        "view_id": 944,
        "target": "new",
        "context": {
            "button_validate_picking_ids": ids,
            "default_show_transfers": False,
            "default_pick_ids": [[4, id] for id in short],
        },
    }


def _finish(picking: Rec, backorder: bool) -> None:
    env = picking.env
    chosen = _chosen(picking)
    rest: list[tuple[Rec, float]] = []
    for move in [move for move in picking.move_ids if move.state in _OPEN]:
        left = move.product_uom_qty - (move.quantity if move in chosen else 0.0)
        if left > 0:
            rest.append((move, left))
    finish([move for move in chosen if move.quantity])
    picking.set(date_done=env.stamp)
    if backorder and rest:
        columns = {
            name: picking.row.get(name)
            for name in ("picking_type_id", "partner_id", "location_id", "location_dest_id", "origin", "user_id")
        }
        again = env.create("stock.picking", {**columns, "backorder_id": picking.id})  # `return_id` is lost here
        for move, left in rest:
            if move.state == "done":
                move.set(product_uom_qty=move.quantity)
                copy = copy_move(move, picking_id=again.id, product_uom_qty=left)
            else:
                move.set(picking_id=again.id)
                copy = move
            confirm(copy)
            assign(copy)
    else:
        for move, _ in rest:
            if move.state != "done":
                env.unlink("stock.move.line", [line.id for line in move.move_line_ids])
                move.set(state="cancel")


def copy_move(move: Rec, **changes: Any) -> Rec:
    names = (
        "product_id",
        "product_uom_qty",
        "location_id",
        "location_dest_id",
        "sale_line_id",
        "to_refund",
        "bom_line_id",
        "origin_returned_move_id",
        "picking_type_id",
    )
    columns = {name: move.row.get(name) for name in names}
    links = {name: [(6, 0, move.row.get(name) or [])] for name in ("reference_ids", "move_orig_ids")}
    return move.env.create("stock.move", {**columns, **links, **changes})


MODELS: list[type[Model]] = [Picking]
