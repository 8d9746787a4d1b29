"""Documents of the shop as GraphQL sees them: plain dictionaries whose values are data or functions of the arguments.

Functions are called only for the fields that a query asks for, so views may point at each other in circles. That is why
they are one file of over 400 lines: an order shows its returns and refunds, and those their order.
"""

import base64
from collections.abc import Callable, Iterable
from typing import Any

from counterflow.connectors.shopify.simulator import credit, inventory, returns, sums
from counterflow.connectors.shopify.simulator.money import NOTHING, Bag, add, graphql_amount, part, sub, times
from counterflow.connectors.shopify.simulator.refunds import RECORDED_ONLY
from counterflow.connectors.shopify.simulator.shop import Refused, Shop, find, number
from counterflow.sdk.simulator import Doc

Resolver = Callable[..., Any]


def lazy(make: Callable[[], Any]) -> Resolver:
    """A field without arguments, computed when asked for."""
    return lambda info, **_: make()


def pages(make: Callable[[], Iterable[Doc]], cursor: Callable[[Doc], str] | None = None) -> Resolver:
    """A connection with first/after. `cursor` names a row's place in the order of the list (default: its index).

    A cursor that names a place stays true while rows are added or changed; the connection continues behind it.
    """

    def resolve(info: Any, first: int | None = None, after: str | None = None, reverse: bool = False, **_: Any) -> Doc:
        if first is None:
            raise Refused("you must provide one of first or last")
        if not 0 < first <= 250:
            raise Refused("first must be between 1 and 250")
        rows = list(make())
        if reverse:
            rows.reverse()
        places = [cursor(row) for row in rows] if cursor else [f"{i:06d}" for i in range(len(rows))]
        start = 0
        if after is not None:
            last = base64.urlsafe_b64decode(after).decode()
            start = sum(1 for place in places if (place >= last if reverse and cursor else place <= last))
        chosen = list(zip(rows, places, strict=True))[start : start + first]
        ends = [base64.urlsafe_b64encode(place.encode()).decode() for _, place in chosen]
        return {
            "nodes": [row for row, _ in chosen],
            "edges": [{"node": row, "cursor": end} for (row, _), end in zip(chosen, ends, strict=True)],
            "pageInfo": {
                "hasNextPage": start + first < len(rows), "hasPreviousPage": start > 0,
                "startCursor": ends[0] if ends else None, "endCursor": ends[-1] if ends else None,
            },
        }  # fmt: skip

    return resolve


def money(amount: int, currency: str) -> Doc:
    return {"amount": graphql_amount(amount, currency), "currencyCode": currency}


def both(order: Doc, bag: Bag) -> Doc:
    return {
        "shopMoney": money(bag["shop"], order["currency"]),
        "presentmentMoney": money(bag["presentment"], order["presentment_currency"]),
    }


