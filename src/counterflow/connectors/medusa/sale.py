"""An order of the shop -> the frozen `Sale`.

Amounts are decimal numbers of major units. What somebody stated (a unit price, a refund) has to be money of its
currency to the minor unit. What Medusa computes (taxes, discounts, and so the payment of a cart's total) has as many
decimals as the division gave, and is rounded half up, as the payment providers charge it.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from counterflow.connectors.medusa.manifest import Config
from counterflow.core.ids import email_ref
from counterflow.core.money import MoneyError, exponent, to_minor
from counterflow.core.sale import Discount, Payment, Sale, SoldLine, Tax

Json = dict[str, Any]

ORDER_FIELDS = (
    "id,display_id,status,currency_code,email,customer_id,region_id,sales_channel_id,metadata,created_at,updated_at,"
    "canceled_at,*items,*items.tax_lines,*items.adjustments,*items.detail,*shipping_methods,"
    "*shipping_methods.tax_lines,*shipping_methods.adjustments,*shipping_methods.detail,*shipping_address,"
    "*credit_lines,*payment_collections,*payment_collections.payments,*payment_collections.payments.captures,"
    "*payment_collections.payments.refunds,*fulfillments,*fulfillments.items,*returns"
)

# provider -> tender; what is not here is a card
TENDERS = {
    "pp_system_default": "bank",  # "manual payment": the shop records what moves elsewhere
    "pp_paypal_paypal": "wallet",
    "pp_klarna_klarna": "pay_later",
    "pp_stripe-bancontact_stripe": "bank",
    "pp_stripe-ideal_stripe": "bank",
    "pp_stripe-przelewy24_stripe": "bank",
}
EXCHANGE = "counterflow_exchange"  # reference of the credit line that pays a replacement
KEY = "counterflow_key"  # metadata of a replacement order: the effect that made it
ROOT = "counterflow_root"  # and the sale that the chain of exchanges began with
ROOT_DELIVERED = "counterflow_root_delivered_at"  # ISO 8601: its window counts for the whole chain

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_STEPS = 8  # states that one second can hold: a version fits a 32 bit column until 2034


def sale_of(order: Json, config: Config, connection: str) -> Sale:
    """Raises KeyError, TypeError, ValueError or MoneyError where it is not as Medusa describes it."""
    currency = order["currency_code"].upper()
    metadata = order["metadata"] or {}
    begun = metadata.get(ROOT_DELIVERED)
    address = order.get("shipping_address") or {}
    return Sale(
        sale_ref=sale_ref(connection, order["id"]),
        connection=connection,
        channel="web",
        currency=currency,
        ordered_at=instant(order["created_at"]),
        lines=(*(_line(row, config, currency) for row in order["items"]), *_shipping(order, config, currency)),
        payments=tuple(_payments(order, config, connection, currency)),
        prices_include_tax=all(row["is_tax_inclusive"] for row in order["items"]),
        delivered_at=delivered_at(order),
        country=(address.get("country_code") or config.country).upper(),
        customer_ref=f"{connection}:customer:{order['customer_id']}" if order["customer_id"] else "",
        email_ref=email_ref(order["email"] or ""),
        order_number=f"#{order['display_id']}",
        root_sale_ref=str(metadata.get(ROOT) or ""),
        root_delivered_at=instant(begun) if begun else None,
        version=version(order),
    )


def sale_ref(connection: str, order_id: str) -> str:
    return f"{connection}:order:{order_id}"


def return_ref(connection: str, return_id: str) -> str:
    return f"{connection}:return:{return_id}"


def exchange_ref(connection: str, exchange_id: str) -> str:
    """The replacement that an exchange carries within the original order."""
    return f"{connection}:exchange:{exchange_id}"


def instant(text: str) -> datetime:
    """ISO 8601 with its zone. Raises ValueError."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no offset from UTC")
    return at.astimezone(UTC)


def version(order: Json) -> int:
    """Grows with the order: a capture, a refund or a parcel changes the time of its own row, not the order's."""
    rows = [order, *order["payment_collections"], *order["fulfillments"]]
    payments = [payment for row in order["payment_collections"] for payment in row["payments"]]
    progress = len(order["fulfillments"]) + sum(len(row["captures"]) + len(row["refunds"]) for row in payments)
    return version_at(max(instant(row["updated_at"]) for row in [*rows, *payments]), progress)


def version_at(at: datetime, progress: int = 0) -> int:
    return int((at - _EPOCH).total_seconds()) * _STEPS + min(progress, _STEPS - 1)


# ---- amounts ---------------------------------------------------------------------------------------------------------


def exact(row: Json, name: str) -> Decimal:
    """An amount of Medusa's: `raw_<name>` holds its digits, the JSON number of `name` what is left of them."""
    raw = row.get(f"raw_{name}")
    return Decimal(str(raw["value"] if raw else row[name]))


