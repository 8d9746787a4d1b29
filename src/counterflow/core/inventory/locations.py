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


OPERATIONS = {
    "restock": StockOperation("sellable", "internal_move"),
    "refurbish": StockOperation("refurbishment", "repair_order"),
    "repair": StockOperation("repair", "repair_order"),
    "quarantine": StockOperation("quarantine", "internal_move"),
    "hold": StockOperation("quarantine", "internal_move"),
    "return_to_vendor": StockOperation("vendor", "outgoing"),
    "liquidate": StockOperation("liquidation", "internal_move"),
    "donate": StockOperation("donated", "outgoing"),
    "recycle": StockOperation("scrap", "scrap_entry"),
    "scrap": StockOperation("scrap", "scrap_entry"),
    "send_back": StockOperation("customer", "outgoing"),
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
