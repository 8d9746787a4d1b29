"""Accounts, journals, taxes, and what every journal entry shares: numbers, dates under locks, stock entries."""

from typing import Any

from counterflow.connectors.odoo.simulator.errors import UserError
from counterflow.connectors.odoo.simulator.records import Env, Model, Rec, Vals

INVOICES = ("out_invoice", "out_refund", "in_invoice", "in_refund")
OUTBOUND = {"out_invoice": -1, "out_refund": 1, "in_invoice": 1, "in_refund": -1}  # sign of a product line's balance

_LOCK_LABELS = {
    "hard_lock_date": "Hard Lock Date",
    "fiscalyear_lock_date": "Global Lock Date",
    "tax_lock_date": "Tax Return Lock Date",
    "sale_lock_date": "Sales Lock Date",
    "purchase_lock_date": "Purchase Lock Date",
}


class Account(Model):
    name = "account.account"
    order = "code, placeholder_code"
    title = "Account"
    labels = {"name": "Account Name"}
    defaults = {"active": True, "reconcile": False, "account_type": "asset_current"}
    computed = {
        "company_ids": lambda rec: [1],
        "current_balance": lambda rec: round(
            sum(
                line.balance
                for line in rec.env.find("account.move.line", account_id=rec.id)
                if line.parent_state == "posted"
            ),
            3,
        ),
    }

    def prepare(self, env: Env, vals: Vals) -> Vals:
        if vals.get("account_type") in ("asset_receivable", "liability_payable"):
            vals["reconcile"] = True
        if vals.get("code") and env.find(self.name, code=vals["code"]):
            raise UserError(
                f"Account codes must be unique. You can't create accounts with these duplicate codes: {vals['code']}"
            )
        return vals


class Journal(Model):
    name = "account.journal"
    order = "sequence, type, code"
    defaults = {
        "active": True,
        "company_id": 1,
        "sequence": 10,
        "refund_sequence": True,
        "payment_sequence": True,
        "invoice_reference_type": "invoice",
        "invoice_reference_model": "odoo",
    }

    def prepare(self, env: Env, vals: Vals) -> Vals:
        """A bank or cash journal brings its own account, the suspense account and two manual payment methods."""
        if vals.get("type") in ("bank", "cash") and not vals.get("default_account_id"):
            taken = {account.code for account in env.search("account.account", [])}
            code = next(str(number) for number in range(101404, 101999) if str(number) not in taken)
            account = env.create("account.account", {"name": vals["name"], "code": code, "account_type": "asset_cash"})
            vals["default_account_id"] = account.id
        if vals.get("type") in ("bank", "cash") and not vals.get("suspense_account_id"):
            vals["suspense_account_id"] = env.rec("res.company", 1).account_journal_suspense_account_id.id
        return vals

    def created(self, rec: Rec, vals: Vals) -> None:
        if rec.type in ("bank", "cash"):
            for kind in ("inbound", "outbound"):
                rec.env.create(
                    "account.payment.method.line", {"name": "Manual Payment", "journal_id": rec.id, "_direction": kind}
                )

    computed = {
        "inbound_payment_method_line_ids": lambda rec: _methods(rec, "inbound"),
        "outbound_payment_method_line_ids": lambda rec: _methods(rec, "outbound"),
    }


def _methods(journal: Rec, direction: str) -> list[int]:
    lines = journal.env.find("account.payment.method.line", journal_id=journal.id)
    return [line.id for line in lines if line.row.get("_direction") == direction]


class MethodLine(Model):
    name = "account.payment.method.line"
    order = "sequence, id"
    computed = {"payment_type": lambda rec: rec.row.get("_direction")}

    def display(self, rec: Rec) -> str:
        return f"{rec.raw('name')} ({rec.journal_id.raw('name')})"


