"""Which things came back, what they are, and where they go: pure functions over what was sold and what was found."""

from counterflow.core.inventory.kits import KitNeed, explode
from counterflow.core.inventory.locations import OPERATIONS, StockOperation, operation_for
from counterflow.core.inventory.serials import policy_word, same_serial, serial_word

__all__ = [
    "OPERATIONS",
    "KitNeed",
    "StockOperation",
    "explode",
    "operation_for",
    "policy_word",
    "same_serial",
    "serial_word",
]