def stated(row: Json, name: str, currency: str) -> int:
    """Minor units of an amount that somebody gave. Raises MoneyError for more decimals than the currency has."""
    try:
        return to_minor(f"{exact(row, name):f}", currency)
    except MoneyError as error:
        raise MoneyError(f"{name} of {row['id']}: {error}") from None


def rounded(amount: Decimal, currency: str) -> int:
    """Minor units of an amount that was computed."""
    return int(amount.scaleb(exponent(currency)).quantize(Decimal(1), ROUND_HALF_UP))


# ---- lines -----------------------------------------------------------------------------------------------------------


def _line(row: Json, config: Config, currency: str) -> SoldLine:
    metadata = row["metadata"] or {}
    serials, lots = _words(metadata.get(config.serial_key)), _words(metadata.get(config.lot_key))
    return SoldLine(
        line_ref=row["id"],
        sku=row["variant_sku"] or row["title"],
        quantity=int(row["quantity"]),
        delivered=int(row["detail"]["fulfilled_quantity"]),
        title=row["product_title"] or row["title"],
        category="gift_card" if row["is_giftcard"] else "general",
        tracking="serial" if serials else "lot" if lots else "none",
        serials=serials,
        lots=lots,
        **_priced(row, "unit_price", int(row["quantity"]), config, currency),
    )


def _shipping(order: Json, config: Config, currency: str) -> Iterable[SoldLine]:
    """Shipping of the sale itself; that of a return, an exchange or a claim came later."""
    for row in order["shipping_methods"]:
        if not any(row["detail"].get(f"{other}_id") for other in ("return", "exchange", "claim")):
            yield SoldLine(
                line_ref=row["id"],
                sku=config.shipping_sku,
                quantity=1,
                delivered=1,
                component="shipping",
                title=row["name"],
                **_priced(row, "amount", 1, config, currency),
            )


def _priced(row: Json, price: str, quantity: int, config: Config, currency: str) -> dict[str, Any]:
    """Price, taxes and discounts of a row for its whole quantity, whatever of it came back since."""
    included = bool(row["is_tax_inclusive"])
    rates = [(tax["code"], exact(tax, "rate") / 100) for tax in row["tax_lines"]]
    gross = 1 + sum(rate for _, rate in rates)
    net = exact(row, price) * quantity / (gross if included else 1)
    discounts = []
    for given in row["adjustments"]:
        off = exact(given, "amount") / (gross if given["is_tax_inclusive"] else 1)
        net -= off
        name = given.get("code") or given.get("promotion_id") or "discount"
        discounts.append(Discount(name, rounded(off * (gross if included else 1), currency)))
    return {
        "unit_price_minor": stated(row, price, currency),
        "paid_minor": rounded(net * gross, currency),
        "taxes": tuple(
            Tax(config.tax_codes.get(code, code), int(rate * 1_000_000), rounded(net * rate, currency))
            for code, rate in rates
        ),
        "discounts": tuple(discounts),
    }


def _words(value: object) -> tuple[str, ...]:
    return tuple(re.findall(r"[^,;\s]+", str(value or "")))


# ---- money and parcels -----------------------------------------------------------------------------------------------


def payments_of(order: Json) -> list[Json]:
    return [payment for row in order["payment_collections"] for payment in row["payments"]]


def payment_ref(payment: Json, config: Config) -> str:
    """The provider's own id where its connection refunds, else Medusa's."""
    if payment["provider_id"] in config.gateways:
        return str((payment["data"] or {}).get("id") or payment["id"])
    return str(payment["id"])


def tender_of(payment: Json, config: Config) -> str:
    provider = payment["provider_id"]
    return config.tenders.get(provider) or TENDERS.get(provider, "card")


def _payments(order: Json, config: Config, connection: str, currency: str) -> Iterable[Payment]:
    for row in payments_of(order):
        captured = sum((exact(capture, "amount") for capture in row["captures"]), Decimal(0))
        if captured:
            yield Payment(
                payment_ref=payment_ref(row, config),
                tender=tender_of(row, config),
                captured_minor=rounded(captured, currency),
                connection=config.gateways.get(row["provider_id"], connection),
            )
    for row in order["credit_lines"]:  # what a replacement was paid with: no rail, so a return of it asks a person
        if row["reference"] == EXCHANGE:
            yield Payment(row["id"], "exchange_credit", stated(row, "amount", currency))


def delivered_at(order: Json) -> datetime | None:
    """When the last parcel was delivered, or left where nobody told; None: nothing has left us yet."""
    times = [row["delivered_at"] or row["shipped_at"] or row["packed_at"] for row in parcels(order)]
    return max((instant(at) for at in times if at), default=None)


def parcels(order: Json) -> list[Json]:
    """What left us: return labels are fulfilments of their returns, not of the order."""
    return [row for row in order["fulfillments"] if not row["canceled_at"]]
