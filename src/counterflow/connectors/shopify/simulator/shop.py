"""The state of the simulated shop: where documents live, how they are found and numbered, and who hears of a change."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from counterflow.connectors.shopify.simulator.money import Bag, exponent, half_up
from counterflow.sdk.simulator import Doc, World

# Eight more attempts within four hours, always with the body of the first one.
RETRY_SECONDS = (10.0, 60.0, 300.0, 600.0, 1200.0, 2400.0, 4200.0, 5600.0)

_LONG_VERBS = ("ATTACH_DELIVERABLE", "PARTIALLY_FULFILLED", "PLACED_ON_HOLD")
# What an app is subscribed to unless it says otherwise. More is told to who asks: TENDER_TRANSACTIONS_CREATE,
# FULFILLMENT_ORDERS_PLACED_ON_HOLD.
TOPICS = [
    "APP_UNINSTALLED",
    "DISPUTES_CREATE",
    "DISPUTES_UPDATE",
    "FULFILLMENTS_CREATE",
    "FULFILLMENTS_UPDATE",
    "INVENTORY_LEVELS_UPDATE",
    "ORDERS_CANCELLED",
    "ORDERS_CREATE",
    "ORDERS_EDITED",
    "ORDERS_FULFILLED",
    "ORDERS_PAID",
    "ORDERS_PARTIALLY_FULFILLED",
    "ORDERS_UPDATED",
    "ORDER_TRANSACTIONS_CREATE",
    "REFUNDS_CREATE",
    "RETURNS_APPROVE",
    "RETURNS_CANCEL",
    "RETURNS_CLOSE",
    "RETURNS_DECLINE",
    "RETURNS_PROCESS",
    "RETURNS_REOPEN",
    "RETURNS_REQUEST",
    "RETURNS_UPDATE",
    "REVERSE_DELIVERIES_ATTACH_DELIVERABLE",
    "REVERSE_FULFILLMENT_ORDERS_DISPOSE",
]


class Refused(ValueError):
    """A business "no": `userErrors` with HTTP 200 over GraphQL, 400 from an act."""

    def __init__(self, message: str, code: str = "INVALID", field: list[str] | None = None) -> None:
        super().__init__(message)
        self.message, self.code, self.field = message, code, field


class Shop:
    def __init__(self, world: World, domain: str, currency: str, secret: str, version: str) -> None:
        self.world, self.domain, self.currency, self.secret, self.version = world, domain, currency, secret, version

    # Time, numbers, identity

    def now(self) -> str:
        return stamp(self.world.now())

    def gid(self, kind: str) -> str:
        return f"gid://shopify/{kind}/{5_000_000_000 + self.world.next_id(kind)}"

    # Documents. `where` leads from the id of a part (line, fulfilment, transaction) to its order or return.

    def order(self, ref: str | int) -> Doc:
        """By gid, number in the gid, or name. Raises LookupError."""
        return self._one("orders", "Order", ref)

    def ret(self, ref: str | int) -> Doc:
        """A return by gid, number in the gid, or name (`#1001-R1`). Raises LookupError."""
        return self._one("returns", "Return", ref)

    def save_order(self, order: Doc) -> None:
        order["updated_at"] = self.now()
        self.world.put("orders", order["id"], order)

    def save_return(self, ret: Doc) -> None:
        self.world.put("returns", ret["id"], ret)
        self.save_order(self.order(ret["order_id"]))

    def remember(self, part: str, owner: str) -> None:
        self.world.put("where", part, {"owner": owner})

    def owner(self, part: str) -> str | None:
        found = self.world.get("where", part)
        return None if found is None else str(found["owner"])

    def order_of(self, part: str) -> Doc:
        """The order that holds a line, fulfilment line or transaction. Raises LookupError."""
        owner = self.owner(part)
        if owner is None:
            raise LookupError(part)
        return self.order(owner)

    def returns_of(self, order: Doc) -> list[Doc]:
        return [self.ret(id) for id in order["return_ids"]]

    def _one(self, coll: str, kind: str, ref: str | int) -> Doc:
        text = str(ref)
        id = f"gid://shopify/{kind}/{text}" if text.isdigit() else text
        doc = self.world.get(coll, id) or self.world.get(coll, self.owner(text) or "")
        if doc is None:
            raise LookupError(f"{kind} {ref}")
        return doc

    # Locations and people

    def location(self, ref: str | None) -> Doc:
        """By gid or name; None: the first. Raises LookupError."""
        for location in self.world.all("locations"):
            if ref is None or ref in (location["id"], location["name"]):
                return location
        raise LookupError(f"Location {ref}")

    def customer(self, data: Doc) -> Doc:
        """The customer of this e-mail address, made if new."""
        known = self.owner(f"mailto:{data['email']}")
        if known and (doc := self.world.get("customers", known)):
            return doc
        id = self.gid("Customer")
        doc = {"first_name": None, "last_name": None, "phone": None, "tags": [], **data, "id": id, "at": self.now()}
        self.world.put("customers", id, doc)
        self.remember(f"mailto:{data['email']}", id)
        return doc

    # Webhooks

    def tell(self, topic: str, build: Callable[["Shop"], Doc]) -> None:
        """Send a topic to its subscribers. The body is written now: a retry repeats it, however stale."""
        self._drop_failing()
        subscriptions = [sub for sub in self.world.all("subscriptions") if sub["topic"] == topic]
        if not subscriptions:
            return
        body = json.dumps(build(self), separators=(",", ":"), ensure_ascii=False).encode()
        event = f"{self.world.next_id('event'):08d}-{hashlib.sha256(body).hexdigest()[:12]}"
        for sub in subscriptions:
            webhook = f"wh-{self.world.next_id('webhook'):08d}"
            self.remember(webhook, sub["id"])
            headers = {
                "Content-Type": "application/json",
                "X-Shopify-Topic": topic_path(topic),
                "X-Shopify-Shop-Domain": self.domain,
                "X-Shopify-API-Version": self.version,
                "X-Shopify-Webhook-Id": webhook,
                "X-Shopify-Event-Id": event,
                "X-Shopify-Triggered-At": self.world.now().strftime("%Y-%m-%dT%H:%M:%S.%f000Z"),
                "X-Shopify-Hmac-Sha256": sign(body, self.secret),
            }
            self.world.emit(sub["uri"], headers, body, RETRY_SECONDS, label=topic_path(topic))

    def _drop_failing(self) -> None:
        """A subscription whose delivery failed to the last retry is deleted, and nobody is told."""
        start = seen = int((self.world.get("shop", "ended_webhooks") or {"seen": 0})["seen"])
        while ended := next(
            filter(None, (self.world.get("_webhooks", str(seen + ahead)) for ahead in range(1, 9))), None
        ):
            seen = int(ended["id"])  # numbers have gaps where a transaction was rolled back
            if ended["state"] == "given_up":
                self.world.delete("subscriptions", self.owner(ended["headers"]["X-Shopify-Webhook-Id"]) or "")
        if seen != start:
            self.world.put("shop", "ended_webhooks", {"seen": seen})

    def subscribe(self, topic: str, uri: str) -> Doc:
        self._drop_failing()
        if any((row["topic"], row["uri"]) == (topic, uri) for row in self.world.all("subscriptions")):
            raise Refused("Address for this topic has already been taken", "TAKEN", ["webhookSubscription", "uri"])
        doc = {"id": self.gid("WebhookSubscription"), "topic": topic, "uri": uri, "at": self.now()}
        self.world.put("subscriptions", doc["id"], doc)
        return doc

    def subscriptions(self) -> list[Doc]:
        self._drop_failing()
        return self.world.all("subscriptions")


def stamp(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def number(gid: str) -> int:
    """The legacy number in a gid."""
    return int(gid.partition("?")[0].rsplit("/", 1)[1])


def topic_path(topic: str) -> str:
    """RETURNS_REQUEST -> returns/request, ORDERS_PARTIALLY_FULFILLED -> orders/partially_fulfilled."""
    noun, _, verb = topic.rpartition("_")
    for long in _LONG_VERBS:
        if topic.endswith(f"_{long}"):
            noun, verb = topic.removesuffix(f"_{long}"), long
    return f"{noun.lower()}/{verb.lower()}"


def sign(body: bytes, secret: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def bag(order: Doc, presentment_minor: int) -> Bag:
    """An amount of an order: what the customer saw, and the same in the shop's currency at the order's rate."""
    if order["currency"] == order["presentment_currency"]:
        return {"shop": presentment_minor, "presentment": presentment_minor}
    shift = exponent(order["currency"]) - exponent(order["presentment_currency"])
    return {
        "shop": half_up((Decimal(presentment_minor) * Decimal(order["rate"])).scaleb(shift)),
        "presentment": presentment_minor,
    }


def find(rows: list[Doc], what: str, **wanted: Any) -> Doc:
    """The row with these values. Raises LookupError."""
    for row in rows:
        if all(row.get(key) == value for key, value in wanted.items()):
            return row
    raise LookupError(f"{what} {wanted}")
