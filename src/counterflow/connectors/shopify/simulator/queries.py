"""The fields of QueryRoot that the simulator answers."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from counterflow.connectors.shopify.simulator import bulk, inventory, payments, views
from counterflow.connectors.shopify.simulator.shop import Shop, find, stamp
from counterflow.sdk.simulator import Doc

_TERM = re.compile(r"""(\w+):\s*(>=|<=|>|<)?\s*('[^']*'|"[^"]*"|\S+)""")
SCOPES = (
    "read_customers", "write_gift_cards", "write_inventory", "write_orders", "read_products", "write_returns",
    "write_store_credit_account_transactions", "read_shopify_payments_payouts", "read_shopify_payments_disputes",
)  # fmt: skip
_COMPARE: dict[str, Callable[[str, str], bool]] = {
    ">": lambda a, b: a > b, ">=": lambda a, b: a >= b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
    "": lambda a, b: a.lower() == b.lower(),
}  # fmt: skip


def root(shop: Shop, search_lag_seconds: float) -> Doc:
    def order(info: Any, id: str) -> Doc | None:
        return _maybe(lambda: views.view_order(shop, shop.order(id)))

    def orders(info: Any, sortKey: str = "PROCESSED_AT", query: str = "", **args: Any) -> Doc:
        """The search index may lag behind the shop: a change is found `search_lag_seconds` after it was made."""
        key = "created_at" if sortKey in ("CREATED_AT", "ID") else sortKey.lower()
        newest = stamp(shop.world.now() - timedelta(seconds=search_lag_seconds))
        found = [doc for doc in shop.world.all("orders") if doc["updated_at"] <= newest and matches(doc, query)]
        found.sort(key=lambda doc: (doc.get(key) or "", doc["id"]))

        def place(row: Doc) -> str:
            at = {"created_at": row["createdAt"], "updated_at": row["updatedAt"], "processed_at": row["processedAt"]}
            return f"{at.get(key, '')}|{row['id']}"

        rows = [views.view_order(shop, doc) for doc in found]
        return views.pages(lambda: rows, place)(info, **args)  # type: ignore[no-any-return]

    def cards(info: Any, query: str = "", **args: Any) -> Doc:
        wanted = query.partition("last_characters:")[2].strip("'\" ")
        chosen = [doc for doc in shop.world.all("gift_cards") if doc["code"].endswith(wanted.lower())]
        return views.pages(lambda: [views.view_card(shop, doc) for doc in chosen])(info, **args)  # type: ignore[no-any-return]

    def refund(info: Any, id: str) -> Doc | None:
        def make() -> Doc:
            doc = shop.order_of(id)
            return views.view_refund(shop, doc, find(doc["refunds"], "refund", id=id))

        return _maybe(make)

    def fulfillment(info: Any, id: str) -> Doc | None:
        def make() -> Doc:
            doc = shop.order_of(id)
            return views.view_fulfillment(shop, doc, find(doc["fulfillments"], "fulfillment", id=id))

        return _maybe(make)

    def variants(info: Any, query: str = "", **args: Any) -> Doc:
        wanted = query.partition("sku:")[2].strip("'\" ")
        chosen = [doc for doc in shop.world.all("variants") if not wanted or doc["sku"] == wanted]
        return views.pages(lambda: [views.view_variant(shop, doc) or {} for doc in chosen])(info, **args)  # type: ignore[no-any-return]

    def location(info: Any, id: str | None = None) -> Doc | None:
        return _maybe(lambda: views.view_location(shop.location(id)))

    def returnable(info: Any, orderId: str, **args: Any) -> Doc:
        rows = views.view_returnable(shop, shop.order(orderId))
        return views.pages(lambda: rows)(info, **args)  # type: ignore[no-any-return]

    def stock(info: Any, id: str) -> Doc | None:
        doc = inventory.by_id(shop, id)
        return doc and views.view_stock(shop, doc)

    def ret(info: Any, id: str) -> Doc | None:
        return _maybe(lambda: views.view_return(shop, shop.ret(id)))

    def card(info: Any, id: str) -> Doc | None:
        doc = shop.world.get("gift_cards", id)
        return doc and views.view_card(shop, doc)

    def customer(info: Any, id: str) -> Doc | None:
        return views.view_customer(shop, shop.world.get("customers", id))

    def transaction(info: Any, id: str) -> Doc | None:
        return _maybe(lambda: views.view_transaction(shop, *payments.transaction_of(shop, id)))

    def payout(info: Any, id: str) -> Doc | None:
        doc = shop.world.get("payouts", id)
        return doc and payments.view_payout(shop, doc)

    def dispute(info: Any, id: str) -> Doc | None:
        doc = shop.world.get("disputes", id)
        return doc and payments.view_dispute(shop, doc)

    def reverse(info: Any, id: str) -> Doc | None:
        def make() -> Doc:
            ret = shop.ret(shop.owner(id) or "")
            row = find(ret["reverse"], "reverse fulfilment order", id=id)
            return views.view_reverse(shop, shop.order(ret["order_id"]), row)

        return _maybe(make)

    def fulfillment_order(info: Any, id: str) -> Doc | None:
        """One for each order, of the same number: routing is not simulated."""

        def make() -> Doc:
            doc = shop.order(id.replace("/FulfillmentOrder/", "/Order/"))
            return {
                "__typename": "FulfillmentOrder", "id": id, "orderId": doc["id"], "orderName": doc["name"],
                "status": "OPEN", "order": views.lazy(lambda: views.view_order(shop, doc)),
            }  # fmt: skip

        return _maybe(make)

    kinds = {
        "OrderTransaction": transaction, "ShopifyPaymentsPayout": payout, "ShopifyPaymentsDispute": dispute,
        "Order": order, "Return": ret, "Refund": refund, "Location": location, "InventoryItem": stock, "GiftCard": card,
        "Customer": customer,
    }  # fmt: skip

    def node(info: Any, id: str) -> Doc | None:
        parts = id.split("/")
        return kinds[parts[3]](info, id) if len(parts) == 5 and parts[3] in kinds else None

    return {
        "bulkOperation": lambda info, id: bulk.view(shop.world.get("bulk_operations", id)),
        "bulkOperations": lambda info, **args: bulk.view_all(shop, info, **args),
        "ordersCount": lambda info, limit=10_000, **_: {
            "count": min(limit, len(shop.world.all("orders"))), "precision": "EXACT",
        },
        "shopifyPaymentsAccount": lambda info: payments.account(shop), "dispute": dispute,
        "disputes": lambda info, **args: payments.disputes(shop, info, **args),
        "reverseFulfillmentOrder": reverse, "fulfillmentOrder": fulfillment_order,
        "nodes": lambda info, ids: [node(info, id) for id in ids],
        "order": order, "orders": orders, "return": ret, "refund": refund, "fulfillment": fulfillment,
        "node": node, "location": location,
        "currentAppInstallation": {
            "__typename": "AppInstallation", "id": "gid://shopify/AppInstallation/1",
            "accessScopes": [{"handle": scope} for scope in SCOPES],
        },
        "orderByIdentifier": lambda info, identifier: order(info, identifier.get("id") or ""),
        "returnableFulfillments": returnable, "inventoryItem": stock, "giftCard": card, "giftCards": cards,
        "locations": views.pages(lambda: [views.view_location(doc) for doc in shop.world.all("locations")]),
        "productVariant": lambda info, id: views.view_variant(shop, inventory.by_id(shop, id)),
        "productVariants": variants, "customer": customer,
        "webhookSubscriptions": views.pages(lambda: [views.view_subscription(doc) for doc in shop.subscriptions()]),
        "shop": {
            "__typename": "Shop", "id": "gid://shopify/Shop/1", "name": shop.domain.partition(".")[0],
            "myshopifyDomain": shop.domain, "currencyCode": shop.currency, "taxesIncluded": True,
            "ianaTimezone": "Europe/Berlin", "email": f"owner@{shop.domain}",
        },
    }  # fmt: skip


def _maybe(make: Callable[[], Doc]) -> Doc | None:
    try:
        return make()
    except LookupError:
        return None


def matches(doc: Doc, query: str) -> bool:
    """Shopify's search syntax as far as it is needed: terms joined by AND; an unknown field matches nothing."""
    fields = {
        "updated_at": [doc["updated_at"]], "created_at": [doc["created_at"]], "processed_at": [doc["processed_at"]],
        "name": [doc["name"], doc["name"].lstrip("#")], "tag": doc["tags"], "email": [doc["email"] or ""],
        "id": [doc["id"].rsplit("/", 1)[1]], "source_identifier": [doc["source_identifier"] or ""],
        "source_name": [doc["source_name"]],
    }  # fmt: skip
    for name, sign, quoted in _TERM.findall(query):
        wanted = quoted.strip("'\"")
        if not any(_COMPARE[sign](value, wanted) for value in fields.get(name, [])):
            return False
    return True
