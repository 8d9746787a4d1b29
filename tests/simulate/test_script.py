"""Scripts: the same seed writes the same story, references bind late, and every condition is known."""

import pytest

from counterflow.simulate.families import FAMILIES, write, write_all
from counterflow.simulate.looks import LOOKS
from counterflow.simulate.script import PEOPLE, bind


def test_the_same_seed_and_number_give_the_same_story():
    assert write_all(7, 40) == write_all(7, 40)
    assert write_all(7, 40) != write_all(8, 40)


def test_a_story_of_a_larger_world_is_the_same_story():
    assert write_all(7, 40)[:10] == write_all(7, 10)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_condition_is_known_and_the_tenders_pay_for_the_goods(family):
    for number in range(1, 30):
        story = write(3, number, family)
        assert {c.kind for step in story.steps for c in step.when} <= LOOKS.keys()
        assert sum(tender.amount_minor for tender in story.tenders) == story.paid_minor
        assert all(step.act.startswith("/") == (step.system == PEOPLE) for step in story.steps)


def test_references_bind_late():
    names = {"order": {"name": "#1001", "lines": [{"id": "gid://shopify/LineItem/7"}]}, "case": {"units": ["a", "b"]}}
    args = {"order": "$order.name", "rows": [{"line_ref": "$order.lines.0.id.tail"}], "units": "$case.units", "n": 1}
    assert bind(args, names) == {"order": "#1001", "rows": [{"line_ref": "7"}], "units": ["a", "b"], "n": 1}
    assert bind("order:$order.name", names) == "order:#1001"
    with pytest.raises(KeyError):
        bind("$receipt.receipt_id", names)
