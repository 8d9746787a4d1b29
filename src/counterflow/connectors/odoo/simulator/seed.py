"""A company ready to trade: chart of accounts, journals, taxes, warehouses; ids as in the recorded database."""

from typing import Any

from counterflow.connectors.odoo.simulator.access import ROLES
from counterflow.connectors.odoo.simulator.records import Env, Rec, Vals

_ACCOUNTS: list[tuple[int, str, str, str, bool]] = [
    (1, "101000", "Current Assets", "asset_current", False),
    (2, "110100", "Stock Valuation", "asset_current", False),
    (5, "121000", "Account Receivable", "asset_receivable", True),
    (15, "211000", "Account Payable", "liability_payable", True),
    (21, "251000", "Tax Received", "liability_current", False),
    (26, "400000", "Product Sales", "income", False),
    (27, "441000", "Foreign Exchange Gain", "income_other", False),
    (32, "600000", "Expenses", "expense", False),
    (40, "641000", "Foreign Exchange Loss", "expense", False),
    (47, "101401", "Bank", "asset_cash", False),
    (48, "101402", "Bank Suspense Account", "asset_current", False),
    (50, "101403", "Outstanding Receipts", "asset_current", True),
    (51, "101404", "Outstanding Payments", "asset_current", True),
    (53, "612500", "Inventory write-off (returns)", "expense", False),
    (54, "620100", "Payment provider fees", "expense", False),
    (55, "450100", "Restocking fee income", "income_other", False),
    (58, "251500", "Gift cards and store credit", "liability_current", True),
    (59, "612600", "Refund rounding and write-offs", "expense", False),
]
_INTERIM: list[tuple[int, str, str, str, bool]] = [  # of 18
    (3, "110200", "Stock Interim (Received)", "asset_current", True),
    (4, "110300", "Stock Interim (Delivered)", "asset_current", True),
]
_JOURNALS: list[tuple[int, str, str, str, int]] = [
    (1, "INV", "Sales", "sale", 5),
    (2, "BILL", "Purchases", "purchase", 6),
    (3, "MISC", "Miscellaneous Operations", "general", 9),
    (4, "EXCH", "Exchange Difference", "general", 10),
    (5, "CABA", "Cash Basis Taxes", "general", 10),
    (7, "STJ", "Inventory Valuation", "general", 11),
]
_TAXES: list[tuple[int, str, float, str, bool]] = [
    (1, "15%", 15.0, "sale", False),
    (2, "15%", 15.0, "purchase", False),
    (3, "19% incl.", 19.0, "sale", True),
    (4, "7% incl.", 7.0, "sale", True),
    (5, "20% incl.", 20.0, "sale", True),
    (6, "0%", 0.0, "sale", False),
]
_LOCATIONS: list[tuple[int, str, str, int | None, str]] = [
    (1, "Vendors", "supplier", None, "supplier"),
    (2, "Customers", "customer", None, "customer"),
    (3, "Transit", "transit", None, "transit"),
    (4, "WH", "view", None, ""),
    (5, "Stock", "internal", 4, ""),
    (11, "Inventory adjustment", "inventory", None, "inventory"),
    (12, "Production", "production", None, "production"),
    (15, "Quarantine", "internal", 4, ""),
    (16, "Refurbish", "internal", 4, ""),
    (17, "Write-off", "inventory", None, "write_off"),
]
_SCRAP_PLACE: list[tuple[int, str, str, int | None, str]] = [(18, "Scrap", "inventory", None, "scrap")]  # of 18
_MODULES = (
    "account",
    "mrp",
    "point_of_sale",
    "repair",
    "sale",
    "sale_management",
    "sale_stock",
    "stock",
    "stock_account",
)
_NAMED = [
    ("mail", "mt_note", "mail.message.subtype", 2),
    ("account", "model_account_move", "ir.model", 130),
    ("account", "group_account_invoice", "res.groups", 31),
]
_CURRENCIES = [(1, "USD", 2), (126, "EUR", 2), (143, "GBP", 2), (25, "JPY", 0), (9, "BHD", 3), (15, "CHF", 2)]