class Tax(Model):
    name = "account.tax"
    order = "sequence, id"
    defaults = {
        "active": True,
        "company_id": 1,
        "amount_type": "percent",
        "type_tax_use": "sale",
        "sequence": 1,
        "price_include_override": False,
    }
    computed = {"price_include": lambda rec: rec.row.get("price_include_override") == "tax_included"}

    def prepare(self, env: Env, vals: Vals) -> Vals:
        """Of the repartition only the account that the tax is booked on; without one it is the line's own in Odoo."""
        vals.pop("refund_repartition_line_ids", None)
        shares = [command[2] for command in vals.pop("invoice_repartition_line_ids", [])]
        accounts = [share["account_id"] for share in shares if share.get("account_id")]
        return {**vals, "_account_id": accounts[0]} if accounts else vals


def default_journal(env: Env, kind: str) -> Rec:
    found = env.search("account.journal", [("type", "=", kind)], limit=1)
    if not found:
        raise UserError(f"No journal could be found in company My Company for any of those types: {kind}")
    return found[0]


def violated_locks(env: Env, day: str, journal: Rec, taxed: bool) -> list[tuple[str, str]]:
    """(label, date) of the locks that forbid an entry of this day."""
    company = env.rec("res.company", 1)
    applies = {
        "hard_lock_date": True,
        "fiscalyear_lock_date": True,
        "tax_lock_date": taxed,
        "sale_lock_date": journal.type == "sale",
        "purchase_lock_date": journal.type == "purchase",
    }
    return [
        (_LOCK_LABELS[lock], str(company.raw(lock)))
        for lock, relevant in applies.items()
        if relevant and company.raw(lock) and day <= str(company.raw(lock))
    ]


def open_date(env: Env, day: str, journal: Rec, taxed: bool) -> str:
    """The day itself, or today when a lock covers it: Odoo moves the accounting date and says nothing."""
    return env.today if violated_locks(env, day, journal, taxed) else day


def refuse_locked(move: Rec) -> None:
    """A change of something posted inside a locked period is what does fail."""
    locks = violated_locks(move.env, str(move.date), move.journal_id, _taxed(move))
    if locks:
        texts = ", ".join(f"{label} ({day[5:7]}/{day[8:10]}/{day[:4]})" for label, day in locks)
        raise UserError(f"You cannot add/modify entries prior to and inclusive of: {texts}.")


def _taxed(move: Rec) -> bool:
    return any(line.tax_line_id or line.tax_ids for line in move.line_ids)


def post(move: Rec) -> None:
    """Number and date an entry; the caller has checked it."""
    env, journal = move.env, move.journal_id
    day = open_date(env, str(move.date), journal, _taxed(move))
    name = move.raw("name")
    if not name:
        code = str(journal.code)
        if move.move_type == "out_refund":
            code = f"R{code}"
        elif move.origin_payment_id:
            code = f"P{code}"
        monthly = journal.type == "general"
        scope = f"{code}/{day[:4]}/{day[5:7]}" if monthly else f"{code}/{day[:4]}"
        number = env.db.next(f"number:{scope}")
        name = f"{scope}/{number:04d}" if monthly else f"{scope}/{number:05d}"
    move.set(state="posted", name=name, date=day, posted_before=True)


def stock_entry(move: Rec, counterpart: Rec, value: float) -> Rec:
    """The entry of a stock move into (value > 0) or out of a location that has a valuation account."""
    env, product = move.env, move.product_id
    label = f"{move.reference} - {product.raw('name')}"
    stock = product.categ_id.property_stock_valuation_account_id
    lines = [
        (0, 0, {"account_id": account.id, "balance": balance, "name": label, "product_id": product.id})
        for account, balance in ((stock, -value), (counterpart, value))
    ]
    entry = env.create(
        "account.move",
        {
            "move_type": "entry",
            "journal_id": product.categ_id.property_stock_journal.id,
            "date": env.today,
            "ref": move.reference,
            "line_ids": lines,
        },
    )
    post(entry)
    return entry


def money_digits(currency: Rec) -> int:
    places = currency.row.get("decimal_places")
    return 2 if places is None else int(places)


def as_lines(rows: list[Vals]) -> list[tuple[int, int, Any]]:
    return [(0, 0, row) for row in rows]


MODELS: list[type[Model]] = [Account, Journal, MethodLine, Tax]
