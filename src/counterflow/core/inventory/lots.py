"""What a lot number says about the thing in hand (edge cases 21, 22)."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

# Where a unit of such a lot may go; the first is taken where the policy's own choice is not among them.
FORCED = {
    "recalled": ("hold", "quarantine", "return_to_vendor", "scrap"),
    "expired": ("scrap", "return_to_vendor", "hold", "quarantine"),
}


@dataclass(frozen=True, slots=True)
class LotVerdict:
    """`word`: ok | recalled | expired | unexpected (not the lot on the delivery: swap them on record)."""

    word: str
    lot: str
    swap_with: str = ""  # the delivered lot that the traceability record has to change places with
    refund_regardless: bool = False  # of the window and the condition, by the recall programme

    def disposition(self, chosen: str) -> str:
        """The disposition that holds: the chosen one, unless the lot forbids it."""
        allowed = FORCED.get(self.word)
        return chosen if allowed is None or chosen in allowed else allowed[0]


def lot_verdict(
    lot: str,
    delivered: Collection[str] = (),
    *,
    recalled: Collection[str] = (),
    expires_on: date | None = None,
    today: date | None = None,
) -> LotVerdict:
    """Judge the lot found (empty: none) against those on the delivery, recalls, and its date.

    A recall outweighs an expiry, an expiry an unexpected lot; the swap is named with each of them. A lot is good on
    the day that it expires on. Both dates are of the place where the unit is.
    """
    swap = min(delivered) if lot and delivered and lot not in delivered else ""
    if lot and lot in recalled:
        return LotVerdict("recalled", lot, swap, refund_regardless=True)
    if expires_on is not None and today is not None and today > expires_on:
        return LotVerdict("expired", lot, swap)
    return LotVerdict("unexpected" if swap else "ok", lot, swap)
