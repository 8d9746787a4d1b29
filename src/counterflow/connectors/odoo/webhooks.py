"""What an automation rule of Odoo ("Send Webhook Notification") tells: a pointer to what changed, which is read fresh.

Odoo signs nothing, and sends no header that can be chosen. A user and a password in the rule's URL
(`https://odoo:SECRET@counterflow.example.com/webhooks/odoo`) become HTTP Basic authentication: that is the secret. It
covers no body and no time; a forged or repeated pointer can only make us look.
"""

import binascii
import hashlib
import hmac
from base64 import b64decode
from typing import Any

from counterflow.connectors.odoo.feeds import FEED
from counterflow.connectors.odoo.manifest import TOPICS
from counterflow.sdk.connector import Delivery, Signal
from counterflow.sdk.fields import parsed
from counterflow.sdk.outcomes import AuthFailed, Malformed


def verify(delivery: Delivery, secret: str) -> None:
    if not secret:
        raise AuthFailed("Odoo's webhooks are not taken: set `webhook_secret` of the connection, or remove the rule")
    scheme, _, value = delivery.header("authorization").partition(" ")
    try:
        given = b64decode(value, validate=True).partition(b":")[2] if scheme.lower() == "basic" else b""
    except (binascii.Error, ValueError):
        given = b""
    if not hmac.compare_digest(given, secret.encode()):
        raise AuthFailed("the password in the rule's URL is not `webhook_secret`: write https://odoo:SECRET@... there")


def identify(delivery: Delivery) -> str:
    """Odoo numbers nothing and never sends again; with `write_date` among the rule's fields each change differs."""
    body = _body(delivery)
    moment = "" if body.get("write_date") else delivery.received_at.isoformat()
    return hashlib.sha256(delivery.body + moment.encode()).hexdigest()[:32]


def translate(delivery: Delivery) -> list[Signal]:
    body = _body(delivery)
    if body["_model"] not in TOPICS:
        return []
    return [Signal(FEED, f"{delivery.connection}:document:{body['_model']},{body['_id']}")]


def _body(delivery: Delivery) -> dict[str, Any]:
    try:
        body = parsed(delivery.body)
    except ValueError:
        raise Malformed("a webhook of Odoo is JSON: send it by an automation rule") from None
    named = isinstance(body, dict) and isinstance(body.get("_model"), str) and type(body.get("_id")) is int
    if not named:
        raise Malformed("a webhook of Odoo names `_model` and `_id`: send it by an automation rule")
    return dict(body)
