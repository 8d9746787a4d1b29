"""Which things came back, what they are, and where they go: pure functions over what was sold and what was found."""

from counterflow.core.inventory.kits import KitNeed, delivered_ppm, explode
from counterflow.core.inventory.locations import OPERATIONS, StockOperation, operation_for
from counterflow.core.inventory.lots import LotVerdict, lot_verdict
from counterflow.core.inventory.serials import KnownSerial, SerialVerdict, same_serial, serial_verdict

__all__ = [
    "OPERATIONS",
    "KitNeed",
    "KnownSerial",
    "LotVerdict",
    "SerialVerdict",
    "StockOperation",
    "delivered_ppm",
    "explode",
    "lot_verdict",
    "operation_for",
    "same_serial",
    "serial_verdict",
]
