"""Find an input that some rows accept and others do not: exactly, without trying inputs one by one.

All questions about a table are this one. Is a row reached? An input that it accepts and no earlier row does. Is there
a gap? An input that no row accepts. Does order decide between two rows? An input that both accept and no earlier row.

In each column the values fall into classes: two values are alike if the same rows accept both, and of two classes the
one whose rows include the other's is never the better choice for staying clear of rows. What is left is searched
column by column; a set of rows that could not be shaken off from a column on is not tried again.
"""

from collections.abc import Mapping, Sequence

from counterflow.core.policy.table import Row
from counterflow.core.policy.vocabulary import Choice, Column

WORK_MAX = 1_000_000  # steps of all searches over one table: a second or two


class TooComplex(Exception):
    """The bound on the work was passed: nothing is claimed about the table."""


class Space:
    """The inputs of a table, as its rows divide them. Rows are named by their index, sets of rows are bit masks."""

    def __init__(self, rows: Sequence[Row], columns: Mapping[str, Column], work_max: int = WORK_MAX) -> None:
        self._work_left = work_max
        # column -> (rows that accept it, a value) for each class of alike values; a row without a cell accepts all
        self._classes = {
            name: _classes(name, rows, columns[name]) for name in sorted({name for row in rows for name in row.cells})
        }
        self._mentions = {
            name: sum(1 << index for index, row in enumerate(rows) if name in row.cells) for name in self._classes
        }

    def find(self, within: int, avoid: int) -> Mapping[str, object] | None:
        """An input that all rows of `within` accept and no row of `avoid`: a value for each column that rows name.

        None if there is none. Raises TooComplex.
        """
        sample: dict[str, object] = {}
        order: list[tuple[str, list[tuple[int, object]]]] = []
        for name, classes in self._classes.items():
            open_to = {mask & avoid: value for mask, value in reversed(classes) if mask & within == within}
            if not open_to:
                return None
            best = [(mask, value) for mask, value in open_to.items() if not any(o & mask == o != mask for o in open_to)]
            if len(best) == 1:
                sample[name], avoid = best[0][1], avoid & best[0][0]
            else:
                order.append((name, sorted(best, key=lambda each: each[0].bit_count())))
        order.sort(key=lambda each: -(self._mentions[each[0]] & avoid).bit_count())
        later = [0] * (len(order) + 1)  # rows that a column from here on could still shake off
        for depth in range(len(order) - 1, -1, -1):
            later[depth] = later[depth + 1] | self._mentions[order[depth][0]]
        dead = set[tuple[int, int]]()

        def search(depth: int, alive: int) -> tuple[object, ...] | None:
            if alive & ~later[depth] or (depth, alive) in dead:
                return None
            if depth == len(order):
                return ()
            for mask, value in order[depth][1]:
                self._work_left -= 1
                if self._work_left < 0:
                    raise TooComplex
                rest = search(depth + 1, alive & mask)
                if rest is not None:
                    return (value, *rest)
            dead.add((depth, alive))
            return None

        values = search(0, avoid)
        if values is None:
            return None
        return {**sample, **dict(zip((name for name, _ in order), values, strict=True))}


def _classes(name: str, rows: Sequence[Row], column: Column) -> list[tuple[int, object]]:
    always = sum(1 << index for index, row in enumerate(rows) if name not in row.cells)
    cells = [(1 << index, row.cells[name]) for index, row in enumerate(rows) if name in row.cells]
    values: Sequence[object]
    if isinstance(column, Choice):
        values = column.words
        sets = [(bit, cell) for bit, cell in cells if not isinstance(cell, tuple)]
        masks = [always | sum(bit for bit, cell in sets if value in cell) for value in values]
    else:
        spans = [(bit, cell) for bit, cell in cells if isinstance(cell, tuple)]
        starts = {column.low, *(low for _, (low, _) in spans), *(high + 1 for _, (_, high) in spans)}
        values = sorted(start for start in starts if column.low <= start <= column.high)
        masks = [always | sum(bit for bit, (low, high) in spans if low <= value <= high) for value in values]
    alike: dict[int, object] = {}
    for mask, value in zip(masks, values, strict=True):
        alike.setdefault(mask, value)
    return list(alike.items())
