"""Payments, the payment wizard, and bank statement lines."""

from typing import Any

from counterflow.connectors.odoo.simulator.accounting import default_journal, open_date, post
from counterflow.connectors.odoo.simulator.base import rate_on
from counterflow.connectors.odoo.simulator.errors import UserError
from counterflow.connectors.odoo.simulator.money import is_zero, rounded
from counterflow.connectors.odoo.simulator.reconciling import reconcile, residual, residual_currency, unreconcile
from counterflow.connectors.odoo.simulator.records import Env, Model, Rec, Vals, method

_NOTHING_LEFT = (
    "There's nothing left to pay for the selected journal items, so no payment registration is necessary. "
    "You've got your finances under control like a boss!"
)


def _counterpart(payment: Rec) -> list[Rec]:
    target = payment.row.get("destination_account_id")
    return [line for line in payment.move_id.line_ids if line.account_id.id == target] if payment.move_id else []


def _liquidity(payment: Rec) -> list[Rec]:
    target = payment.row.get("outstanding_account_id")
    return [line for line in payment.move_id.line_ids if line.account_id.id == target] if payment.move_id else []


def _is_reconciled(payment: Rec) -> bool:
    lines = _counterpart(payment)
    return bool(lines) and all(line.reconciled for line in lines)


def _reconciled_invoices(payment: Rec) -> list[int]:
    found = set(payment.row.get("invoice_ids") or [])
    for line in _counterpart(payment):
        for side, other in (("debit_move_id", "credit_move_id"), ("credit_move_id", "debit_move_id")):
            for partial in payment.env.find("account.partial.reconcile", **{side: line.id}):
                found.add(payment.env.rec("account.move.line", partial.row[other]).move_id.id)
    return sorted(id for id in found if payment.env.rec("account.move", id).journal_id.code != "EXCH")


class Payment(Model):
    name = "account.payment"
    order = "date desc, name desc"
    title = "Payments"
    defaults = {
        "state": "draft",
        "company_id": 1,
        "payment_type": "inbound",
        "partner_type": "customer",
        "date": lambda env: env.today,
        "amount": 0.0,
    }
    computed = {
        "state": lambda rec: "paid" if rec.row["state"] == "in_process" and _is_reconciled(rec) else rec.row["state"],
        "name": lambda rec: rec.move_id.raw("name") if rec.move_id else rec.row.get("name") or False,
        "is_reconciled": _is_reconciled,
        "is_matched": lambda rec: (
            bool(_liquidity(rec))
            and all(line.reconciled or line.account_id.account_type == "asset_cash" for line in _liquidity(rec))
        ),
        "reconciled_invoice_ids": _reconciled_invoices,
        "reconciled_invoices_count": lambda rec: len(_reconciled_invoices(rec)),
    }

    def display(self, rec: Rec) -> str:
        return str(rec.raw("name") or "Draft Payment")

    def prepare(self, env: Env, vals: Vals) -> Vals:
        company = env.rec("res.company", 1).row
        journal = env.rec("account.journal", vals.get("journal_id")) or default_journal(env, "bank")
        lines = getattr(journal, f"{vals['payment_type']}_payment_method_line_ids")
        method_line = env.rec("account.payment.method.line", vals.get("payment_method_line_id")) or lines[0]
        # Without an account on the method line Community falls back to Outstanding Receipts or Payments, silently.
        fallback = company["_receipts_account_id" if vals["payment_type"] == "inbound" else "_payments_account_id"]
        vals["journal_id"] = journal.id
        vals["payment_method_line_id"] = method_line.id
        vals["outstanding_account_id"] = method_line.payment_account_id.id or fallback
        vals["destination_account_id"] = company["_receivable_account_id"]
        vals["currency_id"] = vals.get("currency_id") or company["currency_id"]
        return vals

    def before_write(self, rec: Rec, vals: Vals) -> Vals:
        # The amount is not among them: a `load` repeated with another one changes the header of a posted payment.
        fixed = {"payment_type", "partner_id", "journal_id", "currency_id", "date"}
        changed = sorted(
            name for name in fixed & set(vals) if rec.row["state"] != "draft" and vals[name] != rec.row.get(name)
        )
        if changed:
            raise UserError("You cannot modify the following readonly fields on a posted move: " + ", ".join(changed))
        return vals

    def before_unlink(self, rec: Rec) -> None:
        if rec.row["state"] != "draft":
            raise UserError("You cannot delete a payment that is not a draft.")

    @method()
    def action_post(self, env: Env, ids: list[int]) -> None:
        for payment in (env.rec(self.name, id) for id in ids):
            if payment.row["state"] == "draft":
                _post_payment(payment)

    @method()
    def action_draft(self, env: Env, ids: list[int]) -> None:
        for payment in (env.rec(self.name, id) for id in ids):
            if payment.move_id:
                unreconcile(payment.move_id.line_ids)
                payment.move_id.set(state="draft")
            payment.set(state="draft")

    @method()
    def action_cancel(self, env: Env, ids: list[int]) -> None:
        for payment in (env.rec(self.name, id) for id in ids):
            self.action_draft(env, [payment.id])
            if payment.move_id:
                payment.move_id.set(state="cancel")
            payment.set(state="canceled")


