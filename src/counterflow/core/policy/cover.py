"""Which rows of a table can be reached, and which inputs none covers: exactly, without trying inputs one by one.

For each column the values fall into classes: two values are alike if the same rows accept both. Walking the columns
with the set of rows still alive, and never visiting the same set at the same column twice, visits every combination of
classes that matters. A row that is sure to hold from here on hides the rows after it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from counterflow.core.policy.table import Row
from counterflow.core.policy.vocabulary import Choice, Column

WORK_MAX = 50_000


class TooComplex(Exception):
    """The bound on visited states was passed: nothing is claimed about the table."""


@dataclass(slots=True)
class Survey:
    """`reached`: index of each row that some input reaches, with such an input; `gap`: an input that no row covers."""

    reached: dict[int, Mapping[str, object]] = field(default_factory=dict)
    gap: Mapping[str, object] | None = None


def survey(rows: Sequence[Row], columns: Mapping[str, Column], within: int = 0, work_max: int = WORK_MAX) -> Survey:
    """Reachable rows and one gap. A row with a guard may be reached and covers nothing, as its guard may say no.

    `within` is a bit mask of rows: only inputs that all their cells accept are looked at. Raises TooComplex.
    """
    used = {name: sum(name in row.cells for row in rows) for row in rows for name in row.cells}
    order = sorted(used, key=lambda name: (-used[name], name))  # busy columns first: rows become certain or dead early
    classes = []
    for name in order:
        alike = {mask: value for mask, value in _classes(name, rows, columns[name]) if mask & within == within}
        if not alike:
            return Survey()  # the rows of `within` have nothing in common
        classes.append(list(alike.items()))
    guarded = sum(1 << index for index, row in enumerate(rows) if row.when)
    # rows without a cell in this column or a later one
    free = [
        sum(1 << index for index, row in enumerate(rows) if not any(name in row.cells for name in order[depth:]))
        for depth in range(len(order) + 1)
    ]
    found, seen = Survey(), set[tuple[int, int]]()

    def walk(depth: int, alive: int, path: tuple[object, ...]) -> None:
        certain = alive & free[depth] & ~guarded
        if certain:
            alive &= (certain & -certain) * 2 - 1  # what comes after the first certain row is never asked
        if (depth, alive) in seen:
            return
        seen.add((depth, alive))
        if len(seen) > work_max:
            raise TooComplex
        if alive & ~free[depth]:
            for mask, value in classes[depth]:
                walk(depth + 1, alive & mask, (*path, value))
            return
        rest = (each[0][1] for each in classes[depth:])
        sample = dict(zip(order, (*path, *rest), strict=True))
        for index in range(len(rows)):
            if alive >> index & 1:
                found.reached.setdefault(index, sample)
        if not certain and found.gap is None:
            found.gap = sample

    walk(0, (1 << len(rows)) - 1, ())
    return found


def _classes(name: str, rows: Sequence[Row], column: Column) -> list[tuple[int, object]]:
    """(rows that accept it, a value) for each class of alike values of the column."""
    always = sum(1 << index for index, row in enumerate(rows) if name not in row.cells)
    cells = [(1 << index, row.cells[name]) for index, row in enumerate(rows) if name in row.cells]
    values: Sequence[object]
    if isinstance(column, Choice):
        values = column.words
        accepts = [(bit, cell) for bit, cell in cells if not isinstance(cell, tuple)]
        masks = [always | sum(bit for bit, cell in accepts if value in cell) for value in values]
    else:
        spans = [(bit, cell) for bit, cell in cells if isinstance(cell, tuple)]
        starts = {column.low, *(low for _, (low, _) in spans), *(high + 1 for _, (_, high) in spans)}
        values = sorted(start for start in starts if column.low <= start <= column.high)
        masks = [always | sum(bit for bit, (low, high) in spans if low <= value <= high) for value in values]
    alike: dict[int, object] = {}
    for mask, value in zip(masks, values, strict=True):
        alike.setdefault(mask, value)
    return list(alike.items())