def view_order(shop: Shop, doc: Doc) -> Doc:
    transactions = [view_transaction(shop, doc, row) for row in doc["transactions"]]
    goods = add(NOTHING, *(sums.line_net(line) for line in doc["lines"]))
    given_back = add(NOTHING, *(refund["goods"] for refund in doc["refunds"]))
    shipping = add(NOTHING, *(row["discounted"] for row in doc["shipping"]))
    discounts = add(
        NOTHING, *(sub(times(line["unit_price"], line["quantity"]), sums.line_net(line)) for line in doc["lines"])
    )
    return {
        "__typename": "Order", "id": doc["id"], "legacyResourceId": str(number(doc["id"])), "name": doc["name"],
        "number": doc["number"], "createdAt": doc["created_at"], "updatedAt": doc["updated_at"],
        "processedAt": doc["processed_at"], "cancelledAt": doc["cancelled_at"], "cancelReason": doc["cancel_reason"],
        "closedAt": doc["closed_at"], "currencyCode": doc["currency"],
        "presentmentCurrencyCode": doc["presentment_currency"],
        "taxesIncluded": doc["taxes_included"], "sourceName": doc["source_name"], "email": doc["email"],
        "sourceIdentifier": doc["source_identifier"], "tags": sorted(doc["tags"]), "note": doc["note"],
        "test": doc["test"],
        "customer": lazy(lambda: view_customer(shop, shop.world.get("customers", doc["customer_id"] or ""))),
        "customAttributes": doc["attributes"], "retailLocation": None,
        "shippingAddress": doc["country"] and {
            "__typename": "MailingAddress", "id": doc["id"].replace("Order", "MailingAddress"),
            "countryCodeV2": doc["country"],
        },
        "discountApplications": pages(lambda: [view_application(doc, row) for row in doc["discount_applications"]]),
        "discountCodes": [row["code"] for row in doc["discount_applications"] if row["code"]],
        "lineItems": pages(lambda: [view_line(shop, doc, line) for line in doc["lines"]]),
        "shippingLines": pages(lambda: [view_shipping(doc, row) for row in doc["shipping"]]),
        "fulfillments": lambda info, first=None,
        **_: [view_fulfillment(shop, doc, row) for row in doc["fulfillments"]][:first],
        "transactions": lambda info, first=None, **_: transactions[:first],
        "refunds": lambda info, first=None, **_: [view_refund(shop, doc, row) for row in doc["refunds"]][:first],
        "returns": pages(lambda: [view_return(shop, row) for row in shop.returns_of(doc)]),
        "returnStatus": lazy(lambda: _return_status(shop.returns_of(doc))),
        "displayFinancialStatus": sums.financial_status(doc), "displayFulfillmentStatus": sums.fulfillment_status(doc),
        "paymentGatewayNames": sorted({row["gateway"] for row in doc["transactions"]}),
        "totalPriceSet": both(doc, sums.total(doc)), "originalTotalPriceSet": both(doc, sums.total(doc)),
        "currentTotalPriceSet": both(doc, sub(sums.total(doc), given_back)), "subtotalPriceSet": both(doc, goods),
        "totalTaxSet": both(doc, sums.tax_of([*doc["lines"], *doc["shipping"]])),
        "totalDiscountsSet": both(doc, discounts),
        "totalShippingPriceSet": both(doc, shipping), "totalReceivedSet": both(doc, sums.received(doc)),
        "totalRefundedSet": both(doc, sums.refunded(doc)),
        "totalRefundedShippingSet": both(doc, sums.refunded_shipping(doc)),
        "totalOutstandingSet": both(doc, sums.outstanding(doc)),
        "netPaymentSet": both(doc, sub(sums.received(doc), sums.refunded(doc))),
    }  # fmt: skip


def _return_status(rows: list[Doc]) -> str:
    states = {row["status"] for row in rows}
    order = (("OPEN", "IN_PROGRESS"), ("REQUESTED", "RETURN_REQUESTED"), ("CLOSED", "RETURNED"))
    return next((shown for state, shown in order if state in states), "NO_RETURN")


def view_application(doc: Doc, row: Doc) -> Doc:
    value = (
        {"__typename": "PricingPercentageValue", "percentage": float(row["percentage"])}
        if "percentage" in row
        else {"__typename": "MoneyV2", **money(row["amount_minor"], doc["presentment_currency"])}
    )
    kinds = {
        "code": "DiscountCodeApplication",
        "automatic": "AutomaticDiscountApplication",
        "manual": "ManualDiscountApplication",
    }
    return {
        "__typename": kinds[row["kind"]], "index": row["index"], "allocationMethod": row["method"],
        "targetSelection": row["selection"], "targetType": "LINE_ITEM", "value": value, "title": row["title"],
        "code": row["code"], "description": row["title"],
    }  # fmt: skip


def _allocations(doc: Doc, rows: list[Doc]) -> list[Doc]:
    return [
        {
            "allocatedAmountSet": both(doc, row["amount"]),
            "discountApplication": view_application(doc, doc["discount_applications"][row["index"]]),
        }
        for row in rows
    ]


def _taxes(doc: Doc, rows: list[Doc]) -> list[Doc]:
    return [
        {
            "title": row["title"], "rate": float(row["rate"]), "ratePercentage": float(row["rate"]) * 100,
            "source": "shop",
            "priceSet": both(doc, row["price"]), "channelLiable": doc["source_name"] not in ("web", "pos"),
        }
        for row in rows
    ]  # fmt: skip


