"""Adyen's standard webhooks: who sent them, which one it is, and what each item says. Pure.

One POST holds one item or several. Each is signed for itself, over eight of its fields and over no time:

    base64(HMAC-SHA256(key, "pspReference:originalReference:merchantAccountCode:merchantReference:value:currency:
                             eventCode:success"))

Source: https://docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures. Nothing is
escaped, so only the merchant reference may hold a colon: else two different items could have one signature. What the
signature leaves out (date, reason, card) rests on the basic authentication of the request, which is required for that.

An item with a wrong signature refuses the whole POST: Adyen keeps and repeats it for weeks, while to answer 2xx for the
good half would lose the other without a trace. A replay is held off by what it says: one status of one refund is one
fact.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any

from counterflow.connectors.adyen.manifest import DISPUTE_TOPICS, REFUND_TOPICS, REPORT_TOPIC
from counterflow.connectors.adyen.mapping import dispute_facts, refund_facts
from counterflow.connectors.adyen.settlement import REPORT
from counterflow.core.facts import Fact
from counterflow.sdk.connector import Delivery, Signal
from counterflow.sdk.fields import Fields
from counterflow.sdk.outcomes import AuthFailed, Malformed
from counterflow.sdk.signed_json import document

Item = Mapping[str, Any]
_SIGNED = ("pspReference", "originalReference", "merchantAccountCode", "merchantReference", "eventCode", "success")
_MAY_HOLD_A_COLON = "merchantReference"


def verify(delivery: Delivery, login: str, keys: Sequence[bytes]) -> None:
    """`login` is `user:password` of the webhook. Raises AuthFailed."""
    scheme, _, given = delivery.header("authorization").partition(" ")
    expected = base64.b64encode(login.encode())
    if scheme.lower() != "basic" or not hmac.compare_digest(given.encode("utf-8", "replace"), expected):
        raise AuthFailed("the webhook's user and password are absent or wrong: compare both with the Customer Area")
    try:
        items = _items(delivery)
        signatures = [Fields(item).inner("additionalData").text("hmacSignature") for item in items]
    except Malformed as error:
        raise AuthFailed(f"{error.message}: switch HMAC signatures on for this webhook in the Customer Area") from None
    signed = [signed_text(item) for item in items]
    for signature, text in zip(signatures, signed, strict=True):
        right = [_signature(key, text) for key in keys]
        if not any([hmac.compare_digest(each, signature.encode()) for each in right]):  # noqa: C419 - all of them
            raise AuthFailed("an item is not signed with the webhook's HMAC key: copy it from the Customer Area again")


def identify(delivery: Delivery) -> str:
    """What its items say, and when: the same for every attempt; a report that is written again has another date."""
    said = sorted(f"{signed_text(item)}@{item.get('eventDate')}" for item in _items(delivery))
    return f"items_{hashlib.sha256(_bytes(chr(30).join(said))).hexdigest()}"


def translate(connection: str, account: str, delivery: Delivery) -> list[Fact | Signal]:
    """Facts, and "look at this report"; [] for events that we do not use and other merchant accounts.

    Raises Malformed for the whole POST if one item breaks the form: it is kept, and nothing of it is half told.
    """
    told: list[Fact | Signal] = []
    for item in map(Fields, _items(delivery)):
        event = item.text("eventCode")
        if item.text("merchantAccountCode") != account:
            continue
        if event in REFUND_TOPICS:
            told += refund_facts(connection, item, delivery.received_at)
        elif event in DISPUTE_TOPICS:
            told += dispute_facts(connection, item, delivery.received_at)
        elif event == REPORT_TOPIC and (found := re.fullmatch(REPORT, item.text("pspReference"))):
            # The reason holds an address. It is not signed: only the number of the batch is taken, and asked for anew.
            ref = f"{connection}:batch:{int(found[1])}"
            told.append(Signal("payouts", ref, (ref,)))
    return told


def signed_text(item: Item) -> str:
    """What the signature is over, whatever is in the fields: drift that Adyen has signed gets in, and is an alarm then.

    Raises AuthFailed for a colon where one would make it ambiguous.
    """
    amount = item.get("amount")
    texts = {name: _text(item.get(name)) for name in _SIGNED}
    texts |= {name: _text(amount.get(name) if isinstance(amount, dict) else None) for name in ("value", "currency")}
    if found := [name for name, text in texts.items() if ":" in text and name != _MAY_HOLD_A_COLON]:
        raise AuthFailed(f"{found[0]} of an item holds a colon: such an item is not of Adyen's making")
    order = (*_SIGNED[:4], "value", "currency", *_SIGNED[4:])
    return ":".join(texts[name] for name in order)


def _text(value: object) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def key_bytes(key: str) -> bytes:
    """The HMAC key, which the Customer Area shows in hexadecimal."""
    return binascii.unhexlify(key)


def _items(delivery: Delivery) -> list[Item]:
    rows = Fields(document(delivery)).items("notificationItems", needed=True)
    items = [
        row["NotificationRequestItem"] for row in rows if isinstance(row, dict) and "NotificationRequestItem" in row
    ]
    if not items or len(items) < len(rows) or not all(isinstance(item, dict) for item in items):
        raise Malformed("the delivery has no NotificationRequestItem", field="notificationItems")
    return items


def _bytes(text: str) -> bytes:
    """Half a character, which JSON can escape, has bytes of its own: no other text may have the same signature."""
    return text.encode("utf-8", "surrogatepass")


def _signature(key: bytes, text: str) -> bytes:
    return base64.b64encode(hmac.new(key, _bytes(text), hashlib.sha256).digest())
