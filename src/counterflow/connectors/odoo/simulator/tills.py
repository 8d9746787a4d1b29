"""Odoo's own points of sale: what the front end of a till sends becomes orders, payments and transfers.

A session that closes posts nothing here: what the real one books then belongs to nobody's return.
"""

from typing import Any

from counterflow.connectors.odoo.simulator.errors import UserError, ValidationError
from counterflow.connectors.odoo.simulator.moves import add_line, finish
from counterflow.connectors.odoo.simulator.records import Env, Model, Rec, Vals, method


class Till(Model):
    name = "pos.config"

    def prepare(self, env: Env, vals: Vals) -> Vals:
        """It sells from the first warehouse, in the currency of the company, unless it is told otherwise."""
        own = {
            "picking_type_id": env.search("stock.warehouse", [])[0].pos_type_id.id,
            "currency_id": env.rec("res.company", 1).currency_id.id,
        }
        return own | vals


class Method(Model):
    name = "pos.payment.method"
    computed = {
        "is_cash_count": lambda rec: rec.journal_id.type == "cash",
        "type": lambda rec: rec.journal_id.type if rec.journal_id else "pay_later",
    }


class Session(Model):
    name = "pos.session"
    defaults = {"name": "/", "state": "opening_control", "user_id": lambda env: env.uid}

    def prepare(self, env: Env, vals: Vals) -> Vals:
        if _session(env, int(vals["config_id"])):
            raise ValidationError("Another session is already opened for this point of sale.")
        return vals

    @method()
    def set_opening_control(self, env: Env, ids: list[int], cashbox_value: int, notes: str) -> None:
        for session in (env.rec(self.name, id) for id in ids):
            till = session.config_id
            session.write(state="opened", name=f"{till.raw('name')}/{env.db.next(f'number:session:{till.id}'):05d}")

    @method()
    def post_closing_cash_details(self, env: Env, ids: list[int], counted_cash: float) -> Vals:
        return {"successful": True}

    @method()
    def update_closing_control_state_session(self, env: Env, ids: list[int], notes: str) -> None:
        env.write(self.name, ids, {"state": "closing_control"})

    @method()
    def close_session_from_ui(
        self, env: Env, ids: list[int], bank_payment_method_diff_pairs: list[Any] | None = None
    ) -> Vals:
        for session in (env.rec(self.name, id) for id in ids):
            session.write(state="closed")
            for order in session.order_ids:
                if order.state == "paid":
                    order.write(state="done")
        return {"successful": True}


class Order(Model):
    name = "pos.order"
    order = "date_order desc, name desc, id desc"
    defaults = {
        "state": "draft",
        "company_id": 1,
        "date_order": lambda env: env.stamp,
        "amount_tax": 0.0,
        "amount_return": 0.0,
    }

    @method(model_level=True)
    def sync_from_ui(self, env: Env, orders: list[Vals]) -> Vals:
        """Orders as the front end sends them, with its own amounts; one that is known by its `uuid` is left as it is.
        19 answers the order that is refunded before its refund."""
        found = []
        for order in orders:
            origins = {line.order_id for line in _refunded(env, order)}
            if len(origins) > 1:
                raise ValidationError("You can only refund products from the same order.")
            found += [origin.id for origin in origins if env.db.release.major >= 19]
            found.append((env.one(self.name, uuid=order["uuid"]) or _rung_up(env, order, origins)).id)
        return {self.name: env.read(self.name, found, None, None)}


class Line(Model):
    name = "pos.order.line"
    defaults = {"discount": 0.0}


class Payment(Model):
    name = "pos.payment"
    defaults = {"payment_date": lambda env: env.stamp}


class Lot(Model):
    name = "pos.pack.operation.lot"


def _refunded(env: Env, order: Vals) -> list[Rec]:
    rows = [row[2] for row in order["lines"]]
    return [env.rec("pos.order.line", row["refunded_orderline_id"]) for row in rows if row.get("refunded_orderline_id")]


