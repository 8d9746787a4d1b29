"""The three samples run as the guide says."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[2] / "examples" / "integration-models"


async def test_direct() -> None:
    refund = runpy.run_path(str(SAMPLES / "direct.py"))["refund"]
    assert await refund() == {"told": ["UnknownOutcome", "Done"], "refunds_at_the_provider": 1}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("orchestrated", "{'status': 'closed', 'entitled_minor': 2000, 'paid_minor': 2000, 'currency': 'EUR'}"),
        ("hybrid", "{'resolved': 1, 'broken': []}"),
    ],
)
def test_in_a_town_of_its_own(name: str, said: str) -> None:
    env = {name: value for name, value in os.environ.items() if name != "COUNTERFLOW_SANDBOX_DATABASE_URL"}
    ran = subprocess.run(
        [sys.executable, str(SAMPLES / f"{name}.py")], env=env, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout.strip()) == (0, said), ran.stderr
