"""`make connector NAME=acme`: a new connector that passes the conformance kit from its first minute.

Copies the worked example (examples/counterflow-acme) under the new name, with a ten-line test and its entry point.
Every check is green at once, so whoever makes it their own system's connector, file by file, sees what breaks.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "counterflow-acme" / "src" / "counterflow_acme"
ENTRY_POINTS = '[project.entry-points."counterflow.connectors"]\n'

TEST = '''"""{title} holds to what every connector has to hold to."""

from counterflow.connectors.{name}.conformance import Harness
from counterflow.sdk.testing.conformance import ConnectorConformance


class Test{title}(ConnectorConformance):
    Harness = Harness
'''


def scaffold(name: str, root: Path = ROOT) -> list[Path]:
    """Write the connector, its test and its entry point under `root`; the files. Raises ValueError, FileExistsError."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,30}", name):
        raise ValueError(f"{name!r} is no name for a connector: use lower-case letters, digits and _, such as acme_pay")
    title = "".join(part.capitalize() for part in name.split("_"))
    folder = root / "src" / "counterflow" / "connectors" / name
    test = root / "tests" / "connectors" / name / "test_conformance.py"
    for taken in (folder, test.parent):
        if taken.exists():
            raise FileExistsError(f"{taken} exists: choose another name, or remove it first")
    folder.mkdir(parents=True)
    test.parent.mkdir(parents=True)
    written = []
    for source in sorted(EXAMPLE.glob("*.py")):
        written.append(folder / source.name)
        written[-1].write_text(renamed(source.read_text("utf-8"), name, title), "utf-8")
    test.write_text(TEST.format(name=name, title=title), "utf-8")
    written.append(test)
    add_entry_point(root / "pyproject.toml", name)
    return written


def renamed(text: str, name: str, title: str) -> str:
    """The example's source under another name."""
    names = {"counterflow_acme": f"counterflow.connectors.{name}", "Acme": title, "acme": name}
    return re.sub("counterflow_acme|Acme|acme", lambda found: names[found.group()], text)


def add_entry_point(pyproject: Path, name: str) -> None:
    """Name the connector among the entry points, in alphabetical order."""
    head, mark, rest = pyproject.read_text("utf-8").partition(ENTRY_POINTS)
    if not mark:
        raise ValueError(f"{pyproject} has no {ENTRY_POINTS.strip()}: add it")
    lines, gap, tail = rest.partition("\n\n")
    entries = sorted({*lines.splitlines(), f'{name} = "counterflow.connectors.{name}:connector"'})
    pyproject.write_text(head + mark + "\n".join(entries) + gap + tail, "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description="Write a new connector, its test and its entry point.")
    parser.add_argument("name", help="lower-case name of the system, such as acme_pay")
    name = parser.parse_args().name
    try:
        written = scaffold(name)
    except (ValueError, FileExistsError) as error:
        print(error, file=sys.stderr)
        return 2
    files = [str(path) for path in written]
    for command in (["check", "--quiet", "--select", "I", "--fix"], ["format", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, *files], check=True)
    print("\n".join(str(path.relative_to(ROOT)) for path in written))
    print(f"Run `pytest {written[-1].relative_to(ROOT)}`: it is green. Then make it yours: docs/guides/connector.md.")
    print(f"Its entry point is in pyproject.toml; once it is installed: `counterflow conformance {name}`.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
