"""Money is an integer of minor units and a currency; a share of money is never rounded twice.

The exponents are those of ISO 4217 (list one): minor units that are not two are named here, everything else has two.
"""

from collections.abc import Sequence
from dataclasses import dataclass

_EXPONENTS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND"), 0),
    **dict.fromkeys(("VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}


class MoneyError(ValueError):
    """An amount that cannot be money of this currency; the message says what to send instead."""


def exponent(currency: str) -> int:
    """Digits after the decimal point: EUR 2, JPY 0, KWD 3. Raises MoneyError for what is no ISO 4217 code."""
    if len(currency) != 3 or not currency.isascii() or not currency.isupper():
        raise MoneyError(f"{currency!r} is not an ISO 4217 currency code: send three capital letters, such as EUR")
    return _EXPONENTS.get(currency, 2)


@dataclass(frozen=True, slots=True, order=True)
class Money:
    """An amount to show or to compare; inside a case plain `*_minor` integers are used, as its currency is one."""

    currency: str
    minor: int

    def __str__(self) -> str:
        return f"{to_major(self.minor, self.currency)} {self.currency}"


def to_minor(text: str, currency: str) -> int:
    """'19.90' EUR -> 1990. Raises MoneyError when it is no number or has more digits than the currency."""
    digits = exponent(currency)
    sign, body = (-1, text[1:]) if text.startswith("-") else (1, text)
    whole, _, fraction = body.partition(".")
    kept, rest = fraction[:digits], fraction[digits:]
    if not whole.isdigit() or (fraction and not fraction.isdigit()) or not text.isascii() or len(text) > 30:
        raise MoneyError(f"{text[:40]!r} is not an amount: send digits with a point, such as 19.90")
    if rest.strip("0"):
        raise MoneyError(f"{text} has more than the {digits} decimals of {currency}: send it without the rest")
    return sign * int(whole + kept.ljust(digits, "0"))


def number_to_minor(value: float, currency: str) -> int:
    """19.9 EUR -> 1990, for systems that tell amounts as JSON numbers of major units (Odoo, Medusa).

    Raises MoneyError when it has more digits than the currency; the noise of a binary fraction is none.
    """
    scaled: float = value * 10 ** exponent(currency)
    minor = round(scaled)
    if abs(scaled - minor) > max(1e-6, abs(scaled) * 1e-12):
        raise MoneyError(f"{value} has more than the {exponent(currency)} decimals of {currency}: send it without them")
    return minor


def to_major(minor: int, currency: str) -> str:
    """1990 EUR -> '19.90'; 1990 JPY -> '1990'; -5 KWD -> '-0.005'."""
    digits = exponent(currency)
    if digits == 0:
        return str(minor)
    text = str(abs(minor)).rjust(digits + 1, "0")
    return f"{'-' if minor < 0 else ''}{text[:-digits]}.{text[-digits:]}"


def allocate(total: int, weights: Sequence[int]) -> list[int]:
    """Split `total` in proportion to `weights` so that the parts sum to it exactly (largest remainder, ties by place).

    Weights are not negative; if all are zero the parts are equal. Raises ValueError for no or a negative weight.
    """
    if not weights or min(weights) < 0:
        raise ValueError("allocate needs weights, none of them negative")
    base = sum(weights)
    if base == 0:
        weights, base = [1] * len(weights), len(weights)
    sign, amount = (-1, -total) if total < 0 else (1, total)
    parts = [amount * weight // base for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(amount * weights[i] % base), i))
    for i in by_remainder[: amount - sum(parts)]:
        parts[i] += 1
    return [sign * part for part in parts]


def share_of(total: int, quantity: int, taken: int, take: int) -> int:
    """What the next `take` of `quantity` equal pieces are worth when `taken` are gone before.

    Cumulative, so that parts in any order sum to `total` and the last takes exactly the rest (edge case 3).
    """
    if not 0 <= taken <= taken + take <= quantity:
        raise ValueError(f"{taken} + {take} pieces are not within {quantity}")
    return total * (taken + take) // quantity - total * taken // quantity
