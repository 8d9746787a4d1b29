"""The table of planted bugs: it fits the code as it is, it is planted in memory alone, and a sample of it is caught."""

import subprocess
import sys
from pathlib import Path

import pytest

from counterflow.simulate import planting
from counterflow.simulate.families import FAMILIES, write
from counterflow.simulate.faults import KINDS
from counterflow.simulate.mutants import MUTANTS, PLAYS

# Of every layer one; the last is noticed by tests alone.
SAMPLE = (
    *("round_each_piece", "everything_is_as_new", "swallow_the_unknown", "send_again_under_a_new_key"),
    *("forget_at_both_doors", "skip_the_version_guard"),
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_each_text_is_there_once(mutant):
    for module, old, new in mutant.edits:
        assert old != new
        assert planting.source_of(module).count(old) == 1, f"{module}: mend the edit of {mutant.name}"
        compile(planting.source_of(module).replace(old, new), module, "exec")
    assert mutant.plays and mutant.breaks
    assert all(name in PLAYS or name in FAMILIES for name in mutant.plays)
    assert all((planting.TESTS / each).is_file() for each in mutant.tests)
    assert mutant.survives or not mutant.tests, "tests are for what the plays cannot notice: say why"


def test_there_are_enough_and_each_has_a_name_of_its_own():
    assert len(MUTANTS) >= 60
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_plays_are_about_what_they_say():
    assert {hit.kind for each in PLAYS.values() for hit in each.hits} <= KINDS.keys()
    drawn = {name: write(1, PLAYS[name].number, PLAYS[name].family) for name in PLAYS}
    assert drawn["yen"].currency == "JPY"
    assert drawn["shipping"].shipping_minor
    assert {step.args["grade"] for step in drawn["cheap_grade"].steps if step.act == "inspect"} == {"C"}
    assert [step.args["won"] for step in drawn["lost_dispute"].steps if step.act == "close_dispute"] == [False]


def test_a_bug_is_planted_in_one_process_and_not_on_disk():
    mutant = planting.find("round_each_piece")
    path = Path(planting.__file__).parent.parent / "core" / "refunds" / "ruler.py"
    before = path.read_bytes()
    script = (
        "from counterflow.simulate import planting; planting.plant(planting.find('round_each_piece'))\n"
        "from counterflow.core.refunds.ruler import mark\n"
        "from counterflow.core.sale import SoldLine\n"
        "print(mark(SoldLine('L', 'TEE', 3, 3, 100, 100), 3))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "99"  # and 100 without
    assert path.read_bytes() == before
    with pytest.raises(RuntimeError, match="imported already"):
        planting.plant(mutant)


def test_planted_bugs_are_caught_and_what_no_play_notices_a_test_does(database_url):
    *by_plays, by_a_test = planting.run([planting.find(name) for name in SAMPLE], database_url)
    assert [verdict.name for verdict in by_plays if verdict.caught_by in ("", "test")] == []
    assert by_a_test.caught_by == "test" and "not_written_over" in by_a_test.what
