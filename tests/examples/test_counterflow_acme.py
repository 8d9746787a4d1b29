"""The worked example, a distribution of its own, holds to the kit, and is found by its entry point once installed."""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from counterflow.sdk.testing.conformance import ConnectorConformance

ROOT = Path(__file__).parents[2] / "examples" / "counterflow-acme"
sys.path.insert(0, str(ROOT / "src"))
Harness: Any = importlib.import_module("counterflow_acme.conformance").Harness


class TestAcme(ConnectorConformance):
    Harness = Harness


async def test_acme_itself_pays_twice_when_it_is_asked_twice() -> None:
    """What makes the example worth reading: without the look-up this system would pay double."""
    acme = Harness()
    effect = await acme.sample("PayLeg", amount_minor=5_00)
    await acme.act("pay", amount=5_00, currency="EUR")
    payment = effect.command.payment_ref
    acme.world.put("payments", payment, {**acme.world.get("payments", payment), "left": 50_00})
    for _ in range(2):
        await acme.connector.send([effect])
    assert await acme.applied(effect) == 2


def test_it_is_found_by_its_entry_point(tmp_path: Path) -> None:
    """Installed for real into a folder of its own, from its own pyproject."""
    pytest.importorskip("hatchling", reason="building the example needs hatchling: make setup-dev")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*install, "--target", str(tmp_path), str(ROOT)], check=True)
    code = "from counterflow.sdk.testing import run; print([r for r in run('acme') if r.outcome == 'failed'])"
    found = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout.strip()) == (0, "[]"), found.stderr
