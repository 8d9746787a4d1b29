"""Every boundary with every failure on the core stories, one at a time; and every two failures in one run.

A run without failures tells which points it passes. Points with the same name are one boundary (the commit of an
outcome for the ERP, a request to the provider's refunds, a message of the warehouse); of each the first and the last
pass are taken. Every two boundaries with every two kinds would be fifteen million runs: of every two kinds some pairs
of boundaries are drawn, the same ones each time. What was done is kept in a file, a line each, so that a run of days
goes on where it stopped.
"""

import json
import random
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, islice
from pathlib import Path
from typing import Any

from counterflow.simulate.families import write
from counterflow.simulate.faults import KINDS, Exact
from counterflow.simulate.run import Ran, Stage

CORE = ("omnichannel", "split_tender", "exchange_down", "refunded_by_hand", "partial")
SEED = 1
TURNS = 6  # of a run that are taken for what happens by itself, evenly spread

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


def singles(
    stage: Stage, families: Sequence[str] = CORE, each: int = 0, kinds: Collection[str] = KINDS
) -> Iterator[Task]:
    """Every boundary of every story with every kind of failure; `each`: so many of a kind, evenly taken."""
    for family in families:
        for kind, places in _by_kind(stage, family, kinds).items():
            for place, name in places[:: -(-len(places) // each) if each else 1]:
                yield Task(family, ((place, kind),), f"{kind} at {name}")


def pairs(
    stage: Stage, families: Sequence[str] = CORE, each: int = 1, kinds: Collection[str] = KINDS
) -> Iterator[Task]:
    """Every two kinds of failure, also twice the same, at so many pairs of boundaries of every story."""
    for family in families:
        found = _by_kind(stage, family, kinds)
        for kind, also in combinations_with_replacement(found, 2):
            rng = random.Random(f"{family}: {kind}, {also}")
            drawn = ((rng.choice(found[kind]), rng.choice(found[also])) for _ in range(10 * each))
            apart = (both for both in drawn if both[0] != both[1])
            for (place, name), (other, then) in islice(apart, each):
                yield Task(family, ((place, kind), (other, also)), f"{kind} at {name}, {also} at {then}")


def _by_kind(stage: Stage, family: str, kinds: Collection[str]) -> dict[str, list[tuple[Place, str]]]:
    """Where each kind of failure may happen in this story."""
    found = boundaries(stage, family)
    places = {kind: [each for each in found if each[0][0] == KINDS[kind][1]] for kind in kinds}
    return {kind: each for kind, each in places.items() if each}


def boundaries(stage: Stage, family: str) -> list[tuple[Place, str]]:
    """(place, its name) of what a run without failures passes, the first passes before the last ones."""
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
    return [
        *(((point, number), f"{point} {detail}") for (point, detail), number in first.items()),
        *(
            ((point, number), f"{point} {detail} (the last)")
            for (point, detail), number in last.items()
            if number != first[point, detail]
        ),
    ]


def play(stage: Stage, task: Task) -> Ran:
    return stage.run(SEED, [write(SEED, 1, task.family)], Exact(dict(task.wanted)))


@dataclass(frozen=True, slots=True)
class Chosen:
    """The tasks of one command, by number."""

    tasks: Sequence[Task]

    def run(self, stage: Stage, number: int) -> Ran:
        return play(stage, self.tasks[number])


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
