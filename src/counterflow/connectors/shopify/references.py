"""References: what Shopify calls a gid, what a fact calls `<connection>:<kind>:<number>`, the keys that we write."""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

THE_APP = "gid://shopify/App/itself"  # not an order: is our access still there?

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_STEPS = 8  # states that one second can hold: a version fits a 32 bit column until 2034
_KEY = re.compile(r"\bef_[0-9a-z]{26}\b")


def number(gid: str) -> str:
    """gid://shopify/Order/5 -> 5."""
    return gid.partition("?")[0].rpartition("/")[2]


def gid(kind: str, ref: str) -> str:
    """("Order", "shop:order:5"), ("Order", "5") and the gid itself give gid://shopify/Order/5."""
    return ref if ref.startswith("gid://") else f"gid://shopify/{kind}/{ref.rpartition(':')[2]}"


def kit_ref(group_gid: str) -> str:
    """The line of a kit. Numbers are Shopify's for one kind only: a line item may have the same as a group."""
    return f"kit-{number(group_gid)}"


def shipping_ref(line_gid: str) -> str:
    return f"shipping-{number(line_gid)}"


def sale_ref(connection: str, order_gid: str) -> str:
    return f"{connection}:order:{number(order_gid)}"


SOLD_LINE = "ReturnLineItem"  # the type of a return's line; the other one names nothing that was sold


def return_ref(connection: str, return_gid: str) -> str:
    return f"{connection}:return:{number(return_gid)}"


def refund_ref(connection: str, id_: str) -> str:
    """Of a refund, or of one of its transactions, by gid."""
    return f"{connection}:refund:{id_}"


def exchange_ref(connection: str, return_gid: str) -> str:
    """The replacement that a return carries within its own order."""
    return f"{connection}:exchange:{number(return_gid)}"


def instant(text: str) -> datetime:
    """ISO 8601 with an offset or Z. Raises ValueError."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no offset from UTC")
    return at.astimezone(UTC)


def version(updated_at: str, progress: int) -> int:
    """Grows with the object: by its last change, within one second by `progress` (counts of what only grows)."""
    return int((instant(updated_at) - _EPOCH).total_seconds()) * _STEPS + min(progress, _STEPS - 1)


def key_in(note: str | None) -> str:
    """The effect id that we wrote into a note; empty when somebody else wrote it."""
    found = _KEY.search(note or "")
    return found.group() if found else ""


def opening_key(return_lines: Sequence[Mapping[str, Any]]) -> str:
    """The effect that opened the return of these lines; empty when somebody else did."""
    return next(filter(None, (key_in(row.get("returnReasonNote")) for row in return_lines)), "")


def note_for(effect_id: str, reason: str) -> str:
    return f"Counterflow {effect_id} {reason}".strip()


def answered_tag(decision: str, return_gid: str) -> str:
    """Set on the order before we answer its return: an answer without it was given by somebody else."""
    return f"counterflow-{decision}-{number(return_gid)}"


def gift_card_code(secret: str, effect_id: str) -> str:
    """16 characters that nobody can guess and that the same effect always gets: a card is issued once."""
    digest = hmac.new(secret.encode(), f"gift card {effect_id}".encode(), hashlib.sha256).digest()
    return base64.b32encode(digest[:10]).decode().lower()
