"""The retailer of the simulated world: its systems, its secrets (made up, for the simulators alone) and its goods."""

from base64 import b64encode
from typing import Any

# connection -> connector
CONNECTORS = {
    "shop": "shopify",
    "psp": "stripe",
    "bank": "bank",
    "odoo": "odoo",
    "till-1": "pos",
    "wms": "warehouse",
    "mail": "notify",
}
SYSTEMS = tuple(CONNECTORS)


def _signing(name: str) -> str:
    return "whsec_" + b64encode(f"simulated {name} signing key".encode()).decode()


SECRETS = {
    "shop_token": "shpat_simulated",
    "shop_secret": "shpss_simulated",
    "psp_key": "sk_test_counterflow",
    "psp_secret": "whsec_counterflow",
    "bank_token": "bank_simulated",
    "bank_secret": _signing("bank"),
    "odoo_key": "odoo_simulated",
    "till_token": "till_simulated",
    "till_secret": _signing("till"),
    "wms_token": "wms_simulated",
    "wms_secret": _signing("wms"),
    "mail_secret": _signing("mail"),
}

CURRENCY = "EUR"  # in which the retailer keeps its books and mostly sells
RATES = {"EUR": 1.0, "USD": 1.08, "CHF": 0.94, "JPY": 160.0, "BHD": 0.41}  # units for one of its own, in all systems
# Other customers' sales: a provider that holds only refunds has nothing to pay out.
OTHERS_PAYMENT, OTHERS_MINOR = "pi_everybody_else", 5_000_000

# sku, price with tax, cost (major units), tracking, parts of a kit
PRODUCTS: tuple[dict[str, Any], ...] = (
    {"sku": "TEE", "name": "T-shirt", "price": 20, "cost": 8},
    {"sku": "TEE-L", "name": "T-shirt, large", "price": 20, "cost": 8},
    {"sku": "HOODIE", "name": "Hoodie", "price": 50, "cost": 21},
    {"sku": "SOCKS", "name": "Socks", "price": 9, "cost": 2},
    {"sku": "MUG", "name": "Mug", "price": 10, "cost": 4},
    {"sku": "PLATE", "name": "Plate", "price": 15, "cost": 6},
    {"sku": "CAM", "name": "Camera", "price": 399, "cost": 210, "tracking": "serial"},
    {"sku": "CREAM", "name": "Face cream", "price": 25, "cost": 7, "tracking": "lot"},
    {"sku": "TABLEWARE", "name": "Mug and plate", "price": 24, "kit": [{"sku": "MUG"}, {"sku": "PLATE"}]},
)
SERIALS = tuple(f"CAM-{n:04d}" for n in range(1, 9))
LOTS = ("LOT-A", "LOT-B")


def odoo_products() -> list[dict[str, Any]]:
    """The goods as the ERP's seed takes them, with stock on hand."""
    goods = []
    for product in PRODUCTS:
        item = {**product, "type": "goods", "taxes": ["19% incl."], "invoice_policy": "delivery"}
        if product.get("tracking") == "serial":
            item["lots"] = {"WH/Stock": dict.fromkeys(SERIALS, 1)}
        elif product.get("tracking") == "lot":
            item["lots"] = {"WH/Stock": dict.fromkeys(LOTS, 100)}
        elif "kit" not in product:
            item["stock"] = {"WH/Stock": 200}
        goods.append(item)
    shipping = {"sku": "SHIPPING", "name": "Shipping", "price": 5, "type": "service", "taxes": ["19% incl."]}
    return [*goods, shipping]


def founding() -> list[tuple[str, str, dict[str, Any]]]:
    """(system, act, payload) of everything that is there before the first story."""
    rates = {name: rate for name, rate in RATES.items() if name != CURRENCY}
    company = {"currency": CURRENCY, "provider": {"name": "Stripe", "code": "STRIP"}, "stores": ["Store 1"]}
    others = {"payment_intent": OTHERS_PAYMENT, "amount_minor": OTHERS_MINOR, "currency": CURRENCY.lower()}
    return [
        ("odoo", "seed_company", {**company, "rates": rates}),
        ("odoo", "seed_products", {"products": odoo_products()}),
        ("psp", "pay", others),
    ]