def _post_payment(payment: Rec) -> None:
    env = payment.env
    memo = payment.raw("memo")
    label = payment.payment_method_line_id.raw("name") + (f": {memo}" if memo else "")
    sign = 1 if payment.payment_type == "inbound" else -1
    foreign = sign * payment.amount
    value = rounded(foreign / rate_on(env, payment.currency_id, str(payment.date)))
    rows = [
        {
            "account_id": account,
            "balance": way * value,
            "amount_currency": way * foreign,
            "name": label,
            "partner_id": payment.partner_id.id or False,
            "currency_id": payment.currency_id.id,
        }
        for account, way in ((payment.row["outstanding_account_id"], 1), (payment.row["destination_account_id"], -1))
    ]
    move = payment.move_id
    if move:
        env.unlink("account.move.line", [line.id for line in move.line_ids])
        move.write(line_ids=[(0, 0, row) for row in rows], date=payment.date)
    else:
        move = env.create(
            "account.move",
            {
                "move_type": "entry",
                "journal_id": payment.journal_id.id,
                "date": payment.date,
                "ref": memo,
                "partner_id": payment.partner_id.id or False,
                "currency_id": payment.currency_id.id,
                "line_ids": [(0, 0, row) for row in rows],
                "origin_payment_id": payment.id,
            },
        )
    post(move)
    payment.set(move_id=move.id, state="in_process")


def _to_pay(env: Env) -> list[Rec]:
    ids = env.context.get("active_ids") or []
    if env.context.get("active_model") == "account.move.line":
        lines = [env.rec("account.move.line", id) for id in ids]
    else:
        moves = [env.rec("account.move", id) for id in ids]
        env.exists("account.move", ids)
        if any(move.state != "posted" for move in moves):
            raise UserError("You can only register payment for posted journal entries.")
        lines = [
            line
            for move in moves
            for line in move.line_ids
            if line.account_id.account_type in ("asset_receivable", "liability_payable")
        ]
    return [line for line in lines if not line.reconciled]


class PaymentWizard(Model):
    """`account.payment.register`: creates, posts and reconciles; it has no key, and calls side by side all pay."""

    name = "account.payment.register"
    defaults = {
        "payment_date": lambda env: env.today,
        "group_payment": False,
        "installments_mode": "full",
        "payment_difference_handling": "open",
    }
    computed = {
        "can_edit_wizard": lambda rec: len({line.move_id.id for line in rec.line_ids}) == 1,
        "can_group_payments": lambda rec: len(rec.line_ids) > 1,
        "payment_difference": lambda rec: rounded(rec.row["_open"] - rec.row["amount"], 3),
        "company_id": lambda rec: 1,
    }

    def prepare(self, env: Env, vals: Vals) -> Vals:
        lines = _to_pay(env)
        if not lines:
            raise UserError(_NOTHING_LEFT)
        total = rounded(sum(residual_currency(line) for line in lines), 3)
        direction = "inbound" if total > 0 else "outbound"
        journal = env.rec("account.journal", vals.get("journal_id")) or default_journal(env, "bank")
        methods = getattr(journal, f"{direction}_payment_method_line_ids")
        first = lines[0].move_id
        derived = {
            "line_ids": [(6, 0, [line.id for line in lines])],
            "payment_type": direction,
            "partner_type": "customer",
            "partner_id": first.partner_id.id or False,
            "currency_id": first.currency_id.id,
            "journal_id": journal.id,
            "payment_method_line_id": methods[0].id,
            "amount": abs(total),
            "_open": abs(total),
            "communication": first.raw("payment_reference") or first.raw("ref") or first.raw("name"),
        }
        return {**derived, **{name: value for name, value in vals.items() if value is not None}}

    @method()
    def action_create_payments(self, env: Env, ids: list[int]) -> Any:
        made: list[Rec] = []
        for wizard in (env.rec(self.name, id) for id in ids):
            made += self._pay(env, wizard)
        action: dict[str, Any] = {
            "name": "Payments",
            "type": "ir.actions.act_window",
            "res_model": "account.payment",
            "context": {"create": False},
        }
        if len(made) == 1:
            return {**action, "view_mode": "form", "res_id": made[0].id}
        return {**action, "view_mode": "list,form", "domain": [["id", "in", [payment.id for payment in made]]]}

    def _pay(self, env: Env, wizard: Rec) -> list[Rec]:
        open_then = {line.id for line in wizard.line_ids if self._open_in_snapshot(env, line)}
        if not open_then:
            raise UserError(_NOTHING_LEFT)
        lines = [line for line in wizard.line_ids if line.id in open_then]
        groups = [lines] if wizard.group_payment or len(lines) == 1 else [[line] for line in lines]
        single = len(groups) == 1
        payments = []
        for group in groups:
            amount = wizard.amount if single else abs(residual_currency(group[0]))
            move = group[0].move_id
            payment = env.create(
                "account.payment",
                {
                    "payment_type": wizard.payment_type,
                    "partner_id": move.partner_id.id or False,
                    "amount": amount,
                    "journal_id": wizard.journal_id.id,
                    "date": wizard.payment_date,
                    "currency_id": move.currency_id.id,
                    "payment_method_line_id": wizard.payment_method_line_id.id,
                    "memo": wizard.communication if single else move.raw("payment_reference") or move.raw("name"),
                    "invoice_ids": [(6, 0, [line.move_id.id for line in group])],
                },
            )
            _post_payment(payment)
            still_open = [line for line in group if not line.reconciled]
            if still_open:
                reconcile([*still_open, *_counterpart(payment)])
            payments.append(payment)
        return payments

    @staticmethod
    def _open_in_snapshot(env: Env, line: Rec) -> bool:
        """Repeatable read: what another call matched after we began still looks open to us, and is paid again."""
        return not line.reconciled or env.db.changed_since("_paying", line.move_id.id, env.snapshot)

    def paid(self, env: Env, ids: list[int]) -> None:
        """Leave the mark that `_open_in_snapshot` looks for."""
        for wizard in (env.rec(self.name, id) for id in ids):
            for line in wizard.line_ids:
                env.db.touch("_paying", line.move_id.id)


