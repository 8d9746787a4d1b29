"""Where a unit goes by its disposition, and the stock operation that takes it there.

The classes are ours; a connection maps each to a location of its own. A unit is in `sellable` only after an
executed `restock` (invariant D4): everything that is received waits in `returns` first.
"""

from dataclasses import dataclass

RECEIVED_INTO = "returns"  # not for sale


@dataclass(frozen=True, slots=True)
class StockOperation:
    """`operation`: internal_move | repair_order | scrap_entry | outgoing (leaves our custody)."""

    location_class: str
    operation: str
    ours_after: bool  # still in our books
    final: bool  # False: a hold, another disposition has to follow


OPERATIONS = {
    "restock": StockOperation("sellable", "internal_move", ours_after=True, final=True),
    "refurbish": StockOperation("refurbishment", "repair_order", ours_after=True, final=True),
    "repair": StockOperation("repair", "repair_order", ours_after=True, final=True),
    "quarantine": StockOperation("quarantine", "internal_move", ours_after=True, final=False),
    "hold": StockOperation("quarantine", "internal_move", ours_after=True, final=False),
    "return_to_vendor": StockOperation("vendor", "outgoing", ours_after=False, final=True),
    "liquidate": StockOperation("liquidation", "internal_move", ours_after=True, final=True),
    "donate": StockOperation("donated", "outgoing", ours_after=False, final=True),
    "recycle": StockOperation("scrap", "scrap_entry", ours_after=False, final=True),
    "scrap": StockOperation("scrap", "scrap_entry", ours_after=False, final=True),
    "send_back": StockOperation("customer", "outgoing", ours_after=False, final=True),
}


def operation_for(disposition: str, flags: tuple[str, ...] = ()) -> StockOperation:
    """The operation of a disposition. Raises ValueError for a word that is no disposition.

    A data-bearing unit without its wipe certificate is quarantined instead of reaching anybody else (edge case 24):
    `flags` are those of the sold line, and `wiped` when the certificate exists.
    """
    operation = OPERATIONS.get(disposition)
    if operation is None:
        raise ValueError(f"{disposition!r} is no disposition: choose one of {', '.join(OPERATIONS)}")
    if "data_bearing" in flags and "wiped" not in flags and disposition in _REACHES_OTHERS:
        return OPERATIONS["quarantine"]
    return operation


_REACHES_OTHERS = frozenset(("restock", "liquidate", "donate", "return_to_vendor"))
