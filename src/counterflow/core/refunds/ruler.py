"""A line's paid amount as a ruler from 0 to `paid_minor`, on which each piece owns a fixed stretch.

Piece i of q owns [paid*i//q, paid*(i+1)//q); a part of a kit owns a stretch of its kit's. Tax at a mark is
`tax * mark // paid`, so the tax of a stretch is a difference of two marks. As stretches are fixed by index and do not
overlap, any order and grouping of returns sums to exactly what was paid, in total and per tax code (edge cases 3,
15), and no part of a stretch is ever negative.
"""

from collections.abc import Sequence

from counterflow.core.sale import KitPart, SoldLine

Stretch = tuple[int, int]
Unit = tuple[str, int, str, int]  # line_ref, piece, part sku, part piece: the smallest thing that can come back


def mark(line: SoldLine, piece: int) -> int:
    """Where a piece begins on the line's ruler, in minor units."""
    return line.paid_minor * piece // line.quantity


def units_of(line: SoldLine, piece: int, part_sku: str = "", part_piece: int = 0) -> list[tuple[Unit, Stretch]]:
    """The units of one piece (or of one part of it) with their stretches.

    Raises ValueError for a piece or part that was not sold: match what arrived first (returns/units.py).
    """
    if not 0 <= piece < line.quantity:
        raise ValueError(f"piece {piece} is not one of the {line.quantity} of line {line.line_ref}: match it first")
    low, high = mark(line, piece), mark(line, piece + 1)
    if not line.kit:
        if part_sku:
            raise ValueError(f"line {line.line_ref} is no kit and has no part {part_sku}: match it first")
        return [((line.line_ref, piece, "", 0), (low, high))]
    units = _parts(line, piece, low, high)
    if not part_sku:
        return units
    wanted = [(unit, stretch) for unit, stretch in units if unit[2:] == (part_sku, part_piece)]
    if not wanted:
        raise ValueError(f"kit line {line.line_ref} has no part {part_sku} number {part_piece}: match it first")
    return wanted


def split_taxes(line: SoldLine, low: int, high: int) -> tuple[int, list[tuple[str, int]]]:
    """The stretch as (net, [(tax code, tax)]). Taxes are peeled off one by one, so that no part is below zero."""
    paid, taxes = line.paid_minor, line.taxes
    if len(taxes) == 1:  # nearly always, and the only one that has to be fast
        tax = taxes[0]
        amount = tax.amount_minor * high // paid - tax.amount_minor * low // paid if paid else 0
        return high - low - amount, [(tax.code, amount)]
    rest = sum(tax.amount_minor for tax in taxes)
    start, end = (rest * low // paid, rest * high // paid) if paid else (0, 0)
    net, parts = high - low - (end - start), []
    for tax in taxes:
        here = (tax.amount_minor * start // rest, tax.amount_minor * end // rest) if rest else (0, 0)
        parts.append((tax.code, here[1] - here[0]))
        start, end, rest = start - here[0], end - here[1], rest - tax.amount_minor
    return net, parts


def check(line: SoldLine) -> None:
    """Raises ValueError for a line that cannot be divided; the message says what the connection has to send instead."""
    taxes = sum(tax.amount_minor for tax in line.taxes)
    if line.quantity < 1 or not 0 <= taxes <= line.paid_minor or any(tax.amount_minor < 0 for tax in line.taxes):
        raise ValueError(
            f"line {line.line_ref}: {line.quantity} pieces, paid {line.paid_minor}, tax {taxes} cannot be divided: "
            "send a positive quantity, paid including tax, and discounts as shares of the lines they reduce"
        )


def _parts(line: SoldLine, piece: int, low: int, high: int) -> list[tuple[Unit, Stretch]]:
    weights = _weights(line.kit)
    whole, done, start, units = sum(weights) or 1, 0, low, []
    for part, weight in zip(line.kit, weights, strict=True):
        for number in range(part.quantity):
            end = low + (high - low) * (done * part.quantity + weight * (number + 1)) // (whole * part.quantity)
            units.append(((line.line_ref, piece, part.sku, number), (start, end)))
            start = end
        done += weight
    return units


def _weights(kit: Sequence[KitPart]) -> list[int]:
    shares = [part.share_minor for part in kit]
    return shares if any(shares) else [part.quantity for part in kit]