def _session(env: Env, till: int) -> Rec:
    """The one session of a till that is not closed; falsy when there is none."""
    alive = [session for session in env.find("pos.session", config_id=till) if session.state != "closed"]
    return alive[0] if alive else env.rec("pos.session", 0)


def _rung_up(env: Env, order: Vals, origins: set[Rec]) -> Rec:
    session = env.rec("pos.session", order["session_id"])
    if session.state in ("closing_control", "closed"):
        session = _session(env, session.config_id.id)
        if session.state != "opened":
            raise UserError("No open session available. Please open a new session to capture the order.")
    if round(sum(row[2]["amount"] for row in order["payment_ids"]) - order["amount_total"], 2):
        raise UserError(f"Order {order['name']} is not fully paid.")
    till, number = session.config_id, env.db.next(f"number:pos:{session.config_id.id}")
    older = env.db.release.major < 19
    named = {
        "name": next((f"{origin.raw('name')} REFUND" for origin in origins), f"{till.raw('name')} - {number:06d}"),
        "pos_reference": order["name"] if older else f"260-{till.id}-{number:06d}",
        "state": "paid",
        "session_id": session.id,
        "config_id": till.id,
        "currency_id": till.currency_id.id,
    }
    made = env.create("pos.order", order | named)
    _transfers(made, till.picking_type_id)
    if order.get("to_invoice"):
        made.set(account_move=_invoice(made, origins).id, state="invoiced" if older else "done")
    return made


def _invoice(order: Rec, origins: set[Rec]) -> Rec:
    """Invoice or credit note, posted at once; what was paid at the till is matched with it at the session's end."""
    env, back = order.env, order.amount_total < 0
    lines = [
        {
            "product_id": line.product_id.id,
            "quantity": abs(line.qty),
            "price_unit": line.price_unit,
            "tax_ids": [(6, 0, [tax.id for tax in line.tax_ids])],
        }
        for line in order.lines
    ]
    reversed_entry = next((origin.account_move.id for origin in origins if origin.account_move), False)
    values = {
        "move_type": "out_refund" if back else "out_invoice",
        "partner_id": order.partner_id.id,
        "invoice_origin": order.raw("pos_reference"),
        "reversed_entry_id": reversed_entry,
        "invoice_line_ids": [(0, 0, line) for line in lines],
    }
    move = env.create("account.move", values)
    env.models["account.move"].public["action_post"](env, [move.id])
    return move


def _transfers(order: Rec, kind: Rec) -> None:
    """What was sold leaves where the till sells from, what was taken back comes in there."""
    env, shelf, customers = order.env, kind.default_location_src_id, kind.default_location_dest_id
    for sign, source, target in ((1, shelf, customers), (-1, customers, shelf)):
        lines = [line for line in order.lines if sign * line.qty > 0 and line.product_id.type == "consu"]
        if not lines:
            continue
        ends = {"location_id": source.id, "location_dest_id": target.id}
        head = {"picking_type_id": kind.id, "origin": order.raw("name"), "pos_order_id": order.id}
        picking = env.create("stock.picking", {**head, **ends, "pos_session_id": order.session_id.id})
        moves = []
        for line in lines:
            goods = {"product_id": line.product_id.id, "product_uom_qty": abs(line.qty), "picking_id": picking.id}
            moves.append(env.create("stock.move", {**goods, **ends}))
            lots = [env.one("stock.lot", name=lot.lot_name, product_id=line.product_id.id) for lot in line.pack_lot_ids]
            for lot in lots or [env.rec("stock.lot", 0)]:
                add_line(moves[-1], abs(line.qty) / max(len(lots), 1), lot)
        finish(moves)
        picking.set(date_done=env.stamp)


MODELS: list[type[Model]] = [Till, Method, Session, Order, Line, Payment, Lot]
