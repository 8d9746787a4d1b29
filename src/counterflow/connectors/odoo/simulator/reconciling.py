"""Matching of journal items: partial and full reconciles, and the exchange difference between two rates."""

from counterflow.connectors.odoo.simulator.errors import UserError
from counterflow.connectors.odoo.simulator.money import is_zero, rounded
from counterflow.connectors.odoo.simulator.records import Model, Rec


def _matched(line: Rec, column: str, own: str) -> float:
    env = line.env
    plus = sum(
        partial.row[column or f"{own}_debit"]
        for partial in env.find("account.partial.reconcile", debit_move_id=line.id)
    )
    minus = sum(
        partial.row[column or f"{own}_credit"]
        for partial in env.find("account.partial.reconcile", credit_move_id=line.id)
    )
    return float(plus - minus)


def _open_kind(line: Rec) -> bool:
    return bool(line.account_id.reconcile) or line.account_id.account_type in ("asset_cash", "liability_credit_card")


def residual(line: Rec) -> float:
    """What is unmatched, signed, in the company's currency; 0 on accounts that are not matched."""
    if not _open_kind(line):
        return 0.0
    return rounded((line.row.get("balance") or 0.0) - _matched(line, "amount", ""), 3)


def residual_currency(line: Rec) -> float:
    if not _open_kind(line):
        return 0.0
    return rounded((line.row.get("amount_currency") or 0.0) - _matched(line, "", "_amount"), 3)


class Partial(Model):
    name = "account.partial.reconcile"
    defaults = {"company_id": 1}
    computed = {
        "debit_amount_currency": lambda rec: rec.row.get("_amount_debit", 0.0),
        "credit_amount_currency": lambda rec: rec.row.get("_amount_credit", 0.0),
    }


class Full(Model):
    name = "account.full.reconcile"
    computed = {
        "partial_reconcile_ids": lambda rec: rec.env.having("account.partial.reconcile", "full_reconcile_id", rec.id),
        "reconciled_line_ids": lambda rec: sorted(
            {
                id
                for partial in rec.env.find("account.partial.reconcile", full_reconcile_id=rec.id)
                for id in (partial.debit_move_id.id, partial.credit_move_id.id)
            }
        ),
    }


def reconcile(lines: list[Rec]) -> None:
    """Match debits with credits, by due date, currency and amount; refuse what Odoo refuses.

    With `reduced_line_sorting` in the context lines of one date keep the order in which they are given. Lines of
    several partners are put together by partner, otherwise in that order.
    """
    if not lines:
        return
    if any(line.reconciled for line in lines):
        raise UserError("You are trying to reconcile some entries that are already reconciled.")
    accounts = list(dict.fromkeys(line.account_id for line in lines))
    if len(accounts) > 1:
        names = ", ".join(str(account.raw("name")) for account in accounts)
        raise UserError(f"Entries are not from the same account: {names}")
    if not accounts[0].reconcile:
        raise UserError(
            f"Account {accounts[0].raw('name')} does not allow reconciliation. First change the "
            "configuration of this account to allow it."
        )
    if any(line.parent_state != "posted" for line in lines):
        raise UserError("You can only reconcile posted entries.")
    reduced = lines[0].env.context.get("reduced_line_sorting")
    lines = sorted(lines, key=lambda line: _turn(line)[: 2 if reduced else 4])
    if len({line.partner_id for line in lines}) > 1:
        lines.sort(key=lambda line: line.partner_id.id)
    debits = [line for line in lines if _side(line) > 0]
    credits = [line for line in lines if _side(line) < 0]
    while debits and credits:
        debit, credit = debits[0], credits[0]
        _match(debit, credit)
        debits = debits[1:] if _done(debit) else debits
        credits = credits[1:] if _done(credit) else credits
    _close(lines)


def _turn(line: Rec) -> tuple[str, int, float, float]:
    due = str(line.raw("date_maturity") or line.date)
    return due, line.currency_id.id, line.amount_currency, line.balance


def _side(line: Rec) -> float:
    return residual_currency(line) or residual(line)


def _done(line: Rec) -> bool:
    return is_zero(residual(line), 3) and is_zero(residual_currency(line), 3)


