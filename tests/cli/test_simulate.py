"""What is typed wrongly is said before anything is started."""

import pytest

from counterflow.cli import run


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("run", "--faults", "nonsense"), "nonsense"),
        (("run", "--faults", "none,crash"), "none"),
        (("run", "--stories", "partial,nowhere"), "nowhere"),
        (("replay", "7", "--stories", "nowhere"), "nowhere"),
        (("exhaustive", "--faults", "none"), "none"),
        (("exhaustive", "--stories", "nowhere"), "nowhere"),
        (("head-to-head", "--faults", "nonsense"), "nonsense"),
        (("mutants", "--only", "nobody"), "nobody"),
    ],
)
def test_a_name_that_there_is_not_is_told(arguments, named, capsys):
    assert run(["simulate", *arguments]) == 3
    assert f"{named!r}" in capsys.readouterr().err
