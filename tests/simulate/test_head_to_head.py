"""The direct integration that Counterflow is compared with: fair where nothing fails, and wrong as such ones are."""

import pytest

from counterflow.simulate import head_to_head
from counterflow.simulate.faults import Exact
from counterflow.simulate.head_to_head import DirectKernel, judge, left_by, plain
from counterflow.simulate.kernel import Kernel
from counterflow.simulate.run import Stage

SEED = 3


def verdict(stage: Stage, kernel: type[Kernel], plan: Exact) -> list[str]:
    story = plain(SEED)
    world, _ = left_by(stage, kernel, SEED, story, plan)
    return list(judge(world, story, stage.ground.oracle.foresee(story)[0]))


def test_without_failures_both_do_everything_right(stage: Stage) -> None:
    for tally in head_to_head.play(stage, 0, 3, ("none",)):
        assert (tally.right, tally.manual, tally.seeds) == (3, 0, []), tally


@pytest.mark.parametrize(
    ("point", "where", "kind", "words"),
    [
        ("call", "stock.picking/button_validate", "timeout_after", {"doubled"}),
        ("call", "account.move/action_post", "crash_after_call", {"doubled"}),
        ("hook", "shop returns/request", "lost_webhook", {"lost"}),
    ],
)
def test_what_a_direct_integration_does_wrong_is_done_right(
    point: str, where: str, kind: str, words: set[str], stage: Stage
) -> None:
    for kernel, expected in ((DirectKernel, words), (Kernel, set())):
        quiet = Exact({})
        assert verdict(stage, kernel, quiet) == []
        number = next(n for at, n, detail in quiet.passed if at == point and detail.endswith(where))
        failing = Exact({(point, number): kind})
        assert set(verdict(stage, kernel, failing)) == expected
        assert failing.fired[kind] == 1
