"""What a policy is made of: rows in tables in a policy set, and what asking one gives: a hit, or a review.

Tables are plain data; `check` says whether they are sound, `evaluate` answers from them. First hit wins.
"""

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Protocol

from counterflow.core.ids import make_id
from counterflow.core.money import Money
from counterflow.core.policy.vocabulary import COLUMNS, DEFAULT_CATEGORIES, Choice, Column
from counterflow.core.policy.words import in_words

Cell = frozenset[str] | frozenset[bool] | tuple[int, int]  # allowed words, or lowest and highest (both included)
Answer = str | bool | int | Money | Mapping[str, int]


class Guard(Protocol):
    """A compiled `when` cell. Anything but True or False, or an exception, is a reason to ask a person."""

    @property
    def names(self) -> frozenset[str]:
        """The inputs it reads."""
        ...

    def __call__(self, inputs: Mapping[str, object]) -> bool: ...


class GuardError(ValueError):
    """A `when` cell that cannot be a guard; the message says what is wrong and what to write instead."""


# Raises GuardError.
CompileGuard = Callable[[str, Mapping[str, Column]], Guard]


@dataclass(frozen=True, slots=True)
class Row:
    """One line: if all cells hold (an absent cell holds for any value) and the guard says yes, `then` is the answer."""

    id: str
    cells: Mapping[str, Cell]
    then: Mapping[str, Answer]
    when: str = ""
    note: str = ""
    guard: Guard | None = field(default=None, compare=False)

    @property
    def is_fallback(self) -> bool:
        """It holds for everything that no row before it took."""
        return not self.cells and not self.when


@dataclass(frozen=True)
class Table:
    """A decision table; `columns` is the vocabulary that its cells are checked against."""

    name: str
    rows: tuple[Row, ...]
    columns: Mapping[str, Column] = field(default_factory=lambda: COLUMNS, repr=False)
    version: str = ""

    @cached_property
    def plan(self) -> "Plan":
        """The table laid out once for all evaluations."""
        return Plan.of(self)


@dataclass(frozen=True, slots=True)
class Plan:
    """A table laid out for evaluation: plain tuples, and for a cell of either kind something that `in` works on."""

    inputs: tuple[tuple[str, type, Container[object]], ...]  # name, type, vocabulary
    rows: tuple[tuple[Row, tuple[tuple[str, Container[object]], ...], tuple[str, ...]], ...]  # row, cells, in words

    @classmethod
    def of(cls, table: Table) -> "Plan":
        """Lay out a table."""
        names = sorted({name for row in table.rows for name in (*row.cells, *(row.guard.names if row.guard else ()))})
        inputs: list[tuple[str, type, Container[object]]] = []
        for column, name in ((table.columns[name], name) for name in names):
            if isinstance(column, Choice):
                inputs.append((name, column.kind, frozenset(column.words)))
            else:
                inputs.append((name, int, range(column.low, column.high + 1)))
        rows = []
        for row in table.rows:
            tests = tuple((name, _container(cell)) for name, cell in row.cells.items())
            words = tuple(in_words(name, cell, table.columns[name]) for name, cell in row.cells.items())
            rows.append((row, tests, words))
        return cls(tuple(inputs), tuple(rows))


def _container(cell: Cell) -> Container[object]:
    return range(cell[0], cell[1] + 1) if isinstance(cell, tuple) else cell


@dataclass(frozen=True, slots=True)
class Hit:
    """The answer of a table: which row of which version, what it says, the conditions that matched, the inputs read."""

    table: str
    row: str
    version: str
    outputs: Mapping[str, Answer]
    because: tuple[str, ...]
    inputs: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Review:
    """The table cannot answer for sure, so a person must: `why` names the input or guard and the next move.

    `row` is where it stopped (empty: before the first), `names` the inputs that are missing or wrong.
    """

    table: str
    row: str
    version: str
    why: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about a policy that a person should change (`error`: it cannot be used) or know (`note`)."""

    table: str
    row: str
    what: str
    next_move: str
    severity: str = "error"  # error | note
    column: str = ""  # the cell, where it is one
    line: int = 0  # in the policy's text, where known
    sample: Mapping[str, object] | None = None  # inputs that show it

    def __str__(self) -> str:
        where = " ".join(
            part
            for part in (f"line {self.line}" if self.line else "", self.table, f"row {self.row}" if self.row else "")
            if part
        )
        return f"{self.severity}: {where}: {self.what}. {self.next_move}."


@dataclass(frozen=True, slots=True)
class Golden:
    """A case whose answer is agreed: `expect` holds outputs, and `row` or `needs_review` where they matter.

    Flags that `inputs` leaves out are False.
    """

    name: str
    table: str
    inputs: Mapping[str, object]
    expect: Mapping[str, object]


@dataclass(frozen=True)
class PolicySet:
    """All tables of one version. Build it with `policy_set`, which derives the version from what decides."""

    version: str
    name: str
    valid_from: datetime  # UTC
    tables: Mapping[str, Table]
    categories: tuple[str, ...] = DEFAULT_CATEGORIES
    golden: tuple[Golden, ...] = ()


def policy_set(
    name: str,
    valid_from: datetime,
    tables: Mapping[str, Table],
    categories: tuple[str, ...] = DEFAULT_CATEGORIES,
    golden: tuple[Golden, ...] = (),
) -> PolicySet:
    """A set; its version (`pv_`) is a hash of what decides: start, categories, rows. Not of names, notes, goldens."""
    content = [valid_from.isoformat(), *categories]
    for table_name in sorted(tables):
        content.append(f"[{table_name}]")
        for row in tables[table_name].rows:
            cells = (f"{key}={cell if isinstance(cell, tuple) else sorted(cell)}" for key, cell in row.cells.items())
            then = (f"{key}={_plain(answer)}" for key, answer in row.then.items())
            content += [row.id, *sorted(cells), row.when, *sorted(then)]
    version = make_id("pv", *content)
    named = {key: replace(table, version=version) for key, table in tables.items()}
    return PolicySet(version, name, valid_from, named, categories, golden)


def _plain(answer: Answer) -> str:
    return str(sorted(answer.items())) if isinstance(answer, Mapping) else repr(answer)


def in_force(sets: Iterable[PolicySet], at: datetime) -> PolicySet | None:
    """The set that counts at `at` (UTC): the latest start not after it; None if none had started.

    Raises ValueError where two different sets start at the same instant: move one of them.
    """
    started = [each for each in sets if each.valid_from <= at]
    if not started:
        return None
    latest = max(each.valid_from for each in started)
    newest = [each for each in started if each.valid_from == latest]
    if len({each.version for each in newest}) > 1:
        versions = ", ".join(sorted(each.version for each in newest))
        raise ValueError(f"policy sets {versions} all start at {latest.isoformat()}: move the start of all but one")
    return newest[0]
