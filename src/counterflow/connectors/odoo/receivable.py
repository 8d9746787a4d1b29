"""The customer's receivable lines: which are open, and matching them."""

from collections.abc import Sequence
from typing import Any

from counterflow.connectors.odoo.session import Odoo

Row = dict[str, Any]
_FIELDS = ("move_id", "date", "move_name", "reconciled", "amount_residual_currency", "payment_id")


async def lines_of(odoo: Odoo, moves: Sequence[int], payments: Sequence[int] = ()) -> list[Row]:
    """The receivable lines of entries and of payments."""
    return await odoo.client.search(
        "account.move.line",
        [
            "|",
            ["move_id", "in", list(moves)],
            ["payment_id", "in", list(payments)],
            ["account_type", "=", "asset_receivable"],
            ["parent_state", "=", "posted"],
        ],
        _FIELDS,
        order="id",
    )


async def open_lines(odoo: Odoo, moves: Sequence[int], payments: Sequence[int] = ()) -> list[Row]:
    return [row for row in await lines_of(odoo, moves, payments) if not row["reconciled"]]


async def match(odoo: Odoo, rows: Sequence[Row]) -> None:
    """Reconcile open lines with each other. With fewer than two sides there is nothing to match."""
    if len(rows) > 1:
        await odoo.change("account.move.line", "reconcile", [row["id"] for row in rows])
