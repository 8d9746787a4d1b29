"""A message to a customer as JSON. Pure."""

import json
from dataclasses import asdict

from counterflow.core.effects import Effect, NotifyCustomer
from counterflow.core.money import to_major

TOPIC = "customer.notify"


def message(effect: Effect, command: NotifyCustomer) -> bytes:
    """The bytes for one effect, the same at every attempt.

    {"type": "customer.notify", "timestamp": <decided, UTC>, "data": {"key", "case", "template", "customer_ref",
    "order_number", "amount_minor", "currency", "amount"}}; `amount` is "19.90", absent where the message has none.
    """
    data = {"key": effect.effect_id, "case": effect.owner, **asdict(command)}
    if command.currency:
        data["amount"] = to_major(command.amount_minor, command.currency)
    whole = {"type": TOPIC, "timestamp": effect.decided_at.isoformat(), "data": data}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()
