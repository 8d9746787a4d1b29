"""Journal entries, invoices and credit notes: lines, taxes, posting, reversal."""

from typing import Any

from counterflow.connectors.odoo.simulator.accounting import (
    INVOICES,
    OUTBOUND,
    default_journal,
    money_digits,
    post,
    refuse_locked,
)
from counterflow.connectors.odoo.simulator.base import note, rate_on
from counterflow.connectors.odoo.simulator.costs import cost_of_goods
from counterflow.connectors.odoo.simulator.errors import UserError
from counterflow.connectors.odoo.simulator.money import is_zero, rounded
from counterflow.connectors.odoo.simulator.reconciling import reconcile, residual_currency, unreconcile
from counterflow.connectors.odoo.simulator.records import Env, Model, Rec, Vals, method

_READONLY = (
    "invoice_date",
    "date",
    "partner_id",
    "currency_id",
    "invoice_payment_term_id",
    "fiscal_position_id",
    "journal_id",
    "move_type",
    "invoice_line_ids",
    "line_ids",
)
_MOVE_TYPES = ("entry", *INVOICES)
_SILENT = ("move_type", "journal_id")  # changes nothing when the value is the same: replays of `load` pass these


def label(rec: Rec) -> str:
    name, ref = rec.raw("name"), rec.raw("ref")
    kind = {"out_invoice": "Draft Invoice", "out_refund": "Draft Credit Note"}.get(rec.move_type, "Draft Entry")
    return (str(name) if name else f"{kind} (* {rec.id})") + (f" ({ref})" if ref else "")


def _sum(rec: Rec, kinds: tuple[str, ...], column: str = "amount_currency") -> float:
    sign = OUTBOUND.get(rec.move_type, 1)
    total = sum(line.row.get(column) or 0.0 for line in rec.line_ids if line.display_type in kinds)
    return rounded(sign * total, 3)


def _total(rec: Rec) -> float:
    if rec.move_type in INVOICES:
        return _sum(rec, ("product", "tax"))
    return rounded(sum(max(line.amount_currency, 0.0) for line in rec.line_ids), 3)


def _terms(rec: Rec) -> list[Rec]:
    return [line for line in rec.line_ids if line.display_type == "payment_term"]


def _residual(rec: Rec) -> float:
    return abs(rounded(sum(residual_currency(line) for line in _terms(rec)), 3))


def _partners(rec: Rec) -> list[Rec]:
    """The entries on the other side of the matches of an invoice."""
    found = []
    for line in _terms(rec):
        found += [p.credit_move_id.move_id for p in rec.env.find("account.partial.reconcile", debit_move_id=line.id)]
        found += [p.debit_move_id.move_id for p in rec.env.find("account.partial.reconcile", credit_move_id=line.id)]
    return found


def _payment_state(rec: Rec) -> str:
    if rec.move_type not in INVOICES or rec.state != "posted":
        return "not_paid"
    counterparts = [move for move in _partners(rec) if move.journal_id.code != "EXCH"]
    if not is_zero(_residual(rec), 3):
        return "partial" if counterparts else "not_paid"
    if (
        rec.move_type.endswith("_invoice")
        and counterparts
        and all(move.move_type.endswith("_refund") for move in counterparts)
    ):
        return "reversed"
    return "paid"


def _payments(rec: Rec) -> list[int]:
    through = [move.origin_payment_id.id for move in _partners(rec) if move.origin_payment_id]
    named = rec.env.having("account.payment", "invoice_ids", rec.id)
    return sorted({*through, *named}, reverse=True)


