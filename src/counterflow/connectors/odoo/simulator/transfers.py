"""Transfers (stock.picking), the return wizard and repairs."""

from typing import Any

from .base import note
from .errors import UserError
from .moves import add_line, assign, confirm, finish, set_quantity
from .records import Env, Model, Rec, Vals, method

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
    labels = {"location_id": "Source Location", "location_dest_id": "Destination Location",
              "picking_type_id": "Operation Type"}
    defaults = {"company_id": 1, "move_type": "direct", "priority": "0", "user_id": lambda env: env.uid,
                "scheduled_date": lambda env: env.stamp, "is_locked": True}
    computed = {
        "state": _state,
        "sale_id": _sale,
        "move_line_ids": lambda rec: rec.env.having("stock.move.line", "picking_id", rec.id),
        "reference_ids": lambda rec: list(dict.fromkeys(
            reference.id for move in rec.move_ids for reference in move.reference_ids)),
        "picking_type_code": lambda rec: rec.picking_type_id.code,
        "return_count": lambda rec: len(rec.env.having("stock.picking", "return_id", rec.id)),
        "backorder_ids": lambda rec: rec.env.having("stock.picking", "backorder_id", rec.id),
    }

    def prepare(self, env: Env, vals: Vals) -> Vals:
        kind = env.rec("stock.picking.type", vals.get("picking_type_id"))
        for name, default in (("location_id", "default_location_src_id"),
                              ("location_dest_id", "default_location_dest_id")):
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
                        "Create a return in order to reverse the moves which took place.")
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
                    if not move.quantity and move.product_uom_qty:
                        set_quantity(move, move.product_uom_qty)
            if not any(move.quantity for move in picking.move_ids):
                raise UserError(
                    "You cannot validate a transfer if no quantities are reserved. "
                    "To force the transfer, encode quantities.")
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
    return any(move.state in _OPEN and (move not in chosen or move.quantity < move.product_uom_qty)
               for move in picking.move_ids)


def _need_lots(picking: Rec) -> None:
    products = [
        picking.env.display_name("product.product", line.product_id.id)
        for move in _chosen(picking) for line in move.move_line_ids
        if line.product_id.is_storable and line.product_id.tracking != "none" and line.quantity
        and not line.lot_id and not line.lot_name
    ]
    if products:
        raise UserError("You need to supply a Lot/Serial Number for product:\n" + "\n".join(dict.fromkeys(products)))


