"""The simulation itself: one number is one run, every failure happens and is survived, and what is broken is found."""

import os
import subprocess
import sys
from collections import Counter

from counterflow.simulate.faults import KINDS, Chance
from counterflow.simulate.run import Stage, planned

PLAIN = ("omnichannel",)
CORE = ("omnichannel", "deduction", "split_tender", "blind_return", "refunded_by_hand")


def test_one_number_is_one_run(stage: Stage) -> None:
    first = stage.run(3, *planned(3, 1, CORE))
    assert first.turns > 100
    assert stage.run(3, *planned(3, 1, CORE)).digest == first.digest
    assert stage.run(4, *planned(4, 1, CORE)).digest != first.digest


def test_another_process_runs_the_same(stage: Stage, database_url: str) -> None:
    """Hashes of strings differ from process to process; nothing may depend on them."""
    here = stage.run(5, *planned(5, 1, PLAIN)).digest
    script = (
        "import sys; from counterflow.simulate.ground import stage; from counterflow.simulate.run import planned\n"
        "with stage(sys.argv[1]) as s: print(s.run(5, *planned(5, 1, ('omnichannel',))).digest)"
    )
    env = {**os.environ, "PYTHONHASHSEED": "77"}
    done = subprocess.run(
        [sys.executable, "-c", script, database_url], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[-1] == here


def test_every_kind_of_failure_happens_and_is_survived(stage: Stage) -> None:
    fired: Counter[str] = Counter()
    for seed in range(100, 104):
        result = stage.run(seed, *planned(seed, 2, CORE))
        assert result.holds, (seed, result.invariant, result.what)
        fired += result.fired
    assert len(fired) > len(KINDS) / 2
    assert Chance(0, tuple(KINDS)).on
