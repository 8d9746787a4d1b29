"""The mode of --twice itself: a return ends once although all is done twice, and what is done twice is noticed."""

import os
import subprocess
import sys

import pytest

from counterflow.store import inbox
from tests import twice
from tests.engine.toy import a_world, request


async def test_a_return_is_paid_once_although_everything_is_done_twice(fresh_database):
    with twice.steps():
        async with a_world(fresh_database) as world:
            await world.tell(request("R1"))
            await world.settle()
            assert len(world.psp.applied) == 1
            assert await world.one("SELECT count(*), max(status) FROM cases") == (1, "closed")


async def test_what_was_done_a_second_time_is_noticed(tmp_path, monkeypatch):
    async def forgets_what_it_has():
        return {"fa_1"}

    monkeypatch.setenv(twice.FOUND, str(tmp_path / "found"))
    monkeypatch.setattr(inbox, "add", forgets_what_it_has)
    with twice.steps(), pytest.raises(AssertionError, match="the second time"):
        await vars(inbox)["add"]()
    assert "forgets_what_it_has" in (tmp_path / "found").read_text()


def test_a_process_that_a_test_starts_does_it_too(tmp_path):
    environment = dict(os.environ)
    twice.everywhere(environment, tmp_path / "found")
    code = "from counterflow.intake.receive import Intake; print(Intake.receive.__name__)"
    asked = [sys.executable, "-c", code]
    assert subprocess.run(asked, env=environment, capture_output=True, text=True, check=True).stdout == "twice\n"
