"""Orders: placed with discounts, taxes, kits and split tender; fulfilled; cancelled; and the sums that they show.

Amounts that come in are minor units of the presentment currency (what the customer saw); `bag` adds the shop's side.
"""

from collections.abc import Iterable
from decimal import Decimal

from counterflow.connectors.shopify.simulator import credit, inventory, payloads
from counterflow.connectors.shopify.simulator.money import Bag, half_up, part, spread, sub
from counterflow.connectors.shopify.simulator.shop import Refused, Shop, bag
from counterflow.connectors.shopify.simulator.sums import line_net, line_of, open_quantity, outstanding, total
from counterflow.sdk.simulator import Doc


def place(shop: Shop, data: Doc) -> Doc:
    """A checkout that went through. The fields of `data` are in the table of acts (`acts.py`)."""
    order = _head(shop, data)
    for line in data["lines"]:
        _add_line(shop, order, line)
    for discount in data.get("discounts", []):
        _apply(order, discount)
    for line in order["lines"]:
        line["tax_lines"] = _taxes(order, line.pop("tax_rates"), line_net(line))
    if shipping := data.get("shipping"):
        _ship_line(shop, order, shipping)
    _pay(shop, order, data)
    for line in order["lines"]:
        inventory.commit(shop, line["sku"], line["quantity"])
    shop.save_order(order)
    shop.tell("ORDERS_CREATE", payloads.order(order["id"]))
    if outstanding(order)["presentment"] <= 0:
        shop.tell("ORDERS_PAID", payloads.order(order["id"]))
    if data.get("fulfil"):
        fulfil(shop, order, None, data.get("location"), {})
    return order


def _head(shop: Shop, data: Doc) -> Doc:
    number = 1000 + shop.world.next_id("order_number")
    customer = shop.customer(data["customer"]) if data.get("customer") else None
    marketplace = data.get("marketplace")
    order = {
        "id": shop.gid("Order"), "number": number, "name": data.get("name") or f"#{number}",
        "created_at": shop.now(), "processed_at": data.get("processed_at") or shop.now(),
        "cancelled_at": None, "cancel_reason": None, "closed_at": None,
        "currency": shop.currency, "presentment_currency": data.get("presentment_currency") or shop.currency,
        "rate": str(data.get("exchange_rate", 1)), "taxes_included": bool(data.get("taxes_included", True)),
        "source_name": marketplace or data.get("source_name", "web"),
        "source_identifier": data.get("source_identifier"),
        "country": data.get("country"), "customer_id": customer and customer["id"],
        "email": customer and customer["email"],
        "tags": [*data.get("tags", []), *(["marketplace", marketplace] if marketplace else [])],
        "note": data.get("note"), "attributes": _attributes(data.get("attributes", {})), "test": True,
        "discount_applications": [], "lines": [], "shipping": [], "fulfillments": [], "transactions": [],
        "refunds": [], "return_ids": [],
    }  # fmt: skip
    shop.remember(order["name"], order["id"])
    return order


def _attributes(values: Doc) -> list[Doc]:
    return [{"key": key, "value": str(value)} for key, value in values.items()]


def _add_line(shop: Shop, order: Doc, data: Doc) -> None:
    """One line, or the lines of a kit: components that share a line item group."""
    if components := data.get("components"):
        group = {
            "id": shop.gid("LineItemGroup"), "sku": data["sku"], "title": data.get("title", data["sku"]),
            "quantity": data.get("quantity", 1),
        }  # fmt: skip
        for component in components:
            rates = {"tax_rates": data.get("tax_rates", [])} if "tax_rates" not in component else {}
            quantity = component.get("quantity", 1) * group["quantity"]
            _add_line(shop, order, {**component, **rates, "quantity": quantity, "group": group})
        return
    variant = inventory.variant(shop, data["sku"], data.get("title"), data.get("unit_price_minor"))
    price = int(data["unit_price_minor"] if "unit_price_minor" in data else variant["price_minor"])
    line: Doc = {
        "id": shop.gid("LineItem"), "sku": data["sku"], "title": data.get("title") or variant["title"],
        "quantity": int(data.get("quantity", 1)), "removed": 0, "fulfilled": 0,
        "unit_price": bag(order, price),
        "allocations": [], "tax_rates": data.get("tax_rates", []), "tax_lines": [], "group": data.get("group"),
        "attributes": _attributes(data.get("attributes", {})), "gift_card": bool(data.get("gift_card")),
        "requires_shipping": bool(data.get("requires_shipping", True)), "exchange": bool(data.get("exchange")),
    }  # fmt: skip
    if line["quantity"] < 1 or line["unit_price"]["presentment"] < 0:
        raise Refused("a line has a quantity of 1 or more and a price of 0 or more", "INVALID")
    order["lines"].append(line)
    shop.remember(line["id"], order["id"])
    for discount in data.get("discounts", []):
        _apply(order, {**discount, "lines": [len(order["lines"]) - 1]})


