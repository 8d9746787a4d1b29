"""Small tables over a small vocabulary: small enough to try every input there is."""

from collections.abc import Iterator, Mapping
from itertools import product

from hypothesis import strategies as st

from counterflow.core.policy import Choice, Column, Row, Span, Table
from counterflow.core.policy.table import Cell

SMALL: Mapping[str, Column] = {
    "channel": Choice(("web", "store", "marketplace")),
    "grade": Choice(("A", "B", "C")),
    "final_sale": Choice((False, True)),
    "days_since_delivery": Span(0, 9),
    "quantity": Span(1, 4),
}
DISPOSITIONS = ("restock", "scrap", "hold")


def a_row(row_id: str, then: str = "hold", when: str = "", guard=None, **cells) -> Row:
    """A disposition row; a cell is a word, a flag, a set of words or (low, high)."""
    made = {name: cell if isinstance(cell, (frozenset, tuple)) else frozenset({cell}) for name, cell in cells.items()}
    return Row(row_id, made, {"disposition": then}, when, guard=guard)


def a_table(*rows: Row, columns: Mapping[str, Column] = SMALL) -> Table:
    return Table("disposition", rows, columns, "pv_test")


def every_input() -> Iterator[dict[str, object]]:
    axes = [each.words if isinstance(each, Choice) else range(each.low, each.high + 1) for each in SMALL.values()]
    for values in product(*axes):
        yield dict(zip(SMALL, values, strict=True))


class SaysIf:
    """A guard that is no expression: true for these grades."""

    def __init__(self, grades: frozenset[str]) -> None:
        self.grades = grades
        self.names = frozenset({"grade"})

    def __call__(self, inputs: Mapping[str, object]) -> bool:
        return inputs["grade"] in self.grades


def _cells(column: Column) -> st.SearchStrategy[Cell]:
    if isinstance(column, Choice):
        return st.frozensets(st.sampled_from(column.words), min_size=1)  # type: ignore[return-value]
    ends = st.integers(column.low, column.high)
    return st.tuples(ends, ends).map(lambda pair: (min(pair), max(pair)))


@st.composite
def rows(draw, row_id: str, guards: bool = True) -> Row:
    names = draw(st.frozensets(st.sampled_from(sorted(SMALL)), max_size=4))
    cells = {name: draw(_cells(SMALL[name])) for name in sorted(names)}
    then = {"disposition": draw(st.sampled_from(DISPOSITIONS))}
    if guards and draw(st.integers(0, 4)) == 0:
        return Row(row_id, cells, then, "by grade", guard=SaysIf(draw(st.frozensets(st.sampled_from("ABC")))))
    return Row(row_id, cells, then)


@st.composite
def tables(draw, guards: bool = True) -> Table:
    """A table with or without a fallback."""
    listed = [draw(rows(f"row-{number}", guards)) for number in range(draw(st.integers(0, 6)))]
    if draw(st.booleans()):
        listed.append(a_row("otherwise"))
    return a_table(*listed)
