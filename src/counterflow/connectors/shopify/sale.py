"""An order of the shop -> the frozen `Sale`: what was paid for each line, with which tender, in presentment money."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from counterflow.connectors.shopify.manifest import Config
from counterflow.connectors.shopify.references import instant, kit_ref, number, sale_ref, shipping_ref, version
from counterflow.core.ids import email_ref
from counterflow.core.money import allocate, to_minor
from counterflow.core.sale import Discount, KitPart, Payment, Promotion, Sale, SoldLine, Tax

Json = dict[str, Any]

# gateway -> tender; what is not here is a card
TENDERS = {
    "gift_card": "gift_card",
    "shopify_store_credit": "store_credit",
    "store_credit": "store_credit",
    "cash": "cash",
    "cash_on_delivery": "cash",
    "manual": "bank",
    "bank_transfer": "bank",
    "bank_deposit": "bank",
    "money_order": "bank",
    "marketplace": "marketplace",
    "exchange-credit": "exchange_credit",  # what a replacement was paid with: no rail, so a return of it asks a person
    "paypal": "wallet",
    "amazon_payments": "wallet",
    "klarna": "pay_later",
    "afterpay": "pay_later",
    "affirm": "pay_later",
    "shop_pay_installments": "pay_later",
}
EXCHANGE_GATEWAY = "exchange-credit"
OWN_GATEWAY = "shopify_payments"
# Tenders that the shop keeps itself: their payment is named by the shop's transaction, all others by the provider's id.
OF_THE_SHOP = frozenset(("gift_card", "store_credit", "cash", "marketplace", "exchange_credit"))

ROOT_ATTRIBUTE = "counterflow_root"  # on a replacement order: the sale that the chain of exchanges began with
ROOT_DELIVERED_ATTRIBUTE = "counterflow_root_delivered_at"  # ISO 8601: its window counts for the whole chain
CHANNELS = {"pos": "store", "shopify_draft_order": "service"}
SHIPPED = frozenset(("SUCCESS", "OPEN", "PENDING"))  # of a fulfilment: neither cancelled nor failed
_BUY_GET = re.compile(r"(?i)\bbuy\s+(\d+),?\s+get\s+(\d+)\b")
_FOR = re.compile(r"(?i)\b(\d+)\s*(?:for|für|pour|por)\s*(\d+)\b(?!\s*%)")


def sale_of(order: Json, config: Config, connection: str) -> Sale:
    """Raises KeyError, TypeError or ValueError where the order breaks the schema: the caller calls it Malformed."""
    currency = order["presentmentCurrencyCode"]
    included = bool(order["taxesIncluded"])
    lines = [_line(row, order, config, currency, included) for row in order["lineItems"]["nodes"]]
    refs = line_refs(order)
    sold = [*_with_kits(lines, order, refs), *_shipping(order, config, currency, included)]
    attributes = {row["key"]: row["value"] or "" for row in order["customAttributes"]}
    moves = [row for row in order["fulfillments"] if row["status"] in SHIPPED]
    return Sale(
        sale_ref=sale_ref(connection, order["id"]),
        connection=connection,
        channel=_channel(order, config),
        currency=currency,
        ordered_at=instant(order["processedAt"] or order["createdAt"]),
        lines=tuple(sold),
        payments=tuple(_payments(order, config, currency, connection)),
        promotions=tuple(_promotions(order, config, sold)),
        prices_include_tax=included,
        delivered_at=delivered_at(order),
        country=(order.get("shippingAddress") or {}).get("countryCodeV2") or config.country,
        customer_ref=f"{connection}:customer:{number(order['customer']['id'])}" if order["customer"] else "",
        email_ref=email_ref(order["email"] or ""),
        order_number=order["name"],
        root_sale_ref=attributes.get(ROOT_ATTRIBUTE, ""),
        root_delivered_at=instant(begun) if (begun := attributes.get(ROOT_DELIVERED_ATTRIBUTE, "")) else None,
        gift="gift" in order["tags"],
        version=version(order["updatedAt"], len(order["transactions"]) + len(order["refunds"]) + len(moves)),
    )


def money(bag: Json | None, currency: str) -> int:
    """Minor units of a money bag's presentment side. Raises ValueError for another currency or no amount."""
    if bag is None:
        return 0
    side = bag["presentmentMoney"]
    if side["currencyCode"] != currency:
        raise ValueError(f"an amount in {side['currencyCode']} in an order in {currency}")
    return to_minor(str(side["amount"]), currency)


def tender_of(gateway: str, config: Config) -> str:
    return config.tenders.get(gateway) or TENDERS.get(gateway.lower().replace(" ", "_"), "card")


