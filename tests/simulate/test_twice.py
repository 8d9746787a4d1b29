"""Double-everything in the simulation: every message, step and call twice, and the oracle's end all the same."""

import pytest

from counterflow.simulate.families import write
from counterflow.simulate.faults import Exact
from counterflow.simulate.run import Stage
from tests import twice


@pytest.mark.parametrize("family", ["omnichannel", "split_tender", "exchange_up", "fails_after_success", "marketplace"])
def test_a_story_ends_the_same_when_everything_is_done_twice(stage: Stage, family: str) -> None:
    with twice.steps(), twice.calls():
        ran = stage.run(1, [write(1, 1, family)], Exact({}))
    assert ran.holds, (ran.invariant, ran.what)
