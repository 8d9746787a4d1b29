"""Signed JSON messages by the Standard Webhooks scheme, in both directions. Pure: time is given.

Headers `webhook-id` (the same for every attempt), `webhook-timestamp` (Unix seconds of the attempt) and
`webhook-signature` (space-separated `v1,<base64>`), an HMAC-SHA256 of "<id>.<timestamp>.<body>". A secret is
`whsec_<base64>`. Source: the Standard Webhooks specification, https://www.standardwebhooks.com.
"""

import base64
import binascii
import hashlib
import hmac
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, SecretStr

from counterflow.sdk.connector import Delivery
from counterflow.sdk.fields import parsed
from counterflow.sdk.outcomes import AuthFailed, Malformed

TOLERANCE_SECONDS = 300
_PREFIX = "whsec_"


def verify(delivery: Delivery, *secrets: str, tolerance_seconds: int = TOLERANCE_SECONDS) -> None:
    """Raise AuthFailed unless one of `secrets` signed these bytes within the tolerance of `delivery.received_at`.

    Several secrets: the old and the new one while they are being changed. Compared in constant time.
    """
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    message_id, stamp, signatures = (delivery.header(name) for name in names)
    if not (message_id and stamp and signatures):
        raise AuthFailed(f"the delivery needs each of {', '.join(names)} once: check the sender's webhook settings")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 12):
        raise AuthFailed("webhook-timestamp is not Unix seconds: check the sender's webhook settings")
    age = delivery.received_at.timestamp() - int(stamp)
    if abs(age) > tolerance_seconds:
        raise AuthFailed(f"the signature is {age:.0f} seconds old, {tolerance_seconds} are allowed: check both clocks")
    given = [text.removeprefix("v1,").encode() for text in signatures.split(" ") if text.startswith("v1,")]
    expected = [_signature(secret, message_id, stamp, delivery.body) for secret in secrets]
    if not any([hmac.compare_digest(right, theirs) for right in expected for theirs in given]):  # noqa: C419 - all
        raise AuthFailed("the signature is not of the configured secret: check the webhook secret on both sides")


def identify(delivery: Delivery) -> str:
    """The sender's id of the message, the same for every attempt."""
    return delivery.header("webhook-id")


def document(delivery: Delivery) -> dict[str, Any]:
    """The body as a JSON object. Raises Malformed."""
    try:
        body = parsed(delivery.body)
    except ValueError as error:  # UnicodeDecodeError is one
        raise Malformed(f"the delivery is no JSON: {type(error).__name__}") from None
    if not isinstance(body, dict):
        raise Malformed(f"the delivery is a JSON {type(body).__name__}, an object was expected")
    return body


def sign(secret: str, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of one attempt. Raises ValueError for a secret that is not `whsec_<base64>`."""
    stamp = str(int(at.timestamp()))
    signature = _signature(secret, message_id, stamp, body).decode()
    return {"webhook-id": message_id, "webhook-timestamp": stamp, "webhook-signature": f"v1,{signature}"}


def key_of(secret: str) -> bytes:
    """The key inside `whsec_<base64>`. Raises ValueError: a configuration refuses a bad secret with it."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX) + "==", validate=False)
    except binascii.Error:
        key = b""
    if not key:
        raise ValueError("a webhook secret is whsec_ and base64: copy it from the sender's webhook settings")
    return key


def _usable(secret: SecretStr) -> SecretStr:
    key_of(secret.get_secret_value())
    return secret


WebhookSecret = Annotated[SecretStr, AfterValidator(_usable)]  # a configuration field that takes only `whsec_<base64>`


def _signature(secret: str, message_id: str, stamp: str, body: bytes) -> bytes:
    signed = b".".join((message_id.encode(), stamp.encode(), body))
    return base64.b64encode(hmac.new(key_of(secret), signed, hashlib.sha256).digest())
