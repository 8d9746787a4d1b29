"""Journal items, and the wizard that reverses entries."""

from typing import Any

from counterflow.connectors.odoo.simulator.accounting import INVOICES
from counterflow.connectors.odoo.simulator.base import note, rate_on
from counterflow.connectors.odoo.simulator.errors import UserError
from counterflow.connectors.odoo.simulator.invoices import label
from counterflow.connectors.odoo.simulator.money import is_zero, rounded
from counterflow.connectors.odoo.simulator.reconciling import reconcile, residual, residual_currency, unreconcile
from counterflow.connectors.odoo.simulator.records import Env, Model, Rec, Vals, method


def _line_label(rec: Rec) -> str:
    name = rec.raw("name")
    return label(rec.move_id) + (f" {name}" if name else "")


def _full(line: Rec) -> Rec:
    for side in ("debit_move_id", "credit_move_id"):
        for partial in line.env.find("account.partial.reconcile", **{side: line.id}):
            if partial.full_reconcile_id:
                return partial.full_reconcile_id  # type: ignore[no-any-return]
    return line.env.rec("account.full.reconcile", 0)


def _matching(line: Rec) -> str | bool:
    if full := _full(line):
        return str(full.id)
    ids = [
        partial.id
        for side in ("debit_move_id", "credit_move_id")
        for partial in line.env.find("account.partial.reconcile", **{side: line.id})
    ]
    return f"P{min(ids)}" if ids else False


class MoveLine(Model):
    name = "account.move.line"
    order = "date desc, move_name desc, id"
    title = "Journal Item"
    computed = {
        "debit": lambda rec: max(rec.row.get("balance") or 0.0, 0.0),
        "credit": lambda rec: max(-(rec.row.get("balance") or 0.0), 0.0),
        "amount_residual": residual,
        "amount_residual_currency": residual_currency,
        "reconciled": lambda rec: bool(
            rec.account_id.reconcile
            and rec.row.get("balance") is not None
            and rec.move_id.state == "posted"
            and is_zero(residual(rec), 3)
            and is_zero(residual_currency(rec), 3)
        ),
        "company_currency_id": lambda rec: rec.env.rec("res.company", 1).currency_id,
        "full_reconcile_id": _full,
        "matching_number": _matching,
        "parent_state": lambda rec: rec.move_id.state,
        "move_name": lambda rec: rec.move_id.raw("name"),
        "move_type": lambda rec: rec.move_id.move_type,
        "date": lambda rec: rec.move_id.raw("date"),
        "invoice_date": lambda rec: rec.move_id.raw("invoice_date"),
        "journal_id": lambda rec: rec.move_id.journal_id,
        "ref": lambda rec: rec.move_id.raw("ref"),
        "payment_id": lambda rec: rec.move_id.origin_payment_id,
        "statement_line_id": lambda rec: rec.move_id.row.get("statement_line_id") or False,
        "account_type": lambda rec: rec.account_id.account_type,
        "matched_debit_ids": lambda rec: rec.env.having("account.partial.reconcile", "credit_move_id", rec.id),
        "matched_credit_ids": lambda rec: rec.env.having("account.partial.reconcile", "debit_move_id", rec.id),
    }

    def display(self, rec: Rec) -> str:
        return _line_label(rec)

    def prepare(self, env: Env, vals: Vals) -> Vals:
        move = env.rec("account.move", vals.get("move_id"))
        product = env.rec("product.product", vals.get("product_id"))
        vals.setdefault("display_type", "product")
        vals.setdefault("currency_id", move.currency_id.id or False)
        vals.setdefault("partner_id", move.partner_id.id or False)
        if move.move_type in INVOICES and vals["display_type"] == "product":
            if product:
                vals["name"] = vals.get("name") or env.display_name("product.product", product.id)
                vals.setdefault("price_unit", product.list_price)
            if "tax_ids" not in vals:
                taxes = product.taxes_id if product else []
                vals["tax_ids"] = [(6, 0, [tax.id for tax in taxes])]
            income = product.categ_id.property_account_income_categ_id if product else product
            vals["account_id"] = (
                vals.get("account_id") or income.id or env.rec("res.company", 1).row["_income_account_id"]
            )
            vals.setdefault("product_uom_id", 1)
            vals.setdefault("quantity", 1.0)
        return _balance(vals)

    def created(self, rec: Rec, vals: Vals) -> None:
        for line in rec.sale_line_ids:
            line.touch()
            line.order_id.touch()

    def before_write(self, rec: Rec, vals: Vals) -> Vals:
        if "amount_currency" in vals and "balance" not in vals:
            rate = rate_on(rec.env, rec.currency_id, str(rec.move_id.raw("invoice_date") or rec.env.today))
            vals["balance"] = rounded(vals["amount_currency"] / rate)
        posted = rec.move_id.state == "posted"
        if posted and {"balance", "debit", "credit", "quantity", "price_unit", "tax_ids"} & set(vals):
            raise UserError(
                "You cannot do this modification on a posted journal entry, you can just change some "
                "non legal fields. You must reset the journal entry to draft to do so."
            )
        return _balance(vals)

    def before_unlink(self, rec: Rec) -> None:
        unreconcile([rec])

    @method()
    def reconcile(self, env: Env, ids: list[int]) -> None:
        reconcile([env.rec(self.name, id) for id in ids])

    @method()
    def remove_move_reconcile(self, env: Env, ids: list[int]) -> None:
        unreconcile([env.rec(self.name, id) for id in ids])