def payment_ref(transaction: Json, config: Config) -> str:
    """What names a payment: the provider's id, or our shop's own transaction where no provider knows it."""
    if tender_of(transaction["gateway"] or "", config) in OF_THE_SHOP:
        return str(transaction["id"])
    return str(transaction["paymentId"] or transaction["id"])


def line_refs(order: Json) -> dict[str, tuple[str, str]]:
    """gid of a line item -> (line_ref, sku of the part): of a kit's component the kit's line, else its own and ""."""
    kits = _kits(order["lineItems"]["nodes"])
    refs = {}
    for row in order["lineItems"]["nodes"]:
        group = (row["lineItemGroup"] or {}).get("id")
        refs[row["id"]] = (kit_ref(group), sku_of(row)) if group in kits else (number(row["id"]), "")
    return refs


def sku_of(row: Json) -> str:
    return row["sku"] or row["title"] or number(row["id"])


def price_of(row: Json, currency: str) -> int:
    """What a line costs after all its discounts, tax as displayed."""
    given = sum(money(each["allocatedAmountSet"], currency) for each in row["discountAllocations"])
    return money(row["originalTotalSet"], currency) - given


# ---- lines -----------------------------------------------------------------------------------------------------------


def _line(row: Json, order: Json, config: Config, currency: str, included: bool) -> SoldLine:
    taxes = _taxes(row["taxLines"], config, currency)
    attributes = [(each["key"], each["value"] or "") for each in row["customAttributes"]]
    serials, lots = _words(attributes, config.serial_attributes), _words(attributes, config.lot_attributes)
    quantity = int(row["quantity"])
    return SoldLine(
        line_ref=number(row["id"]),
        sku=sku_of(row),
        quantity=quantity,
        delivered=min(quantity, _shipped(order, row["id"])),
        unit_price_minor=money(row["originalUnitPriceSet"], currency),
        paid_minor=price_of(row, currency) + (0 if included else sum(tax.amount_minor for tax in taxes)),
        taxes=taxes,
        discounts=tuple(
            Discount(rule_of(each["discountApplication"]), money(each["allocatedAmountSet"], currency))
            for each in row["discountAllocations"]
        ),
        title=row["title"],
        category="gift_card" if row["isGiftCard"] else "general",
        flags=_words(attributes, config.flag_attributes),
        tracking="serial" if serials else "lot" if lots else "none",
        serials=serials,
        lots=lots,
    )


def _shipped(order: Json, line_gid: str) -> int:
    return sum(
        int(item["quantity"] or 0)
        for move in order["fulfillments"]
        if move["status"] in SHIPPED
        for item in move["fulfillmentLineItems"]["nodes"]
        if item["lineItem"]["id"] == line_gid
    )


def _taxes(rows: Sequence[Json], config: Config, currency: str) -> tuple[Tax, ...]:
    return tuple(
        Tax(
            config.tax_codes.get(str(row["title"]), str(row["title"])),
            int((Decimal(str(row["rate"] or 0)) * 1_000_000).to_integral_value()),
            money(row["priceSet"], currency),
        )
        for row in rows
    )


def _words(attributes: Iterable[tuple[str, str]], keys: Sequence[str]) -> tuple[str, ...]:
    wanted = {key.lower() for key in keys}
    return tuple(
        word for key, value in attributes if key.lower() in wanted for word in re.split(r"[,;\s]+", value) if word
    )


def _shipping(order: Json, config: Config, currency: str, included: bool) -> Iterable[SoldLine]:
    for row in order["shippingLines"]["nodes"]:
        if row["isRemoved"]:
            continue
        taxes = _taxes(row["taxLines"], config, currency)
        full, paid = money(row["originalPriceSet"], currency), money(row["discountedPriceSet"], currency)
        yield SoldLine(
            line_ref=shipping_ref(row["id"]),
            sku=config.shipping_sku,
            quantity=1,
            delivered=1,
            unit_price_minor=full,
            paid_minor=paid + (0 if included else sum(tax.amount_minor for tax in taxes)),
            taxes=taxes,
            discounts=(Discount("shipping", full - paid),) if full > paid else (),
            component="shipping",
            title=row["title"],
        )


# ---- kits ------------------------------------------------------------------------------------------------------------


def _kits(rows: Sequence[Json]) -> dict[str, Json]:
    """Line item groups that are kits: each component comes a whole number of times in each kit."""
    groups: dict[str, Json] = {}
    broken: set[str] = set()
    for row in rows:
        if group := row["lineItemGroup"]:
            groups[group["id"]] = group
            if group["quantity"] < 1 or row["quantity"] % group["quantity"]:
                broken.add(group["id"])  # edited apart: its components are plain lines again
    return {id_: group for id_, group in groups.items() if id_ not in broken}


