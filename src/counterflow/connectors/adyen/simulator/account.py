"""One merchant account: payments, their refunds and disputes, the journal that batches are made of, the webhooks.

Amounts are as Adyen counts them. A journal row is what one line of the settlement details report will be.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from counterflow.sdk.simulator import Doc, World

# https://docs.adyen.com/development-resources/currency-codes
EXPONENTS = {**dict.fromkeys(("JPY", "KRW", "VND", "XAF", "XOF", "UGX", "CVE", "IDR"), 0),
             **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3)}  # fmt: skip
# Seconds between attempts: three quick ones, then a queue that is worked off for thirty days.
RETRY_SCHEDULE = (9, 18, 27, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, *(28_800,) * 88)
DECIDED_AFTER = timedelta(minutes=1)
_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ23456789"


@dataclass(frozen=True)
class Account:
    """The state of the account."""

    world: World
    merchant: str
    webhook_url: str | None
    bank_url: str | None
    hmac_key: bytes
    webhook_authorization: str

    def reference(self, kind: str) -> str:
        """A pspReference, 16 letters and digits; the same in each run of the same world."""
        digest = hashlib.sha256(f"{self.world.name}:{kind}:{self.world.next_id('psp')}".encode()).digest()
        return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:16])

    def need(self, coll: str, psp: str) -> Doc:
        """A document that an act names. Raises LookupError."""
        doc = self.world.get(coll, psp)
        if doc is None:
            raise LookupError(psp)
        return doc

    # Refunds

    def receive_refund(self, payment: Doc, value: int, currency: str, reference: str) -> Doc:
        """Taken, and decided a minute later."""
        refund = {
            "pspReference": self.reference("refund"),
            "payment": payment["pspReference"],
            "value": value,
            "currency": currency,
            "reference": reference,
            "status": "received",
        }
        self.world.put("refunds", refund["pspReference"], refund)
        self.world.at(self.world.now() + DECIDED_AFTER, "decide", {"refund": refund["pspReference"]})
        return refund

    def decide(self, planned: Doc) -> None:
        """The REFUND notification: it goes through, or says why not."""
        refund = self.need("refunds", planned["refund"])
        payment = self.need("payments", refund["payment"])
        why = ""
        if not payment["captured"]:
            why = "Transaction hasn't been captured, refund not possible"
        elif refund["currency"] != payment["currency"]:
            why = "Currency does not match the payment"
        elif payment["refunded"] + refund["value"] > payment["value"]:
            why = "Insufficient balance on payment"
        refund["status"] = "failed" if why else "succeeded"
        self.world.put("refunds", refund["pspReference"], refund)
        if not why:
            self.world.put(
                "payments", payment["pspReference"], payment | {"refunded": payment["refunded"] + refund["value"]}
            )
            self.book("Refunded", payment, -refund["value"], refund["pspReference"], refund["reference"])
        self.notify(self.item("REFUND", refund["pspReference"], payment, refund, why, success=not why))

    def give_back(self, refund: Doc, event: str, reason: str) -> Doc:
        """REFUND_FAILED or REFUNDED_REVERSED: it had succeeded, and the money is with us again."""
        if refund["status"] != "succeeded":
            raise ValueError(f"refund {refund['pspReference']} is {refund['status']}")
        payment = self.need("payments", refund["payment"])
        refund["status"] = "failed" if event == "REFUND_FAILED" else "reversed"
        self.world.put("refunds", refund["pspReference"], refund)
        self.world.put(
            "payments", payment["pspReference"], payment | {"refunded": payment["refunded"] - refund["value"]}
        )
        self.book("RefundedReversed", payment, refund["value"], refund["pspReference"], refund["reference"])
        self.notify(self.item(event, refund["pspReference"], payment, refund, reason))
        return refund

    # Journal

    def book(
        self, type: str, payment: Doc, value: int, modification: str, reference: str, fees: Doc | None = None
    ) -> None:
        """One row of the next batch; `value` as it moves the balance before fees, which are {column: value}."""
        number = str(self.world.next_id("journal"))
        row = {"number": number, "type": type, "payment": payment, "value": value, "modification": modification}
        row |= {"reference": reference, "fees": fees or {}, "at": self.world.now().isoformat(), "batch": None}
        self.world.put("journal", number, row)

    # Webhooks

    def item(
        self, event: str, psp: str, payment: Doc | None, money: Doc, reason: str = "", success: bool = True, **more: str
    ) -> Doc:
        """One signed NotificationRequestItem."""
        item: Doc = {
            "additionalData": dict(more),
            "amount": {"currency": money["currency"], "value": money["value"]},
            "eventCode": event,
            "eventDate": amsterdam(self.world.now()),
            "merchantAccountCode": self.merchant,
            "merchantReference": money.get("reference", ""),
            "pspReference": psp,
            "reason": reason,
            "success": "true" if success else "false",
        }
        if payment is not None:
            item["paymentMethod"] = payment["method"]
            if psp != payment["pspReference"]:
                item["originalReference"] = payment["pspReference"]
        item["additionalData"]["hmacSignature"] = sign(self.hmac_key, item)
        return item

    def notify(self, *items: Doc) -> None:
        """One POST with these items; while the act `hold` is on they wait to go out together with those that follow."""
        if self.webhook_url is None:
            return
        held = self.world.get("_settings", "held")
        if held is not None:
            self.world.put("_settings", "held", {"items": [*held["items"], *items]})
            return
        body = {"live": "false", "notificationItems": [{"NotificationRequestItem": item} for item in items]}
        headers = {"Content-Type": "application/json; charset=utf-8", "Authorization": self.webhook_authorization}
        label = " ".join(f"{item['eventCode']} {item['pspReference']}" for item in items)
        self.world.emit(self.webhook_url, headers, json.dumps(body).encode(), RETRY_SCHEDULE, label=label)


def sign(key: bytes, item: Doc) -> str:
    """The signature of one item, over eight of its fields."""
    whole = item | (item.get("amount") or {})
    names = ("pspReference", "originalReference", "merchantAccountCode", "merchantReference", "value", "currency",
             "eventCode", "success")  # fmt: skip
    given = (whole.get(name) for name in names)
    texts = ("" if value is None else str(value).lower() if value is True else str(value) for value in given)
    return base64.b64encode(hmac.new(key, ":".join(texts).encode(), hashlib.sha256).digest()).decode()


def amsterdam(instant: datetime) -> str:
    """Adyen dates its notifications by its own clock, with the offset; winter time all year does here."""
    return f"{(instant + timedelta(hours=1)).replace(tzinfo=None).isoformat(timespec='seconds')}+01:00"


def major(value: int, currency: str) -> str:
    """Minor units as a report shows them: 1990 EUR is 19.90."""
    places = EXPONENTS.get(currency, 2)
    return f"{Decimal(value).scaleb(-places):.{places}f}"


def whole(data: Doc, name: str) -> int:
    """A positive whole number of an act. Raises ValueError."""
    value: Any = data[name]
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"{name} is a positive whole number")
    return value
