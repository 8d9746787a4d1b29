"""PostSettlement: one bank line for a payout (net, fees, gross against clearing), matched with what it pays out.

The line is loaded with its three items and posts itself. Each item has an external id, so the one on the clearing
account is found without a search.
"""

from typing import Any

from counterflow.connectors.odoo.client import Document
from counterflow.connectors.odoo.session import Odoo, done, theirs
from counterflow.core.effects import Effect, PostSettlement
from counterflow.core.money import exponent, to_major
from counterflow.sdk.outcomes import Done, Rejected

MODEL = "account.bank.statement.line"


async def find(odoo: Odoo, effect: Effect) -> Done | None:
    """Posted, and nothing is open of it that could be matched with each other."""
    command = effect.command
    assert isinstance(command, PostSettlement)
    key = command.again or effect.effect_id
    id = await odoo.client.find_key(key, MODEL)
    if not id:
        return None
    items = await _open(odoo, key, command)
    return None if _match_each_other(items) else await _read(odoo, id, command, items)


async def send(odoo: Odoo, effect: Effect) -> Done:
    command = effect.command
    assert isinstance(command, PostSettlement)
    key = command.again or effect.effect_id
    id = await odoo.client.find_key(key, MODEL)
    if not id and command.again:
        raise Rejected(
            f"the bank line of {command.payout_ref} is not in Odoo any more: match its entries by hand there"
        )
    if not id:
        (id,) = await odoo.client.load(MODEL, [await _document(odoo, key, command)])
    items = await _open(odoo, key, command)
    if _match_each_other(items):
        await odoo.change("account.move.line", "reconcile", [item["id"] for item in items])
        items = await _open(odoo, key, command)
    return await _read(odoo, id, command, items)


async def _document(odoo: Odoo, key: str, command: PostSettlement) -> Document:
    journal = await odoo.names.id("account.journal", odoo.config.bank_journal) if odoo.config.bank_journal else 0
    if not journal:
        raise Rejected("name the bank's journal in `bank_journal` of the connection, then retry", code="not_configured")
    (row,) = await odoo.client.read("account.journal", [journal], ["default_account_id", "currency_id", "company_id"])
    currency = row["currency_id"]
    if not currency:
        (company,) = await odoo.client.read("res.company", [row["company_id"]], ["currency_id"])
        currency = company["currency_id"]
    if currency != await odoo.names.id("res.currency", command.currency):
        raise Rejected(
            f"the bank journal is not in {command.currency}, the currency of the payout: book the payout by hand",
            code="currency",
        )
    fees = sum(entry.amount_minor for entry in command.entries if entry.kind == "fee")
    gross = command.net_minor - fees
    parts = [(row["default_account_id"], "net", command.net_minor)]
    if fees:
        parts.append((await odoo.names.account(odoo.config.fees_account, "fees_account"), "fees", -fees))
    parts.append((await _clearing_account(odoo, command), "gross", -gross))
    lines: list[dict[str, Any]] = [
        {
            "account_id/.id": account,
            "name": f"{name} of payout {theirs(command.payout_ref)}",
            "balance": to_major(amount, command.currency),
            "amount_currency": to_major(amount, command.currency),
        }
        for account, name, amount in parts
    ]
    head = {
        "journal_id/.id": journal,
        "date": command.booked_on,
        "amount": to_major(command.net_minor, command.currency),
        "payment_ref": f"Payout {theirs(command.payout_ref)}",
        "ref": f"payout:{theirs(command.payout_ref)}",
    }
    return Document(key, head, "line_ids", lines)


async def _clearing_account(odoo: Odoo, command: PostSettlement) -> int:
    name = odoo.config.clearing_accounts.get(command.provider, "")
    return await odoo.names.account(name, f"clearing_accounts.{command.provider}")


async def _open(odoo: Odoo, key: str, command: PostSettlement) -> list[dict[str, Any]]:
    """What is open on the clearing account of the payout's own item and of its entries (by their reference)."""
    count = 3 if any(entry.kind == "fee" and entry.amount_minor for entry in command.entries) else 2
    own = await odoo.client.find_key(f"{key}_l{count}", "account.move.line")
    # Whoever imported the sale wrote the provider's id as the payment's memo; it knows nothing of our references.
    told = [entry.ref for entry in command.entries if entry.kind != "fee"]
    refs = sorted({*told, *map(theirs, told)})
    return await odoo.client.search(
        "account.move.line",
        [
            ["account_id", "=", await _clearing_account(odoo, command)],
            ["parent_state", "=", "posted"],
            ["reconciled", "=", False],
            "|",
            ["id", "=", own],
            ["ref", "in", refs],
        ],
        ["amount_residual"],
        order="id",
    )


def _match_each_other(items: list[dict[str, Any]]) -> bool:
    residuals = [item["amount_residual"] for item in items]
    return bool(residuals) and min(residuals) < 0 < max(residuals)


async def _read(odoo: Odoo, id: int, command: PostSettlement, items: list[dict[str, Any]]) -> Done:
    (row,) = await odoo.client.read(MODEL, [id], ["move_id", "date", "is_reconciled"])
    (move,) = await odoo.client.read("account.move", [row["move_id"]], ["name"])
    # What stays open belongs to entries that Odoo does not have (yet): of a charge on the payout's own item, of a
    # refund on the charges that it was taken from.
    left = round(sum(item["amount_residual"] for item in items) * 10 ** exponent(command.currency))
    return done(odoo.ref(MODEL, id), name=move["name"], state="posted", accounting_on=row["date"], unmatched_minor=left)
