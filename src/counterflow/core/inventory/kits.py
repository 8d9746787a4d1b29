"""A kit is sold as one line and comes back as its parts, by the definition frozen at the sale (edge cases 15-17)."""

from dataclasses import dataclass

from counterflow.core.sale import SoldLine


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
