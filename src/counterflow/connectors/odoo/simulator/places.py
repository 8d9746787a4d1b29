"""Warehouses, locations, operation types and quants: where things are."""

from counterflow.connectors.odoo.simulator.errors import ValidationError
from counterflow.connectors.odoo.simulator.records import Env, Model, Rec, Vals, method

BYPASS = ("customer", "supplier", "inventory", "production", "view")  # nothing is reserved in these


def _complete_name(rec: Rec) -> str:
    parent = rec.location_id
    own = str(rec.row.get("name"))
    return f"{_complete_name(parent)}/{own}" if parent and rec.row.get("usage") != "view" else own


def warehouse_of(location: Rec) -> Rec:
    """The warehouse whose view location is at the root of this one."""
    node = location
    while node:
        found = location.env.one("stock.warehouse", view_location_id=node.id)
        if found:
            return found
        node = node.location_id
    return location.env.rec("stock.warehouse", 0)


class Location(Model):
    name = "stock.location"
    order = "complete_name, id"
    defaults = {"active": True, "usage": "internal", "company_id": 1}
    computed = {
        "complete_name": _complete_name,
        "warehouse_id": warehouse_of,
    }
    title = "Inventory Locations"
    labels = {"name": "Location Name"}

    def display(self, rec: Rec) -> str:
        return _complete_name(rec)


def valued(location: Rec) -> bool:
    return location.usage in ("internal", "transit")


class Warehouse(Model):
    name = "stock.warehouse"
    defaults = {"active": True, "company_id": 1}


class PickingType(Model):
    name = "stock.picking.type"
    order = "is_favorite desc, sequence, id"
    defaults = {
        "active": True,
        "company_id": 1,
        "create_backorder": "ask",
        "move_type": "direct",
        "reservation_method": "at_confirm",
    }

    def display(self, rec: Rec) -> str:
        label = rec.row.get("_label")
        return f"{label}: {rec.raw('name')}" if label else str(rec.raw("name"))


class Reference(Model):
    name = "stock.reference"
    computed = {
        "move_ids": lambda rec: rec.env.having("stock.move", "reference_ids", rec.id),
        "sale_ids": lambda rec: sorted(
            {
                rec.env.rec("stock.move", id).sale_line_id.order_id.id
                for id in rec.env.having("stock.move", "reference_ids", rec.id)
            }
            - {0}
        ),
    }


def quant_key(product: int, location: int, lot: int) -> str:
    return f"{product}:{location}:{lot or 0}"


def _reserved(rec: Rec) -> float:
    """Open move lines hold what they name; of twin rows the first carries it."""
    row = rec.row
    if rec.location_id.usage in BYPASS or rec.env.having("stock.quant", "_key", row["_key"])[0] != rec.id:
        return 0.0
    return float(sum(line.quantity for line in rec.env.find("stock.move.line", _open=row["_key"])))


