"""Which things came back, what they are, and where they go: pure functions over what was sold and what was found."""

from counterflow.core.inventory.kits import KitNeed, complete_sets, delivered_ppm, explode
from counterflow.core.inventory.locations import OPERATIONS, StockOperation, operation_for
from counterflow.core.inventory.lots import LotVerdict, lot_verdict
from counterflow.core.inventory.match import Assignment, Matching, Received, Slot, match
from counterflow.core.inventory.serials import KnownSerial, SerialVerdict, same_serial, serial_verdict

__all__ = [
    "OPERATIONS",
    "Assignment",
    "KitNeed",
    "KnownSerial",
    "LotVerdict",
    "Matching",
    "Received",
    "SerialVerdict",
    "Slot",
    "StockOperation",
    "complete_sets",
    "delivered_ppm",
    "explode",
    "lot_verdict",
    "match",
    "operation_for",
    "same_serial",
    "serial_verdict",
]