def _match(debit: Rec, credit: Rec) -> None:
    env = debit.env
    same = debit.currency_id == credit.currency_id
    held_debit, held_credit = residual(debit), -residual(credit)
    if same:
        amount = min(residual_currency(debit), -residual_currency(credit))
        # In company currency each side gives up its share; the smaller is matched, the rest is an exchange difference.
        share_debit = _share(held_debit, amount, residual_currency(debit))
        share_credit = _share(held_credit, amount, -residual_currency(credit))
        value = min(share_debit, share_credit)
        columns = {"_amount_debit": amount, "_amount_credit": amount}
    else:
        value = min(held_debit, held_credit)
        share_debit = share_credit = value
        columns = {
            "_amount_debit": _share(residual_currency(debit), value, held_debit),
            "_amount_credit": _share(-residual_currency(credit), value, held_credit),
        }
    env.create(
        "account.partial.reconcile",
        {
            "debit_move_id": debit.id,
            "credit_move_id": credit.id,
            "amount": value,
            **columns,
            "max_date": max(str(debit.date), str(credit.date)),
        },
    )
    for line in (debit, credit):
        line.touch()
        line.move_id.touch()
    if share_debit > value:
        _exchange(debit, share_debit - value)
    if share_credit > value:
        _exchange(credit, value - share_credit)


def _share(whole: float, part: float, of: float) -> float:
    return whole if is_zero(part - of, 3) else rounded(whole * part / of) if of else 0.0


def _exchange(line: Rec, difference: float) -> None:
    """Book away what the matched line still holds in company currency (positive: a debit too much)."""
    env = line.env
    company = env.rec("res.company", 1).row
    difference = rounded(difference)
    common = {"currency_id": line.currency_id.id, "amount_currency": 0.0, "name": "Currency exchange rate difference"}
    journal = env.one("account.journal", code="EXCH")
    other = company["_loss_account_id" if difference > 0 else "_gain_account_id"]
    entry = env.create(
        "account.move",
        {
            "move_type": "entry",
            "journal_id": journal.id,
            "date": str(line.date),
            "line_ids": [
                (0, 0, {**common, "account_id": line.account_id.id, "balance": -difference}),
                (0, 0, {**common, "account_id": other, "balance": difference}),
            ],
        },
    )
    from counterflow.connectors.odoo.simulator.accounting import post

    post(entry)
    fix = entry.line_ids[0]
    debit, credit = (line, fix) if difference > 0 else (fix, line)
    env.create(
        "account.partial.reconcile",
        {
            "debit_move_id": debit.id,
            "credit_move_id": credit.id,
            "amount": abs(difference),
            "_amount_debit": 0.0,
            "_amount_credit": 0.0,
            "exchange_move_id": entry.id,
            "max_date": str(line.date),
        },
    )


def _component(line: Rec) -> tuple[set[int], list[Rec]]:
    env, seen, partials, queue = line.env, {line.id}, [], [line.id]
    while queue:
        id = queue.pop()
        for side, other in (("debit_move_id", "credit_move_id"), ("credit_move_id", "debit_move_id")):
            for partial in env.find("account.partial.reconcile", **{side: id}):
                partials.append(partial)
                if partial.row[other] not in seen:
                    seen.add(partial.row[other])
                    queue.append(partial.row[other])
    return seen, list(dict.fromkeys(partials))


def _close(lines: list[Rec]) -> None:
    """Lines matched to zero, with all that hangs on them, get one full reconcile: the matching number.

    What was matched in one call shares a number; if some of it stays open, each closed group gets its own.
    """
    env = lines[0].env
    groups = [_component(line) for line in lines]
    closed = [
        (ids, partials)
        for ids, partials in groups
        if partials and all(_done(env.rec("account.move.line", id)) for id in ids)
    ]
    together = [closed] if len(closed) == len(groups) else [[group] for group in closed]
    for bundle in together:
        partials = list(dict.fromkeys(partial for _, found in bundle for partial in found))
        if any(not partial.full_reconcile_id for partial in partials):
            full = env.create("account.full.reconcile", {})
            for partial in partials:
                partial.set(full_reconcile_id=full.id)


def unreconcile(lines: list[Rec]) -> None:
    for line in lines:
        _, partials = _component(line)
        for partial in partials:
            if line.id in (partial.row["debit_move_id"], partial.row["credit_move_id"]):
                line.env.unlink("account.partial.reconcile", [partial.id])
            else:
                partial.set(full_reconcile_id=False)


MODELS: list[type[Model]] = [Partial, Full]
