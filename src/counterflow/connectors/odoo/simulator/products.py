"""Products, categories, kits, and what is on hand of them."""

from typing import Any

from counterflow.connectors.odoo.simulator.errors import UserError, ValidationError
from counterflow.connectors.odoo.simulator.records import Env, Model, Rec, Vals

_TEMPLATE_FIELDS = (
    "name",
    "type",
    "is_storable",
    "categ_id",
    "invoice_policy",
    "taxes_id",
    "list_price",
    "tracking",
    "sale_ok",
    "purchase_ok",
    "uom_id",
    "description_sale",
    "property_account_income_id",
    "property_account_expense_id",
)


class Category(Model):
    name = "product.category"
    order = "complete_name"
    defaults = {"property_cost_method": "standard", "property_valuation": "periodic"}
    computed = {"complete_name": lambda rec: rec.row.get("name") or False}

    def prepare(self, env: Env, vals: Vals) -> Vals:
        """A category takes the company's accounts unless it has its own."""
        company = env.rec("res.company", 1).row
        accounts = {
            name: company[f"_{name}"]
            for name in (
                "property_stock_valuation_account_id",
                "property_stock_journal",
                "property_account_income_categ_id",
                "property_account_expense_categ_id",
            )
            if f"_{name}" in company
        }
        return {**accounts, **vals}


def interim(category: Rec, direction: str) -> Rec:
    """Before 19: the account between stock and bills (input) or invoices (output), the category's or the company's."""
    own = category.row.get(f"property_stock_account_{direction}_categ_id")
    code = {"input": "110200", "output": "110300"}[direction]
    return category.env.rec("account.account", own) if own else category.env.one("account.account", code=code)


class Template(Model):
    name = "product.template"
    order = "name"
    defaults = {"active": True, "type": "consu", "tracking": "none", "invoice_policy": "order", "uom_id": 1}

    def display(self, rec: Rec) -> str:
        variant = rec.env.one("product.product", product_tmpl_id=rec.id)
        return rec.env.display_name("product.product", variant.id) if variant else str(rec.raw("name"))


class Product(Model):
    name = "product.product"
    order = "default_code, name, id"
    defaults = {
        "active": True,
        "type": "consu",
        "is_storable": False,
        "tracking": "none",
        "invoice_policy": "order",
        "uom_id": 1,
        "sale_ok": True,
        "service_tracking": "no",
        "list_price": 1.0,
        "categ_id": lambda env: env.one("product.category", name="Goods").id or False,
    }

    def display(self, rec: Rec) -> str:
        code = rec.raw("default_code")
        return f"[{code}] {rec.raw('name')}" if code else str(rec.raw("name"))

    def prepare(self, env: Env, vals: Vals) -> Vals:
        self._barcode(env, vals, 0)
        if "taxes_id" not in vals:
            vals = {**vals, "taxes_id": env.rec("res.company", 1).row.get("_sale_tax_ids", [])}
        if not vals.get("product_tmpl_id"):
            shared = {name: vals[name] for name in _TEMPLATE_FIELDS if name in vals}
            vals = {**vals, "product_tmpl_id": env.create("product.template", shared).id}
        return vals

    def before_write(self, rec: Rec, vals: Vals) -> Vals:
        self._barcode(rec.env, vals, rec.id)
        if vals.get("standard_price", rec.standard_price) != rec.standard_price:
            vals["_cost_set"] = rec.env.stamp
        return vals

    def _barcode(self, env: Env, vals: Vals, id: int) -> None:
        if vals.get("barcode") and any(other.id != id for other in env.find(self.name, barcode=vals["barcode"])):
            raise ValidationError(
                f'Barcode(s) already assigned:\n\n- Barcode "{vals["barcode"]}" already assigned to product(s): '
                f"{vals.get('name') or ''}\n\nNote: products that you don't have access to will not be shown above."
            )


class Bom(Model):
    name = "mrp.bom"
    defaults = {
        "active": True,
        "type": "normal",
        "product_qty": 1.0,
        "product_uom_id": 1,
        "consumption": "warning",
        "ready_to_produce": "asap",
    }


class BomLine(Model):
    name = "mrp.bom.line"
    defaults = {"product_qty": 1.0, "product_uom_id": 1}
    order = "sequence, id"

    def display(self, rec: Rec) -> str:
        return rec.env.display_name("product.product", rec.product_id.id)


