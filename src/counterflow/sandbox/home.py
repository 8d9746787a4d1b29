"""The home of the simulated installation: configuration, policies, and an API key for the people of the stories."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from counterflow.policies import default_text
from counterflow.sandbox import real_medusa
from counterflow.sandbox.estate import CONNECTORS, SECRETS
from counterflow.sandbox.real_odoo import KEY, given
from counterflow.sdk.simulator import Clock
from counterflow.store import api_keys, keys, secret
from counterflow.store.pool import Pool

CONFIGURATION = """
[routes]
erp = "odoo"
notify = "mail"
cash = "till-1"
bank = "{bank}"
inspection_place = "wh-1"
payments = {{ shop = "psp" }}

[[places]]
name = "wh-1"
connection = "wms"

[[places]]
name = "store-1"
connection = "till-1"
inspects = false

{shop}
[connections.psp]
connector = "stripe"
base_url = "{outside}/psp"
api_key = "{psp_key}"
webhook_secret = "{psp_secret}"

[connections.bank]
connector = "bank"
base_url = "{outside}/bank"
api_token = "{bank_token}"
webhook_secret = "{bank_secret}"

[connections.till-1]
connector = "pos"
base_url = "{outside}/till-1"
token = "{till_token}"
webhook_secret = "{till_secret}"
shop = "shop"

[connections.wms]
connector = "warehouse"
base_url = "{outside}/wms"
token = "{wms_token}"
webhook_secret = "{wms_secret}"

[connections.mail]
connector = "notify"
url = "{outside}/mail/messages"
signing_secret = "{mail_secret}"
"""

SHOP = """[connections.shop]
connector = "shopify"
base_url = "{outside}/shop"
access_token = "{shop_token}"
webhook_secret = "{shop_secret}"
gateways = {{ stripe = "psp" }}
"""
# A real Medusa: what it refunds by hand is bank money, of which no provider tells.
MEDUSA = """[connections.shop]
connector = "medusa"
base_url = "{outside}/shop"
email = "{email}"
password = "env:COUNTERFLOW_SANDBOX_MEDUSA_PASSWORD"
exchange_reasons = ["other_piece"]
since = "{since}"
"""

# The ERP's table, without what things are called there; the real one is asked no faster than the connector's defaults.
ODOO = """
[connections.odoo]
connector = "odoo"
base_url = "{outside}/odoo"
database = "{database}"
api_key = "{key}"
"""
PACE = """per_second = 500
timeout_seconds = 10
settle_seconds = 2
"""
NAMES = """\
[connections.odoo]
bank_journal = "BNK1"
fees_account = "620100"
taxes = { DE-19 = "19% incl." }
clearing_accounts = { psp = "101450" }

[connections.odoo.journals]
psp = "STRIP"
shop = "BNK1"
gift_card = "GIFT"
store_credit = "GIFT"
cash = "CSH"
marketplace = "BNK1"

[connections.odoo.components]
shipping = { product = "SHIPPING" }
fee = { account = "450100" }
value_loss = { account = "450100" }
goodwill = { account = "612600" }
rounding = { account = "612600" }
discount_given_back = { account = "400000" }

[connections.odoo.places.wh-1]
warehouse = "WH"
[connections.odoo.places.wh-1.locations]
returns = "WH/Quarantine"
sellable = "WH/Stock"
quarantine = "WH/Quarantine"
refurbishment = "WH/Refurbish"
repair = "WH/Refurbish"
liquidation = "WH/Refurbish"
scrap = "Write-off"
vendor = "Vendors"
customer = "Customers"

[connections.odoo.places.store-1]
warehouse = "ST1"
[connections.odoo.places.store-1.locations]
returns = "ST1/Returns"
sellable = "ST1/Stock"
quarantine = "ST1/Returns"
scrap = "Write-off"
customer = "Customers"
"""

# The retailer's own rows over the shipped ones: what came too late and is asked for at a till becomes a return in the
# shop, too; small sums are paid when asked for, the goods are trusted to come.
OPENED = """
[[eligibility]]
id = "late-is-opened-in-the-shop"
if.reason = "arrived_late"
if.days_since_delivery = { max = 14 }
then.decision = "approve"
then.reason_code = "late_delivery"
then.open_in_channel = true
"""
TRUST = """
[[refund_moment]]
id = "small-sums-on-trust"
if.remedy = "refund"
if.reason = "does_not_fit"
if.currency = "EUR"
if.amount_minor = { max = 1_000 }
then.moment = "request"
then.credit_note_moment = "refund_confirmed"
"""


def _shop(outside: str) -> tuple[str, str]:
    """Who sends bank money, and the shop's table: the simulated shop's, or that of a real Medusa that was given."""
    real = real_medusa.given()
    if real is None:
        return "", SHOP.format(outside=outside, **SECRETS)
    since = datetime.now(UTC).isoformat()  # it may have sold before this world began
    return "shop", MEDUSA.format(outside=outside, email=real.email, since=since)


def _odoo(outside: str) -> str:
    """The tables of the simulated Odoo, or of the real one that somebody gave us for the stories."""
    real = given()
    if real is None:
        return ODOO.format(outside=outside, database="odoo19", key=SECRETS["odoo_key"]) + PACE + _inside(NAMES)
    head = ODOO.format(outside=outside, database=real.database, key=f"env:{KEY}")
    return head + _inside(real.names or NAMES)


def _inside(names: str) -> str:
    """What follows the header of the connection's table, which is there already."""
    return names.partition("[connections.odoo]\n")[2]


def write_home(home: Path, outside: str) -> Callable[[Pool], Awaitable[str]]:
    """Write configuration, policies and keys; what is returned makes an API key once there is a database."""
    (home / "policies").mkdir(parents=True, exist_ok=True)
    bank, shop = _shop(outside)
    text = CONFIGURATION.format(outside=outside, bank=bank, shop=shop, **SECRETS) + _odoo(outside)
    (home / "counterflow.toml").write_text(text, "utf-8")
    policies = default_text()
    for own in (OPENED, TRUST):
        table = own.lstrip().partition("\n")[0]
        policies = policies.replace(table, f"{own.lstrip()}\n{table}", 1)
    (home / "policies" / "retailer.toml").write_text(policies, "utf-8")
    assert set(CONNECTORS) <= set(text.replace("[connections.", "\n").replace("]", "\n").split("\n"))
    pepper = secret.load_or_create(home)
    keys.load_or_create(home)

    async def api_key(pool: Pool) -> str:
        async with pool.connection() as conn:
            name = f"stories-{uuid4().hex[:8]}"
            _, token = await api_keys.issue(
                conn, pepper, name=name, role="agent", environment="test", now=Clock(home / "clock").now()
            )
        return token

    return api_key
