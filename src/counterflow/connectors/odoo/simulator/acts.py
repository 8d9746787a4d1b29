"""What people do inside this Odoo (`POST /_sim/do/<act>`)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from counterflow.connectors.odoo.simulator.access import ROLES
from counterflow.connectors.odoo.simulator.books import document
from counterflow.connectors.odoo.simulator.calls import Odoo
from counterflow.connectors.odoo.simulator.errors import OdooError
from counterflow.connectors.odoo.simulator.records import Env, Rec, Vals
from counterflow.connectors.odoo.simulator.seed import seed_company
from counterflow.connectors.odoo.simulator.selling import (
    open_till,
    pay,
    place_of,
    product_of,
    run,
    seed_products,
    sell,
    sell_at_till,
)
from counterflow.connectors.odoo.simulator.users import STAMP
from counterflow.connectors.odoo.simulator.users import make_key as new_key
from counterflow.sdk.simulator import World

Act = Callable[[Env, Vals], Any]


def register(world: World, odoo: Odoo) -> None:
    """Every act runs as the administrator in one transaction; what Odoo refuses is a ValueError."""

    def bind(act: Act) -> Callable[[Vals], Any]:
        def handler(payload: Vals) -> Any:
            env = odoo.env()
            try:
                with env.transaction():
                    return act(env, payload)
            except OdooError as error:
                raise ValueError(error.message) from error

        return handler

    for name, act in ACTS.items():
        world.act(name)(bind(act))


def manual_credit_note(env: Env, payload: Vals) -> Vals:
    """An accountant credits an invoice by hand: `{"invoice_id", "lines": [{"sku", "quantity"}], "reason", "post":
    true, "pay": false, "date"}`; without lines the whole invoice."""
    invoice = _existing(env, "account.move", payload["invoice_id"])
    wizard = env.with_context(active_ids=[invoice.id]).create(
        "account.move.reversal",
        {
            "reason": payload.get("reason") or False,
            "journal_id": invoice.journal_id.id,
            "date": payload.get("date", env.today),
        },
    )
    made = env.rec("account.move", run(env, wizard.model, "refund_moves", [wizard.id])["res_id"])
    if wanted := {line["sku"]: line["quantity"] for line in payload.get("lines", [])}:
        made.write(
            invoice_line_ids=[
                (1, line.id, {"quantity": wanted[line.product_id.default_code]})
                if line.product_id.default_code in wanted
                else (2, line.id, 0)
                for line in made.invoice_line_ids
            ]
        )
    if payload.get("post", True):
        run(env, "account.move", "action_post", [made.id])
    if payload.get("pay", False):
        pay(env, made, {"journal": payload.get("journal", env.rec("account.journal", 8).code)})
    return document(made)


def cancel_document(env: Env, payload: Vals) -> Vals:
    """Somebody cancels: `{"model", "id"}` of an entry, a transfer, an order, a payment or a repair."""
    model = payload["model"]
    methods = {
        "account.move": "button_cancel",
        "stock.picking": "action_cancel",
        "sale.order": "action_cancel",
        "account.payment": "action_cancel",
        "repair.order": "action_repair_cancel",
    }
    if model not in methods:
        raise ValueError(f"{model} cannot be cancelled; known: {', '.join(sorted(methods))}")
    _existing(env, model, payload["id"])
    run(env, model, methods[model], [payload["id"]])
    return document(env.rec(model, payload["id"]))


def manual_return_picking(env: Env, payload: Vals) -> Vals:
    """A warehouse worker returns a delivery by hand: `{"picking_id", "lines": [{"sku", "quantity"}], "location",
    "validate": true}`; without lines everything not yet returned."""
    delivery = _existing(env, "stock.picking", payload["picking_id"])
    wanted = {line["sku"]: line["quantity"] for line in payload.get("lines", [])}
    wizard = env.create("stock.return.picking", {"picking_id": delivery.id})
    for line in wizard.product_return_moves:
        back = sum(move.quantity for move in line.move_id.returned_move_ids if move.state == "done")
        left = line.move_id.quantity - back
        line.write(quantity=wanted.get(line.product_id.default_code, 0.0) if wanted else left)
    made = env.rec("stock.picking", run(env, wizard.model, "action_create_returns", [wizard.id])["res_id"])
    if payload.get("location"):
        made.write(location_dest_id=place_of(env, payload["location"]).id)
    if payload.get("validate", True):
        run(env, "stock.picking", "button_validate", [made.id])
    return document(made)


def set_lock_date(env: Env, payload: Vals) -> Vals:
    """`{"lock": "fiscalyear_lock_date", "date": "2026-10-31" | null}`."""
    lock = payload.get("lock", "fiscalyear_lock_date")
    env.write("res.company", [1], {lock: payload.get("date") or False})
    return {lock: payload.get("date")}


def post_draft(env: Env, payload: Vals) -> Vals:
    """Somebody posts a draft: `{"model": "account.move" | "account.payment", "id"}`."""
    model = payload.get("model", "account.move")
    _existing(env, model, payload["id"])
    run(env, model, "action_post", [payload["id"]])
    return document(env.rec(model, payload["id"]))


def count(env: Env, payload: Vals) -> Vals:
    """Somebody counts a product at a place: `{"sku", "location", "quantity"}`, which is so from now on."""
    counting = env.with_context(inventory_mode=True, inventory_name="count")
    row = {"product_id": product_of(env, payload["sku"]).id, "location_id": place_of(env, payload["location"]).id}
    counted = {**row, "inventory_quantity": float(payload["quantity"])}
    quant: Any = env.models["stock.quant"].public["create"](counting, [counted])
    run(counting, "stock.quant", "action_apply_inventory", quant)
    return {"quant_ids": quant}


def split_quant(env: Env, payload: Vals) -> Vals:
    """Contention left a second row behind: `{"sku", "location", "quantity"}` moves that much to a twin row."""
    product, place = product_of(env, payload["sku"]), place_of(env, payload["location"])
    row = env.one("stock.quant", product_id=product.id, location_id=place.id)
    if not row:
        raise LookupError(f"nothing of {payload['sku']} at {payload['location']}")
    row.set(quantity=row.quantity - payload["quantity"])
    twin = env.create(
        "stock.quant",
        {
            "product_id": product.id,
            "location_id": place.id,
            "lot_id": row.lot_id.id or False,
            "quantity": payload["quantity"],
        },
    )
    return {"quant_ids": [row.id, twin.id]}


def merge_quants(env: Env, payload: Vals) -> Vals:
    """The nightly job: twin rows become one again."""
    merged = 0
    for row in env.search("stock.quant", []):
        twins = [twin for twin in env.find("stock.quant", _key=row.row.get("_key")) if twin.id > row.id]
        if row.row and twins:
            row.set(quantity=row.quantity + sum(twin.quantity for twin in twins))
            env.unlink("stock.quant", [twin.id for twin in twins])
            merged += len(twins)
    return {"merged": merged}


def revoke_key(env: Env, payload: Vals) -> Vals:
    """An API key expires or is revoked: `{"key"}`, or `{"key", "revoked": false}` to renew it."""
    world = env.db.world
    if payload.get("revoked", True):
        world.put("_odoo_revoked", payload["key"], {"key": payload["key"]})
    else:
        world.delete("_odoo_revoked", payload["key"])
    env.unlink("res.users.apikeys", [row.id for row in env.find("res.users.apikeys", _key=payload["key"])])
    return {}


def make_key(env: Env, payload: Vals) -> Vals:
    """A person makes an API key: `{"role": "integration", "key", "days": 89}`, days 0 for one that does not end."""
    days = payload.get("days", 89)
    ends = (env.now + timedelta(days=days)).strftime(STAMP) if days else False
    key = new_key(env, ROLES[payload.get("role", "integration")], "made by hand", ends, payload.get("key", ""))
    return {"key": key, "ends": ends}


def allow_key_renewal(env: Env, payload: Vals) -> Vals:
    """The system parameter `base.enable_programmatic_api_keys`: `{"allowed": true}`."""
    env.rec("res.company", 1).set(_programmatic_keys=payload.get("allowed", True))
    return {}


def remove_app(env: Env, payload: Vals) -> Vals:
    """`{"name": "repair"}`: the module is not installed any more (its models stay, unlike in the real one)."""
    for module in env.find("ir.module.module", name=payload["name"]):
        module.set(state="uninstalled")
    return {}


def add_rule(env: Env, payload: Vals) -> Vals:
    """An automation rule that sends a webhook when records are saved: `{"model", "url", "fields": ["write_date"]}`."""
    rule = {"fields": ["write_date"], "name": "Tell Counterflow(#1)", **payload}
    env.db.world.put("_odoo_rules", str(env.db.world.next_id("_odoo_rules")), rule)
    return {}


def _existing(env: Env, model: str, id: int) -> Rec:
    if model not in env.models or env.db.row(model, id) is None:
        raise LookupError(f"{model} {id}")
    return env.rec(model, id)


ACTS: dict[str, Act] = {
    act.__name__: act
    for act in (
        seed_company,
        seed_products,
        sell,
        manual_credit_note,
        cancel_document,
        manual_return_picking,
        set_lock_date,
        post_draft,
        count,
        split_quant,
        merge_quants,
        revoke_key,
        add_rule,
        open_till,
        sell_at_till,
        make_key,
        allow_key_renewal,
        remove_app,
    )
}
