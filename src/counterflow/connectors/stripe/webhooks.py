"""Stripe's webhooks: who sent them, which one it is, and what to look at. Bodies are never believed as state. Pure."""

import hashlib
import hmac
from collections.abc import Sequence

from counterflow.connectors.stripe.manifest import CHARGE_REFUNDED, DISPUTE_TOPICS, PAYOUT_TOPICS, REFUND_TOPICS
from counterflow.sdk.connector import Delivery, Signal
from counterflow.sdk.fields import Fields
from counterflow.sdk.outcomes import AuthFailed, Malformed
from counterflow.sdk.signed_json import document

TOLERANCE_SECONDS = 300

# topic -> (feed, what the object is in a reference)
_POINTS = {
    **dict.fromkeys(REFUND_TOPICS, ("refunds", "refund")),
    CHARGE_REFUNDED: ("refunds", "charge"),
    **dict.fromkeys(PAYOUT_TOPICS, ("payouts", "payout")),
    **dict.fromkeys(DISPUTE_TOPICS, ("disputes", "dispute")),
}


def verify(delivery: Delivery, secrets: Sequence[str]) -> None:
    """`Stripe-Signature: t=<seconds>,v1=<hex>[,v1=<hex>]`, an HMAC-SHA256 of "<t>.<body>". Raises AuthFailed.

    Source: https://docs.stripe.com/webhooks/signature. The scheme v0 is for tests and is not taken.
    """
    parts = [part.strip().partition("=") for part in delivery.header("stripe-signature").split(",")]
    stamps = [value for name, _, value in parts if name == "t"]
    given = [value.encode() for name, _, value in parts if name == "v1"]
    if len(stamps) != 1 or not given or not (stamps[0].isascii() and stamps[0].isdigit() and len(stamps[0]) < 12):
        raise AuthFailed("Stripe-Signature is absent or not `t=...,v1=...`: check that this is Stripe's webhook")
    age = delivery.received_at.timestamp() - int(stamps[0])
    if abs(age) > TOLERANCE_SECONDS:
        raise AuthFailed(f"the signature is {age:.0f} seconds old, {TOLERANCE_SECONDS} are allowed: check our clock")
    signed = stamps[0].encode() + b"." + delivery.body
    expected = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest().encode() for secret in secrets if secret]
    if not any([hmac.compare_digest(right, theirs) for right in expected for theirs in given]):  # noqa: C419 - all
        raise AuthFailed("the signature is not of the endpoint's secret: copy it from Stripe's dashboard again")


def identify(delivery: Delivery) -> str:
    """The event's id, `evt_...`: the same for every attempt. Raises Malformed."""
    event = document(delivery)
    if not event.get("id"):
        raise Malformed("a Stripe event has no id: check that the endpoint gets events, not thin notifications")
    return Fields(event).text("id")


def translate(connection: str, delivery: Delivery) -> list[Signal]:
    """Where to look; [] for topics that we do not use. Raises Malformed."""
    event = document(delivery)
    topic, data = event.get("type"), event.get("data")
    if not isinstance(topic, str):
        raise Malformed("a Stripe event has no type")
    return [point(connection, topic, data)] if topic in _POINTS else []


def point(connection: str, topic: str, data: object) -> Signal:
    """The signal of one event, from its `data`. Raises Malformed."""
    if topic not in _POINTS:
        raise Malformed(f"a Stripe event {topic!r} was not asked for")
    feed, kind = _POINTS[topic]
    thing = Fields(data, "data").inner("object")
    ref = f"{connection}:{kind}:{thing.text('id')}"
    payment = thing.text("payment_intent", "") or thing.text("charge", "")
    return Signal(feed, ref, (ref, f"{connection}:payment:{payment}") if payment else (ref,))
