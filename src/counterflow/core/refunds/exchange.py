"""What an exchange leaves to pay, either way, and how it is undone.

The entitlement of the returned goods pays for the replacement as far as it reaches (the offset). The rest is paid
by the customer (up) or to the customer (down). The sale of the replacement is a sale of its own, linked to the root
sale, whose window and tax it keeps (edge case 67); nothing here changes the entitlement.
"""

from dataclasses import dataclass

# Replacement states in which there is no exchange any more: the whole entitlement is owed as money again (63, 65).
FALLEN_THROUGH = frozenset(("out_of_stock", "cancelled", "unpaid", "declined"))


@dataclass(frozen=True, slots=True)
class ExchangeSettlement:
    """`offset + refund` is the entitlement, `offset + customer_pays` the price of the replacement. All minor units."""

    offset_minor: int
    customer_pays_minor: int
    refund_minor: int
    outcome: str  # even | up | down | refund (fallen through)
    basis: str  # the sentence that explains the price


def settle_exchange(
    entitled_minor: int, replacement_minor: int, price_basis: str = "today", replacement: str = "available"
) -> ExchangeSettlement:
    """Settle an entitlement against a replacement price (see `replacement_price`), both tax included and not negative.

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
    return ExchangeSettlement(offset, pays, refund, outcome, _BASIS[price_basis])


_BASIS = {
    "as_sold": "same product: priced as it was sold, with the discounts of that day and none of today's",
    "today": "other product: today's price",
}


def replacement_price(price_basis: str, same_product: bool, as_sold_minor: int, today_minor: int) -> tuple[int, str]:
    """(price, basis really used), both prices tax included and for the whole quantity (edge case 64).

    `as_sold_minor`: what was paid for the pieces that are replaced. `as_sold` holds only for the same product
    (another size or colour of it, as the policy says), so that a discount of the sale is not carried to other
    goods.
    """
    return (as_sold_minor, "as_sold") if price_basis == "as_sold" and same_product else (today_minor, "today")


def replacement_returned(settled: ExchangeSettlement) -> tuple[int, int]:
    """The replacement comes back too: (to the root sale's tenders, to the payment of the difference), minor units.

    Together the replacement's price. The offset was paid with the root sale's money and goes back there.
    """
    return settled.offset_minor, settled.customer_pays_minor


def roles_swapped(settled: ExchangeSettlement) -> ExchangeSettlement:
    """The customer keeps the original and returns the replacement (edge case 68): only the difference is undone.

    The entitlement of the original is void, so the offset is no credit a second time.
    """
    because = "the original is kept and the replacement is back: the difference that was settled is undone"
    outcome = "down" if settled.customer_pays_minor else "up" if settled.refund_minor else "even"
    return ExchangeSettlement(0, settled.refund_minor, settled.customer_pays_minor, outcome, because)


def guarantee_due(settled: ExchangeSettlement, captured_minor: int, original_back: bool) -> int:
    """What to capture (positive) or give back (negative) of the guarantee for goods sent ahead (edge case 66).

    Original not back: the offset was an advance, and is captured as far as it has not been. Back after all: what
    was captured is given back.
    """
    return -captured_minor if original_back else settled.offset_minor - captured_minor
