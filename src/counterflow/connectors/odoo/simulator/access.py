"""Who may do what. Four roles: `admin`; `integration`, what the guide asks for; `minimal`, exactly the groups that
were recorded (no customers, no bank statement lines); `none`, a user without a group."""

from typing import TYPE_CHECKING

from counterflow.connectors.odoo.simulator.errors import AccessError
from counterflow.connectors.odoo.simulator.records import Env, Model

if TYPE_CHECKING:
    from collections.abc import Mapping

ROLES = {"admin": 2, "integration": 6, "minimal": 7, "none": 5}  # role -> user id

# role -> groups, by external id; an administrator has what doctor looks for, too
GROUPS: dict[str, frozenset[str]] = {
    "integration": frozenset(
        {
            "base.group_user",
            "sales_team.group_sale_salesman_all_leads",
            "stock.group_stock_user",
            "account.group_account_invoice",
            "account.group_account_basic",
        }
    ),
    "none": frozenset({"base.group_user"}),
}
GROUPS["minimal"] = GROUPS["integration"] - {"account.group_account_basic"}
GROUPS["admin"] = GROUPS["integration"] | {
    "base.group_system",
    "base.group_erp_manager",
    "account.group_account_manager",
    "stock.group_stock_manager",
    "sales_team.group_sale_manager",
}

_VERBS = {"create": "create", "load": "create", "write": "modify", "unlink": "delete"}
_READS = (
    "read",
    "search",
    "search_read",
    "web_read",
    "web_search_read",
    "search_count",
    "formatted_read_group",
    "fields_get",
    "default_get",
    "get_external_id",
    "context_get",
)
_OPEN = (
    "check_object_reference",
    "get_external_id",
    "has_access",
    "has_group",
    "context_get",
    "run",  # of a server action: it asks for the groups of the action
)
_CLOSED: dict[tuple[str, str], tuple[str, ...]] = {
    ("ir.actions.server", "access"): ("Role / Administrator",),
    ("ir.actions.server", "create"): ("Role / Administrator",),
    ("ir.actions.server", "modify"): ("Role / Administrator",),
    ("ir.actions.server", "delete"): ("Role / Administrator",),
    ("ir.model.data", "access"): ("Access Rights",),
    ("ir.model.data", "create"): ("Access Rights",),
    ("ir.model.data", "modify"): ("Access Rights",),
    ("product.product", "create"): ("Products/Create",),
    ("product.product", "modify"): ("Products/Create",),
    ("product.template", "create"): ("Products/Create",),
    ("product.template", "modify"): ("Products/Create",),
    ("res.company", "modify"): ("Access Rights",),
    ("res.users", "create"): ("Access Rights",),
    ("res.users", "modify"): ("Access Rights",),
    ("account.account", "create"): ("Accounting/Administrator",),
    ("account.journal", "create"): ("Accounting/Administrator",),
    ("account.tax", "create"): ("Accounting/Administrator",),
    ("stock.location", "create"): ("Inventory/Administrator",),
    ("stock.warehouse", "create"): ("Inventory/Administrator",),
}
_MINIMAL: dict[tuple[str, str], tuple[str, ...]] = {
    ("res.partner", "create"): (
        "Contact/Creation",
        "Inventory/Administrator",
        "Manufacturing/Administrator",
        "Sales/Administrator",
    ),
    ("account.bank.statement.line", "create"): ("Point of Sale/Administrator", "Point of Sale/User", "Basic"),
    ("pos.config", "access"): ("Point of Sale/Administrator", "Point of Sale/User", "Role / Administrator"),
}
_NONE = ("Accounting/Invoicing", "Inventory/User", "Sales/User: Own Documents Only")
_TITLES = {
    "res.partner": "Contact",
    "pos.config": "Point of Sale Configuration",
    "product.product": "Product Variant",
    "product.template": "Product",
    "ir.model.data": "Model Data",
    "account.bank.statement.line": "Bank Statement Line",
    "res.company": "Companies",
    "sale.order": "Sales Order",
    "stock.picking": "Transfer",
    "account.move": "Journal Entry",
    "res.users": "User",
}


def refuse(env: Env, role: str, model: str, method: str, models: "Mapping[str, Model]") -> None:
    """AccessError when the role's groups do not allow it; what everybody may ask is open to all."""
    if role == "admin" or method in _OPEN or model in ("res.users.apikeys", "ir.module.module"):
        return
    verb = _VERBS.get(method, "access" if method in _READS else "modify")
    groups = _CLOSED.get((model, verb))
    if groups is None and role in ("minimal", "none"):
        groups = _MINIMAL.get((model, verb))
    if groups is None and role == "none":
        groups = _NONE
    if groups is None:
        return
    title = _TITLES.get(model) or models[model].title or model
    listed = "".join(f"\t- {group}\n" for group in groups)
    message = (
        f"You are not allowed to {verb} '{title}' ({model}) records.\n\nThis operation is allowed for the "
        f"following groups:\n{listed}\nContact your administrator to request access if necessary."
    )
    raise AccessError(message)


def may(env: Env, role: str, model: str, operation: str, models: "Mapping[str, Model]") -> bool:
    """What `has_access` answers."""
    try:
        refuse(env, role, model, operation, models)
    except AccessError:
        return False
    return True
