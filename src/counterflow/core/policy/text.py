"""A policy set as text: TOML in, TOML out. What is wrong is said with its line.

name = "house rules"
valid_from = 2026-01-01T00:00:00Z

[[eligibility]]
id = "window"
if.country = ["DE", "FR"]                # a word, or several; EU and EEA stand for their members
if.days_since_delivery = { max = 30 }    # a range, both ends included, or one number
if.final_sale = false
when = "quantity < 5 || regime == 'business'"
then.decision = "approve"
then.reason_code = "in_window"
note = "for people"
"""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import cast

from counterflow.core.money import Money
from counterflow.core.policy.check import check_set
from counterflow.core.policy.table import (
    Answer,
    Cell,
    CompileGuard,
    Golden,
    Guard,
    GuardError,
    PolicySet,
    Problem,
    Row,
    Table,
    policy_set,
)
from counterflow.core.policy.vocabulary import (
    COUNTRY_GROUPS,
    DEFAULT_CATEGORIES,
    TABLES,
    Column,
    Span,
    columns,
)
from counterflow.core.policy.words import grouped

TEXT_MAX = 1_000_000  # characters
WHEN_MAX = 500
_ROW_KEYS = ("id", "if", "when", "then", "note")
_GOLDEN_KEYS = ("name", "table", "inputs", "expect")
_TOP_KEYS = ("name", "valid_from", "vocabulary", "golden", *TABLES)


def parse(text: str, compile_guard: CompileGuard | None = None) -> PolicySet | list[Problem]:
    """The policy set of a TOML text, checked completely; or all its errors, each with its line where known."""
    if len(text) > TEXT_MAX:
        return [_problem(f"{len(text)} characters are more than {TEXT_MAX}", "Split the policy into several sets")]
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: TOMLDecodeError, and numbers of absurd length
        found = re.search(r"at line (\d+)", str(error))
        line = int(found[1]) if found else 0
        return [replace(_problem(f"this is no TOML: {error}", "Correct the line"), line=line)]
    result = read(data, compile_guard)
    if isinstance(result, PolicySet):
        return result
    lines = text.splitlines()
    return [problem if problem.line else replace(problem, line=_line(lines, problem)) for problem in result]


def read(data: Mapping[str, object], compile_guard: CompileGuard | None = None) -> PolicySet | list[Problem]:
    """The same from the parsed document (TOML or the JSON of a form): a checked set, or all its errors."""
    problems = [
        replace(_problem(f"there is no table {key}", f"Use {', '.join(_TOP_KEYS)}"), column=key)
        for key in data
        if key not in _TOP_KEYS
    ]
    valid_from, name = _instant(data.get("valid_from")), data.get("name", "")
    if valid_from is None:
        problems.append(_problem("valid_from is no instant", "Write valid_from = 2026-01-01T00:00:00Z"))
    if not isinstance(name, str):
        problems.append(_problem("name is no text", 'Write name = "house rules"'))
    categories = _categories(data.get("vocabulary", {}), problems)
    known = columns(categories)
    tables = {
        table: Table(table, tuple(_rows(table, data[table], known, compile_guard, problems)), known)
        for table in TABLES
        if table in data
    }
    golden = tuple(_goldens(data.get("golden", []), problems))
    draft = policy_set(str(name), valid_from or datetime.min.replace(tzinfo=UTC), {}, categories, golden)
    said = {(problem.table, problem.row) for problem in problems if problem.column == "when"}
    problems += [
        problem
        for problem in check_set(replace(draft, tables=tables))
        if problem.severity == "error" and not (problem.column == "when" and (problem.table, problem.row) in said)
    ]
    return problems or policy_set(draft.name, draft.valid_from, tables, categories, golden)


def _instant(raw: object) -> datetime | None:
    """An instant in UTC; JSON writes it as text."""
    try:
        instant = datetime.fromisoformat(raw) if isinstance(raw, str) else raw
        return instant.astimezone(UTC) if isinstance(instant, datetime) and instant.tzinfo else None
    except (ValueError, OverflowError):
        return None


def _problem(what: str, next_move: str) -> Problem:
    return Problem("policy", "", what, next_move)


