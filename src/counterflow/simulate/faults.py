"""What may go wrong, as data, and who decides when it does.

A run passes *points*: a request of ours that is about to arrive at a partner (`call`), a message on its way to us
(`hook`), a transaction about to become durable (`commit`), a statement (`statement`), something that a person does
(`person`), and every turn of the kernel (`turn`). At each the plan is asked whether something fails there. Points are
counted, so a failure can be put at any of them again.
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

# kind: (number in the list of the design, point, what happens)
KINDS: dict[str, tuple[str, str, str]] = {
    "crash_before_call": ("F1", "call", "the worker dies before its request has arrived"),
    "crash_after_call": ("F2", "call", "the worker dies after the partner has acted, before it is recorded"),
    "crash_before_commit": ("F1", "commit", "a process dies with its transaction complete and not durable"),
    "crash_after_commit": ("F3", "commit", "a process dies after a commit, before it acts on it or answers"),
    "lost_ack": ("F4", "hook", "we have taken a message, and its sender does not hear of it"),
    "duplicate": ("F5", "hook", "a message arrives two to five times"),
    "reorder": ("F6", "hook", "a message is overtaken by later ones"),
    "delay": ("F7", "hook", "a message comes up to three days late"),
    "lost_webhook": ("F8", "hook", "a message never arrives, and its sender believes that it did"),
    "subscription_gone": ("F9", "turn", "a system stops telling us anything, for up to two days"),
    "timeout_before": ("F10", "call", "no answer in time; the request never arrived"),
    "timeout_after": ("F11", "call", "no answer in time; the partner has done it"),
    "timeout_then_done": ("F11", "call", "no answer in time; the partner does it seconds later"),
    "error_after": ("F12", "call", "a 5xx after the partner has done it"),
    "rate_limited": ("F13", "call", "429, with Retry-After or without"),
    "outage": ("F14", "turn", "one partner is down, for minutes to hours"),
    "blackout": ("F15", "turn", "all partners are down for hours"),
    "slow": ("F16", "call", "the answer takes up to two minutes"),
    "garbled": ("F17", "call", "the answer is cut short"),
    "corrupted": ("F17", "hook", "a message is altered on its way"),
    "drift": ("F18", "call", "the answer has fields that nobody knows"),
    "field_gone": ("F18", "call", "the answer to a read lacks a field"),
    "clock": ("F19", "turn", "the clock of one process jumps, back or forth, for a while"),
    "two_operators": ("F20", "person", "two people do the same thing at the same time"),
    "workers": ("F21", "turn", "a worker is added, or one is taken away"),
    "deploy": ("F22", "turn", "every process of ours is replaced, one after the other, with work under way"),
    "credentials": ("F23", "turn", "a partner refuses our credentials until a person has renewed them"),
    "serialization": ("F24", "statement", "the database refuses a transaction: could not serialize"),
    "disk_full": ("F24", "statement", "the database refuses a transaction: no space left"),
    "database_lost": ("F24", "statement", "the database ends the session in a transaction"),
    "commit_unknown": ("F24", "commit", "the database commits, and the session ends before it says so"),
    "lost_notify": ("F8", "notify", "a notification of the database is lost"),
}  # fmt: skip

# class for --faults: its kinds
CLASSES: dict[str, tuple[str, ...]] = {
    "crash": ("crash_before_call", "crash_after_call", "crash_before_commit", "crash_after_commit"),
    "messages": ("lost_ack", "duplicate", "reorder", "delay", "lost_webhook", "subscription_gone", "corrupted"),
    "calls": ("timeout_before", "timeout_after", "timeout_then_done", "error_after", "rate_limited", "slow"),
    "answers": ("garbled", "drift", "field_gone"),
    "outages": ("outage", "blackout", "credentials"),
    "clock": ("clock",),
    "people": ("two_operators",),
    "processes": ("workers", "deploy"),
    "database": ("serialization", "disk_full", "database_lost", "commit_unknown", "lost_notify"),
}

# How often a kind that is on happens at its point.
RATES: dict[str, float] = {
    "call": 0.04, "hook": 0.06, "commit": 0.008, "statement": 0.001, "person": 0.3, "turn": 0.002, "notify": 0.03,
}  # fmt: skip
MOST = 10  # faults of one run for each of its stories


class Plan(Protocol):
    """Decides whether something fails at a point. `fired` counts what did."""

    fired: Counter[str]

    def at(self, point: str, detail: str = "") -> str:
        """A kind, or nothing."""

    def rng(self) -> random.Random:
        """For how it fails: how long, how often."""


@dataclass
class Chance:
    """Each run turns some kinds on, each with a rate of its own, so that runs differ in what they are about."""

    seed: int
    kinds: Sequence[str]
    stories: int = 4
    fired: Counter[str] = field(default_factory=Counter)
    on: Mapping[str, dict[str, float]] = field(init=False)

    def __post_init__(self) -> None:
        self._rng = random.Random(f"faults:{self.seed}")
        chosen = [kind for kind in self.kinds if self._rng.random() < 0.6]
        by_point: dict[str, dict[str, float]] = {}
        for kind in chosen:
            point = KINDS[kind][1]
            by_point.setdefault(point, {})[kind] = RATES[point] * self._rng.choice((0.3, 1.0, 3.0))
        self.on = by_point

    def at(self, point: str, detail: str = "") -> str:
        if self.fired.total() >= MOST * self.stories:
            return ""
        for kind, rate in self.on.get(point, {}).items():
            if self._rng.random() < rate:
                self.fired[kind] += 1
                return kind
        return ""

    def rng(self) -> random.Random:
        return self._rng


@dataclass
class Exact:
    """Given failures at given points: {(point, number from 0): kind}. Notes all points that were passed."""

    wanted: Mapping[tuple[str, int], str]
    fired: Counter[str] = field(default_factory=Counter)
    passed: list[tuple[str, int, str]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._rng = random.Random(repr(sorted(self.wanted.items())))

    def at(self, point: str, detail: str = "") -> str:
        number = self.counts[point]
        self.counts[point] += 1
        self.passed.append((point, number, detail))
        if kind := self.wanted.get((point, number), ""):
            self.fired[kind] += 1
        return kind

    def rng(self) -> random.Random:
        return self._rng


def kinds_of(names: Sequence[str]) -> tuple[str, ...]:
    """Kinds by the names of classes or kinds, all without any. Raises KeyError for an unknown name."""
    if not names:
        return tuple(KINDS)
    found: dict[str, None] = {}
    for name in names:
        if name not in KINDS and name not in CLASSES:
            raise KeyError(name)
        found.update(dict.fromkeys(CLASSES.get(name, (name,))))
    return tuple(found)
