"""Asking a table: first hit wins, and what is not known for sure is left to a person."""

from datetime import UTC, datetime

import pytest

from counterflow.core.policy import Hit, Review, evaluate, explain, in_force, policy_set
from tests.core.policy.tables import a_row, a_table

TABLE = a_table(
    a_row("worn", "scrap", grade="C"),
    a_row("fresh", "restock", grade=frozenset({"A", "B"}), days_since_delivery=(0, 5)),
    a_row("otherwise"),
)


class Guard:
    names = frozenset({"quantity"})

    def __init__(self, answer):
        self.answer = answer

    def __call__(self, inputs):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def guarded(answer):
    return a_table(a_row("guarded", "scrap", "quantity > 2", Guard(answer), grade="A"), a_row("otherwise"))


def test_the_first_row_that_holds_answers_with_its_id_version_reasons_and_inputs():
    hit = evaluate(TABLE, {"grade": "A", "days_since_delivery": 5, "channel": "web"})
    assert hit == Hit(
        "disposition",
        "fresh",
        "pv_test",
        {"disposition": "restock"},
        ("grade is A or B", "days since delivery at most 5"),
        {"grade": "A", "days_since_delivery": 5},
    )


def test_the_explanation_is_one_sentence_with_answer_row_version_and_conditions():
    said = explain(evaluate(TABLE, {"grade": "A", "days_since_delivery": 5}))
    assert said == (
        "The disposition table of pv_test answers disposition restock by row fresh, because grade is A or B; "
        "days since delivery at most 5 (read: days_since_delivery = 5, grade = A)."
    )
    assert "no earlier row applied" in explain(evaluate(TABLE, {"grade": "A", "days_since_delivery": 6}))
    assert explain(evaluate(TABLE, {"grade": "A"})).startswith(
        "The disposition table of pv_test asks a person: row fresh"
    )


def test_a_missing_input_matters_only_where_the_answer_depends_on_it():
    assert isinstance(evaluate(TABLE, {"grade": "C"}), Hit)
    result = evaluate(TABLE, {"grade": "B", "days_since_delivery": None})
    assert isinstance(result, Review) and result.names == ("days_since_delivery",) and result.row == "fresh"


@pytest.mark.parametrize(
    "inputs",
    [
        {"grade": "E", "days_since_delivery": 1},
        {"grade": ["A"], "days_since_delivery": 1},
        {"grade": True, "days_since_delivery": 1},
        {"grade": "C", "days_since_delivery": "1"},
        {"grade": "C", "days_since_delivery": True},
        {"grade": "C", "days_since_delivery": 1.0},
        {"grade": "C", "days_since_delivery": -1},
        {"grade": "C", "days_since_delivery": 10},
    ],
)
def test_a_wrong_value_or_type_needs_review_and_never_falls_to_a_later_row(inputs):
    result = evaluate(TABLE, inputs)
    assert isinstance(result, Review)
    assert result.names[0] in result.why and result.row == ""


def test_a_guard_that_says_yes_answers_and_one_that_says_no_passes_on():
    yes = evaluate(guarded(True), {"grade": "A", "quantity": 3})
    assert isinstance(yes, Hit) and yes.row == "guarded" and yes.because == ("grade is A", "quantity > 2")
    no = evaluate(guarded(False), {"grade": "A", "quantity": 3})
    assert isinstance(no, Hit) and no.row == "otherwise"


@pytest.mark.parametrize("answer", [ZeroDivisionError("division by zero"), 1, None, "true"])
def test_a_guard_that_fails_or_gives_no_bool_needs_review_and_never_the_next_row(answer):
    result = evaluate(guarded(answer), {"grade": "A", "quantity": 3})
    assert isinstance(result, Review) and result.row == "guarded" and "guard" in result.why


def test_a_guard_whose_input_is_missing_is_not_asked():
    result = evaluate(guarded(AssertionError("asked")), {"grade": "A"})
    assert isinstance(result, Review) and result.names == ("quantity",)


def test_a_guard_of_a_row_that_does_not_hold_is_not_asked():
    assert isinstance(evaluate(guarded(AssertionError("asked")), {"grade": "B", "quantity": 3}), Hit)


def a_set(year, then="hold"):
    return policy_set("rules", datetime(year, 1, 1, tzinfo=UTC), {"disposition": a_table(a_row("otherwise", then))})


def test_the_set_in_force_is_the_latest_that_has_started():
    old, new = a_set(2024), a_set(2026)
    assert in_force([new, old], datetime(2025, 12, 31, 23, 59, tzinfo=UTC)) == old
    assert in_force([new, old], datetime(2026, 1, 1, tzinfo=UTC)) == new
    assert in_force([new, old], datetime(2023, 1, 1, tzinfo=UTC)) is None


def test_two_different_sets_that_start_together_are_refused_and_the_same_twice_is_not():
    one, two = a_set(2026), a_set(2026, "scrap")
    with pytest.raises(ValueError, match="move the start"):
        in_force([one, two], datetime(2026, 2, 1, tzinfo=UTC))
    assert in_force([one, a_set(2026)], datetime(2026, 2, 1, tzinfo=UTC)) == one


def test_the_version_is_the_hash_of_what_decides():
    assert a_set(2026).version == a_set(2026).version
    assert a_set(2026).version not in (a_set(2025).version, a_set(2026, "scrap").version)
    assert a_set(2026).tables["disposition"].version == a_set(2026).version
