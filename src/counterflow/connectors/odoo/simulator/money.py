"""Amounts as Odoo shows them over RPC: floats, rounded half up to the currency's own digits."""

from decimal import ROUND_HALF_UP, Decimal

DIGITS = {"JPY": 0, "KRW": 0, "BHD": 3, "KWD": 3, "TND": 3}


def rounded(amount: float, digits: int = 2) -> float:
    quantum = Decimal(1).scaleb(-digits)
    return float(Decimal(repr(round(amount, 9))).quantize(quantum, ROUND_HALF_UP)) + 0.0


def is_zero(amount: float, digits: int = 2) -> bool:
    return rounded(amount, digits) == 0.0