def _balance(vals: Vals) -> Vals:
    if "debit" in vals or "credit" in vals:
        vals["balance"] = float(vals.pop("debit", 0) or 0) - float(vals.pop("credit", 0) or 0)
    if "balance" in vals and "amount_currency" not in vals:
        vals["amount_currency"] = vals["balance"]
    return vals


class Reversal(Model):
    name = "account.move.reversal"
    defaults = {"company_id": 1, "date": lambda env: env.today}

    def prepare(self, env: Env, vals: Vals) -> Vals:
        if "move_ids" not in vals:
            vals["move_ids"] = [(6, 0, env.context.get("active_ids") or [])]
        moves = [env.rec("account.move", id) for command in vals["move_ids"] for id in command[2]]
        if any(move.state != "posted" for move in moves):
            raise UserError("To reverse a journal entry, it has to be posted first.")
        return vals

    @method()
    def refund_moves(self, env: Env, ids: list[int]) -> dict[str, Any]:
        wizard = env.rec(self.name, ids[0])
        made = [_reverse(move, wizard) for move in wizard.move_ids]
        action: dict[str, Any] = {"name": "Reverse Moves", "type": "ir.actions.act_window", "res_model": "account.move"}
        if len(made) == 1:
            kind = made[0].move_type
            return {**action, "view_mode": "form", "res_id": made[0].id, "context": {"default_move_type": kind}}
        return {**action, "view_mode": "list,form", "domain": [["id", "in", [move.id for move in made]]]}


def _reverse(move: Rec, wizard: Rec) -> Rec:
    env = move.env
    reason = wizard.raw("reason")
    common = {
        "partner_id": move.partner_id.id or False,
        "currency_id": move.currency_id.id,
        "reversed_entry_id": move.id,
        "invoice_origin": move.raw("invoice_origin"),
        "date": wizard.raw("date"),
        "ref": f"Reversal of: {move.raw('name')}" + (f", {reason}" if reason else ""),
    }
    if move.move_type in INVOICES:
        kind = move.move_type.replace("invoice", "refund")
        names = ("product_id", "name", "quantity", "price_unit", "discount", "account_id", "product_uom_id")
        lines = [
            {
                **{name: line.row.get(name) for name in names},
                "tax_ids": [(6, 0, line.raw("tax_ids"))],
                "sale_line_ids": [(6, 0, line.raw("sale_line_ids"))],
            }
            for line in move.line_ids
            if line.display_type == "product"
        ]
        common |= {
            "move_type": kind,
            "invoice_date": wizard.raw("date"),
            "journal_id": wizard.journal_id.id or move.journal_id.id,
            "invoice_line_ids": [(0, 0, line) for line in lines],
        }
    else:
        common |= {
            "move_type": "entry",
            "journal_id": move.journal_id.id,
            "line_ids": [
                (0, 0, {"account_id": line.account_id.id, "balance": -line.balance, "name": line.raw("name")})
                for line in move.line_ids
            ],
        }
    made = env.create("account.move", common)
    note(
        made,
        "<p>This entry has been reversed from "
        f'<a href="#" data-oe-model="account.move" data-oe-id="{move.id}">{label(move)}</a></p>',
    )
    note(
        move, f'<p>This entry has been <a href="#" data-oe-model="account.move" data-oe-id="{made.id}">reversed</a></p>'
    )
    return made


MODELS: list[type[Model]] = [MoveLine, Reversal]
