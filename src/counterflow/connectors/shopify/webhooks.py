"""Webhooks: verified by the app's secret over the raw body, then only pointed from: bodies are stale and shapes differ.

Shopify signs no time, so that what holds off a replay is the event id: a delivery is kept once, for good.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

from counterflow.connectors.shopify.manifest import ORDER_TOPICS, RETURN_TOPICS
from counterflow.connectors.shopify.references import gid, return_ref, sale_ref
from counterflow.sdk.connector import Delivery, Signal
from counterflow.sdk.outcomes import AuthFailed, Malformed

_OF_ORDERS = frozenset(topic for topic in ORDER_TOPICS if topic.startswith("ORDERS_"))


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


def translate(delivery: Delivery) -> Sequence[Signal]:
    """What to look at. Raises Malformed for a known topic whose body names no object."""
    topic = topic_of(delivery)
    if topic not in RETURN_TOPICS and topic not in ORDER_TOPICS:
        return []
    try:
        body: Any = json.loads(delivery.body)
    except ValueError:
        raise Malformed(f"the body of {topic} is no JSON") from None
    if not isinstance(body, dict):
        raise Malformed(f"the body of {topic} is no object")
    if topic in RETURN_TOPICS:
        ref = _gid(body.get("admin_graphql_api_id"), "Return", topic)
        return [Signal("returns", ref, (return_ref(delivery.connection, ref),))]
    # What belongs to an order (refund, transaction, fulfilment) names it by its number.
    named = body.get("admin_graphql_api_id") if topic in _OF_ORDERS else body.get("order_id")
    ref = _gid(named, "Order", topic)
    return [Signal("orders", ref, (sale_ref(delivery.connection, ref),))]


def _gid(named: object, kind: str, topic: str) -> str:
    if isinstance(named, int) and not isinstance(named, bool) and named > 0:
        return gid(kind, str(named))
    if isinstance(named, str) and named.startswith(f"gid://shopify/{kind}/") and named.rpartition("/")[2].isdigit():
        return named
    raise Malformed(f"the body of {topic} names no {kind.lower()}")
