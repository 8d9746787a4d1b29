"""Check a policy completely before it is saved: every error a table can have, found without running it."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from counterflow.core.money import Money
from counterflow.core.policy.cover import Space, TooComplex
from counterflow.core.policy.evaluate import show
from counterflow.core.policy.table import Golden, PolicySet, Problem, Row, Table
from counterflow.core.policy.vocabulary import (
    COLUMNS,
    CURRENCIES,
    EXCLUSIVE_OUTPUTS,
    GRADES,
    TABLES,
    Amount,
    Choice,
    Column,
    Output,
    Ppm,
    PpmByGrade,
    Span,
    Word,
)

ROWS_MAX = 500
OVERLAPS_MAX = 2_000  # pairs of rows looked at: notes are worth a second, not a minute


def check(table: Table, outputs: Mapping[str, Output] | None = None) -> list[Problem]:
    """Everything that is wrong with a table (errors) and what its author should know (notes).

    `outputs` is what the table may answer, by default that of the policy table of its name.
    """
    may_answer = TABLES.get(table.name) if outputs is None else outputs
    if may_answer is None:
        next_move = f"Name it one of {', '.join(TABLES)}{_meant(table.name, TABLES)}"
        return [Problem(table.name, "", "there is no such table", next_move)]
    if len(table.rows) > ROWS_MAX:
        return [
            Problem(
                table.name, "", f"{len(table.rows)} rows are more than {ROWS_MAX}", "Merge rows with sets of values"
            )
        ]
    problems = [problem for row in table.rows for problem in _conditions(table, row)]
    readable = not problems
    problems += [problem for row in table.rows for problem in _answers(table, row, may_answer)]
    ids = [row.id for row in table.rows]
    for twice in sorted({each for each in ids if ids.count(each) > 1}):
        problems.append(
            Problem(table.name, twice, "two rows have this id", "Give each row its own id: decisions keep it")
        )
    if not table.rows or not table.rows[-1].is_fallback:
        next_move = "Add a last row without conditions that says what happens when no other row holds"
        problems.append(Problem(table.name, "", "the last row is no fallback", next_move))
    if readable:
        problems += _coverage(table)
    return problems


def check_set(policies: PolicySet) -> list[Problem]:
    """`check` of every table, the tables that are missing, and golden cases that name what does not exist."""
    problems = []
    for name in TABLES:
        if name not in policies.tables:
            problems.append(Problem(name, "", "the table is missing", f"Add [[{name}]] with at least a fallback row"))
    for table in policies.tables.values():
        problems += check(table)
    for case in policies.golden:
        problems += _golden(policies, case)
    return problems


def _golden(policies: PolicySet, case: Golden) -> Iterable[Problem]:
    def problem(what: str, next_move: str, column: str) -> Problem:
        return Problem("golden", case.name, what, next_move, column=column)

    answers = TABLES.get(case.table)
    if answers is None:
        yield problem(
            f"there is no table {case.table}", f"Use {', '.join(TABLES)}{_meant(case.table, TABLES)}", "table"
        )
        return
    columns = policies.tables[case.table].columns if case.table in policies.tables else COLUMNS
    for name in sorted(set(case.inputs) - set(columns)):
        yield problem(f"there is no input {name}", f"Use a column of the vocabulary{_meant(name, columns)}", name)
    for name in sorted(set(case.expect) - set(answers) - {"row", "needs_review"}):
        yield problem(f"{case.table} does not answer {name}", f"Use {', '.join(answers)}, row, needs_review", name)
    if not case.expect:
        yield problem("the case expects nothing", "Say in `expect` what the answer must be", "expect")


def _conditions(table: Table, row: Row) -> Iterable[Problem]:
    def problem(what: str, next_move: str, column: str) -> Problem:
        return Problem(table.name, row.id, what, next_move, column=column)

    if not row.id or not row.id.replace("-", "").replace("_", "").isalnum() or len(row.id) > 80:
        yield problem(f"the row id {row.id[:80]!r} is not usable", "Use letters, digits and dashes, at most 80", "id")
    for name, cell in row.cells.items():
        column = table.columns.get(name)
        if column is None:
            yield problem(
                f"there is no column {name}", f"Use a column of the vocabulary{_meant(name, table.columns)}", name
            )
        else:
            for what, next_move in _cell(name, cell, column):
                yield problem(what, next_move, name)
    if "amount_minor" in row.cells and "currency" not in row.cells:
        yield problem("amount_minor is bounded without a currency", "Add if.currency to the row", "amount_minor")
    if row.when and row.guard is None:
        yield problem("the guard is not compiled", "Load the policy with a guard compiler, or remove `when`", "when")
    if row.guard is not None:
        for name in sorted(row.guard.names - set(table.columns)):
            next_move = f"Use names of the vocabulary{_meant(name, table.columns)}"
            yield problem(f"the guard reads {name}, which is no input", next_move, "when")


def _answers(table: Table, row: Row, outputs: Mapping[str, Output]) -> Iterable[Problem]:
    def problem(what: str, next_move: str, column: str) -> Problem:
        return Problem(table.name, row.id, what, next_move, column=column)

    for name, answer in row.then.items():
        output = outputs.get(name)
        if output is None:
            yield problem(f"the table does not answer {name}", f"Use {', '.join(outputs)}{_meant(name, outputs)}", name)
        else:
            for what, next_move in _answer(name, answer, output):
                yield problem(what, next_move, name)
    for name, output in outputs.items():
        if output.required and name not in row.then:
            yield problem(f"the row does not say {name}", f"Add then.{name}", "then")
    both = EXCLUSIVE_OUTPUTS.get(table.name, ())
    if both and all(name in row.then for name in both):
        yield problem(f"the row says both {' and '.join(both)}", "Keep one of them: a fee is a share or a sum", both[0])


def _cell(name: str, cell: object, column: Column) -> Iterable[tuple[str, str]]:
    if isinstance(column, Choice):
        if not isinstance(cell, frozenset):
            yield (
                f"{name} is {_short(cell)}, which is not a set of values",
                f"Write one or more of {_some(column.words)}",
            )
            return
        if not cell:
            yield f"{name} allows no value at all", "Name a value, or leave the cell out to allow any"
        for value in sorted(cell, key=str):
            if type(value) is not column.kind or value not in column.words:
                next_move = f"Use {_some(column.words)}{_meant(str(value), map(str, column.words))}"
                yield f"{name} cannot be {_short(value)}", next_move
        return
    if not isinstance(cell, tuple) or len(cell) != 2 or any(type(end) is not int for end in cell):
        yield (
            f"{name} is {_short(cell)}, which is no range",
            "Write { min = 0, max = 30 } (both included) or one whole number",
        )
        return
    low, high = cell
    if low > high:
        yield f"{name} from {low} to {high} is empty", "Let min be at most max"
    elif low < column.low or high > column.high:
        yield f"{name} from {low} to {high} is outside {column.low} to {column.high}", "Keep within the column's range"


def _answer(name: str, answer: object, output: Output) -> Iterable[tuple[str, str]]:
    match output:
        case Word(words=words):
            if type(answer) is not type(words[0]) or answer not in words:
                yield f"{name} cannot be {_short(answer)}", f"Use {_some(words)}{_meant(str(answer), map(str, words))}"
        case Ppm():
            if type(answer) is not int or not 0 <= answer <= 1_000_000:
                yield f"{name} is {_short(answer)}", "Write parts per million from 0 to 1000000: 15 % is 150000"
        case PpmByGrade():
            sound = isinstance(answer, Mapping) and set(answer) == set(GRADES)
            if not sound or any(type(each) is not int or not 0 <= each <= 1_000_000 for each in answer.values()):  # type: ignore[attr-defined]
                yield (
                    f"{name} is {_short(answer)}",
                    "Write { A = 0, B = 100000, C = 300000, D = 600000 } in parts per million",
                )
        case Amount():
            if not isinstance(answer, Money) or not answer.currency:
                next_move = 'Write { minor = 500, currency = "EUR" }'
                yield f"{name} is {_short(answer)}, an amount without a currency", next_move
            elif answer.currency not in CURRENCIES:
                next_move = f"Use an ISO 4217 code{_meant(answer.currency, CURRENCIES)}"
                yield f"{name} has the currency {_short(answer.currency)}", next_move
            elif type(answer.minor) is not int or not 0 <= answer.minor <= 10**15:
                yield (
                    f"{name} is {_short(answer.minor)} minor units",
                    "Write a whole number of minor units, not negative",
                )


def _coverage(table: Table) -> Iterable[Problem]:
    space = Space(table.rows, table.columns)
    # A row with a guard covers nothing: its guard may say no.
    covers = [0 if row.when else 1 << index for index, row in enumerate(table.rows)]
    try:
        reached = []
        for index, row in enumerate(table.rows):
            if space.find(within=1 << index, avoid=sum(covers[:index])) is not None:
                reached.append(index)
            elif row.is_fallback and index == len(table.rows) - 1:
                yield Problem(
                    table.name, row.id, "the fallback is never reached", "Keep it: it guards later edits", "note"
                )
            else:
                next_move = "Move it up, narrow the rows before it, or remove it"
                yield Problem(
                    table.name, row.id, "the row is never reached: earlier rows take all it holds for", next_move
                )
        gap = space.find(within=0, avoid=sum(covers))
        if gap is not None:
            what, next_move = f"no row covers {_sample(gap)}", "Add a row for it, or a last row without conditions"
            yield Problem(table.name, "", what, next_move, sample=gap)
        yield from _overlaps(table, space, covers, reached)
    except TooComplex:
        what = "the table is too large to be checked completely"
        yield Problem(table.name, "", what, "Split rows that name many columns, or use fewer ranges")


def _overlaps(table: Table, space: Space, covers: Sequence[int], reached: Sequence[int]) -> Iterable[Problem]:
    """Rows that both hold for some input, answer differently, and of which neither is an exception of the other."""
    looks = 0
    for later in reached:
        row = table.rows[later]
        before, sample = [], None
        for earlier in reached[: reached.index(later)]:
            other = table.rows[earlier]
            if row.is_fallback or other.then == row.then or _inside(other, row, table) or _inside(row, other, table):
                continue
            looks += 1
            if looks > OVERLAPS_MAX:
                what = f"from here on overlaps were not looked for: more than {OVERLAPS_MAX} pairs of rows"
                yield Problem(table.name, row.id, what, "Add golden cases for what must not change", "note")
                return
            both = space.find(within=1 << earlier | 1 << later, avoid=sum(covers[:earlier]))
            if both is not None:
                before.append(other.id)
                sample = sample or both
        if sample is not None:
            against = ", ".join(before[:3]) + (f" and {len(before) - 3} more" if len(before) > 3 else "")
            what = f"order decides against {against}: both hold and answer differently, for {_sample(sample)}"
            next_move = "Read both rows for that case; reorder them if the later one should win"
            yield Problem(table.name, row.id, what, next_move, "note", sample=sample)


def _inside(inner: Row, outer: Row, table: Table) -> bool:
    """Whether all inputs that `inner`'s cells accept are accepted by `outer`'s: an exception before its rule."""
    for name, wide in outer.cells.items():
        narrow = inner.cells.get(name)
        column = table.columns[name]
        if narrow is None:
            narrow = (column.low, column.high) if isinstance(column, Span) else frozenset(column.words)  # type: ignore[assignment]
        if isinstance(wide, tuple) and isinstance(narrow, tuple):
            if not wide[0] <= narrow[0] <= narrow[1] <= wide[1]:
                return False
        elif not narrow <= wide:  # type: ignore[operator]
            return False
    return True


def _sample(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} = {show(value)}" for name, value in values.items()) or "any input"


def _some(words: Iterable[object]) -> str:
    listed = [str(word).lower() if isinstance(word, bool) else str(word) for word in words]
    return ", ".join(listed) if len(listed) <= 24 else f"{', '.join(listed[:6])} and {len(listed) - 6} more"


def _meant(word: str, words: Iterable[str]) -> str:
    close = get_close_matches(word, list(words), 1)
    return f" (did you mean {close[0]}?)" if close else ""


def _short(value: object) -> str:
    return repr(value)[:60]
