"""A connector that the scaffold wrote passes the kit before anybody has touched it."""

import importlib.util
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_spec = importlib.util.spec_from_file_location("new_connector", ROOT / "tools" / "new_connector.py")
assert _spec is not None and _spec.loader is not None
new_connector = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(new_connector)

PYPROJECT = """
[project]
name = "x"

[project.entry-points."counterflow.connectors"]
zebra = "z:connector"

[tool.x]
y = 1
"""
# The new folder beside the installed package: what `pip install -e .` would give after the scaffold ran.
RUN = """
import sys, counterflow.connectors
counterflow.connectors.__path__.append(sys.argv[1] + "/src/counterflow/connectors")
from counterflow.connectors.acme_pay.conformance import Harness
from counterflow.sdk.testing import run_harness
results = run_harness(Harness)
print(len(results), [result for result in results if result.outcome == "failed"])
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    return tmp_path


def test_what_it_writes_passes_the_kit(root: Path) -> None:
    written = new_connector.scaffold("acme_pay", root)
    names = {path.name for path in written}
    assert {
        "__init__.py",
        "manifest.py",
        "mapping.py",
        "simulator.py",
        "conformance.py",
        "test_conformance.py",
    } == names
    command = [sys.executable, "-c", RUN, str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    count, failed = done.stdout.split(maxsplit=1)
    assert int(count) > 40 and failed.strip() == "[]"


def test_the_test_is_ten_lines_and_the_entry_point_is_in_order(root: Path) -> None:
    *_, test = new_connector.scaffold("other_shop", root)
    assert len(test.read_text().splitlines()) <= 10
    document = tomllib.loads((root / "pyproject.toml").read_text())
    points = document["project"]["entry-points"]["counterflow.connectors"]
    assert list(points) == ["other_shop", "zebra"] and document["tool"]["x"] == {"y": 1}
    assert points["other_shop"] == "counterflow.connectors.other_shop:connector"


def test_nothing_is_overwritten_and_a_strange_name_is_refused(root: Path) -> None:
    new_connector.scaffold("other_shop", root)
    with pytest.raises(FileExistsError, match="choose another name"):
        new_connector.scaffold("other_shop", root)
    for name in ("Acme", "a", "../x", "9lives", "with-dash"):
        with pytest.raises(ValueError, match="lower-case letters"):
            new_connector.scaffold(name, root)


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
def test_make_installs_the_entry_point_that_it_wrote() -> None:
    """Otherwise `counterflow conformance NAME`, the next thing to do, says that there is no such connector."""
    command = ["make", "-n", "connector", "NAME=acme_pay"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    _, wrote, after = said.partition("tools/new_connector.py acme_pay\n")
    assert wrote and "setup-dev" in after
