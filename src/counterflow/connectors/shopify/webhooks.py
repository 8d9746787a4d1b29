"""Webhooks: verified by the app's secret over the raw body, then only pointed from: bodies are stale and shapes differ.

Shopify signs no time, so that what holds off a replay is the event id: a delivery is kept once, for good.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

from counterflow.connectors.shopify.manifest import (
    DISPUTE_TOPICS,
    FULFILLMENT_ORDERS,
    ORDER_TOPICS,
    REFUND_TOPICS,
    RETURN_TOPICS,
    TENDER_TRANSACTIONS,
    UNINSTALLED,
)
from counterflow.connectors.shopify.references import THE_APP, gid, return_ref, sale_ref
from counterflow.sdk.connector import Delivery, Signal
from counterflow.sdk.fields import parsed
from counterflow.sdk.outcomes import AuthFailed, Malformed


def verify(delivery: Delivery, *secrets: str) -> None:
    """Raise AuthFailed unless X-Shopify-Hmac-Sha256 is the HMAC of the raw body by one of the secrets."""
    given = delivery.header("x-shopify-hmac-sha256")
    right = False
    for secret in secrets:
        wanted = base64.b64encode(hmac.new(secret.encode(), delivery.body, hashlib.sha256).digest())
        right |= hmac.compare_digest(wanted, given.encode("utf-8", "replace"))
    if not right:
        what = "is wrong" if given else "is missing"
        raise AuthFailed(f"X-Shopify-Hmac-Sha256 {what}: check webhook_secret of the connection", code="signature")


def identify(delivery: Delivery) -> str:
    """The event, which repeats and retries share, under its topic."""
    event = delivery.header("x-shopify-event-id") or delivery.header("x-shopify-webhook-id")
    return f"{topic_of(delivery)}/{event}" if event else ""


def topic_of(delivery: Delivery) -> str:
    """returns/request -> RETURNS_REQUEST."""
    return delivery.header("x-shopify-topic").upper().replace("/", "_")


# topic -> (feed, kind of the object that is looked at, where the body names it: by gid or by number)
_ORDER = ("orders", "Order", "admin_graphql_api_id")
_POINTS = {
    **dict.fromkeys(ORDER_TOPICS, _ORDER),
    "ORDERS_EDITED": ("orders", "Order", "order_edit.order_id"),
    "FULFILLMENTS_CREATE": ("orders", "Order", "order_id"),
    "FULFILLMENTS_UPDATE": ("orders", "Order", "order_id"),
    **dict.fromkeys(RETURN_TOPICS, ("returns", "Return", "admin_graphql_api_id")),
    "REVERSE_DELIVERIES_ATTACH_DELIVERABLE": ("returns", "Return", "return.admin_graphql_api_id"),
    "REVERSE_FULFILLMENT_ORDERS_DISPOSE": ("returns", "ReverseFulfillmentOrder", "admin_graphql_api_id"),
    # With the order, and not as a feed of their own: one look tells both.
    **dict.fromkeys((*REFUND_TOPICS, TENDER_TRANSACTIONS), ("orders", "Order", "order_id")),
    **dict.fromkeys(DISPUTE_TOPICS, ("disputes", "ShopifyPaymentsDispute", "id")),
}
_REFS = {"Order": sale_ref, "Return": return_ref}


def translate(delivery: Delivery) -> Sequence[Signal]:
    """What to look at. Raises Malformed for a known topic whose body names no object."""
    topic = topic_of(delivery)
    if topic == UNINSTALLED:
        return [Signal("orders", THE_APP)]  # to look is to be refused: that stops the connection and tells somebody
    if topic not in _POINTS and not topic.startswith(FULFILLMENT_ORDERS):
        return []
    try:
        body: Any = parsed(delivery.body)
    except ValueError:
        raise Malformed(f"the body of {topic} is no JSON") from None
    if not isinstance(body, dict):
        raise Malformed(f"the body of {topic} is no object")
    if topic.startswith(FULFILLMENT_ORDERS):
        return [Signal("orders", _gid(_within(body), "FulfillmentOrder", topic))]
    feed, kind, path = _POINTS[topic]
    named: Any = body
    for key in path.split("."):
        named = named.get(key) if isinstance(named, dict) else None
    ref = _gid(named, kind, topic)
    make = _REFS.get(kind)
    return [Signal(feed, ref, (make(delivery.connection, ref),) if make else ())]


def _within(value: Any) -> object:
    """The first fulfilment order that the body names: each of their topics has a form of its own."""
    if isinstance(value, dict) and "/FulfillmentOrder/" in str(value.get("id")):
        return value["id"]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next(filter(None, map(_within, inner)), None)


def _gid(named: object, kind: str, topic: str) -> str:
    if isinstance(named, int) and not isinstance(named, bool) and named > 0:
        return gid(kind, str(named))
    if isinstance(named, str) and named.startswith(f"gid://shopify/{kind}/") and named.rpartition("/")[2].isdigit():
        return named
    raise Malformed(f"the body of {topic} names no {kind}")
