"""kill -9 in the middle of the demo's world, started again: the stories end as they should, and the same proof holds.

`make soak` does it to everything, in turn, for as long as one likes.
"""

import logging
import random

import pytest

from counterflow.sandbox.soak import in_turn, soak
from counterflow.sandbox.stories import STORIES
from counterflow.sandbox.town import POSTGRES

TOLD = ("omnichannel", "split_tender", "exchange_down", "timeout_after_success", "fails_after_success", "marketplace")


@pytest.mark.parametrize("name", ["worker-1", "api", POSTGRES])
async def test_nothing_is_lost_or_doubled_when_it_is_killed(name, tmp_path):
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    soaked = await soak(3, home=tmp_path, names=[name], stories={story: STORIES[story] for story in TOLD})
    assert [each.error for each in soaked.report.stories if each.error] == []
    assert [each for each in soaked.report.invariants if not each["holds"]] == []
    assert (soaked.lost, soaked.doubled, soaked.died) == ([], [], [])
    assert [kill.name for kill in soaked.kills] == [name] * 3


def test_everything_is_killed_before_anything_is_killed_again():
    order = list(in_turn(["api", "outside", POSTGRES], 7, random.Random(1)))
    assert len(order) == 7
    assert set(order[:3]) == set(order[3:6]) == {"api", "outside", POSTGRES}
    assert order == list(in_turn(["api", "outside", POSTGRES], 7, random.Random(1)))
