"""A kit is sold as one line and comes back as its parts, by the definition frozen at the sale (edge cases 15-17)."""

from collections.abc import Mapping
from dataclasses import dataclass

from counterflow.core.sale import SoldLine

_PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class KitNeed:
    """One physical piece of a sold line; for a line that is no kit, the piece itself (`part_sku` empty)."""

    line_ref: str
    piece: int
    sku: str
    part_sku: str
    part_piece: int
    tracking: str


def explode(line: SoldLine, piece: int) -> tuple[KitNeed, ...]:
    """The physical pieces of one piece of the line, in the order of the kit's definition."""
    if not line.kit:
        return (KitNeed(line.line_ref, piece, line.sku, "", 0, line.tracking),)
    return tuple(
        KitNeed(line.line_ref, piece, part.sku, part.sku, number, part.tracking)
        for part in line.kit
        for number in range(part.quantity)
    )


def delivered_ppm(line: SoldLine, returned: Mapping[str, int]) -> int:
    """The delivered quantity of a kit line once these parts (sku -> pieces) are back, in millionths of a kit.

    Parts count by their share of the kit's price (by number where no shares were frozen), so that quantity times
    price stays the price of what the customer keeps: of 1 kit split 60:40 with the second part back, 600_000 are
    delivered. Raises ValueError when more came back than was delivered.
    """
    if not line.kit:
        return (line.delivered - _at_most(returned.get(line.sku, 0), line.delivered, line.sku)) * _PPM
    priced = any(part.share_minor for part in line.kit)
    weights = {part.sku: part.share_minor if priced else part.quantity for part in line.kit}
    gone = whole = 0
    common = 1
    for part in line.kit:
        common *= part.quantity
    for part in line.kit:
        count = _at_most(returned.get(part.sku, 0), line.delivered * part.quantity, part.sku)
        gone += weights[part.sku] * count * (common // part.quantity)
        whole += weights[part.sku] * common
    return line.delivered * _PPM - gone * _PPM // whole


def _at_most(count: int, delivered: int, sku: str) -> int:
    if count > delivered:
        raise ValueError(f"{count} pieces of {sku} are back and {delivered} were delivered: match the extra ones first")
    return count
