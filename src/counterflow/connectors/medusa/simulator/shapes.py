"""Documents in Medusa's shape: amounts as a JSON number beside its digits, times to the millisecond."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from counterflow.sdk.simulator import Doc

RATE = 19
ADDRESS = {
    "first_name": "Kim", "last_name": "Example", "company": None, "address_1": "Market 1", "address_2": None,
    "city": "Town", "country_code": "de", "province": None, "postal_code": "10115", "phone": None,
}  # fmt: skip
QUANTITIES = (
    "fulfilled_quantity",
    "delivered_quantity",
    "shipped_quantity",
    "return_requested_quantity",
    "return_received_quantity",
    "return_dismissed_quantity",
    "written_off_quantity",
)


def at(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def number(name: str, value: Any) -> Doc:
    """`{name: 19.9, raw_name: {"value": "19.9", "precision": 20}}`."""
    digits = Decimal(str(value))
    plain = int(digits) if digits == digits.to_integral_value() else float(digits)
    return {name: plain, f"raw_{name}": {"value": str(value), "precision": 20}}


def item(id_: str, sku: str, title: str, quantity: int, price: Any, time: str, **more: Any) -> Doc:
    inclusive = more.pop("inclusive", True)
    discount = more.pop("discount", 0)
    code = more.pop("code", "DE-19")
    doc: Doc = {
        "id": id_, "title": title, "product_title": title, "variant_sku": sku, "is_giftcard": False,
        "is_tax_inclusive": inclusive, "metadata": {}, "created_at": time, "updated_at": time,
        **number("unit_price", price), "quantity": quantity,
        "tax_lines": [tax_line(f"{id_}-tax", code, time)] if code else [],
        "adjustments": [],
        "detail": {"id": f"{id_}-detail", "quantity": quantity, **dict.fromkeys(QUANTITIES, 0)},
    }  # fmt: skip
    if discount:
        doc["adjustments"].append(
            {"id": f"{id_}-adj", "code": "TEN", "promotion_id": "promo_1", "is_tax_inclusive": inclusive,
             **number("amount", discount)}
        )  # fmt: skip
    return doc


def tax_line(id_: str, code: str, time: str) -> Doc:
    return {
        "id": id_,
        "description": code,
        "code": code,
        "created_at": time,
        "updated_at": time,
        **number("rate", RATE),
    }


def shipping_method(id_: str, option: str, name: str, amount: Any, time: str, return_id: str | None = None) -> Doc:
    return {
        "id": id_, "name": name, "is_tax_inclusive": True, "shipping_option_id": option, **number("amount", amount),
        "tax_lines": [] if return_id else [tax_line(f"{id_}-tax", "DE-19", time)], "adjustments": [],
        "created_at": time, "updated_at": time,
        "detail": {"id": f"{id_}-detail", "return_id": return_id, "exchange_id": None, "claim_id": None},
    }  # fmt: skip


def fulfillment(id_: str, items: list[tuple[str, int]], time: str, *, packed: bool = True) -> Doc:
    return {
        "id": id_, "packed_at": time if packed else None, "shipped_at": None, "delivered_at": None, "canceled_at": None,
        "created_at": time, "updated_at": time,
        "items": [
            {"id": f"{id_}-{n}", "line_item_id": item_id, **number("quantity", quantity)}
            for n, (item_id, quantity) in enumerate(items)
        ],
    }  # fmt: skip


def projected(doc: Doc, fields: str | None) -> Doc:
    """The fields that were asked for by name; Medusa adds a few of its own, on which nobody should rely."""
    if not fields:
        return doc
    names = {"id", *(name.lstrip("*+").partition(".")[0] for name in fields.split(","))}
    return {name: value for name, value in doc.items() if name in names}