class Move(Model):
    name = "account.move"
    order = "date desc, name desc, invoice_date desc, id desc"
    title = "Journal Entry"
    defaults = {
        "state": "draft",
        "move_type": "entry",
        "auto_post": "no",
        "company_id": 1,
        "checked": False,
        "invoice_user_id": lambda env: env.uid,
    }
    computed = {
        "invoice_line_ids": lambda rec: [
            line.id
            for line in rec.env.find("account.move.line", move_id=rec.id)
            if line.display_type in ("product", "line_section", "line_note")
        ],
        "amount_untaxed": lambda rec: _sum(rec, ("product",)),
        "amount_tax": lambda rec: _sum(rec, ("tax",)),
        "amount_total": _total,
        "amount_total_signed": lambda rec: (
            rounded(-sum(line.balance for line in rec.line_ids if line.display_type in ("product", "tax")), 3)
            if rec.move_type in INVOICES
            else _total(rec)
        ),
        "amount_residual": _residual,
        "payment_state": _payment_state,
        "has_reconciled_entries": lambda rec: bool(_partners(rec)),
        "matched_payment_ids": _payments,
        "reversal_move_ids": lambda rec: rec.env.having("account.move", "reversed_entry_id", rec.id),
        "line_ids": lambda rec: rec.env.having("account.move.line", "move_id", rec.id),
        "invoice_currency_rate": lambda rec: rate_on(
            rec.env, rec.currency_id, str(rec.raw("invoice_date") or rec.env.today)
        ),
    }

    def display(self, rec: Rec) -> str:
        return label(rec)

    def prepare(self, env: Env, vals: Vals) -> Vals:
        if not vals.get("journal_id"):
            kind = {"out": "sale", "in_": "purchase"}.get(vals["move_type"][:3], "general")
            vals["journal_id"] = default_journal(env, kind).id if vals["move_type"] in _MOVE_TYPES else False
        vals["currency_id"] = vals.get("currency_id") or env.rec("res.company", 1).currency_id.id
        vals["date"] = vals.get("date") or vals.get("invoice_date") or env.today
        return vals

    def created(self, rec: Rec, vals: Vals) -> None:
        sync(rec)
        if rec.move_type in INVOICES:
            note(rec, "<p>Credit Note Created</p>" if rec.move_type.endswith("refund") else "<p>Invoice Created</p>")

    def before_write(self, rec: Rec, vals: Vals) -> Vals:
        if rec.state == "posted" and not rec.env.context.get("skip_readonly_check"):
            violated = [name for name in _READONLY if name in vals and name not in _SILENT]
            violated += [name for name in _SILENT if name in vals and vals[name] != rec.row.get(name)]
            if violated:
                raise UserError(
                    "You cannot modify the following readonly fields on a posted move: " + ", ".join(violated)
                )
        return vals

    def written(self, rec: Rec, vals: Vals) -> None:
        if vals.get("invoice_date") and "date" not in vals and rec.state == "draft":
            rec.set(date=vals["invoice_date"])
        if {"invoice_line_ids", "line_ids", "currency_id", "invoice_date"} & set(vals):
            sync(rec)

    def before_unlink(self, rec: Rec) -> None:
        if rec.state == "posted":
            raise UserError(
                "You can't delete a posted journal item. Don\u2019t play games with your accounting "
                "records; reset the journal entry to draft before deleting it."
            )
        rec.env.unlink("account.move.line", [line.id for line in rec.line_ids])

    @method()
    def action_post(self, env: Env, ids: list[int]) -> bool:
        """False on success, as in the real one."""
        moves = [env.rec(self.name, id) for id in ids]
        for move in moves:
            if move.state != "draft":
                raise UserError(f"The entry {move.raw('name') or '/'} (id {move.id}) must be in draft.")
            if not [
                line for line in move.line_ids if line.display_type not in ("line_section", "line_note", "payment_term")
            ]:
                raise UserError("You need to add a line before posting.")
            if move.move_type in INVOICES and move.amount_total < 0:
                raise UserError(
                    "You cannot validate an invoice with a negative total amount. You should create a "
                    "credit note instead. Use the action menu to transform it into a credit note or "
                    "refund."
                )
            if move.move_type in INVOICES and not move.partner_id:
                raise UserError(
                    "The 'Customer' field is required to validate the invoice.\n"
                    "You probably don't want to explain to your auditor that you invoiced an invisible "
                    "man :)"
                )
        for move in moves:
            _post_invoice(move)
        return False

    @method()
    def button_draft(self, env: Env, ids: list[int]) -> None:
        for move in (env.rec(self.name, id) for id in ids):
            if move.state not in ("posted", "cancel"):
                raise UserError("Only posted/cancelled journal entries can be reset to draft.")
            if move.state == "posted":
                refuse_locked(move)
            unreconcile(move.line_ids)
            env.unlink("account.move.line", [line.id for line in move.line_ids if line.display_type == "cogs"])
            move.set(state="draft")

    @method()
    def button_cancel(self, env: Env, ids: list[int]) -> None:
        for id in ids:
            if env.rec(self.name, id).state == "posted":
                self.button_draft(env, [id])
            env.rec(self.name, id).set(state="cancel")

    @method()
    def js_assign_outstanding_line(self, env: Env, ids: list[int], line_id: int) -> None:
        outstanding = env.rec("account.move.line", line_id)
        env.exists("account.move.line", [line_id])
        own = [line for id in ids for line in _terms(env.rec(self.name, id)) if not line.reconciled]
        reconcile([outstanding, *[line for line in own if line.account_id == outstanding.account_id]])

    @method()
    def action_reverse(self, env: Env, ids: list[int]) -> dict[str, Any]:
        return {
            "name": "Reverse",
            "type": "ir.actions.act_window",
            "res_model": "account.move.reversal",
            "view_mode": "form",
            "target": "new",
            "context": {"active_model": self.name, "active_ids": ids},
        }