def _ask_backorder(ids: list[int], short: list[int]) -> dict[str, Any]:
    return {
        "name": "Create Backorder?", "type": "ir.actions.act_window", "view_mode": "form",
        "res_model": "stock.backorder.confirmation", "views": [[944, "form"]], "view_id": 944, "target": "new",
        "context": {"button_validate_picking_ids": ids, "default_show_transfers": False,
                    "default_pick_ids": [[4, id] for id in short]},
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
        columns = {name: picking.row.get(name) for name in (
            "picking_type_id", "partner_id", "location_id", "location_dest_id", "origin", "user_id")}
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
    names = ("product_id", "product_uom_qty", "location_id", "location_dest_id", "sale_line_id", "to_refund",
             "bom_line_id", "origin_returned_move_id", "picking_type_id")
    columns = {name: move.row.get(name) for name in names}
    links = {name: [(6, 0, move.row.get(name) or [])] for name in ("reference_ids", "move_orig_ids")}
    return move.env.create("stock.move", {**columns, **links, **changes})


class ReturnWizard(Model):
    name = "stock.return.picking"

    def prepare(self, env: Env, vals: Vals) -> Vals:
        vals["picking_id"] = vals.get("picking_id") or env.context.get("active_id")
        if env.rec("stock.picking", vals["picking_id"]).state != "done":
            raise UserError("You may only return Done pickings.")
        return vals

    def created(self, rec: Rec, vals: Vals) -> None:
        if not vals.get("product_return_moves"):
            for move in rec.picking_id.move_ids:
                if move.state == "done":
                    rec.env.create("stock.return.picking.line", {
                        "wizard_id": rec.id, "product_id": move.product_id.id, "move_id": move.id, "quantity": 0.0})

    @method(model_level=True)
    def default_get(self, env: Env, fields: list[str]) -> Vals:
        return {"picking_id": env.context["active_id"]} if env.context.get("active_id") else {}

    @method()
    def action_create_returns(self, env: Env, ids: list[int]) -> Any:
        return self._go(env.rec(self.name, ids[0]))

    @method()
    def action_create_returns_all(self, env: Env, ids: list[int]) -> Any:
        wizard = env.rec(self.name, ids[0])
        for line in wizard.product_return_moves:
            back = sum(move.quantity for move in line.move_id.returned_move_ids if move.state != "cancel")
            line.write(quantity=line.move_id.quantity - back)
        return self._go(wizard)

    @method()
    def action_create_exchanges(self, env: Env, ids: list[int]) -> Any:
        wizard = env.rec(self.name, ids[0])
        action = self._go(wizard)
        delivery = wizard.picking_id
        again = env.create("stock.picking", {
            name: delivery.row.get(name)
            for name in ("picking_type_id", "partner_id", "location_id", "location_dest_id", "origin")})
        for line in wizard.product_return_moves:
            if line.quantity:
                move = copy_move(line.move_id, picking_id=again.id, product_uom_qty=line.quantity)
                confirm(move)
                assign(move)
        return action

    def _go(self, wizard: Rec) -> dict[str, Any]:
        env, delivery = wizard.env, wizard.picking_id
        lines = [line for line in wizard.product_return_moves if line.quantity]
        if not lines:
            raise UserError("Please specify at least one non-zero quantity.")
        kind = delivery.picking_type_id.return_picking_type_id or delivery.picking_type_id
        back = env.create("stock.picking", {
            "picking_type_id": kind.id, "partner_id": delivery.partner_id.id, "return_id": delivery.id,
            "location_id": delivery.location_dest_id.id, "location_dest_id": delivery.location_id.id,
            "origin": f"Return of {delivery.raw('name')}", "user_id": False,
        })
        for line in lines:
            move = copy_move(
                line.move_id, picking_id=back.id, product_uom_qty=line.quantity, picking_type_id=kind.id,
                location_id=delivery.location_dest_id.id, location_dest_id=delivery.location_id.id,
                origin_returned_move_id=line.move_id.id, to_refund=line.to_refund,
                move_orig_ids=[(6, 0, [line.move_id.id])],
                value=line.move_id.value,  # copied from the delivery: wrong until the move is done
            )
            confirm(move)
            assign(move)
        link = f'<a href="#" data-oe-model="stock.picking" data-oe-id="{delivery.id}"> {delivery.raw("name")}</a>'
        note(back, f"<p>\n                This transfer has been created from:\n                    {link}\n"
                   "            </p>")
        return {"name": "Returned Picking", "view_mode": "form", "res_model": "stock.picking", "res_id": back.id,
                "type": "ir.actions.act_window", "context": {}}


class ReturnLine(Model):
    name = "stock.return.picking.line"
    defaults = {"quantity": 0.0, "to_refund": True}
    computed = {"move_quantity": lambda rec: rec.move_id.quantity if rec.move_id else 0.0}


class Repair(Model):
    name = "repair.order"
    order = "priority desc, create_date desc"
    defaults = {"state": "draft", "company_id": 1, "product_qty": 1.0, "product_uom": 1,
                "under_warranty": False, "priority": "0", "schedule_date": lambda env: env.stamp}
    computed = {"move_ids": lambda rec: [
        move.id for move in rec.env.find("stock.move", repair_id=rec.id) if move.repair_line_type]}

    def prepare(self, env: Env, vals: Vals) -> Vals:
        stock = env.one("stock.warehouse", code="WH").lot_stock_id.id
        production = env.one("stock.location", _role="production").id
        places = {"location_id": stock, "location_dest_id": production, "product_location_src_id": stock,
                  "product_location_dest_id": stock, "parts_location_id": production}
        vals.setdefault("name", f"WH/RO/{env.db.next('number:WH/RO'):05d}")
        merged = {**places, **{name: value for name, value in vals.items() if value not in (None, False)}}
        parts = [(0, 0, {**command[2], "location_id": merged["location_id"],
                         "location_dest_id": merged["location_dest_id"]}) if command[0] == 0 else command
                 for command in merged.pop("move_ids", [])]
        return {**merged, "_parts": parts}

    def created(self, rec: Rec, vals: Vals) -> None:
        for command in rec.row.get("_parts") or []:
            rec.env.create("stock.move", {**command[2], "repair_id": rec.id})

    @method()
    def action_validate(self, env: Env, ids: list[int]) -> bool:
        return self._step(env, ids, ("draft",), "confirmed")

    @method()
    def action_repair_start(self, env: Env, ids: list[int]) -> bool:
        return self._step(env, ids, ("draft", "confirmed"), "under_repair")

    @method()
    def action_repair_cancel(self, env: Env, ids: list[int]) -> bool:
        return self._step(env, ids, ("draft", "confirmed", "under_repair"), "cancel")

    @method()
    def action_repair_end(self, env: Env, ids: list[int]) -> bool:
        for repair in (env.rec(self.name, id) for id in ids):
            if repair.state != "under_repair":
                raise UserError("Repair must be under repair in order to end reparation.")
            for part in repair.move_ids:
                confirm(part)
                set_quantity(part, part.product_uom_qty)
            move = env.create("stock.move", {
                "product_id": repair.product_id.id, "product_uom_qty": repair.product_qty, "repair_id": repair.id,
                "location_id": repair.product_location_src_id.id, "reference": repair.raw("name"),
                "location_dest_id": repair.product_location_dest_id.id})
            add_line(move, repair.product_qty, repair.lot_id)
            finish([*repair.move_ids, move])
            repair.set(state="done", move_id=move.id)
        return True

    def _step(self, env: Env, ids: list[int], before: tuple[str, ...], after: str) -> bool:
        for repair in (env.rec(self.name, id) for id in ids):
            if repair.state not in before:
                raise UserError(f"A repair that is {repair.state} cannot become {after}.")
            repair.set(state=after)
        return True


MODELS: list[type[Model]] = [Picking, ReturnWizard, ReturnLine, Repair]