def seed_company(env: Env, payload: Vals) -> Vals:
    """Idempotent. `{"currency": "USD", "provider": {"name", "code"}, "stores": [name], "rates": {"EUR": 0.9}}`,
    all optional; answers the ids by name (see `company_ids`)."""
    if not env.db.row("res.company", 1):
        _seed(env, payload)
    return company_ids(env)


def _seed(env: Env, payload: Vals) -> None:
    for id, name, places in _CURRENCIES:
        env.create("res.currency", {"id": id, "name": name, "symbol": name, "decimal_places": places})
    currency = env.one("res.currency", name=payload.get("currency", "USD")).id
    env.create(
        "res.company",
        {
            "id": 1,
            "name": "My Company",
            "currency_id": currency,
            "tax_calculation_rounding_method": "round_per_line",
            "_receivable_account_id": 5,
            "_income_account_id": 26,
            "_receipts_account_id": 50,
            "_payments_account_id": 51,
            "_gain_account_id": 27,
            "_loss_account_id": 40,
            "_property_stock_valuation_account_id": 2,
            "_property_stock_journal": 7,
            "_sale_tax_ids": [1],
            "_property_account_income_categ_id": 26,
            "_property_account_expense_categ_id": 32,
        },
    )
    env.create("uom.uom", {"id": 1, "name": "Units"})
    for id, name in ((1, "My Company"), (2, "Public user"), (3, "Administrator"), (4, "Returns Integration")):
        env.create("res.partner", {"id": id, "name": name, "email": f"user-{id}@example.com"})
    for role, id in ROLES.items():
        name = {"admin": "Administrator", "integration": "Returns Integration"}.get(role, role)
        env.create("res.users", {"id": id, "login": role, "name": name, "partner_id": 3 if role == "admin" else 4})
    for module in _MODULES:
        env.create("ir.module.module", {"name": module})
    env.create("ir.module.module", {"name": "hr", "state": "uninstalled"})
    for module, name, model, id in _NAMED:
        env.create("ir.model.data", {"module": module, "name": name, "model": model, "res_id": id})
    provider = payload.get("provider") or {}
    _accounts(env, provider)
    for id, name, amount, use, included in _TAXES:
        env.create(
            "account.tax",
            {
                "id": id,
                "name": name,
                "amount": amount,
                "type_tax_use": use,
                "_account_id": 21,
                "price_include_override": "tax_included" if included else False,
            },
        )
    env.create("product.category", {"id": 1, "name": "Goods"})
    env.create(
        "product.category",
        {"id": 6, "name": "AVCO perpetual", "property_cost_method": "average", "property_valuation": "real_time"},
    )
    _warehouses(env, payload.get("stores", ["Store 1"]))
    env.db.reserve("res.partner", 5)
    for model in ("product.product", "product.template"):
        env.db.reserve(model, 3)
    for name, rate in (payload.get("rates") or {}).items():
        env.create(
            "res.currency.rate",
            {"currency_id": env.one("res.currency", name=name).id, "name": "2020-01-01", "company_rate": rate},
        )


def _accounts(env: Env, provider: Vals) -> None:
    older = env.db.release.major < 19
    for id, code, name, kind, matched in (*_ACCOUNTS, *(_INTERIM if older else ())):
        env.create(
            "account.account", {"id": id, "code": code, "name": name, "account_type": kind, "reconcile": matched}
        )
    env.rec("res.company", 1).set(account_journal_suspense_account_id=48)
    label = provider.get("name", "Stripe")
    env.create(
        "account.account",
        {"id": 52, "code": "101450", "name": f"{label} Clearing", "account_type": "asset_current", "reconcile": True},
    )
    for id, code, name, kind, sequence in _JOURNALS:
        env.create("account.journal", {"id": id, "code": code, "name": name, "type": kind, "sequence": sequence})
    banks = [
        (6, "BNK1", "Bank", "bank", 47, "101401"),
        (8, provider.get("code", "STRIP"), label, "bank", 56, "101405"),
        (9, "CSH", "Cash", "cash", 57, "101406"),
        (11, "GIFT", "Gift cards", "bank", 60, "101407"),
    ]
    for id, code, name, kind, account, number in banks:
        if env.db.row("account.account", account) is None:
            env.create("account.account", {"id": account, "code": number, "name": name, "account_type": "asset_cash"})
        env.create(
            "account.journal",
            {"id": id, "code": code, "name": name, "type": kind, "sequence": 8, "default_account_id": account},
        )
    for journal, clearing in ((8, 52), (11, 58)):
        for line in env.find("account.payment.method.line", journal_id=journal):
            line.write(payment_account_id=clearing)