def view_line(shop: Shop, doc: Doc, line: Doc) -> Doc:
    quantity, gross, net = line["quantity"], times(line["unit_price"], line["quantity"]), sums.line_net(line)
    own = [row for row in line["allocations"] if doc["discount_applications"][row["index"]]["selection"] == "EXPLICIT"]
    after_own = sub(gross, add(NOTHING, *(row["amount"] for row in own)))
    refunded = sums.refunded_units(doc, line["id"])
    group = line["group"]
    return {
        "__typename": "LineItem", "id": line["id"], "sku": line["sku"], "title": line["title"], "name": line["title"],
        "variantTitle": None, "quantity": quantity, "currentQuantity": quantity - max(line["removed"], refunded),
        "refundableQuantity": sums.refundable_units(doc, line), "unfulfilledQuantity": sums.open_quantity(line),
        "originalUnitPriceSet": both(doc, line["unit_price"]), "originalTotalSet": both(doc, gross),
        "discountedUnitPriceSet": both(doc, part(after_own, 1, quantity)),
        "discountedUnitPriceAfterAllDiscountsSet": both(doc, part(net, 1, quantity)),
        "discountedTotalSet": lambda info, withCodeDiscounts=False: both(doc, net if withCodeDiscounts else after_own),
        "totalDiscountSet": both(doc, sub(gross, net)), "discountAllocations": _allocations(doc, line["allocations"]),
        "taxLines": lambda info, first=None: _taxes(doc, line["tax_lines"])[:first],
        "customAttributes": line["attributes"],
        "lineItemGroup": group and {
            "__typename": "LineItemGroup", "id": group["id"], "title": group["title"], "quantity": group["quantity"],
            "variantSku": group["sku"], "variantId": None, "productId": None, "customAttributes": [],
        },
        "isGiftCard": line["gift_card"], "requiresShipping": line["requires_shipping"], "restockable": True,
        "taxable": bool(line["tax_lines"]),
        "variant": lazy(lambda: view_variant(shop, shop.world.get("variants", line["sku"]))),
    }  # fmt: skip


def view_shipping(doc: Doc, row: Doc) -> Doc:
    return {
        "id": row["id"], "title": row["title"], "code": row["title"], "originalPriceSet": both(doc, row["price"]),
        "discountedPriceSet": both(doc, row["discounted"]), "taxLines": _taxes(doc, row["tax_lines"]),
        "discountAllocations": [], "isRemoved": False, "custom": False,
    }  # fmt: skip


def view_transaction(shop: Shop, doc: Doc, row: Doc) -> Doc:
    return {
        "__typename": "OrderTransaction", "id": row["id"], "kind": row["kind"], "status": row["status"],
        "gateway": row["gateway"], "formattedGateway": row["gateway"].replace("_", " ").title(),
        "paymentId": row["payment_id"], "amountSet": both(doc, row["amount"]),
        "maximumRefundableV2": money(sums.refundable_on(doc, row)["presentment"], doc["presentment_currency"]),
        "parentTransaction": lazy(
            lambda: row["parent_id"]
            and view_transaction(shop, doc, find(doc["transactions"], "transaction", id=row["parent_id"]))
        ),
        "order": lazy(lambda: view_order(shop, doc)), "errorCode": row["error_code"], "createdAt": row["at"],
        "processedAt": row["at"], "manualPaymentGateway": row["gateway"] in RECORDED_ONLY,
        "receiptJson": row["receipt"],
        "settlementCurrency": None, "settlementCurrencyRate": None, "test": True,
    }  # fmt: skip


def view_fulfillment(shop: Shop, doc: Doc, row: Doc) -> Doc:
    return {
        "__typename": "Fulfillment", "id": row["id"], "legacyResourceId": str(number(row["id"])), "name": row["name"],
        "status": row["status"], "createdAt": row["at"], "updatedAt": row["at"], "deliveredAt": row["delivered_at"],
        "inTransitAt": None, "totalQuantity": sum(item["quantity"] for item in row["items"]),
        "location": view_location(shop.location(row["location_id"])), "order": lazy(lambda: view_order(shop, doc)),
        "fulfillmentLineItems": pages(lambda: [view_item(shop, doc, item) for item in row["items"]]),
        "trackingInfo": lambda info,
        first=None: [{"company": None, "url": None, **row["tracking"]}] if row["tracking"] else [],
    }  # fmt: skip


def view_item(shop: Shop, doc: Doc, item: Doc) -> Doc:
    line = find(doc["lines"], "line", id=item["line_id"])
    return {
        "__typename": "FulfillmentLineItem", "id": item["id"], "quantity": item["quantity"],
        "lineItem": lazy(lambda: view_line(shop, doc, line)),
        "originalTotalSet": both(doc, times(line["unit_price"], item["quantity"])),
        "discountedTotalSet": both(doc, part(sums.line_net(line), item["quantity"], line["quantity"])),
    }  # fmt: skip


def _item_by_id(shop: Shop, doc: Doc, id: str) -> Doc:
    return view_item(shop, doc, next(i for row in doc["fulfillments"] for i in row["items"] if i["id"] == id))


