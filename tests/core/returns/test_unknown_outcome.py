"""What nobody could look up for an hour is a person's, and is nobody's again once it is known."""

import pytest

from tests.core.returns.telling import Story


@pytest.mark.parametrize("kind", ["PayLeg", "PostCreditNote", "ReceiveGoods"])
def test_an_outcome_that_stays_unknown_for_an_hour_is_raised_until_it_is_known(kind: str) -> None:
    story = Story().request().settle().receive()
    story.settle(keep=lambda e: e.kind != kind)
    story.inspect().settle(keep=lambda e: e.kind != kind)
    story.answer(kind, "unknown")
    assert "unknown_outcome" not in story.exceptions()
    story.wait(minutes=59)
    assert "unknown_outcome" not in story.exceptions()
    story.wait(minutes=2)
    assert "unknown_outcome" in story.exceptions()
    story.answer(kind, "done").settle()
    assert "unknown_outcome" not in story.exceptions()
    assert story.paid() == 2000
