"""I10 and I12: what does not move, and what is said that must not be."""

import pytest

from counterflow.core import invariants
from counterflow.engine.prove import tells


def test_an_open_case_that_nothing_moves_breaks_progress() -> None:
    assert invariants.progress({"a": True, "b": True}).holds
    found = invariants.progress({"a": True, "b": False})
    assert (found.holds, found.left, found.right) == (False, 2, 1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("401: Invalid API Key provided: sk_test_[redacted]. Check the connection's credentials", False),
        ("the connection was refused", False),
        ("401: Invalid API Key provided: sk_test_4242", True),
        ("Authorization: Bearer abc.def", True),
    ],
)
def test_a_secret_in_a_message_is_found(text: str, told: bool) -> None:
    assert tells(text) is told
    assert invariants.unsaid([text], tells).holds is not told
