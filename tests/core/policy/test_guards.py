"""Guard cells: what compiles may decide, everything else is refused when the policy is saved."""

import pytest

from counterflow.core.policy import Choice, GuardError, Hit, PolicySet, Review, evaluate, parse
from counterflow.core.policy.vocabulary import COLUMNS
from counterflow.guards import compile_guard


@pytest.mark.parametrize(
    ("when", "inputs", "answer"),
    [
        ("quantity * 2 > days_since_delivery", {"quantity": 3, "days_since_delivery": 5}, True),
        ("regime == 'business' || quantity < 3", {"regime": "consumer", "quantity": 3}, False),
        ("category in ['shoes', 'books'] && !final_sale", {"category": "books", "final_sale": False}, True),
        ("category.startsWith('elec')", {"category": "electronics"}, True),
        ("final_sale ? quantity == 1 : quantity <= 2", {"final_sale": True, "quantity": 2}, False),
        ("-quantity % 2 == 0", {"quantity": 4}, True),
    ],
)
def test_a_guard_knows_its_names_and_answers(when, inputs, answer):
    columns = {**COLUMNS, "category": Choice(("books", "shoes", "electronics"))}
    guard = compile_guard(when, columns)
    assert guard.names == frozenset(inputs)
    assert guard(inputs) is answer


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("quantity >", "parse"),
        ("quantty > 2", "it reads quantty"),
        ("quantity", "not true or false"),
        ("quantity > 'two'", "no column that it reads can be"),
        ("regime == 'bussiness'", "bussiness"),
        ("regime > quantity", "types do not fit"),
        ("regime == 'business' && quantity > regime", "types do not fit"),
        ("category.matches('(a+)+$')", "it uses matches"),
        ("launch(quantity)", "it uses launch"),
        ("1 < 2", "reads no input"),
        ("[1, 2].exists(v, v == quantity)", "it reads v"),
    ],
)
def test_a_guard_that_could_not_decide_is_refused_with_the_reason(when, said):
    with pytest.raises(GuardError, match=said.replace("(", r"\(")):
        compile_guard(when, COLUMNS)


TEXT = """
valid_from = 2026-01-01T00:00:00Z
[[eligibility]]
id = "dense"
if.regime = "consumer"
when = "100 / days_since_delivery > 10"
then = { decision = "approve", reason_code = "in_window" }
[[eligibility]]
id = "otherwise"
then = { decision = "decline", reason_code = "window_over" }
[[fees]]
id = "otherwise"
then = { shipping_refund = "none", promotion = "keep_benefit" }
[[approvals]]
id = "otherwise"
then = { persons = "one", role = "cs_lead" }
[[refund_moment]]
id = "otherwise"
then = { moment = "inspection", credit_note_moment = "refund_confirmed" }
[[disposition]]
id = "otherwise"
then = { disposition = "hold" }
"""


def test_a_guard_that_fails_on_the_data_asks_a_person_and_never_declines_by_the_next_row():
    policies = parse(TEXT, compile_guard)
    assert isinstance(policies, PolicySet)
    table = policies.tables["eligibility"]
    failed = evaluate(table, {"regime": "consumer", "days_since_delivery": 0})
    assert isinstance(failed, Review) and failed.row == "dense" and "division by zero" in failed.why
    for days, row in ((5, "dense"), (50, "otherwise")):
        hit = evaluate(table, {"regime": "consumer", "days_since_delivery": days})
        assert isinstance(hit, Hit) and hit.row == row


def test_a_policy_with_guards_is_not_loaded_without_a_compiler_and_a_broken_guard_is_named_once_with_its_line():
    (problem,) = parse(TEXT)  # type: ignore[misc]
    assert problem.what == "the guard is not compiled" and problem.line == 6
    (problem,) = parse(TEXT.replace("100 /", "100 //"), compile_guard)  # type: ignore[misc]
    assert "does not compile" in problem.what and (problem.row, problem.line) == ("dense", 6)