def view_refund(shop: Shop, doc: Doc, row: Doc) -> Doc:
    def line(entry: Doc) -> Doc:
        place = entry["location_id"]
        sold = find(doc["lines"], "line", id=entry["line_id"])
        return {
            "id": entry["id"], "lineItem": lazy(lambda: view_line(shop, doc, sold)), "quantity": entry["quantity"],
            "restockType": entry["restock_type"], "restocked": entry["restock_type"] in ("RETURN", "CANCEL"),
            "location": place and view_location(shop.location(place)), "subtotalSet": both(doc, entry["subtotal"]),
            "priceSet": both(doc, part(sums.line_net(sold), 1, sold["quantity"])),
            "totalTaxSet": both(doc, entry["tax"]),
        }  # fmt: skip

    free = both(doc, NOTHING)
    moved = [find(doc["transactions"], "transaction", id=id) for id in row["transaction_ids"]]
    paid = add(row["store_credit"], *(entry["amount"] for entry in moved if entry["status"] == "SUCCESS"))
    return {
        "__typename": "Refund", "id": row["id"], "legacyResourceId": str(number(row["id"])), "createdAt": row["at"],
        "processedAt": row["processed_at"], "updatedAt": row["at"], "note": row["note"],
        "order": lazy(lambda: view_order(shop, doc)),
        "return": lazy(lambda: row["return_id"] and view_return(shop, shop.ret(row["return_id"]))),
        "refundLineItems": pages(lambda: [line(entry) for entry in row["lines"]]),
        "refundShippingLines": pages(
            lambda: [
                {
                    "id": ship["id"], "subtotalAmountSet": both(doc, ship["amount"]),
                    "taxAmountSet": free,
                    "shippingLine": view_shipping(doc, doc["shipping"][0]),
                }
                for ship in row["shipping"]
            ]
        ),
        "orderAdjustments": pages(
            lambda: [
                {"id": a["id"], "reason": a["reason"], "amountSet": both(doc, a["amount"]), "taxAmountSet": free}
                for a in row["adjustments"]
            ]
        ),
        "transactions": pages(lambda: [view_transaction(shop, doc, entry) for entry in moved]),
        "totalRefundedSet": both(doc, paid),
    }  # fmt: skip


def view_return(shop: Shop, doc: Doc) -> Doc:
    order = shop.order(doc["order_id"])
    mine = [row for row in order["refunds"] if row["id"] in doc["refund_ids"]]
    moved = [row for row in order["transactions"] if row["refund_id"] in doc["refund_ids"]]

    def line(row: Doc) -> Doc:
        refunded = sum(e["quantity"] for refund in mine for e in refund["lines"] if e["line_id"] == row["line_id"])
        left = row["quantity"] - row["processed"]
        return {
            "__typename": "ReturnLineItem", "id": row["id"], "quantity": row["quantity"],
            "customerNote": row["customer_note"],
            "processableQuantity": left if doc["status"] == "OPEN" else 0, "processedQuantity": row["processed"],
            "unprocessedQuantity": left, "refundedQuantity": refunded,
            "refundableQuantity": max(row["quantity"] - refunded, 0),
            "returnReason": row["reason"], "returnReasonNote": row["note"],
            "fulfillmentLineItem": lazy(lambda: _item_by_id(shop, order, row["item_id"])),
            "restockingFee": row["fee"] and {
                "id": row["fee"]["id"], "percentage": row["fee"]["percentage"],
                "amountSet": both(order, row["fee"]["amount"]),
            },
            "withCodeDiscountedTotalPriceSet": both(order, returns.value(order, row)),
        }  # fmt: skip

    def exchange(item: Doc) -> Doc:
        left = item["quantity"] - item["processed"]
        return {
            "id": item["id"], "quantity": item["quantity"], "processableQuantity": left,
            "processedQuantity": item["processed"],
            "unprocessedQuantity": left, "variantId": item["variant_id"],
            "lineItems": [view_line(shop, order, find(order["lines"], "line", id=id)) for id in item["line_ids"]],
        }  # fmt: skip

    return {
        "__typename": "Return", "id": doc["id"], "name": doc["name"], "status": doc["status"], "createdAt": doc["at"],
        "closedAt": doc["closed_at"], "requestApprovedAt": doc["approved_at"], "decline": doc["decline"],
        "order": lazy(lambda: view_order(shop, order)), "totalQuantity": sum(row["quantity"] for row in doc["lines"]),
        "returnLineItems": pages(lambda: [line(row) for row in doc["lines"]]),
        "exchangeLineItems": pages(lambda: [exchange(item) for item in doc["exchange"]]),
        "returnShippingFees": [{"id": fee["id"], "amountSet": both(order, fee["amount"])} for fee in doc["fees"]],
        "refunds": pages(lambda: [view_refund(shop, order, row) for row in mine]),
        "transactions": pages(lambda: [view_transaction(shop, order, row) for row in moved]),
        "reverseFulfillmentOrders": pages(lambda: [view_reverse(shop, order, row) for row in doc["reverse"]]),
    }  # fmt: skip