def sync(move: Rec) -> None:
    """Bring amounts, tax lines and the receivable line of a draft invoice in line with its product lines."""
    if move.move_type not in INVOICES:
        _check_balanced(move)
        return
    env, sign = move.env, OUTBOUND[move.move_type]
    digits = money_digits(move.currency_id)
    rate = rate_on(env, move.currency_id, str(move.raw("invoice_date") or env.today))
    common = {"currency_id": move.currency_id.id, "partner_id": move.partner_id.id or False}
    taxes: dict[int, float] = {}
    base: list[Any] = [move.currency_id.id, rate]
    for line in move.line_ids:
        if line.display_type == "product":
            subtotal, per_tax = line_amounts(line, digits)
            line.set(
                **common,
                amount_currency=sign * subtotal,
                balance=rounded(sign * subtotal / rate),
                price_subtotal=subtotal,
                price_total=rounded(subtotal + sum(per_tax.values()), digits),
            )
            for tax_id, amount in per_tax.items():
                taxes[tax_id] = taxes.get(tax_id, 0.0) + amount
            base.append([subtotal, sorted(per_tax)])
    if env.db.release.major >= 19:  # before, a new database rounded per line
        taxes |= _round_globally(move, sign, digits, rate)
    # A tax line corrected by hand survives until its base changes.
    if move.row.get("_base") != base:
        move.set(_base=base)
        for line in move.line_ids:
            if line.display_type == "tax" and line.tax_line_id.id not in taxes:
                env.unlink("account.move.line", [line.id])
        for tax_id, amount in taxes.items():
            tax = env.rec("account.tax", tax_id)
            existing = next((line for line in move.line_ids if line.tax_line_id == tax), None)
            line = existing or env.create(
                "account.move.line",
                {
                    "move_id": move.id,
                    "display_type": "tax",
                    "tax_line_id": tax_id,
                    "name": tax.raw("name"),
                    "account_id": tax.row["_account_id"],
                },
            )
            line.set(**common, amount_currency=rounded(sign * amount, digits), balance=rounded(sign * amount / rate))
    others = [line for line in move.line_ids if line.display_type in ("product", "tax")]
    owed = -rounded(sum(line.amount_currency for line in others), digits)
    term = next(iter(_terms(move)), None)
    if term is None and others:
        receivable = env.rec("res.company", 1).row["_receivable_account_id"]
        term = env.create(
            "account.move.line",
            {"move_id": move.id, "display_type": "payment_term", "account_id": receivable, "name": False},
        )
    if term is not None:
        term.set(
            **common,
            amount_currency=owed,
            balance=-rounded(sum(line.balance for line in others)),
            date_maturity=move.raw("invoice_date") or env.today,
        )


def _round_globally(move: Rec, sign: int, digits: int, rate: float) -> dict[int, float]:
    """The taxes of the document as a whole, as a new database has it; the cent that a line is off goes to the largest.

    Only for prices that include their one tax; the others are the same either way in what is recorded.
    """
    groups: dict[int, list[Rec]] = {}
    for line in move.line_ids:
        if line.display_type == "product" and len(line.tax_ids) == 1 and line.tax_ids[0].price_include:
            groups.setdefault(line.tax_ids[0].id, []).append(line)
    taxes = {}
    for id, lines in groups.items():
        percent = lines[0].tax_ids[0].amount
        gross = sum(line.price_unit * line.quantity * (1 - line.discount / 100) for line in lines)
        taxes[id] = rounded(gross * percent / (100 + percent), digits)
        off = rounded(rounded(gross, digits) - taxes[id] - sum(line.price_subtotal for line in lines), digits)
        if off:
            largest = max(lines, key=lambda line: abs(line.price_subtotal))
            amount = rounded(sign * (largest.price_subtotal + off), digits)
            largest.set(amount_currency=amount, balance=rounded(amount / rate))
    return taxes


def line_amounts(line: Rec, digits: int) -> tuple[float, dict[int, float]]:
    """(untaxed amount, tax amount per tax) of a product line; round per line, prices may include their tax."""
    gross = line.price_unit * line.quantity * (1 - line.discount / 100)
    taxes = line.tax_ids
    included = sum(tax.amount for tax in taxes if tax.price_include)
    subtotal = rounded(gross / (1 + included / 100), digits) if included else rounded(gross, digits)
    per_tax = {tax.id: rounded(subtotal * tax.amount / 100, digits) for tax in taxes}
    if included and taxes:
        # What is left of a price that includes its tax belongs to the tax, so that the sum is the price.
        inside = [tax.id for tax in taxes if tax.price_include]
        rest = rounded(gross, digits) - subtotal - sum(per_tax[id] for id in inside)
        per_tax[inside[-1]] = rounded(per_tax[inside[-1]] + rest, digits)
    return subtotal, per_tax


def _check_balanced(move: Rec) -> None:
    total = sum(line.balance for line in move.line_ids)
    if not is_zero(total):
        raise UserError("The entry is not balanced.")


def _post_invoice(move: Rec) -> None:
    env = move.env
    invoice = move.move_type in INVOICES
    if invoice and not move.raw("invoice_date"):
        move.set(invoice_date=env.today, date=move.raw("date") or env.today)
        sync(move)
    post(move)
    if invoice:
        if move.move_type == "out_invoice" and not move.raw("payment_reference"):
            move.set(payment_reference=move.raw("name"))
        reference = move.raw("payment_reference")
        for term in _terms(move):
            ref = move.raw("ref")
            term.set(name=f"{ref} - {reference}" if ref and reference else reference or False)
        cost_of_goods(move)
        origin = move.reversed_entry_id
        if origin and origin.state == "posted":
            # An unpaid invoice and its credit note are matched at once: nothing is left to refund.
            lines = [line for line in (*_terms(origin), *_terms(move)) if not line.reconciled]
            if len({line.move_id.id for line in lines}) == 2:
                reconcile(lines)


MODELS: list[type[Model]] = [Move]
