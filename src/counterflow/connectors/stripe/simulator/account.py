"""One Stripe account: its documents, its balance, its events. Amounts are in minor units, instants in Unix seconds.

Documents are stored as the API shows them; fields that begin with `_` are the account's own and are never shown.
"""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from counterflow.sdk.simulator import Doc, World

API_VERSION = "2026-10-28.endive"
# https://docs.stripe.com/currencies: amounts of the first are whole units; those of the second end in 0.
ZERO_DECIMAL = frozenset(
    ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf")
)
THREE_DECIMAL = frozenset(("bhd", "jod", "kwd", "omr", "tnd"))
# Live mode tries for up to three days with growing pauses; these are seconds between attempts.
RETRY_SCHEDULE = (60, 300, 1800, 7200, 18_000, 36_000, 43_200, 43_200, 43_200, 43_200)

COLLECTIONS = {
    "pi": "payment_intents",
    "ch": "charges",
    "re": "refunds",
    "txn": "balance_transactions",
    "po": "payouts",
    "evt": "events",
    "dp": "disputes",
}


def exponent(currency: str) -> int:
    return 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2


def display(amount: int, currency: str) -> str:
    places = exponent(currency)
    return f"{Decimal(amount).scaleb(-places):.{places}f} {currency.upper()}"


@dataclass(frozen=True)
class Cause:
    """The API request behind a change; nothing for a person in the dashboard, the bank, or time."""

    request_id: str | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True)
class Account:
    """The state of the account; a payment costs `fee_bp` basis points and, where there are decimals, `fee_fixed`."""

    world: World
    webhook_url: str | None = None
    bank_url: str | None = None
    currency: str = "eur"
    fee_bp: int = 150
    fee_fixed: int = 25
    nobody: Cause = field(default_factory=Cause)

    # Documents

    def new_id(self, prefix: str) -> str:
        """A name like Stripe's, the same in each run of the same world."""
        number = self.world.next_id(prefix)
        return f"{prefix}_3{hashlib.sha256(f'{self.world.name}:{prefix}:{number}'.encode()).hexdigest()[:23]}"

    def stamp(self) -> int:
        return int(self.world.now().timestamp())

    def find(self, id: str) -> Doc | None:
        """Any object by its id."""
        coll = COLLECTIONS.get(id.split("_", 1)[0])
        return None if coll is None else self.world.get(coll, id)

    def need(self, id: str) -> Doc:
        """An object that an act names. Raises LookupError."""
        doc = self.find(id)
        if doc is None:
            raise LookupError(id)
        return doc

    def save(self, doc: Doc) -> Doc:
        self.world.put(COLLECTIONS[doc["id"].split("_", 1)[0]], doc["id"], doc)
        return doc

    def of(self, prefix: str, **equal: Any) -> list[Doc]:
        """Objects of one kind whose fields have these values, oldest first."""
        docs = self.world.all(COLLECTIONS[prefix])
        return [doc for doc in docs if all(doc.get(name) == value for name, value in equal.items())]

    # Balance

    def transaction(
        self,
        type: str,
        source: str,
        amount: int,
        currency: str,
        *,
        category: str | None = None,
        fee: int = 0,
        available_after_days: int = 0,
        payout: str | None = None,
        description: str | None = None,
    ) -> Doc:
        """Move the balance by `amount - fee`, in the currency in which the payment settles."""
        settled, amount_settled, rate = self._settle(amount, currency)
        now = self.world.now()
        available = now
        if available_after_days:
            available = midnight(now) + timedelta(days=available_after_days)
        txn = {
            "id": self.new_id("txn"),
            "object": "balance_transaction",
            "amount": amount_settled,
            "available_on": int(available.timestamp()),
            "balance_type": "payments",
            "created": self.stamp(),
            "currency": settled,
            "description": description,
            "exchange_rate": rate,
            "fee": fee,
            "fee_details": [
                {"amount": fee, "application": None, "currency": settled, "description": "fees", "type": "stripe_fee"}
            ]
            if fee
            else [],
            "net": amount_settled - fee,
            "reporting_category": category or type,
            "source": source,
            "status": "pending" if available > now else "available",
            "type": type,
            "_payout": payout,
        }
        return self.save(txn)

    def fee(self, amount: int, currency: str) -> int:
        """What Stripe keeps of a payment, in the currency in which it settles; refunds do not give it back."""
        settled, amount_settled, _ = self._settle(amount, currency)
        fixed = 0 if settled in ZERO_DECIMAL else self.fee_fixed
        return (amount_settled * self.fee_bp + 5000) // 10_000 + fixed

    def _settle(self, amount: int, currency: str) -> tuple[str, int, float | None]:
        """Each currency has its own balance, unless a rate into the account's currency was set (act `set_rate`)."""
        rate = (self.world.get("_settings", "rates") or {}).get(currency)
        if rate is None or currency == self.currency:
            return currency, amount, None
        major = Decimal(amount).scaleb(-exponent(currency)) * Decimal(rate)
        minor = major.scaleb(exponent(self.currency)).quantize(Decimal(1), ROUND_HALF_UP)
        return self.currency, int(minor), float(rate)

    # Events

    def event(self, type: str, doc: Doc, cause: Cause | None = None, **previous: Any) -> None:
        """Record an event with the object as it is now, and send it to the webhook endpoint."""
        cause = cause or self.nobody
        data: Doc = {"object": shown(doc)}
        if previous:
            data["previous_attributes"] = previous
        event = {
            "id": self.new_id("evt"),
            "object": "event",
            "api_version": API_VERSION,
            "created": self.stamp(),
            "data": data,
            "livemode": False,
            "pending_webhooks": 1 if self.webhook_url else 0,
            "request": {"id": cause.request_id, "idempotency_key": cause.idempotency_key},
            "type": type,
        }
        self.save(event)
        if self.webhook_url:
            headers = {
                "Content-Type": "application/json; charset=utf-8",
                "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            }
            body = json.dumps(event, indent=2).encode()
            self.world.emit(self.webhook_url, headers, body, RETRY_SCHEDULE, label=f"{type} {event['id']}")


def shown(doc: Doc) -> Doc:
    """The document as the API shows it."""
    return {name: value for name, value in doc.items() if not name.startswith("_")}


def midnight(instant: datetime) -> datetime:
    """The start of that day, UTC."""
    return instant.replace(hour=0, minute=0, second=0, microsecond=0)