class Quant(Model):
    name = "stock.quant"
    order = "id"
    defaults = {"in_date": lambda env: env.stamp, "company_id": 1}
    computed = {
        "reserved_quantity": _reserved,
        "available_quantity": lambda rec: rec.raw("quantity") - _reserved(rec),
        "inventory_quantity_auto_apply": lambda rec: rec.raw("quantity"),
        "inventory_diff_quantity": lambda rec: (
            rec.row.get("inventory_quantity", 0.0) - rec.raw("quantity")
            if rec.row.get("inventory_quantity_set")
            else 0.0
        ),
        "product_tmpl_id": lambda rec: rec.product_id.product_tmpl_id,
        "tracking": lambda rec: rec.product_id.tracking,
    }

    def display(self, rec: Rec) -> str:
        return rec.env.display_name("stock.location", rec.location_id.id)

    def prepare(self, env: Env, vals: Vals) -> Vals:
        key = quant_key(int(vals["product_id"]), int(vals["location_id"]), int(vals.get("lot_id") or 0))
        return {**vals, "_key": key}

    def before_write(self, rec: Rec, vals: Vals) -> Vals:
        if "inventory_quantity" in vals:
            vals["inventory_quantity_set"] = True
        vals.pop("inventory_quantity_auto_apply", None)
        return vals

    @method(model_level=True)
    def create(self, env: Env, vals_list: list[Vals] | Vals) -> list[int]:
        """In inventory mode an upsert of the row; without it (an administrator) stock from nowhere, with no move."""
        ids = []
        for vals in vals_list if isinstance(vals_list, list) else [vals_list]:
            counted = {
                name: vals[name] for name in ("inventory_quantity", "inventory_quantity_auto_apply") if name in vals
            }
            plain = {name: value for name, value in vals.items() if name not in counted}
            key = quant_key(int(vals["product_id"]), int(vals["location_id"]), int(vals.get("lot_id") or 0))
            existing = env.one("stock.quant", _key=key) if env.context.get("inventory_mode") else env.rec(self.name, 0)
            quant = existing or env.create("stock.quant", {"quantity": 0.0, **plain})
            if "inventory_quantity" in counted:
                quant.set(inventory_quantity=float(counted["inventory_quantity"]), inventory_quantity_set=True)
            if counted.get("inventory_quantity_auto_apply", quant.quantity) != quant.quantity:
                self._count(quant, float(counted["inventory_quantity_auto_apply"]))
            ids.append(quant.id)
        return ids

    @method()
    def write(self, env: Env, ids: list[int], vals: Vals) -> bool:
        env.write(self.name, ids, vals)
        if "inventory_quantity_auto_apply" in vals:
            for quant in (env.rec(self.name, id) for id in ids):
                if vals["inventory_quantity_auto_apply"] != quant.quantity:
                    self._count(quant, float(vals["inventory_quantity_auto_apply"]))
        return True

    @method()
    def action_apply_inventory(self, env: Env, ids: list[int]) -> None:
        for id in ids:
            quant = env.rec(self.name, id)
            if quant.inventory_quantity_set:
                self._count(quant, quant.inventory_quantity)

    def _count(self, quant: Rec, counted: float) -> None:
        """Book the difference against the inventory adjustment location; a count as expected has a move of 0."""
        env = quant.env
        difference = counted - quant.quantity
        quant.set(inventory_quantity=0.0, inventory_quantity_set=False)
        loss = env.one("stock.location", _role="inventory")
        source, target = (loss, quant.location_id) if difference > 0 else (quant.location_id, loss)
        from counterflow.connectors.odoo.simulator.moves import (
            finish,  # a move is what changes a quant, and a quant's count makes a move
        )

        name = env.context.get("inventory_name")
        move = env.create(
            "stock.move",
            {
                "product_id": quant.product_id.id,
                "product_uom_qty": abs(difference),
                "location_id": source.id,
                "location_dest_id": target.id,
                "is_inventory": True,
                "inventory_name": name or False,
                "reference": name or f"Product Quantity Updated ({env.rec('res.users', env.uid).raw('name')})",
            },
        )
        if difference:
            env.create("stock.move.line", {"move_id": move.id, "quantity": abs(difference), "lot_id": quant.lot_id.id})
        finish([move])


def shift(env: Env, product: Rec, location: Rec, lot: Rec, delta: float) -> None:
    """Add to (or take from) the quant of product, location and lot.

    A row that somebody else changed since our snapshot is locked for us: Odoo then inserts a twin instead of waiting.
    """
    if not product.is_storable:
        return
    rows = env.find("stock.quant", _key=quant_key(product.id, location.id, lot.id))
    free = [row for row in rows if not env.db.changed_since("stock.quant", row.id, env.snapshot)]
    if free:
        target = max(free, key=lambda row: row.quantity) if delta < 0 else free[0]
        target.set(quantity=target.quantity + delta, write_date=env.stamp)
    else:
        twin = env.create(
            "stock.quant",
            {"product_id": product.id, "location_id": location.id, "lot_id": lot.id or False, "quantity": delta},
        )
        twin.set(inventory_date=False)
    if product.tracking == "serial" and lot and valued(location):
        held = sum(
            quant.quantity for quant in env.find("stock.quant", lot_id=lot.id) if quant.location_id.id == location.id
        )
        if abs(held) > 1:
            raise ValidationError(
                "The serial number has already been assigned: \n "
                f"Product: {env.display_name('product.product', product.id)}, Serial Number: {lot.raw('name')}"
            )


def available(env: Env, product: Rec, location: Rec, lot: Rec | None = None) -> list[tuple[Rec, float]]:
    """Unreserved quants at and below a location, first in first out, with what each still offers."""
    offers = []
    for quant in env.find("stock.quant", product_id=product.id):
        node = quant.location_id
        while node and node != location:
            node = node.location_id
        if node and (lot is None or quant.lot_id == lot) and quant.available_quantity > 0:
            offers.append((quant, float(quant.available_quantity)))
    return sorted(offers, key=lambda offer: (str(offer[0].in_date), offer[0].id))


MODELS: list[type[Model]] = [Location, Warehouse, PickingType, Reference, Quant]