def _categories(section: object, problems: list[Problem]) -> tuple[str, ...]:
    listed = section.get("category", list(DEFAULT_CATEGORIES)) if isinstance(section, Mapping) else None
    words = isinstance(listed, list) and all(isinstance(each, str) and each for each in listed) and listed
    if not words or len(set(words)) != len(words) or (isinstance(section, Mapping) and set(section) - {"category"}):
        what, next_move = "[vocabulary] is not a list of product categories", 'Write category = ["general", "shoes"]'
        problems.append(_problem(what, next_move))
        return DEFAULT_CATEGORIES
    return tuple(words)


def _rows(
    table: str, raw: object, known: Mapping[str, Column], compile_guard: CompileGuard | None, problems: list[Problem]
) -> Iterable[Row]:
    if not isinstance(raw, list) or not all(isinstance(each, Mapping) for each in raw):
        problems.append(Problem(table, "", "the table is no list of rows", f"Write each row under [[{table}]]"))
        return
    for number, each in enumerate(raw, 1):
        row_id = each.get("id")
        row_id = row_id if isinstance(row_id, str) and row_id else f"#{number}"
        for key in sorted(set(each) - set(_ROW_KEYS)):
            next_move = f"Use {', '.join(_ROW_KEYS)}; conditions are if.{key}, answers then.{key}"
            problems.append(Problem(table, row_id, f"a row has no key {key}", next_move, column=key))
        conditions, answers = each.get("if", {}), each.get("then", {})
        when, note = each.get("when", ""), each.get("note", "")
        if not isinstance(conditions, Mapping) or not isinstance(answers, Mapping):
            problems.append(Problem(table, row_id, "if or then is no table", "Write if.<column> and then.<answer>"))
            conditions, answers = {}, {}
        if not isinstance(when, str) or not isinstance(note, str):
            problems.append(Problem(table, row_id, "when or note is no text", "Write it in quotes"))
            when, note = "", ""
        cells = {name: cast(Cell, _cell(name, cell, known.get(name))) for name, cell in conditions.items()}
        then = {name: cast(Answer, _answer(answer)) for name, answer in answers.items()}
        yield Row(row_id, cells, then, when, note, _guard(table, row_id, when, known, compile_guard, problems))


def _guard(
    table: str,
    row: str,
    when: str,
    known: Mapping[str, Column],
    compile_guard: CompileGuard | None,
    problems: list[Problem],
) -> Guard | None:
    if not when or compile_guard is None:
        return None
    try:
        if len(when) > WHEN_MAX:
            raise GuardError(f"it has more than {WHEN_MAX} characters: use columns, or split the row")
        return compile_guard(when, known)
    except GuardError as error:
        problems.append(Problem(table, row, f"the guard does not compile: {error}", "Correct `when`", column="when"))
        return None


def _cell(name: str, raw: object, column: Column | None) -> object:
    """A cell from its text form. What has no sound form stays as it is, for `check` to name."""
    if isinstance(raw, (str, bool)):
        raw = [raw]
    if isinstance(raw, list) and all(isinstance(each, (str, bool)) for each in raw):
        words: set[str | bool] = set()
        for each in raw:
            words |= COUNTRY_GROUPS.get(str(each), {each}) if name == "country" else {each}
        return frozenset(words)
    if isinstance(raw, int):
        return (raw, raw)
    if isinstance(raw, Mapping) and raw and not set(raw) - {"min", "max"}:
        low, high = (column.low, column.high) if isinstance(column, Span) else (0, 0)
        return (raw.get("min", low), raw.get("max", high))
    return raw


def _answer(raw: object) -> object:
    if isinstance(raw, Mapping) and "minor" in raw and not set(raw) - {"minor", "currency"}:
        currency = raw.get("currency", "")
        return Money(currency, raw["minor"]) if isinstance(currency, str) else raw
    return raw