def _apply(order: Doc, data: Doc) -> None:
    """Allocate a discount over lines by what each still costs; largest remainders first, so that the cents add up."""
    indexes = data.get("lines") or list(range(len(order["lines"])))
    lines = [order["lines"][i] for i in indexes]
    nets = [line_net(line)["presentment"] for line in lines]
    if free := data.get("buy_x_get_y"):
        bundles = [line["quantity"] // (free["buy"] + free["get"]) * free["get"] for line in lines]
        shares = [line["unit_price"]["presentment"] * units for line, units in zip(lines, bundles, strict=True)]
    else:
        percent = data.get("percentage")
        amount = half_up(Decimal(sum(nets)) * Decimal(str(percent)) / 100) if percent else int(data["amount_minor"])
        shares = spread(min(amount, sum(nets)), nets)
    kind = data.get("kind") or ("code" if "code" in data else "automatic")
    index = len(order["discount_applications"])
    value = {"percentage": data["percentage"]} if data.get("percentage") else {"amount_minor": sum(shares)}
    order["discount_applications"].append(
        {
            "index": index,
            "kind": kind,
            "code": data.get("code"),
            "title": data.get("title") or data.get("code") or kind,
            "selection": "EXPLICIT" if data.get("lines") else "ALL",
            "method": data.get("method", "ACROSS"),
            **value,
        }
    )
    for line, share in zip(lines, shares, strict=True):
        if share:
            line["allocations"].append({"index": index, "amount": bag(order, share)})


def _taxes(order: Doc, rates: Iterable[Doc], net: Bag) -> list[Doc]:
    """Tax lines of an amount; inside the price when the order's taxes are included, on top of it when not."""
    rates = list(rates)
    whole = (
        1 + sum((Decimal(str(rate["rate"])) for rate in rates), Decimal(0)) if order["taxes_included"] else Decimal(1)
    )
    return [
        {
            "title": rate.get("title", "VAT"), "rate": str(rate["rate"]),
            "price": bag(order, part(net, Decimal(str(rate["rate"])), whole)["presentment"]),
        }
        for rate in rates
    ]  # fmt: skip


def _ship_line(shop: Shop, order: Doc, data: Doc) -> None:
    price, discount = bag(order, int(data["amount_minor"])), bag(order, int(data.get("discount_minor", 0)))
    order["shipping"].append(
        {
            "id": shop.gid("ShippingLine"),
            "title": data.get("title", "Standard"),
            "price": price,
            "discounted": sub(price, discount),
            "tax_lines": _taxes(order, data.get("tax_rates", []), sub(price, discount)),
        }
    )


def _pay(shop: Shop, order: Doc, data: Doc) -> None:
    due = total(order)["presentment"]
    gateway = "marketplace" if data.get("marketplace") else data.get("gateway", "shopify_payments")
    tenders = data.get("tenders", [{"gateway": gateway, "amount_minor": due, "payment_id": data.get("payment_id")}])
    paid = sum(int(tender["amount_minor"]) for tender in tenders)
    if paid > due or (paid < due and not data.get("unpaid")):
        raise Refused(f"the tenders add up to {paid}, the order to {due} minor units", "INVALID")
    for tender in tenders:
        if tender["amount_minor"]:
            if tender["gateway"] == "gift_card":
                credit.spend(shop, tender["gift_card"], int(tender["amount_minor"]))
            add_transaction(
                shop, order, tender.get("kind", "SALE"), tender["gateway"], int(tender["amount_minor"]), tender
            )


def add_transaction(
    shop: Shop, order: Doc, kind: str, gateway: str, presentment_minor: int, more: Doc, status: str = "SUCCESS"
) -> Doc:
    """`more`: payment_id, parent_id, gift_card, error_code, receipt. Announced once it has succeeded or failed."""
    transaction = {
        "id": shop.gid("OrderTransaction"), "kind": kind, "gateway": gateway, "status": status,
        "amount": bag(order, presentment_minor), "payment_id": more.get("payment_id"),
        "parent_id": more.get("parent_id"), "gift_card": more.get("gift_card"), "error_code": more.get("error_code"),
        "receipt": more.get("receipt", {}), "refund_id": more.get("refund_id"), "at": shop.now(),
    }  # fmt: skip
    if not transaction["payment_id"]:
        transaction["payment_id"] = f"{order['name']}.{len(order['transactions']) + 1}"
    order["transactions"].append(transaction)
    shop.remember(transaction["id"], order["id"])
    if status != "PENDING":
        shop.tell("ORDER_TRANSACTIONS_CREATE", payloads.transaction(transaction, order))
    if status == "SUCCESS" and kind in ("SALE", "CAPTURE", "REFUND"):
        shop.tell("TENDER_TRANSACTIONS_CREATE", payloads.tender_transaction(transaction, order))
    return transaction


def fulfil(shop: Shop, order: Doc, wanted: list[Doc] | None, location: str | None, tracking: Doc) -> Doc:
    """Ship lines ([{sku | line_id, quantity}]; None: all that is open). Raises Refused when nothing is open."""
    place_ = shop.location(location)
    rows = wanted or [{"line_id": line["id"], "quantity": open_quantity(line)} for line in order["lines"]]
    items = []
    for row in rows:
        line = line_of(order, row)
        quantity = int(row.get("quantity", open_quantity(line)))
        if quantity > open_quantity(line):
            raise Refused(f"{line['sku']}: {quantity} to ship, {open_quantity(line)} open", "INVALID")
        if quantity:
            line["fulfilled"] += quantity
            items.append({"id": shop.gid("FulfillmentLineItem"), "line_id": line["id"], "quantity": quantity})
            inventory.ship(shop, line["sku"], place_["id"], quantity)
    if not items:
        raise Refused(f"{order['name']} has nothing left to ship", "INVALID")
    fulfillment = {
        "id": shop.gid("Fulfillment"), "name": f"{order['name']}.{len(order['fulfillments']) + 1}", "status": "SUCCESS",
        "location_id": place_["id"], "at": shop.now(), "items": items, "tracking": tracking, "delivered_at": None,
    }  # fmt: skip
    order["fulfillments"].append(fulfillment)
    for part_ in (fulfillment, *items):
        shop.remember(part_["id"], order["id"])
    shop.save_order(order)
    shop.tell("FULFILLMENTS_CREATE", payloads.fulfillment(fulfillment, order))
    left = any(open_quantity(line) for line in order["lines"])
    shop.tell("ORDERS_PARTIALLY_FULFILLED" if left else "ORDERS_FULFILLED", payloads.order(order["id"]))
    return fulfillment


def deliver(shop: Shop, order: Doc) -> Doc:
    """The carrier reports every parcel of the order as delivered. Raises Refused when nothing was shipped."""
    if not order["fulfillments"]:
        raise Refused(f"{order['name']} has no parcel under way", "INVALID")
    for fulfillment in order["fulfillments"]:
        fulfillment["delivered_at"] = fulfillment["delivered_at"] or shop.now()
    shop.save_order(order)
    for fulfillment in order["fulfillments"]:
        shop.tell("FULFILLMENTS_UPDATE", payloads.fulfillment(fulfillment, order))
    return order


def cancel(shop: Shop, order: Doc, reason: str) -> None:
    """Cancel what is not shipped; money is given back by a refund of its own."""
    if order["fulfillments"]:
        raise Refused("Cannot cancel an order that has been fulfilled", "INVALID")
    for line in order["lines"]:
        inventory.commit(shop, line["sku"], -open_quantity(line))
        line["removed"] = line["quantity"]
    order["cancelled_at"], order["cancel_reason"] = shop.now(), reason
    shop.save_order(order)
    shop.tell("ORDERS_CANCELLED", payloads.order(order["id"]))


def add_exchange_line(shop: Shop, order: Doc, item: Doc, quantity: int) -> Doc:
    """The replacement of an exchange becomes a line of the same order, at the variant's price of today."""
    sku = shop.owner(item["variant_id"]) or ""
    rates = order["lines"][0]["tax_lines"]
    _add_line(shop, order, {"sku": sku, "quantity": quantity, "exchange": True, "tax_rates": rates})
    line = order["lines"][-1]
    if off := item.get("discount"):
        _apply(order, {**off, "kind": "manual", "title": "Exchange", "lines": [len(order["lines"]) - 1]})
    line["tax_lines"] = _taxes(order, line.pop("tax_rates"), line_net(line))
    inventory.commit(shop, sku, quantity)
    return line  # type: ignore[no-any-return]
