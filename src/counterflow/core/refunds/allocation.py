"""The allocation table: which line and component each minor unit of a leg pays back (invariant D3).

Rows of one leg sum to the leg; rows of one component over all legs sum to the component. Owed and kept rows are
divided apart, each by largest remainder, so that no row ever changes its sign.
"""

from collections.abc import Iterable, Sequence

from counterflow.core.effects import AllocationRow
from counterflow.core.money import allocate

Figures = dict[tuple[str, str], int]  # (line_ref, component) -> minor units


def figures_of(components: Iterable[tuple[str, str, int]]) -> Figures:
    """Sum (line_ref, component, amount_minor) rows, in one order whatever order they come in."""
    sums: Figures = {}
    for line_ref, component, amount_minor in components:
        sums[line_ref, component] = sums.get((line_ref, component), 0) + amount_minor
    return {key: sums[key] for key in sorted(sums) if sums[key]}


def allocate_legs(figures: Figures, amounts: Sequence[int]) -> list[tuple[AllocationRow, ...]]:
    """The rows of each leg, for legs of these positive amounts.

    Where the legs are less than the figures (part was paid before), the rows are their proportional part; where
    they are more, the rest is a row `goodwill` without a line.
    """
    owed = {key: amount for key, amount in figures.items() if amount > 0}
    kept = {key: -amount for key, amount in figures.items() if amount < 0}
    total, kept_total = sum(figures.values()), sum(kept.values())
    if total < 0:
        owed, kept, total, kept_total = {}, {}, 0, 0
    if (beyond := sum(amounts) - total) > 0:
        owed["", "goodwill"] = owed.get(("", "goodwill"), 0) + beyond
        total += beyond
    tables, done = [], 0
    for amount in amounts:
        kept_part = kept_total * (done + amount) // total - kept_total * done // total
        done += amount
        rows = _take(owed, amount + kept_part, 1) + _take(kept, kept_part, -1)
        tables.append(tuple(sorted(rows, key=lambda row: (row.line_ref, row.component, -row.amount_minor))))
    return tables


def _take(figures: Figures, amount: int, sign: int) -> list[AllocationRow]:
    """Take `amount` out of the figures in proportion to what is left of each; never more than is left."""
    if not amount:
        return []
    keys = list(figures)
    rows = []
    for key, part in zip(keys, allocate(amount, [figures[key] for key in keys]), strict=True):
        if part:
            figures[key] -= part
            rows.append(AllocationRow(key[0], key[1], sign * part))
    return rows
