"""The return wizard of a delivery, and repairs."""

from typing import Any

from counterflow.connectors.odoo.simulator.base import note
from counterflow.connectors.odoo.simulator.errors import UserError
from counterflow.connectors.odoo.simulator.moves import add_line, assign, confirm, finish, set_quantity
from counterflow.connectors.odoo.simulator.records import Env, Model, Rec, Vals, method
from counterflow.connectors.odoo.simulator.transfers import copy_move


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
                    rec.env.create(
                        "stock.return.picking.line",
                        {"wizard_id": rec.id, "product_id": move.product_id.id, "move_id": move.id, "quantity": 0.0},
                    )

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
        again = env.create(
            "stock.picking",
            {
                name: delivery.row.get(name)
                for name in ("picking_type_id", "partner_id", "location_id", "location_dest_id", "origin")
            },
        )
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
        back = env.create(
            "stock.picking",
            {
                "picking_type_id": kind.id,
                "partner_id": delivery.partner_id.id,
                "return_id": delivery.id,
                "location_id": delivery.location_dest_id.id,
                "location_dest_id": delivery.location_id.id,
                "origin": f"Return of {delivery.raw('name')}",
                "user_id": False,
            },
        )
        for line in lines:
            move = copy_move(
                line.move_id,
                picking_id=back.id,
                product_uom_qty=line.quantity,
                picking_type_id=kind.id,
                location_id=delivery.location_dest_id.id,
                location_dest_id=delivery.location_id.id,
                origin_returned_move_id=line.move_id.id,
                to_refund=line.to_refund,
                move_orig_ids=[(6, 0, [line.move_id.id])],
                value=line.move_id.value,  # copied from the delivery: wrong until the move is done
            )
            confirm(move)
            assign(move)
        link = f'<a href="#" data-oe-model="stock.picking" data-oe-id="{delivery.id}"> {delivery.raw("name")}</a>'
        note(
            back,
            f"<p>\n                This transfer has been created from:\n                    {link}\n            </p>",
        )
        return {
            "name": "Returned Picking",
            "view_mode": "form",
            "res_model": "stock.picking",
            "res_id": back.id,
            "type": "ir.actions.act_window",
            "context": {},
        }


class ReturnLine(Model):
    name = "stock.return.picking.line"
    defaults = {"quantity": 0.0, "to_refund": True}
    computed = {"move_quantity": lambda rec: rec.move_id.quantity if rec.move_id else 0.0}


class Repair(Model):
    name = "repair.order"
    order = "priority desc, create_date desc"
    defaults = {
        "state": "draft",
        "company_id": 1,
        "product_qty": 1.0,
        "product_uom": 1,
        "under_warranty": False,
        "priority": "0",
        "schedule_date": lambda env: env.stamp,
    }
    computed = {
        "move_ids": lambda rec: [
            move.id for move in rec.env.find("stock.move", repair_id=rec.id) if move.repair_line_type
        ]
    }

    def prepare(self, env: Env, vals: Vals) -> Vals:
        stock = env.one("stock.warehouse", code="WH").lot_stock_id.id
        production = env.one("stock.location", _role="production").id
        places = {
            "location_id": stock,
            "location_dest_id": production,
            "product_location_src_id": stock,
            "product_location_dest_id": stock,
            "parts_location_id": production,
        }
        vals.setdefault("name", f"WH/RO/{env.db.next('number:WH/RO'):05d}")
        merged = {**places, **{name: value for name, value in vals.items() if value not in (None, False)}}
        parts = [
            (0, 0, {**command[2], "location_id": merged["location_id"], "location_dest_id": merged["location_dest_id"]})
            if command[0] == 0
            else command
            for command in merged.pop("move_ids", [])
        ]
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
            move = env.create(
                "stock.move",
                {
                    "product_id": repair.product_id.id,
                    "product_uom_qty": repair.product_qty,
                    "repair_id": repair.id,
                    "location_id": repair.product_location_src_id.id,
                    "reference": repair.raw("name"),
                    "location_dest_id": repair.product_location_dest_id.id,
                },
            )
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


MODELS: list[type[Model]] = [ReturnWizard, ReturnLine, Repair]
