"""What an exchange leaves to pay, either way, and how it is undone.

The entitlement of the returned goods pays for the replacement as far as it reaches (the offset). The rest is paid
by the customer (up) or to the customer (down). The sale of the replacement is a sale of its own, linked to the root
sale, whose window and tax it keeps (edge case 67); nothing here changes the entitlement.
"""

from dataclasses import dataclass

# Replacement states in which there is no exchange any more: the whole entitlement is owed as money again (63, 65).
FALLEN_THROUGH = frozenset(("out_of_stock", "cancelled", "unpaid"))


@dataclass(frozen=True, slots=True)
class ExchangeSettlement:
    """`offset + refund` is the entitlement, `offset + customer_pays` the price of the replacement. All minor units."""

    offset_minor: int
    customer_pays_minor: int
    refund_minor: int
    outcome: str  # even | up | down | refund (fallen through)
    because: str = ""  # why it has fallen through


def settle_exchange(entitled_minor: int, replacement_minor: int, replacement: str = "available") -> ExchangeSettlement:
    """Settle an entitlement against a replacement price, both tax included and not negative.

    `replacement`: available, or one of FALLEN_THROUGH. Raises ValueError for a negative amount.
    """
    if entitled_minor < 0 or replacement_minor < 0:
        raise ValueError(
            f"{entitled_minor} against {replacement_minor}: neither can be negative, check the entitlement"
        )
    if replacement in FALLEN_THROUGH:
        because = f"the replacement is {replacement.replace('_', ' ')}: the whole entitlement is owed as money"
        return ExchangeSettlement(0, 0, entitled_minor, "refund", because)
    offset = min(entitled_minor, replacement_minor)
    pays, refund = replacement_minor - offset, entitled_minor - offset
    outcome = "up" if pays else "down" if refund else "even"
    return ExchangeSettlement(offset, pays, refund, outcome)