def view_reverse(shop: Shop, order: Doc, row: Doc) -> Doc:
    return {
        "__typename": "ReverseFulfillmentOrder", "id": row["id"], "status": row["status"],
        "order": lazy(lambda: view_order(shop, order)),
        "lineItems": pages(lambda: [view_reverse_line(shop, order, line) for line in row["lines"]]),
        "reverseDeliveries": pages(
            lambda: [view_reverse_delivery(shop, order, row, each) for each in row["deliveries"]]
        ),
    }  # fmt: skip


def view_reverse_delivery(shop: Shop, order: Doc, row: Doc, doc: Doc) -> Doc:
    label = doc.get("label_url")
    return {
        "__typename": "ReverseDelivery", "id": doc["id"],
        "reverseFulfillmentOrder": lazy(lambda: view_reverse(shop, order, row)),
        "deliverable": {
            "__typename": "ReverseDeliveryShippingDeliverable",
            "label": label and {"createdAt": doc["at"], "updatedAt": doc["at"], "publicFileUrl": label},
            "tracking": {"number": doc.get("number"), "url": doc.get("url"), "carrierName": None},
        },
    }  # fmt: skip


def view_reverse_line(shop: Shop, order: Doc, line: Doc) -> Doc:
    return {
        "__typename": "ReverseFulfillmentOrderLineItem", "id": line["id"], "totalQuantity": line["quantity"],
        "fulfillmentLineItem": lazy(lambda: _item_by_id(shop, order, line["item_id"])),
        "dispositions": [
            {
                "id": done["id"], "type": done["type"], "quantity": done["quantity"], "createdAt": done["at"],
                "location": done["location_id"] and view_location(shop.location(done["location_id"])),
            }
            for done in line["dispositions"]
        ],
    }  # fmt: skip


def view_returnable(shop: Shop, order: Doc) -> list[Doc]:
    rows = returns.returnable(shop, order)
    fulfillments = {row["fulfillment"]["id"]: row["fulfillment"] for row in rows}

    def items(id: str) -> list[Doc]:
        return [
            {"fulfillmentLineItem": view_item(shop, order, row["item"]), "quantity": row["quantity"]}
            for row in rows
            if row["fulfillment"]["id"] == id
        ]

    return [
        {
            "__typename": "ReturnableFulfillment", "id": f"gid://shopify/ReturnableFulfillment/{number(id)}",
            "fulfillment": view_fulfillment(shop, order, row),
            "returnableFulfillmentLineItems": pages(lambda id=id: items(id)),  # type: ignore[misc]
        }
        for id, row in fulfillments.items()
    ]  # fmt: skip


def view_location(doc: Doc) -> Doc:
    return {
        "__typename": "Location", "id": doc["id"], "legacyResourceId": str(number(doc["id"])), "name": doc["name"],
        "isActive": True,
    }  # fmt: skip


def view_variant(shop: Shop, doc: Doc | None) -> Doc | None:
    return doc and {
        "__typename": "ProductVariant", "id": doc["id"], "legacyResourceId": str(number(doc["id"])), "sku": doc["sku"],
        "barcode": doc["barcode"], "title": doc["title"], "displayName": doc["title"],
        "price": graphql_amount(doc["price_minor"], shop.currency),
        "inventoryItem": lazy(lambda: view_stock(shop, doc)),
        "inventoryQuantity": sum(row["available"] for row in doc["levels"].values()),
    }  # fmt: skip


def view_stock(shop: Shop, doc: Doc) -> Doc:
    return {
        "__typename": "InventoryItem", "id": doc["item_id"], "legacyResourceId": str(number(doc["item_id"])),
        "sku": doc["sku"], "tracked": True,
        "inventoryLevel": lambda info, locationId, **_: view_level(shop, doc, locationId),
        "inventoryLevels": pages(lambda: [level for id in doc["levels"] if (level := view_level(shop, doc, id))]),
    }  # fmt: skip


