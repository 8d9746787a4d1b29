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
_ITEM = ("ref", "reconciled", "amount_residual", "full_reconcile_id")


async def find(odoo: Odoo, effect: Effect) -> Done | None:
    """Posted, and matched with every open entry of it that Odoo has."""
    command = effect.command
    assert isinstance(command, PostSettlement)
    id = await odoo.client.find_key(effect.effect_id, MODEL)
    if not id:
        return None
    items = await _clearing(odoo, effect, command)
    return None if len(items) > 1 else await _read(odoo, id, command, items)


async def send(odoo: Odoo, effect: Effect) -> Done:
    command = effect.command
    assert isinstance(command, PostSettlement)
    id = await odoo.client.find_key(effect.effect_id, MODEL)
    if not id:
        (id,) = await odoo.client.load(MODEL, [await _document(odoo, effect.effect_id, command)])
    items = await _clearing(odoo, effect, command)
    if len(items) > 1:
        await odoo.change("account.move.line", "reconcile", [item["id"] for item in items])
        items = await _clearing(odoo, effect, command)
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


async def _clearing(odoo: Odoo, effect: Effect, command: PostSettlement) -> list[dict[str, Any]]:
    """The payout's own item on the clearing account first, then the open ones of its entries (by their reference)."""
    count = 3 if any(entry.kind == "fee" and entry.amount_minor for entry in command.entries) else 2
    own = await odoo.client.find_key(f"{effect.effect_id}_l{count}", "account.move.line")
    # Whoever imported the sale wrote the provider's id as the payment's memo; it knows nothing of our references.
    told = [entry.ref for entry in command.entries if entry.kind != "fee"]
    refs = sorted({*told, *map(theirs, told)})
    rows = await odoo.client.search(
        "account.move.line",
        [
            ["account_id", "=", await _clearing_account(odoo, command)],
            ["parent_state", "=", "posted"],
            "|",
            ["id", "=", own],
            "&",
            ["ref", "in", refs],
            ["reconciled", "=", False],
        ],
        _ITEM,
        order="id",
    )
    mine = [row for row in rows if row["id"] == own]
    return mine if mine and mine[0]["reconciled"] else [*mine, *(row for row in rows if row["id"] != own)]


async def _read(odoo: Odoo, id: int, command: PostSettlement, items: list[dict[str, Any]]) -> Done:
    (row,) = await odoo.client.read(MODEL, [id], ["move_id", "date", "is_reconciled"])
    (move,) = await odoo.client.read("account.move", [row["move_id"]], ["name"])
    left = round(items[0]["amount_residual"] * 10 ** exponent(command.currency)) if items else 0
    # What stays open on the clearing account belongs to entries that Odoo does not have (yet).
    return done(odoo.ref(MODEL, id), name=move["name"], state="posted", accounting_on=row["date"], unmatched_minor=left)
