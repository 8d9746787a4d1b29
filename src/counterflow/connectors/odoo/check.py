"""What `doctor` asks of Odoo: can we reach it, may we do our work and no more, is everything named that we need."""

from collections.abc import Awaitable
from datetime import timedelta

from counterflow.connectors.odoo import keys, points_of_sale, rights
from counterflow.connectors.odoo.session import Odoo
from counterflow.connectors.odoo.wires import OLDEST, major_of
from counterflow.sdk.outcomes import ConnectorError

Finding = tuple[str, bool, str]
_KEY_ENDS = timedelta(days=14)


async def check(odoo: Odoo) -> list[Finding]:
    """(what, fine, what to do), the first failure of reaching it ends the list."""
    found: list[Finding] = []
    try:
        version = await odoo.client.version()
    except ConnectorError as error:
        return [("Odoo answers", False, f"{error.message}: check base_url and that Odoo runs")]
    fine = major_of(version) >= OLDEST
    found.append((f"Odoo {version}", fine, "" if fine else f"this connector speaks to Odoo {OLDEST} and newer"))
    try:
        found.append(await _key(odoo))
        found += await rights.apps(odoo)
        found += await rights.rights(odoo)
        found += await _sender(odoo)
    except ConnectorError as error:
        return [*found, ("API key", False, error.message)]
    if odoo.fast_lane is not None:
        try:
            problem = await odoo.fast_lane.problem()
        except ConnectorError as error:
            problem = error.message
        found.append(("fast lane", not problem, f"{problem}; until then the plain lane is taken" if problem else ""))
    config, names = odoo.config, odoo.names
    for place, entry in config.places.items():
        found.append(await _tried(f"place {place}: receipts", names.operation(place, "in")))
        found.append(await _tried(f"place {place}: transfers", names.operation(place, "internal")))
        for kind in entry.locations:
            found.append(await _tried(f"place {place}: {kind}", names.location(place, kind)))
            if kind == "scrap" and found[-1][1]:
                found += await _outside(odoo, place, kind)
    configured = {
        "account.journal": {*config.journals.values(), config.bank_journal} - {""},
        "account.tax": set(config.taxes.values()) | {c.tax for c in config.components.values() if c.tax},
        "account.account": {*config.clearing_accounts.values(), config.fees_account}
        | {c.account for c in config.components.values()},
    }
    for model, wanted in configured.items():
        for name in sorted(wanted - {""}):
            found.append(await _tried(f"{model.partition('.')[2]} {name}", names.id(model, name)))
    if config.points_of_sale:
        try:
            found += await points_of_sale.check(odoo)
        except ConnectorError as error:
            found.append(("tills", False, error.message))
    return found


async def _key(odoo: Odoo) -> Finding:
    """When the key ends. With several keys the first that ends counts, for which one is ours Odoo does not tell."""
    ours = await keys.credential(odoo.client)
    if ours is None:
        return "API key", True, ""
    fine = odoo.now() < ours.ends_at - _KEY_ENDS
    move = "make a new one (Preferences > Security), put it where `api_key` points to, and delete the old one"
    return f"API key: ends on {ours.ends_at:%Y-%m-%d}", fine, "" if fine else move


async def _sender(odoo: Odoo) -> list[Finding]:
    """Before 19 a user without an address may not write in the chatter."""
    if major_of(await odoo.client.version()) >= 19:
        return []
    user = (await odoo.client.ask("res.users", "context_get"))["uid"]
    (row,) = await odoo.client.read("res.users", [user], ["email"])
    move = "give the user an e-mail address: without one Odoo refuses what is to be said in the chatter"
    return [] if row["email"] else [("the user has no e-mail address", False, move)]


async def _outside(odoo: Odoo, place: str, kind: str) -> list[Finding]:
    """What lies below a warehouse counts as on hand there, of whatever type the location is."""
    location = await odoo.names.location(place, kind)
    (row,) = await odoo.client.read("stock.location", [location], ["complete_name", "usage", "warehouse_id"])
    if row["usage"] == "internal" or not row["warehouse_id"]:
        return []
    move = f"{row['complete_name']} is below a warehouse, where it still counts as on hand: move it out of there"
    return [(f"place {place}: {kind} leaves the stock", False, move)]


async def _tried(what: str, attempt: Awaitable[object]) -> Finding:
    try:
        await attempt
    except ConnectorError as error:
        return what, False, error.message
    return what, True, ""