def _goldens(raw: object, problems: list[Problem]) -> Iterable[Golden]:
    for number, each in enumerate(raw if isinstance(raw, list) else [raw], 1):
        name = each.get("name", f"#{number}") if isinstance(each, Mapping) else f"#{number}"
        sound = (
            isinstance(each, Mapping)
            and not set(each) - set(_GOLDEN_KEYS)
            and isinstance(each.get("table"), str)
            and isinstance(each.get("name", ""), str)
            and isinstance(each.get("inputs", {}), Mapping)
            and all(isinstance(value, (str, bool, int)) for value in each.get("inputs", {}).values())
            and isinstance(each.get("expect"), Mapping)
        )
        if sound:
            expect = {key: _answer(value) for key, value in each["expect"].items()}
            yield Golden(str(name), each["table"], each.get("inputs", {}), expect)
        else:
            next_move = "Write [[golden]] with name, table, inputs.<column> and expect.<answer>"
            problems.append(Problem("golden", str(name), "the golden case is not complete", next_move))


def _line(lines: Sequence[str], problem: Problem) -> int:
    """The line of the problem's cell, else of its row, else of its table; 0 if it is nowhere to be found."""
    heads = [number for number, line in enumerate(lines, 1) if re.match(r"\s*\[\[", line)]
    if problem.table == "policy":
        top = range(1, len(lines) + 1)
        return _first(lines, top, rf"\s*\[*\s*{re.escape(problem.column)}\b") if problem.column else 0
    blocks = [
        range(head, end)
        for head, end in pairwise([*heads, len(lines) + 1])
        if re.match(rf"\s*\[\[\s*{re.escape(problem.table)}\s*\]\]", lines[head - 1])
    ]
    if re.fullmatch(r"#\d+", problem.row):  # a row without an id is known by its place
        blocks = blocks[int(problem.row[1:]) - 1 :][:1]
    elif problem.row:
        row_id = rf"\s*(id|name)\s*=\s*[\"']{re.escape(problem.row)}[\"']"
        blocks = [block for block in blocks if _first(lines, block, row_id)][-1:]
    if not blocks:
        return 0
    cell = rf"(^|.*[\s.{{,]){re.escape(problem.column)}\s*="
    return (problem.column and _first(lines, blocks[0], cell)) or blocks[0][0]


def _first(lines: Sequence[str], among: range, pattern: str) -> int:
    return next((number for number in among if re.match(pattern, lines[number - 1])), 0)


def print_toml(policies: PolicySet) -> str:
    """The set as text that `parse` reads back to an equal set; the same set always gives the same text."""
    out = [f"name = {_quoted(policies.name)}", f"valid_from = {policies.valid_from.isoformat()}"]
    if policies.categories != DEFAULT_CATEGORIES:
        out += ["", "[vocabulary]", f"category = {_value(policies.categories)}"]
    for name in TABLES:
        if name not in policies.tables:
            continue
        known = policies.tables[name].columns
        for row in policies.tables[name].rows:
            out += ["", f"[[{name}]]", f"id = {_quoted(row.id)}"]
            out += [f"if.{key} = {_printed_cell(key, cell, known.get(key))}" for key, cell in row.cells.items()]
            out += [f"when = {_quoted(row.when)}"] if row.when else []
            out += [f"then.{key} = {_value(answer)}" for key, answer in row.then.items()]
            out += [f"note = {_quoted(row.note)}"] if row.note else []
    for case in policies.golden:
        out += ["", "[[golden]]", f"name = {_quoted(case.name)}", f"table = {_quoted(case.table)}"]
        out += [f"inputs.{key} = {_value(value)}" for key, value in case.inputs.items()]
        out += [f"expect.{key} = {_value(value)}" for key, value in case.expect.items()]
    return "\n".join(out) + "\n"


def _printed_cell(name: str, cell: Cell, column: Column | None) -> str:
    if isinstance(cell, tuple):
        low, high = cell
        if low == high:
            return str(low)
        ends = [] if isinstance(column, Span) and low == column.low else [f"min = {low}"]
        ends += [] if ends and isinstance(column, Span) and high == column.high else [f"max = {high}"]
        return f"{{ {', '.join(ends)} }}"
    if all(isinstance(each, bool) for each in cell):
        return _value(sorted(cell)[0]) if len(cell) == 1 else "[false, true]"
    words = grouped(name, cell)
    return _quoted(words[0]) if len(words) == 1 else _value(words)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Money):
        return f"{{ minor = {value.minor}, currency = {_quoted(value.currency)} }}"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {_value(each)}' for key, each in value.items())} }}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_value(each) for each in value)}]"
    return _quoted(value) if isinstance(value, str) else str(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