def _with_kits(lines: Sequence[SoldLine], order: Json, refs: dict[str, tuple[str, str]]) -> list[SoldLine]:
    """The components of a kit become one line, where the first of them stood."""
    kits = {kit_ref(id_): group for id_, group in _kits(order["lineItems"]["nodes"]).items()}
    parts: dict[str, list[SoldLine]] = {}
    for line, row in zip(lines, order["lineItems"]["nodes"], strict=True):
        parts.setdefault(refs[row["id"]][0], []).append(line)
    return [_kit(ref, kits[ref], found) if ref in kits else found[0] for ref, found in parts.items()]


def _kit(ref: str, group: Json, parts: Sequence[SoldLine]) -> SoldLine:
    """One kit of its components; what was paid for each of them is its share of the kit's price (edge cases 15-17)."""
    quantity = int(group["quantity"])
    paid = sum(part.paid_minor for part in parts)
    taxes: dict[tuple[str, int], int] = {}
    rules: dict[str, int] = {}
    for part in parts:
        for tax in part.taxes:
            taxes[tax.code, tax.rate_ppm] = taxes.get((tax.code, tax.rate_ppm), 0) + tax.amount_minor
        for discount in part.discounts:
            rules[discount.rule] = rules.get(discount.rule, 0) + discount.amount_minor
    shares = allocate(paid // quantity, [part.paid_minor for part in parts])
    return SoldLine(
        line_ref=ref,
        sku=group["variantSku"] or group["title"],
        quantity=quantity,
        delivered=min(part.delivered * quantity // part.quantity for part in parts),
        unit_price_minor=sum(part.unit_price_minor * part.quantity // quantity for part in parts),
        paid_minor=paid,
        taxes=tuple(Tax(code, rate, amount) for (code, rate), amount in taxes.items()),
        discounts=tuple(Discount(rule, amount) for rule, amount in rules.items()),
        title=group["title"],
        flags=tuple(dict.fromkeys(flag for part in parts for flag in part.flags)),
        serials=tuple(serial for part in parts for serial in part.serials),
        lots=tuple(lot for part in parts for lot in part.lots),
        kit=tuple(
            KitPart(part.sku, part.quantity // quantity, share, part.tracking)
            for part, share in zip(parts, shares, strict=True)
        ),
    )


# ---- discounts, tenders, channel -------------------------------------------------------------------------------------


def rule_of(application: Json) -> str:
    return application.get("code") or application.get("title") or f"discount {application['index']}"


def _promotions(order: Json, config: Config, sold: Sequence[SoldLine]) -> Iterable[Promotion]:
    """Rules that the retailer configured, and "buy 2 get 1" or "3 for 2" as the title tells."""
    for rule in dict.fromkeys(discount.rule for line in sold for discount in line.discounts):
        known = config.promotions.get(rule)
        if known is not None:
            yield Promotion(
                rule, known.kind, known.buy, known.get, known.threshold_minor, known.percent_ppm, known.amount_minor
            )
        elif found := _BUY_GET.search(rule):
            yield Promotion(rule, "buy_x_get_y", int(found[1]), int(found[2]))
        elif (found := _FOR.search(rule)) and int(found[1]) > int(found[2]) > 0:
            yield Promotion(rule, "buy_x_get_y", int(found[2]), int(found[1]) - int(found[2]))


def payer_of(gateway: str, config: Config, connection: str) -> str:
    """The connection that pays back through a gateway: its provider's, the shop's own, or "" where a route decides."""
    return config.gateways.get(gateway) or (connection if gateway == OWN_GATEWAY else "")


def _payments(order: Json, config: Config, currency: str, connection: str) -> Iterable[Payment]:
    for row in order["transactions"]:
        if row["kind"] in ("SALE", "CAPTURE") and row["status"] == "SUCCESS":
            gateway = row["gateway"] or ""
            yield Payment(
                payment_ref=payment_ref(row, config),
                tender=tender_of(gateway, config),
                captured_minor=money(row["amountSet"], currency),
                connection=payer_of(gateway, config, connection),
                settlement_currency=row["settlementCurrency"] or "",
            )


def _channel(order: Json, config: Config) -> str:
    source = order["sourceName"] or "web"
    if "marketplace" in order["tags"] or source in config.marketplaces:
        return "marketplace"
    return CHANNELS.get(source, "web")


def delivered_at(order: Json) -> datetime | None:
    """When the last parcel was delivered, or left where no carrier told; None: nothing has left us yet."""
    moves = [move for move in order["fulfillments"] if move["status"] in SHIPPED]
    return max((instant(move["deliveredAt"] or move["createdAt"]) for move in moves), default=None)