def _suspense(rec: Rec) -> list[Rec]:
    account = rec.journal_id.suspense_account_id
    return [line for line in rec.move_id.line_ids if line.account_id == account]


def _through(name: str) -> Any:
    return lambda rec: rec.move_id.raw(name)


class StatementLine(Model):
    """A bank statement line is an entry of its own that posts itself."""

    name = "account.bank.statement.line"
    order = "internal_index desc"
    extra = ("counterpart_account_id",)
    defaults = {"amount": 0.0, "date": lambda env: env.today, "company_id": 1}
    computed = {
        "line_ids": lambda rec: rec.env.having("account.move.line", "move_id", rec.row["move_id"]),
        "is_reconciled": lambda rec: all(
            is_zero(residual(line)) and line.account_id.reconcile for line in _suspense(rec)
        ),
        "amount_residual": lambda rec: rounded(-sum(line.balance for line in _suspense(rec))),
        "internal_index": lambda rec: f"{rec.move_id.date}{rec.id:010d}",
        **{name: _through(name) for name in ("date", "name", "state", "partner_id", "move_type", "checked")},
        "ref": lambda rec: rec.move_id.raw("ref"),
    }

    def display(self, rec: Rec) -> str:
        return rec.env.display_name("account.move", rec.move_id.id)

    def prepare(self, env: Env, vals: Vals) -> Vals:
        journal = env.rec("account.journal", vals.get("journal_id")) or default_journal(env, "bank")
        day = open_date(env, str(vals["date"]), journal, False)
        lines = vals.pop("line_ids", None) or self._lines(journal, vals)
        counterpart = vals.pop("counterpart_account_id", None)
        if counterpart:
            lines[1][2]["account_id"] = counterpart
        move = env.create(
            "account.move",
            {
                "move_type": "entry",
                "journal_id": journal.id,
                "date": day,
                "ref": vals.get("ref") or False,
                "partner_id": vals.get("partner_id") or False,
                "line_ids": lines,
            },
        )
        post(move)
        move.set(checked=True)
        return {
            **vals,
            "journal_id": journal.id,
            "move_id": move.id,
            "currency_id": env.rec("res.company", 1).currency_id.id,
        }

    @staticmethod
    def _lines(journal: Rec, vals: Vals) -> list[Any]:
        amount = float(vals["amount"])
        accounts = (journal.default_account_id, journal.suspense_account_id)
        return [
            (0, 0, {"account_id": account.id, "balance": balance, "name": vals.get("payment_ref") or False})
            for account, balance in zip(accounts, (amount, -amount), strict=True)
        ]

    def created(self, rec: Rec, vals: Vals) -> None:
        rec.move_id.set(statement_line_id=rec.id)
        for line in rec.move_id.line_ids:
            line.set(_statement=rec.id)

    def before_write(self, rec: Rec, vals: Vals) -> Vals:
        if "ref" in vals:
            rec.move_id.set(ref=vals["ref"])
        if vals.get("amount") not in (None, rec.row.get("amount")) and not _suspense(rec):
            raise UserError("The journal entry was modified manually.")
        for line, sign in zip(rec.move_id.line_ids, (1, -1), strict=False):
            if "amount" in vals and _suspense(rec):
                line.set(balance=sign * float(vals["amount"]), amount_currency=sign * float(vals["amount"]))
        return vals

    def before_unlink(self, rec: Rec) -> None:
        move = rec.move_id
        unreconcile(move.line_ids)
        move.set(state="draft")
        rec.env.unlink("account.move", [move.id])


MODELS: list[type[Model]] = [Payment, PaymentWizard, StatementLine]
