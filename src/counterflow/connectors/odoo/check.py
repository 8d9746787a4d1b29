"""What `doctor` asks of Odoo: can we reach it, may we do our work, is everything named that we need."""

from collections.abc import Awaitable

from counterflow.connectors.odoo.session import Odoo
from counterflow.connectors.odoo.wires import major_of
from counterflow.sdk.outcomes import ConnectorError

Finding = tuple[str, bool, str]
# what we write, or read to decide; and the group that gives it
_NEEDED = {
    "sale.order": "Sales / User: All Documents",
    "stock.picking": "Inventory / User",
    "account.move": "Invoicing / Billing",
    "account.payment": "Invoicing / Billing",
    "account.bank.statement.line": "Invoicing / Basic (account.group_account_basic)",
}


async def check(odoo: Odoo) -> list[Finding]:
    """(what, fine, what to do), the first failure of reaching it ends the list."""
    found: list[Finding] = []
    try:
        version = await odoo.client.version()
    except ConnectorError as error:
        return [("Odoo answers", False, f"{error.message}: check base_url and that Odoo runs")]
    fine = major_of(version) >= 17
    found.append((f"Odoo {version}", fine, "" if fine else "this connector speaks to Odoo 17 and newer"))
    try:
        await odoo.client.ask("res.users", "context_get")
    except ConnectorError as error:
        return [*found, ("API key", False, error.message)]
    found.append(("API key", True, ""))
    for model, group in _NEEDED.items():
        what = f"may read {model}"
        found.append(
            await _tried(what, odoo.client.ask(model, "search_count", domain=[], limit=1), f" (group {group})")
        )
    config, names = odoo.config, odoo.names
    for place, entry in config.places.items():
        found.append(await _tried(f"place {place}: receipts", names.operation(place, "in")))
        found.append(await _tried(f"place {place}: transfers", names.operation(place, "internal")))
        for kind in entry.locations:
            found.append(await _tried(f"place {place}: {kind}", names.location(place, kind)))
    configured = {
        "account.journal": {*config.journals.values(), config.bank_journal} - {""},
        "account.tax": set(config.taxes.values()) | {c.tax for c in config.components.values() if c.tax},
        "account.account": {*config.clearing_accounts.values(), config.fees_account}
        | {c.account for c in config.components.values()},
    }
    for model, wanted in configured.items():
        for name in sorted(wanted - {""}):
            found.append(await _tried(f"{model.partition('.')[2]} {name}", names.id(model, name)))
    return found


async def _tried(what: str, attempt: Awaitable[object], hint: str = "") -> Finding:
    try:
        await attempt
    except ConnectorError as error:
        return what, False, error.message + hint
    return what, True, ""
