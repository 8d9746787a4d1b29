"""Policies as text: what is printed is read back equal, and what is wrong is said with its line."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterflow.core.money import Money
from counterflow.core.policy import TABLES, PolicySet, Row, Table, check_set, parse, policy_set, print_toml, read
from counterflow.core.policy.vocabulary import COLUMNS, EEA, EU, Choice

TEXT = """\
name = "rules"
valid_from = 2026-03-01T01:00:00+01:00

[vocabulary]
category = ["general", "shoes"]

[[eligibility]]
id = "europe"
if.country = ["EU", "CH"]
if.days_since_delivery = { min = 1, max = 30 }
if.quantity = 2
if.final_sale = false
if.category = "shoes"
then.decision = "approve"
then.reason_code = "in_window"
note = "a \\"note\\" with a tab\\t"

[[eligibility]]
id = "otherwise"
then = { decision = "review", reason_code = "manual" }

[[fees]]
id = "otherwise"
[fees.then]
shipping_refund = "none"
promotion = "keep_benefit"
restocking_fee = { minor = 500, currency = "EUR" }
value_loss_ppm = { A = 0, B = 1, C = 2, D = 3 }

[[approvals]]
id = "otherwise"
then = { persons = "one", role = "cs_lead" }

[[refund_moment]]
id = "otherwise"
then = { moment = "inspection", credit_note_moment = "refund_confirmed" }

[[disposition]]
id = "otherwise"
then = { disposition = "hold" }

[[golden]]
name = "a first case"
table = "disposition"
inputs = { grade = "A" }
expect = { disposition = "hold" }
"""


def test_cells_and_answers_are_read_as_sets_ranges_and_money():
    policies = parse(TEXT)
    assert isinstance(policies, PolicySet)
    assert policies.valid_from == datetime(2026, 3, 1, tzinfo=UTC)
    assert policies.tables["eligibility"].rows[0].cells == {
        "country": EU | {"CH"},
        "days_since_delivery": (1, 30),
        "quantity": (2, 2),
        "final_sale": frozenset({False}),
        "category": frozenset({"shoes"}),
    }
    assert policies.tables["fees"].rows[0].then["restocking_fee"] == Money("EUR", 500)
    assert policies.tables["eligibility"].version == policies.version


def test_printing_and_reading_gives_an_equal_set_with_the_same_version():
    policies = parse(TEXT)
    assert isinstance(policies, PolicySet)
    assert parse(print_toml(policies)) == policies
    assert 'if.country = ["EU", "CH"]' in print_toml(policies)


def _cell(column):
    if isinstance(column, Choice):
        return st.frozensets(st.sampled_from(column.words), min_size=1)
    ends = st.integers(column.low, column.high)
    return st.tuples(ends, ends).map(lambda pair: (min(pair), max(pair)))


@settings(max_examples=40, deadline=None)
@given(st.data(), st.text(st.characters(codec="utf-8"), max_size=20))
def test_any_row_survives_printing_and_reading(data, note):
    names = data.draw(st.frozensets(st.sampled_from(sorted(COLUMNS)), max_size=6))
    cells = {name: data.draw(_cell(COLUMNS[name]), name) for name in sorted(names)}
    if "country" in cells:
        cells["country"] |= data.draw(st.sampled_from([frozenset(), EU, EEA]))
    if "amount_minor" in cells:
        cells["currency"] = frozenset({"EUR"})
    first = Row("first", cells, {"disposition": "hold"}, note=note)
    tables = {name: table for name, table in _fallbacks().items() if name != "disposition"}
    tables["disposition"] = Table("disposition", (first, Row("otherwise", {}, {"disposition": "scrap"})))
    policies = policy_set(note, datetime(2026, 1, 1, tzinfo=UTC), tables)
    result = parse(print_toml(policies))
    assert result == policies or (isinstance(result, list) and all("never reached" in each.what for each in result))


def _fallbacks() -> dict[str, Table]:
    policies = parse(TEXT.replace('if.category = "shoes"\n', "").replace('category = ["general", "shoes"]', ""))
    assert isinstance(policies, PolicySet)
    return dict(policies.tables)


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("if.final_sale = false", "if.final_sail = false", 12, "did you mean final_sale"),
        ('then.decision = "approve"', 'then.decision = "aprove"', 14, "did you mean approve"),
        ("{ min = 1, max = 30 }", "{ min = 30, max = 1 }", 10, "is empty"),
        ("{ min = 1, max = 30 }", "{ from = 1 }", 10, "no range"),
        ("{ min = 1, max = 30 }", "1.5", 10, "no range"),
        ('"shoes"\nthen', '"hats"\nthen', 13, "category cannot be 'hats'"),
        ('["EU", "CH"]', '["EU", "XX"]', 9, "country cannot be 'XX'"),
        ('currency = "EUR"', 'curency = "EUR"', 27, "without a currency"),
        ("[[fees]]", "[[feees]]", 22, "there is no table feees"),
        ("2026-03-01T01:00:00+01:00", "2026-03-01", 0, "valid_from is no instant"),
        ("2026-03-01T01:00:00+01:00", "0001-01-01T00:00:00+14:00", 0, "valid_from is no instant"),
        ('category = ["general", "shoes"]', "category = []", 0, "product categories"),
        ('name = "rules"', "name = = 3", 1, "no TOML"),
        ('name = "rules"', "name = " + "9" * 5000, 0, "no TOML"),
        ('name = "rules"', "name = 3", 0, "name is no text"),
        ('id = "europe"', "id = 7", 8, "not usable"),
        ('note = "a', 'color = "red"\nnote = "a', 16, "no key color"),
        ("if.quantity = 2", "if.amount_minor = 2", 11, "without a currency"),
        ('inputs = { grade = "A" }', 'inputs = { grad = "A" }', 45, "did you mean grade"),
        ('expect = { disposition = "hold" }', 'expect = { dispo = "hold" }', 46, "does not answer dispo"),
        ('table = "disposition"', 'table = "dispositions"', 44, "did you mean disposition"),
        ('expect = { disposition = "hold" }', "", 42, "not complete"),
    ],
)
def test_a_mistake_is_reported_with_its_line(old, new, line, said):
    assert TEXT.count(old) == 1
    result = parse(TEXT.replace(old, new))
    assert isinstance(result, list)
    found = [problem for problem in result if said in str(problem)]
    assert found, [str(problem) for problem in result]
    assert found[0].line == line


def test_all_mistakes_are_reported_at_once():
    result = parse(
        TEXT.replace("if.final_sale", "if.final_sail").replace('"CH"', '"XX"').replace('"hold" }', '"hol" }')
    )
    assert isinstance(result, list)
    assert {problem.line for problem in result} >= {9, 12, 40}


@pytest.mark.parametrize(
    "text", ["", "a = 1", "[" * 100_000, "x" * 1_000_001, "eligibility = 3\ngolden = 4\nvocabulary = 5"]
)
def test_what_is_no_policy_at_all_gives_problems_and_no_exception(text):
    result = parse(text)
    assert isinstance(result, list) and result


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "if", "then", "when", "note", "grade", "quantity", "min"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from([*TABLES, "golden", "vocabulary", "name", "valid_from"]), _json, max_size=6))
def test_whatever_a_form_sends_becomes_a_checked_set_or_problems(document):
    result = read(document)
    if isinstance(result, PolicySet):
        assert not [problem for problem in check_set(result) if problem.severity == "error"]
    else:
        assert result and all(problem.what and problem.next_move for problem in result)
