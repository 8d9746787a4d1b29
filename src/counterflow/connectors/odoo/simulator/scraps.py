"""Scrap orders: goods that are written off, into whichever location they name."""

from typing import Any

from counterflow.connectors.odoo.simulator.moves import add_line, finish
from counterflow.connectors.odoo.simulator.records import Env, Model, Rec, Vals, method


class Scrap(Model):
    name = "stock.scrap"
    order = "id desc"
    title = "Scrap"
    labels = {"product_id": "Product"}
    defaults = {"state": "draft", "company_id": 1, "scrap_qty": 1.0, "product_uom_id": 1}
    computed = {"move_ids": lambda rec: rec.env.having("stock.move", "scrap_id", rec.id)}

    def prepare(self, env: Env, vals: Vals) -> Vals:
        vals.setdefault("name", f"SP/{env.db.next('number:SP'):05d}")
        stock = env.one("stock.warehouse", code="WH").lot_stock_id.id
        vals["location_id"] = vals.get("location_id") or stock
        # Odoo 19 has no scrap location any more: unless named, scrap goes where counts go, and posts nothing.
        role = "inventory" if env.db.release.major >= 19 else "scrap"
        vals["scrap_location_id"] = vals.get("scrap_location_id") or env.one("stock.location", _role=role).id
        return vals

    @method()
    def action_validate(self, env: Env, ids: list[int]) -> Any:
        for id in ids:
            scrap = env.rec(self.name, id)
            if scrap.state == "done":  # scrapped again, under a new number, with no word of it
                scrap.set(name=f"SP/{env.db.next('number:SP'):05d}")
            product = scrap.product_id
            lot = scrap.lot_id if scrap.lot_id else None
            held = sum(
                quant.quantity
                for quant in env.find("stock.quant", product_id=product.id)
                if quant.location_id == scrap.location_id and (lot is None or quant.lot_id == lot)
            )
            if product.is_storable and held < scrap.scrap_qty:
                return _insufficient(scrap)
            move = env.create(
                "stock.move",
                {
                    "product_id": product.id,
                    "product_uom_qty": scrap.scrap_qty,
                    "location_id": scrap.location_id.id,
                    "location_dest_id": scrap.scrap_location_id.id,
                    "scrap_id": id,
                    "origin": scrap.raw("origin"),
                    "reference": scrap.raw("name"),
                    "picking_id": False,
                },
            )
            add_line(move, scrap.scrap_qty, scrap.lot_id)
            finish([move])
            scrap.set(state="done", date_done=env.stamp)
        return True


def _insufficient(scrap: Rec) -> dict[str, Any]:
    product = scrap.env.display_name("product.product", scrap.product_id.id)
    return {
        "name": f"{product}: Insufficient Quantity To Scrap",
        "view_mode": "form",
        "res_model": "stock.warn.insufficient.qty.scrap",
        "view_id": 952,
        "type": "ir.actions.act_window",
        "context": {
            "default_product_id": scrap.product_id.id,
            "default_location_id": scrap.location_id.id,
            "default_scrap_id": scrap.id,
            "default_quantity": scrap.scrap_qty,
            "default_product_uom_name": "Units",
        },
        "target": "new",
    }


MODELS: list[type[Model]] = [Scrap]
