"""What `check` says about a table is true, and complete."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings

from counterflow.core.money import Money
from counterflow.core.policy import Hit, Problem, Review, Row, Table, check, evaluate
from counterflow.core.policy import cover as cover_module
from counterflow.core.policy.vocabulary import COLUMNS
from tests.core.policy.tables import SaysIf, a_row, a_table, every_input, rows, tables

NEVER = "the row is never reached"


def errors(table: Table) -> list[Problem]:
    return [problem for problem in check(table) if problem.severity == "error"]


def whats(table: Table) -> str:
    return "\n".join(str(problem) for problem in check(table))


def first_match(table: Table, inputs: Mapping[str, Any]) -> str | None:
    """The row that evaluation must find, found the slow way."""
    for row in table.rows:
        holds = all(
            cell[0] <= inputs[name] <= cell[1] if isinstance(cell, tuple) else inputs[name] in cell
            for name, cell in row.cells.items()
        )
        if holds and (row.guard is None or row.guard(inputs)):
            return row.id
    return None


# ---- what it claims holds for every input ----------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(tables(guards=False))
def test_rows_reached_and_gaps_are_exactly_those_that_trying_every_input_finds(table):
    tried = {first_match(table, inputs) for inputs in every_input()}
    problems = check(table)
    gap = [problem for problem in problems if "no row covers" in problem.what]
    assert bool(gap) == (None in tried)
    never = {problem.row for problem in problems if "never reached" in problem.what}
    assert never == {row.id for row in table.rows} - tried
    for problem in gap:
        full = {**next(every_input()), **(problem.sample or {})}
        assert first_match(table, full) is None


@settings(max_examples=60, deadline=None)
@given(tables())
def test_with_guards_a_row_that_is_said_to_be_never_reached_is_never_hit_and_without_a_gap_every_input_hits(table):
    problems = check(table)
    never = {problem.row for problem in problems if "never reached" in problem.what}
    gap = any("no row covers" in problem.what for problem in problems)
    for inputs in every_input():
        result = evaluate(table, inputs)
        assert (result.row if isinstance(result, Hit) else None) == first_match(table, inputs)
        assert result.row not in never or result.row == ""
        if not gap:
            assert isinstance(result, Hit)


@settings(max_examples=60, deadline=None)
@given(tables(), rows("extra", guards=False))
def test_without_its_fallback_a_table_says_so_and_shows_a_gap_if_there_is_one(table, extra):
    bare = a_table(*(row for row in table.rows if not row.is_fallback), extra)
    problems = check(bare)
    if not extra.is_fallback:
        assert any("no fallback" in problem.what for problem in problems)
    sure = a_table(*(row for row in bare.rows if row.guard is None))
    uncovered = any(first_match(sure, inputs) is None for inputs in every_input())
    assert any("no row covers" in problem.what for problem in problems) == uncovered


@settings(max_examples=60, deadline=None)
@given(tables(guards=False))
def test_a_note_on_order_shows_an_input_where_swapping_the_rows_changes_the_answer(table):
    for problem in check(table):
        if "order decides" in problem.what:
            inputs = {**next(every_input()), **(problem.sample or {})}
            without_first = a_table(*(row for row in table.rows if row.id != first_match(table, inputs)))
            later = next(row for row in table.rows if row.id == problem.row)
            assert first_match(a_table(later), inputs) == later.id
            hit = evaluate(table, inputs)
            assert isinstance(hit, Hit) and hit.outputs != later.then
            assert first_match(without_first, inputs) is not None


# ---- examples, one for each kind of problem --------------------------------------------------------------------------


def test_a_sound_table_has_no_errors():
    assert errors(a_table(a_row("a", "restock", grade="A"), a_row("otherwise"))) == []


def test_removing_the_fallback_is_reported_with_an_input_that_no_row_covers():
    (missing, gap) = errors(a_table(a_row("a", grade=frozenset({"A", "B"}))))
    assert "no fallback" in missing.what and "last row" in missing.next_move
    assert gap.sample == {"grade": "C"}


def test_a_gap_between_two_ranges_is_found_to_the_day():
    early = a_row("early", days_since_delivery=(0, 4))
    late = a_row("late", days_since_delivery=(6, 9))
    assert [p.sample for p in errors(a_table(early, late)) if p.sample] == [{"days_since_delivery": 5}]


def test_a_row_that_several_rows_hide_together_is_never_reached():
    table = a_table(
        a_row("sets", "restock", grade=frozenset({"A", "B"})),
        a_row("ranges", "scrap", grade="C", days_since_delivery=(0, 9)),
        a_row("hidden", "hold", channel="web"),
        a_row("otherwise"),
    )
    assert [problem.row for problem in errors(table) if NEVER in problem.what] == ["hidden"]


def test_a_row_behind_a_guard_is_reachable_for_the_guard_may_say_no():
    guarded = a_row("guarded", "scrap", "by grade", SaysIf(frozenset("A")), channel="web")
    assert errors(a_table(guarded, a_row("same", "restock", channel="web"), a_row("otherwise"))) == []


def test_a_fallback_that_nothing_reaches_is_a_note_and_stays():
    table = a_table(a_row("yes", final_sale=True), a_row("no", final_sale=False), a_row("otherwise"))
    (note,) = check(table)
    assert note.severity == "note" and note.row == "otherwise"


def test_overlaps_with_different_answers_are_notes_and_exceptions_before_their_rule_are_none():
    crossing = a_table(a_row("a", "restock", grade="A"), a_row("web", "scrap", channel="web"), a_row("otherwise"))
    (note,) = check(crossing)
    assert note.severity == "note" and note.row == "web" and note.sample == {"channel": "web", "grade": "A"}
    exception = a_table(
        a_row("a", "restock", grade="A", channel="web"), a_row("web", "scrap", channel="web"), a_row("z")
    )
    assert check(exception) == []


def test_overlaps_that_an_earlier_row_takes_are_no_news():
    table = a_table(
        a_row("both", "hold", grade="A", channel="web"),
        a_row("a", "restock", grade="A"),
        a_row("web", "scrap", channel="web"),
        a_row("otherwise"),
    )
    assert check(table) == []


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (a_row("r", chanel="web"), "did you mean channel"),
        (a_row("r", channel="webb"), "did you mean web"),
        (a_row("r", final_sale="yes"), "final_sale cannot be 'yes'"),
        (a_row("r", quantity="many"), "no range"),
        (a_row("r", grade=(1, 2)), "not a set of values"),
        (a_row("r", grade=frozenset()), "no value at all"),
        (a_row("r", quantity=(3, 2)), "is empty"),
        (a_row("r", quantity=(0, 2)), "outside 1 to"),
        (a_row("r", quantity=(1.5, 2)), "no range"),
        (a_row("r", amount_minor=(0, 100)), "without a currency"),
        (a_row("r", "restok"), "did you mean restock"),
        (Row("r", {}, {}), "does not say disposition"),
        (Row("r", {}, {"disposition": "hold", "decision": "approve"}), "does not answer decision"),
        (Row("no spaces", {}, {"disposition": "hold"}), "not usable"),
        (a_row("r", when="quantity > 1"), "not compiled"),
        (a_row("r", when="by grade", guard=type("G", (), {"names": frozenset({"colour"})})()), "reads colour"),
    ],
)
def test_each_mistake_is_named_with_its_row_and_the_next_move(row, said):
    table = a_table(row, a_row("otherwise"), columns=COLUMNS)
    found = [problem for problem in errors(table) if said in str(problem)]
    assert found and found[0].row == row.id and found[0].next_move


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ({"restocking_fee": Money("EUR", 500), "restocking_fee_ppm": 1}, "says both"),
        ({"restocking_fee": 500}, "without a currency"),
        ({"restocking_fee": Money("", 500)}, "without a currency"),
        ({"restocking_fee": Money("EUX", 500)}, "ISO 4217"),
        ({"restocking_fee": Money("EUR", -1)}, "not negative"),
        ({"restocking_fee_ppm": 1_000_001}, "parts per million"),
        ({"restocking_fee_ppm": 0.15}, "parts per million"),
        ({"restocking_fee_ppm": True}, "parts per million"),
        ({"value_loss_ppm": {"A": 0}}, "parts per million"),
        ({"value_loss_ppm": {"A": 0, "B": 0, "C": 0, "D": -1}}, "parts per million"),
    ],
)
def test_fees_are_shares_or_money_and_money_has_a_currency(then, said):
    table = Table("fees", (Row("otherwise", {}, {"shipping_refund": "none", "promotion": "re_price", **then}),))
    assert any(said in str(problem) for problem in errors(table))


def test_an_unknown_table_repeated_ids_and_too_many_rows_are_errors():
    assert "did you mean fees" in whats(Table("fee", ()))
    assert "two rows have this id" in whats(a_table(a_row("twice", grade="A"), a_row("twice")))
    assert "more than 500" in whats(a_table(*(a_row(f"r{n}") for n in range(501))))


def test_a_table_beyond_the_work_bound_is_refused_and_not_waved_through(monkeypatch):
    grades = [a_row(f"grade-{grade}", grade=grade) for grade in "ABC"]
    monkeypatch.setattr(cover_module.Space.__init__, "__defaults__", (0,))
    assert any("too large to be checked" in problem.what for problem in errors(a_table(*grades, a_row("otherwise"))))


def test_evaluation_of_an_unchecked_table_with_a_gap_asks_a_person():
    result = evaluate(a_table(a_row("a", grade="A")), {"grade": "B"})
    assert isinstance(result, Review) and "last row" in result.why