def _warehouses(env: Env, stores: list[str]) -> None:
    older = env.db.release.major < 19
    for id, name, usage, parent, role in (*_LOCATIONS, *(_SCRAP_PLACE if older else ())):
        env.create(
            "stock.location",
            {
                "id": id,
                "name": name,
                "usage": usage,
                "location_id": parent or False,
                "_role": role,
                "valuation_account_id": 53 if id == 17 else False,
            },
        )
    kinds = [
        (1, "Receipts", "incoming", "IN"),
        (2, "Delivery Orders", "outgoing", "OUT"),
        (7, "Internal Transfers", "internal", "INT"),
        (12, "PoS Orders", "outgoing", "POS"),
    ]
    _warehouse(env, "WH", "My Company", 4, 5, kinds)
    for number, store in enumerate(stores, 1):
        view = env.create("stock.location", {"name": f"ST{number}", "usage": "view"})  # Odoo names it by the code
        stock = env.create("stock.location", {"name": "Stock", "location_id": view.id})
        env.create("stock.location", {"name": "Returns", "location_id": view.id})
        _warehouse(env, f"ST{number}", store, view.id, stock.id, [(0, *kind[1:]) for kind in kinds])


def _warehouse(env: Env, code: str, name: str, view: int, stock: int, kinds: list[tuple[int, str, str, str]]) -> None:
    warehouse = env.create(
        "stock.warehouse", {"code": code, "name": name, "view_location_id": view, "lot_stock_id": stock}
    )
    made: dict[str, Rec] = {}
    for id, label, direction, sequence in kinds:
        source = 1 if direction == "incoming" else stock
        target = 2 if direction == "outgoing" else stock
        made[sequence] = env.create(
            "stock.picking.type",
            {
                **({"id": id} if id else {}),
                "name": label,
                "code": direction,
                "sequence_code": sequence,
                "warehouse_id": warehouse.id,
                "default_location_src_id": source,
                "default_location_dest_id": target,
                "_label": False if direction == "internal" else name,
            },
        )
    made["OUT"].write(return_picking_type_id=made["IN"].id)
    warehouse.write(**{f"{key.lower()}_type_id": kind.id for key, kind in made.items()})


def company_ids(env: Env) -> Vals:
    """Ids by name: accounts by code, journals by code, locations by complete name, operation types by `WH/IN`..."""

    def named(model: str, label: Any) -> dict[str, int]:
        return {str(label(rec)): rec.id for rec in env.search(model, [])}

    return {
        "company_id": 1,
        "currency_id": env.rec("res.company", 1).currency_id.id,
        "accounts": named("account.account", lambda rec: rec.code),
        "journals": named("account.journal", lambda rec: rec.code),
        "locations": named("stock.location", lambda rec: rec.complete_name),
        "operation_types": named("stock.picking.type", lambda rec: f"{rec.warehouse_id.code}/{rec.sequence_code}"),
        "taxes": {str(tax.raw("name")): tax.id for tax in env.search("account.tax", [("type_tax_use", "=", "sale")])},
        "warehouses": named("stock.warehouse", lambda rec: rec.code),
        "currencies": named("res.currency", lambda rec: rec.raw("name")),
    }
