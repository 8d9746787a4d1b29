"""Odoo's own points of sale, as far as somebody reads them: their orders, refunds and payments."""

from counterflow.connectors.odoo.simulator.records import Model


class Till(Model):
    name = "pos.config"


class Method(Model):
    name = "pos.payment.method"
    computed = {"type": lambda rec: "cash" if rec.row.get("is_cash_count") else "bank"}


class Order(Model):
    name = "pos.order"
    order = "date_order desc, name desc, id desc"
    defaults = {"state": "paid", "company_id": 1, "amount_tax": 0.0, "amount_return": 0.0}


class Line(Model):
    name = "pos.order.line"
    defaults = {"discount": 0.0}


class Payment(Model):
    name = "pos.payment"
    defaults = {"payment_date": lambda env: env.stamp}


class Lot(Model):
    name = "pos.pack.operation.lot"


MODELS: list[type[Model]] = [Till, Method, Order, Line, Payment, Lot]
