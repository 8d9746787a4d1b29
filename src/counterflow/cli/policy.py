"""Policies: the versions that count, checks of a file, agreed cases, and what a table answers."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App

from counterflow.cli.failures import FAILED, NOT_FOUND, USAGE, Stop
from counterflow.cli.shell import Out, dump, plain, show, shown

if TYPE_CHECKING:
    from counterflow.core.policy import PolicySet, Problem

app = App(name="policy", help="List, check, test and explain policies.")


@app.command(name="list")
def list_(*, output: Out = "table") -> None:
    """All versions of this installation, the newest start first."""
    from datetime import UTC, datetime

    from counterflow.core.policy import in_force

    sets = _installed()
    now = in_force(sets, datetime.now(UTC))
    rows = [
        {
            "version": each.version,
            "name": each.name,
            "valid_from": each.valid_from,
            "in_force": each is now,
            "rows": sum(len(table.rows) for table in each.tables.values()),
            "golden": len(each.golden),
        }
        for each in sorted(sets, key=lambda each: each.valid_from, reverse=True)
    ]
    show(rows, ("version", "name", "valid_from", "in_force", "rows", "golden"), output)


@app.command
def check(file: Path | None = None, *, output: Out = "table") -> int:
    """Check a policy file completely: unknown words, rows never reached, gaps, overlaps, guards.

    Parameters
    ----------
    file
        A policy set in TOML; without it all files of this installation.
    """
    return _report(file, output, golden=False)


@app.command(name="test")
def run_golden_cases(file: Path | None = None, *, output: Out = "table") -> int:
    """Check a policy file and run the agreed cases that come with it.

    Parameters
    ----------
    file
        A policy set in TOML; without it all files of this installation.
    """
    return _report(file, output, golden=True)


@app.command
def explain(table: str, *inputs: str, file: Path | None = None, output: Out = "table") -> int:
    """What a table answers for given inputs, by which row and why, and what the law makes of it.

    Parameters
    ----------
    table
        eligibility, fees, approvals, refund_moment or disposition.
    inputs
        name=value, as the vocabulary names them: reason=changed_mind days_since_delivery=9
    file
        A policy set in TOML; without it the one in force.
    """
    from datetime import UTC, datetime

    from counterflow.core.policy import Review, evaluate, in_force
    from counterflow.core.policy import explain as sentence
    from counterflow.core.policy.evaluate import NO_FLAGS
    from counterflow.core.policy.floor import apply, explain_floor

    sets = [_read(file)] if file else list(_installed())
    policies = sets[0] if file else in_force(sets, datetime.now(UTC))
    if policies is None or table not in policies.tables:
        known = ", ".join(policies.tables) if policies else "none is in force"
        raise Stop(NOT_FOUND, f"there is no table {shown(table)}; there are: {known}")
    asked: dict[str, object] = {**NO_FLAGS, **dict(map(_input, inputs))}
    hit = evaluate(policies.tables[table], asked)
    floored = hit if isinstance(hit, Review) else apply(hit, asked)
    law = "" if isinstance(floored, Review) else explain_floor(floored)
    said = sentence(floored if isinstance(floored, Review) else floored.hit)
    review = isinstance(floored, Review)
    if output == "json":
        outputs = {} if isinstance(floored, Review) else plain(floored.outputs)
        dump(
            {
                "needs_review": review,
                "row": hit.row,
                "version": hit.version,
                "outputs": outputs,
                "sentence": said,
                "law": law,
            }
        )
    else:
        print(said, law, sep="\n" if law else "")
    return 0


def _installed() -> "tuple[PolicySet, ...]":
    from counterflow.policies import default
    from counterflow.settings import Settings

    files = sorted((Settings().home / "policies").glob("*.toml"))
    return tuple(map(_read, files)) or (default(),)


def _read(file: Path) -> "PolicySet":
    found = _parse(file)
    if isinstance(found, list):
        raise Stop(FAILED, f"{file} has {len(found)} errors, first {found[0]}: see `counterflow policy check {file}`")
    return found


def _parse(file: Path) -> "PolicySet | list[Problem]":
    from counterflow.core.policy import parse
    from counterflow.guards import compile_guard

    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Stop(NOT_FOUND, f"{file} cannot be read ({type(error).__name__}): name a policy file") from None
    return parse(text, compile_guard)


def _report(file: Path | None, output: str, *, golden: bool) -> int:
    from counterflow.core.policy import PolicySet, run_golden
    from counterflow.policies import default
    from counterflow.settings import Settings

    files = [file] if file else sorted((Settings().home / "policies").glob("*.toml"))
    read = [(str(each), _parse(each)) for each in files] or [("the default that ships", default())]
    found: list[tuple[str, Problem]] = []
    for name, result in read:
        problems = (run_golden(result) if golden else []) if isinstance(result, PolicySet) else result
        found += [(name, problem) for problem in problems]
    if output == "json":
        dump([{"file": name, **_finding(problem)} for name, problem in found])
    else:
        for name, problem in found:
            print(f"{name}: {problem}")
        if not found:
            what = "holds, and its agreed cases come out as agreed" if golden else "holds"
            print(*(f"{name} {what}" for name, _ in read), sep="\n")
    return FAILED if any(problem.severity == "error" for _, problem in found) else 0


def _finding(problem: "Problem") -> dict[str, Any]:
    names = ("severity", "table", "row", "line", "column", "what", "next_move")
    return {name: getattr(problem, name) for name in names}


def _input(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals:
        raise Stop(USAGE, f"{shown(text)} is no input: write name=value")
    try:
        found = json.loads(value)
    except ValueError:
        return name, value
    return name, found if isinstance(found, (bool, int)) else value