def view_level(shop: Shop, doc: Doc, location_id: str) -> Doc | None:
    row = doc["levels"].get(location_id)
    return row and {
        "__typename": "InventoryLevel", "id": row["id"], "item": lazy(lambda: view_stock(shop, doc)), "isActive": True,
        "location": view_location(shop.location(location_id)), "updatedAt": row["at"],
        "quantities": lambda info, names: [
            {
                "id": f"{row['id']}&name={name}", "name": name, "quantity": inventory.quantity(row, name),
                "updatedAt": row["at"],
            }
            for name in names
            if name in ("available", "on_hand", "committed")
        ],
    }  # fmt: skip


def view_adjustment(shop: Shop, doc: Doc) -> Doc:
    def change(row: Doc) -> Doc:
        return {
            "delta": row["delta"], "name": row["name"], "quantityAfterChange": row["after"],
            "ledgerDocumentUri": row["ledger"],
            "item": view_stock(shop, shop.world.get("variants", row["sku"]) or {}),
            "location": view_location(shop.location(row["location_id"])),
        }  # fmt: skip

    return {
        "__typename": "InventoryAdjustmentGroup", "id": doc["id"], "createdAt": doc["at"], "reason": doc["reason"],
        "referenceDocumentUri": doc["reference"], "changes": lambda info, **_: [change(row) for row in doc["changes"]],
    }  # fmt: skip


def view_customer(shop: Shop, doc: Doc | None) -> Doc | None:
    return doc and {
        "__typename": "Customer", "id": doc["id"], "legacyResourceId": str(number(doc["id"])), "email": doc["email"],
        "displayName": " ".join(filter(None, (doc["first_name"], doc["last_name"]))) or doc["email"],
        "firstName": doc["first_name"], "lastName": doc["last_name"], "phone": doc["phone"], "tags": doc["tags"],
        "note": None, "createdAt": doc["at"], "updatedAt": doc["at"],
        "defaultEmailAddress": {"emailAddress": doc["email"]},
        "storeCreditAccounts": pages(
            lambda: [view_account(row) for row in shop.world.all("store_credit") if row["owner"] == doc["id"]]
        ),
    }  # fmt: skip


def view_account(doc: Doc) -> Doc:
    return {
        "__typename": "StoreCreditAccount", "id": doc["id"], "balance": money(doc["balance_minor"], doc["currency"]),
        "transactions": pages(lambda: [view_credit(doc, row) for row in doc["movements"]]),
    }  # fmt: skip


def view_credit(doc: Doc, row: Doc) -> Doc:
    return {
        "__typename": "StoreCreditAccountCreditTransaction", "id": row["id"], "createdAt": row["at"],
        "event": row["event"],
        "amount": money(row["amount_minor"], doc["currency"]), "expiresAt": row["expires_at"],
        "balanceAfterTransaction": money(row["after_minor"], doc["currency"]),
        "account": lazy(lambda: view_account(doc)),
        "remainingAmount": money(row["amount_minor"], doc["currency"]),
    }  # fmt: skip


def view_card(shop: Shop, doc: Doc) -> Doc:
    return {
        "__typename": "GiftCard", "id": doc["id"], "balance": money(doc["balance_minor"], doc["currency"]),
        "initialValue": money(doc["initial_minor"], doc["currency"]), "enabled": doc["enabled"],
        "expiresOn": doc["expires_on"], "lastCharacters": doc["code"][-4:], "maskedCode": f"•••• {doc['code'][-4:]}",
        "note": doc["note"],
        "customer": lazy(lambda: view_customer(shop, shop.world.get("customers", doc["customer_id"] or ""))),
        "createdAt": doc["at"], "updatedAt": doc["at"],
        "deactivatedAt": None if credit.usable(shop, doc) else doc["at"],
        "transactions": pages(lambda: [view_movement(shop, doc, row) for row in doc["movements"]]),
    }  # fmt: skip


def view_movement(shop: Shop, doc: Doc, row: Doc) -> Doc:
    return {
        "__typename": row["kind"], "id": row["id"], "amount": money(row["amount_minor"], doc["currency"]),
        "giftCard": lazy(lambda: view_card(shop, doc)), "note": row["note"], "processedAt": row["at"],
    }  # fmt: skip


def view_subscription(doc: Doc) -> Doc:
    return {
        "__typename": "WebhookSubscription", "id": doc["id"], "topic": doc["topic"], "uri": doc["uri"],
        "format": "JSON",
        "createdAt": doc["at"], "updatedAt": doc["at"],
    }  # fmt: skip
