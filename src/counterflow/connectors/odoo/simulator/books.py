"""Ledger, stock and documents as one JSON object: what a proof compares with its own expectation."""

from typing import Any

from counterflow.connectors.odoo.simulator.records import Env, Rec, Vals

_DOCUMENTS: dict[str, tuple[str, str]] = {  # model -> (reference field, amount field)
    "sale.order": ("client_order_ref", "amount_total"),
    "stock.picking": ("origin", ""),
    "account.move": ("ref", "amount_total"),
    "account.payment": ("memo", "amount"),
    "stock.scrap": ("origin", ""),
    "repair.order": ("internal_notes", ""),
    "account.bank.statement.line": ("ref", "amount"),
}


def document(rec: Rec) -> Vals:
    reference, amount = _DOCUMENTS[rec.model]
    extra: Vals = {
        name: _shown(rec.raw(name))
        for name in (
            "move_type",
            "payment_type",
            "date",
            "payment_state",
            "invoice_origin",
            "origin",
            "amount_residual",
        )
        if name in rec.env.contract[rec.model]
    }
    if "currency_id" in rec.env.contract[rec.model]:
        extra["currency"] = rec.currency_id.name
    return {
        "model": rec.model,
        "id": rec.id,
        "name": _shown(rec.raw("name")),
        "state": rec.raw("state"),
        "ref": _shown(rec.raw(reference)),
        "amount": rec.raw(amount) if amount else None,
        **extra,
    }


def _shown(value: Any) -> Any:
    return None if value is False else value


def books(env: Env) -> Vals:
    """Trial balance (posted entries, company currency), quants summed by place, product and lot, and all documents."""
    balances: dict[str, Vals] = {}
    for line in env.search("account.move.line", []):
        if line.parent_state == "posted":
            account = line.account_id
            row = balances.setdefault(
                str(account.code),
                {"code": account.code, "name": account.raw("name"), "debit": 0.0, "credit": 0.0, "balance": 0.0},
            )
            for name in ("debit", "credit", "balance"):
                row[name] = round(row[name] + line.raw(name), 3)
    stock: dict[tuple[str, str, str], Vals] = {}
    for quant in env.search("stock.quant", []):
        place, lot = quant.location_id.complete_name, str(quant.lot_id.raw("name") or "")
        product = quant.product_id
        key = (place, str(product.default_code), lot)
        held = stock.setdefault(
            key,
            {
                "location": place,
                "usage": quant.location_id.usage,
                "sku": product.default_code,
                "product_id": product.id,
                "lot": lot or None,
                "quantity": 0.0,
                "reserved": 0.0,
            },
        )
        held["quantity"] += quant.quantity
        held["reserved"] += quant.reserved_quantity
    return {
        "trial_balance": [balances[code] for code in sorted(balances)],
        "stock": [stock[key] for key in sorted(stock) if stock[key]["quantity"] or stock[key]["reserved"]],
        "stock_value": round(
            sum(product.raw("total_value") for product in env.search("product.product", [("is_storable", "=", True)])),
            2,
        ),
        "documents": [document(rec) for model in _DOCUMENTS for rec in env.search(model, [], order="id")],
    }
