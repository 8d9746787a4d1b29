"""Every boundary with every failure on the core stories, one at a time; and every pair of them.

A run without failures tells which points it passes. Points with the same name are one boundary (the commit of an
outcome for the ERP, a request to the provider's refunds, a message of the warehouse); of each the first and the last
pass are taken. What was done is kept in a file, a line each, so that a run of days goes on where it stopped.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from counterflow.simulate.families import write
from counterflow.simulate.faults import KINDS, Exact
from counterflow.simulate.run import Ran, Stage

CORE = ("omnichannel", "split_tender", "exchange_down", "refunded_by_hand", "partial")
SEED = 1
TURNS = 6  # of a run that are taken for what happens by itself, evenly spread
# For pairs one kind stands for those that look alike from our side.
PAIRED = (
    "crash_before_call", "crash_after_call", "crash_before_commit", "crash_after_commit", "lost_ack", "duplicate",
    "delay", "lost_webhook", "timeout_after", "timeout_then_done", "error_after", "database_lost", "commit_unknown",
    "deploy",
)  # fmt: skip

_IDS = re.compile(r"\b[a-z]{2,3}_\w{10,}")  # a request for one object is the same boundary for every object

Place = tuple[str, int]  # point, which pass of it


@dataclass(frozen=True, slots=True)
class Task:
    """One run: a story and what fails where. `boundary` says the places in words."""

    family: str
    wanted: tuple[tuple[Place, str], ...]
    boundary: str

    @property
    def id(self) -> str:
        return f"{self.family}: {self.boundary}"


def singles(stage: Stage, families: Sequence[str] = CORE) -> Iterator[Task]:
    """Every boundary of every story with every kind of failure of its point."""
    for family in families:
        for place, name in boundaries(stage, family, both=True):
            for kind, (_, point, _) in KINDS.items():
                if point == place[0]:
                    yield Task(family, ((place, kind),), f"{kind} at {name}")


def pairs(stage: Stage, families: Sequence[str] = CORE) -> Iterator[Task]:
    """Every pair of a boundary and a kind with another one, in the order of the run."""
    for family in families:
        faults = [
            (place, kind, f"{kind} at {name}")
            for place, name in boundaries(stage, family, both=False)
            for kind in PAIRED
            if KINDS[kind][1] == place[0]
        ]
        for (place, kind, said), (other, also, then) in combinations(faults, 2):
            if place != other:
                yield Task(family, ((place, kind), (other, also)), f"{said}, {then}")


def boundaries(stage: Stage, family: str, *, both: bool) -> list[tuple[Place, str]]:
    """(place, its name) of what a run without failures passes; `both`: the last pass, too, where there are several."""
    plan = Exact({})
    stage.run(SEED, [write(SEED, 1, family)], plan)
    first: dict[tuple[str, str], int] = {}
    last: dict[tuple[str, str], int] = {}
    turns = plan.counts["turn"]
    for point, number, what in plan.passed:
        if point == "turn" and (number % max(1, turns // TURNS) or not number):
            continue
        detail = str(number) if point == "turn" else _IDS.sub("*", what)
        first.setdefault((point, detail), number)
        last[point, detail] = number
    found = [((point, number), f"{point} {detail}") for (point, detail), number in first.items()]
    if both:
        found += [
            ((point, number), f"{point} {detail} (the last)")
            for (point, detail), number in last.items()
            if number != first[point, detail]
        ]
    return found


def play(stage: Stage, task: Task) -> Ran:
    return stage.run(SEED, [write(SEED, 1, task.family)], Exact(dict(task.wanted)))


class State:
    """What was done, a line of JSON each; without a path it is forgotten."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.done: dict[str, Mapping[str, Any]] = {}
        if path is not None and path.exists():
            lines = (json.loads(line) for line in path.read_text("utf-8").splitlines() if line)
            self.done = {line["id"]: line for line in lines}

    def keep(self, task: Task, ran: Ran) -> None:
        row = {
            "id": task.id,
            "fired": ran.fired.total(),
            "days": round(ran.days, 2),
            "invariant": ran.invariant,
            "what": ran.what,
        }
        self.done[task.id] = row
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
