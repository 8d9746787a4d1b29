"""Money inside the simulated shop: integers in minor units, always as a pair (shop currency, presentment currency)."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

Bag = dict[str, int]  # {"shop": minor units, "presentment": minor units}

NOTHING: Bag = {"shop": 0, "presentment": 0}

_EXPONENTS = dict.fromkeys(("CLP", "ISK", "JPY", "KRW", "VND"), 0) | dict.fromkeys(
    ("BHD", "JOD", "KWD", "OMR", "TND"), 3
)


def exponent(currency: str) -> int:
    return _EXPONENTS.get(currency, 2)


def add(*bags: Bag) -> Bag:
    return {side: sum(bag[side] for bag in bags) for side in ("shop", "presentment")}


def sub(left: Bag, right: Bag) -> Bag:
    return {side: left[side] - right[side] for side in ("shop", "presentment")}


def times(bag: Bag, factor: int) -> Bag:
    return {side: amount * factor for side, amount in bag.items()}


def part(bag: Bag, numerator: int | Decimal, denominator: int | Decimal) -> Bag:
    """A fraction of a bag, each side rounded half up on its own, as the shop does."""
    return {side: half_up(Decimal(amount) * numerator / denominator) for side, amount in bag.items()}


def half_up(value: Decimal) -> int:
    return int(value.quantize(Decimal(1), ROUND_HALF_UP))


def minor(text: Any, currency: str) -> int:
    """Minor units of a decimal as an API caller writes it. Raises ValueError when it is not a number."""
    try:
        value = Decimal(str(text))
    except ArithmeticError as error:
        raise ValueError(f"{text!r} is not an amount of money") from error
    return half_up(value.scaleb(exponent(currency)))


def graphql_amount(amount: int, currency: str) -> str:
    """The Decimal scalar of the GraphQL API: no trailing zeros but one, "19.9", "10.0", "1000.0" for JPY."""
    text = f"{Decimal(amount).scaleb(-exponent(currency)):f}"
    whole, _, rest = text.partition(".")
    return f"{whole}.{rest.rstrip('0') or '0'}"


def rest_amount(amount: int, currency: str) -> str:
    """The amount of a webhook body: all the currency's decimals, "19.90", "1000" for JPY."""
    return f"{Decimal(amount).scaleb(-exponent(currency)):.{exponent(currency)}f}"


def spread(amount: int, weights: list[int]) -> list[int]:
    """Split an amount by weights; the largest remainders get the odd units, earlier lines first."""
    total = sum(weights)
    if total == 0:
        return [0 for _ in weights]
    shares = [amount * weight // total for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: (-(amount * weights[i] % total), i))
    for i in order[: amount - sum(shares)]:
        shares[i] += 1
    return shares
