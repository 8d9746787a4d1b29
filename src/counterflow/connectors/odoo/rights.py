"""What the integration user has to be allowed, and what it is better without: tables, asked of Odoo by `doctor`."""

from counterflow.connectors.odoo.manifest import Config
from counterflow.connectors.odoo.session import Odoo
from counterflow.sdk.outcomes import ConnectorError

Finding = tuple[str, bool, str]

# (model, operation, the group that gives it)
_NEEDED = (
    ("sale.order", "create", "Sales / User: All Documents"),
    ("sale.order.line", "write", "Sales / User: All Documents"),
    ("stock.picking", "create", "Inventory / User"),
    ("stock.scrap", "create", "Inventory / User"),
    ("account.move", "create", "Invoicing / Billing"),
    ("account.payment", "create", "Invoicing / Billing"),
    ("account.bank.statement.line", "create", "Invoicing / Basic (account.group_account_basic)"),
)
_ALL_DOCUMENTS = "sales_team.group_sale_salesman_all_leads"  # whoever sees only own sales passes every test above
# What gives power over more than returns. A group that is not there (its app is not installed) nobody is in.
_TOO_MUCH = {
    "base.group_system": "Administration / Settings",
    "base.group_erp_manager": "Administration / Access Rights",
    "account.group_account_manager": "Invoicing / Administrator",
    "stock.group_stock_manager": "Inventory / Administrator",
    "sales_team.group_sale_manager": "Sales / Administrator",
    "hr.group_hr_user": "Employees / Officer",
    "hr_payroll.group_hr_payroll_user": "Payroll / Officer",
}
_NEVER = (
    ("product.product", "create", "the right to create products (Products / Create)"),
    ("ir.model.data", "write", "the right to write external ids (Administration / Access Rights)"),
    ("hr.employee", "read", "the right to read employees"),
    ("hr.payslip", "read", "the right to read payslips"),
)
_APPS = {
    "sale_stock": "Sales and Inventory",
    "stock_account": "Inventory with Invoicing",
    "sale_management": "Sales",
}


async def apps(odoo: Odoo) -> list[Finding]:
    """The apps that our documents belong to."""
    wanted = _APPS | ({"repair": "Repairs"} if odoo.config.repair_orders else {})
    rows = await odoo.client.search(
        "ir.module.module", [["name", "in", sorted(wanted)], ["state", "=", "installed"]], ["name"]
    )
    missing = wanted.keys() - {row["name"] for row in rows}
    return [(f"app {wanted[name]}", False, f"install it in Odoo (module {name})") for name in sorted(missing)]


async def rights(odoo: Odoo) -> list[Finding]:
    """One line for each right that is missing, and for each that is too much; one line when all is as it should be."""
    user = (await odoo.client.ask("res.users", "context_get"))["uid"]
    found: list[Finding] = []
    for model, operation, group in needed(odoo.config):
        if not await _may(odoo, model, operation):
            found.append((f"may not {operation} {model}", False, f"add the user to the group {group}"))
    if not await _in_group(odoo, user, _ALL_DOCUMENTS):
        found.append(
            ("sees only its own sales", False, f"add the user to Sales / User: All Documents ({_ALL_DOCUMENTS})")
        )
    for group, name in _TOO_MUCH.items():
        if await _in_group(odoo, user, group):
            found.append((f"is in {name}", False, f"returns need no such power: take the user out of {group}"))
    for model, operation, what in _NEVER:
        if await _may(odoo, model, operation):
            found.append((f"may {operation} {model}", False, f"returns do not need {what}: take it from the user"))
    return found or [("rights: enough, and none too many", True, "")]


def needed(config: Config) -> tuple[tuple[str, str, str], ...]:
    repairs = (("repair.order", "create", "Inventory / User"),) if config.repair_orders else ()
    tills = (("pos.config", "read", "Point of Sale / User"),) if config.points_of_sale else ()
    return (*_NEEDED, *repairs, *tills)


async def _may(odoo: Odoo, model: str, operation: str) -> bool:
    """Whether the user may do this to records of the model at all; False where there is no such model."""
    try:
        return bool(await odoo.client.ask(model, "has_access", ids=[], operation=operation))
    except ConnectorError as error:
        if error.code in ("NotFound", "UserError", "AttributeError"):
            return False
        raise


async def _in_group(odoo: Odoo, user: int, group: str) -> bool:
    return bool(await odoo.client.ask("res.users", "has_group", ids=[user], group_ext_id=group))