class Lot(Model):
    name = "stock.lot"
    order = "name, id"
    defaults = {"company_id": False}

    def prepare(self, env: Env, vals: Vals) -> Vals:
        if env.find(self.name, name=vals.get("name"), product_id=vals.get("product_id")):
            product = env.display_name("product.product", int(vals["product_id"]))
            raise ValidationError(
                "The combination of lot/serial number and product must be unique within a company including when no "
                "company is defined.\nThe following combinations contain duplicates:\n"
                f" - Product: {product}, Lot/Serial Number: {vals['name']}"
            )
        if not vals.get("product_id"):
            raise UserError("A lot needs a product.")
        return vals

    computed = {
        "product_qty": lambda rec: sum(
            quant.quantity
            for quant in rec.env.find("stock.quant", lot_id=rec.id)
            if quant.location_id.usage in ("internal", "transit")
        )
    }


def kit_of(product: Rec) -> Rec:
    """The phantom bill of materials by which the product is sold as its components; falsy if it is no kit."""
    boms = product.env.find("mrp.bom", product_tmpl_id=product.product_tmpl_id.id)
    return next((bom for bom in boms if bom.type == "phantom"), product.env.rec("mrp.bom", 0))


def unit_cost(product: Rec) -> float:
    """What a unit costs now; of a kit: its components."""
    if bom := kit_of(product):
        parts = sum(line.product_qty * unit_cost(line.product_id) for line in bom.bom_line_ids)
        return float(parts / bom.product_qty)
    return float(product.standard_price)


def _where(env: Env) -> set[int]:
    """The internal locations that quantities are asked for: context `location`, `warehouse_id`, or all warehouses."""
    roots: list[int]
    if location := env.context.get("location"):
        roots = location if isinstance(location, list) else [location]
    elif warehouse := env.context.get("warehouse_id") or env.context.get("warehouse"):
        ids = warehouse if isinstance(warehouse, list) else [warehouse]
        roots = [env.rec("stock.warehouse", id).view_location_id.id for id in ids]
    else:
        roots = [warehouse.view_location_id.id for warehouse in env.search("stock.warehouse", [])]
    places = env.search("stock.location", [("id", "child_of", roots), ("usage", "in", ["internal", "transit"])])
    return {place.id for place in places}


def quantities(product: Rec) -> dict[str, float]:
    """qty_available, free_qty, incoming_qty, outgoing_qty, virtual_available of one product in the context's places."""
    env = product.env
    if bom := kit_of(product):
        parts = [(quantities(line.product_id), line.product_qty / bom.product_qty) for line in bom.bom_line_ids]
        return {key: float(min((part[key] // per for part, per in parts), default=0.0)) for key in _NOTHING}
    places = _where(env)
    quants = [quant for quant in env.find("stock.quant", product_id=product.id) if quant.location_id.id in places]
    on_hand = sum(quant.quantity for quant in quants)
    reserved = sum(quant.reserved_quantity for quant in quants)
    coming = going = 0.0
    for move in env.find("stock.move", product_id=product.id):
        if move.state in ("confirmed", "waiting", "assigned", "partially_available"):
            inside, outside = move.location_dest_id.id in places, move.location_id.id in places
            coming += move.product_uom_qty if inside and not outside else 0.0
            going += move.product_uom_qty if outside and not inside else 0.0
    return {
        "qty_available": on_hand,
        "free_qty": on_hand - reserved,
        "incoming_qty": coming,
        "outgoing_qty": going,
        "virtual_available": on_hand + coming - going,
    }


_NOTHING = ("qty_available", "free_qty", "incoming_qty", "outgoing_qty", "virtual_available")


def _quantity(key: str) -> Any:
    return lambda rec: quantities(rec)[key]


def _valued_quantity(product: Rec) -> float:
    quants = product.env.find("stock.quant", product_id=product.id)
    return float(sum(quant.quantity for quant in quants if quant.location_id.usage in ("internal", "transit")))


Product.computed = {
    **{key: _quantity(key) for key in _NOTHING},
    "avg_cost": lambda rec: rec.raw("standard_price"),
    "total_value": lambda rec: round(_valued_quantity(rec) * rec.raw("standard_price"), 2),
    "is_kits": lambda rec: bool(kit_of(rec)),
    "lst_price": lambda rec: rec.raw("list_price"),
}

MODELS: list[type[Model]] = [Category, Template, Product, Bom, BomLine, Lot]
