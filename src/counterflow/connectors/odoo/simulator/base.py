"""Companies, partners, currencies, messages and external ids."""

import html
from typing import Any

from counterflow.connectors.odoo.simulator.errors import AccessError, PythonError, RedirectWarning, ValidationError
from counterflow.connectors.odoo.simulator.records import Env, Model, Rec, Vals, method

LOCKS = ("fiscalyear_lock_date", "tax_lock_date", "sale_lock_date", "purchase_lock_date", "hard_lock_date")


class Company(Model):
    name = "res.company"

    def before_write(self, rec: Rec, vals: Vals) -> Vals:
        for lock in ("fiscalyear_lock_date", "hard_lock_date"):
            if vals.get(lock) and _open_statement_lines(rec.env, vals[lock]):
                raise RedirectWarning(
                    "There are still unreconciled bank statement lines in the period you want to lock."
                    "You should either reconcile or delete them."
                )
        return vals


def _open_statement_lines(env: Env, until: str) -> bool:
    return any(
        not line.is_reconciled and str(line.date) <= until for line in env.search("account.bank.statement.line", [])
    )


class Partner(Model):
    name = "res.partner"
    order = "complete_name, id"
    defaults = {"active": True, "autopost_bills": "ask", "company_id": False}
    computed = {"complete_name": lambda rec: rec.row.get("name") or False}

    def prepare(self, env: Env, vals: Vals) -> Vals:
        if not vals.get("name"):
            raise ValidationError("Contacts require a name")
        return vals

    def before_write(self, rec: Rec, vals: Vals) -> Vals:
        if "name" in vals and not vals["name"]:
            raise ValidationError("Contacts require a name")
        return vals


class Currency(Model):
    name = "res.currency"
    order = "active desc, name"
    defaults = {"active": True, "rounding": 0.01, "decimal_places": 2}


def rate_on(env: Env, currency: Rec, day: str) -> float:
    """Units of the currency for one unit of the company's currency: the last rate up to that day (1 without any)."""
    rates = [rate for rate in env.find("res.currency.rate", currency_id=currency.id) if str(rate.raw("name")) <= day]
    return float(max(rates, key=lambda rate: str(rate.raw("name"))).company_rate) if rates else 1.0


class CurrencyRate(Model):
    name = "res.currency.rate"
    order = "name desc, id"
    defaults = {"company_id": 1, "name": lambda env: env.today}


class Uom(Model):
    name = "uom.uom"
    defaults = {"active": True}


class Attachment(Model):
    name = "ir.attachment"
    order = "id desc"
    defaults = {"type": "binary"}


class Message(Model):
    name = "mail.message"
    order = "id desc"
    defaults = {
        "message_type": "comment",
        "date": lambda env: env.stamp,
        "author_id": lambda env: env.rec("res.users", env.uid).partner_id.id or False,
    }


def note(rec: Rec, body: str, **columns: Any) -> Rec:
    """A line in the record's chatter."""
    vals: Vals = {
        "model": rec.model,
        "res_id": rec.id,
        "body": body,
        "message_type": "notification",
        "subtype_id": False,
        "author_id": False,
    }
    return rec.env.create("mail.message", {**vals, **columns})


def post_message(rec: Rec, body: str, body_is_html: bool, message_type: str) -> Rec:
    text = body if body_is_html else f"<p>{html.escape(body, quote=False)}</p>"
    return note(rec, text, message_type=message_type)


class ExternalId(Model):
    """`ir.model.data`: the one table with a unique key that an integration can claim (through `load`)."""

    name = "ir.model.data"
    order = "module, model, name"
    computed = {"complete_name": lambda rec: f"{rec.row.get('module')}.{rec.row.get('name')}"}

    def prepare(self, env: Env, vals: Vals) -> Vals:
        if self.lookup(env, vals["module"], vals["name"]):
            raise ValidationError("The operation cannot be completed: another entry with the same name exists.")
        return {**vals, "_key": f"{vals['module']}.{vals['name']}"}

    @staticmethod
    def lookup(env: Env, module: str, name: str) -> Rec:
        return env.one("ir.model.data", _key=f"{module}.{name}")

    @method(model_level=True)
    def check_object_reference(
        self, env: Env, module: str, xml_id: str, raise_on_access_error: bool = False
    ) -> list[Any]:
        found = self.lookup(env, module, xml_id)
        if not found:
            raise PythonError("ValueError", f"External ID not found in the system: {module}.{xml_id}")
        model, id = found.row["model"], found.row["res_id"]
        if model == "ir.actions.server" and env.uid != 2:
            raise AccessError(
                "You are not allowed to access 'Server Action' (ir.actions.server) records.\n\nThis operation is "
                "allowed for the following groups:\n\t- Role / Administrator\n\nContact your administrator to "
                "request access if necessary."
            )
        return [model, id if env.db.row(model, id) is not None else False]


MODELS: list[type[Model]] = [
    Company,
    Partner,
    Currency,
    CurrencyRate,
    Uom,
    Attachment,
    Message,
    ExternalId,
]
