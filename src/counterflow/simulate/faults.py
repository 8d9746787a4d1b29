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

# kind: (number in the list of the design, or whose documentation tells of it; point; what happens)
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
    "policy_changed": ("S27", "turn", "other rules for what is asked from now on are published, with cases under way"),
    "credentials": ("F23", "turn", "a partner refuses our credentials until a person has renewed them"),
    "serialization": ("F24", "statement", "the database refuses a transaction: could not serialize"),
    "disk_full": ("F24", "statement", "the database refuses a transaction: no space left"),
    "database_lost": ("F24", "statement", "the database ends the session in a transaction"),
    "commit_unknown": ("F24", "commit", "the database commits, and the session ends before it says so"),
    "lost_notify": ("F8", "notify", "a notification of the database is lost"),
    "late_row": ("Shopify search, Odoo commits", "call", "a list of what changed lacks the newest row"),
    "key_in_use": ("Stripe, Shopify keys", "call", "a request under our key is said to be under way still"),
    "key_burnt": ("Shopify keys", "call", "a mutation is done, and its key remembered as one that failed"),
    "out_of_funds": ("Stripe refunds", "call", "the balance does not cover the next refund: it waits for money"),
    "write_conflict": ("Odoo transactions", "call", "another transaction was faster: nothing is done"),
    "device_offline": ("tills, warehouses", "turn", "a site is cut off for hours, then sends all at once, some twice"),
    "period_closed": ("Odoo lock dates", "turn", "an accountant closes the books up to yesterday"),
}  # fmt: skip

# class for --faults: its kinds
CLASSES: dict[str, tuple[str, ...]] = {
    "crash": ("crash_before_call", "crash_after_call", "crash_before_commit", "crash_after_commit"),
    "messages": ("lost_ack", "duplicate", "reorder", "delay", "lost_webhook", "subscription_gone", "corrupted"),
    "calls": ("timeout_before", "timeout_after", "timeout_then_done", "error_after", "rate_limited", "slow"),
    "partners": ("key_in_use", "key_burnt", "out_of_funds", "write_conflict"),
    "answers": ("garbled", "drift", "field_gone", "late_row"),
    "outages": ("outage", "blackout", "credentials", "device_offline"),
    "clock": ("clock",),
    "people": ("two_operators", "period_closed"),
    "processes": ("workers", "deploy", "policy_changed"),
    "database": ("serialization", "disk_full", "database_lost", "commit_unknown", "lost_notify"),
}

# How often something happens at a point; the kinds that are on share it.
RATES: dict[str, float] = {
    "call": 0.08, "hook": 0.2, "commit": 0.02, "statement": 0.002, "person": 0.3, "turn": 0.006, "notify": 0.03,
}  # fmt: skip
MOST = 30  # faults of one run for each of its stories
# Nothing fails before so many points of each story were passed: else all failures fall on the first hour of every run,
# and none on the refunds and payouts of its last days.
CALM = (0, 0, 150, 500, 1000)
# Partners fail in bursts: that the same request or message fails in the same way again, and how often at most.
AGAIN, AGAIN_MOST = 0.25, 5
# What a partner says of its own accord: kind -> system -> the fault of its simulator.
PARTNERS: dict[str, dict[str, str]] = {
    "key_in_use": {"psp": "lock_timeout", "shop": "idempotency_concurrent", "till-1": "in_flight", "wms": "in_flight"},
    "key_burnt": {"shop": "idempotency_burnt"},
    "out_of_funds": {"psp": "insufficient_funds"},
    "write_conflict": {"odoo": "serialization_failure"},
}


class Plan(Protocol):
    """Decides whether something fails at a point. `fired` counts what did."""

    fired: Counter[str]

    def at(self, point: str, detail: str = "") -> str:
        """A kind, or nothing."""

    def rng(self) -> random.Random:
        """For how it fails: how long, how often."""


@dataclass
class Chance:
    """Each run turns some kinds on, each point with a rate of its own, so that runs differ in what they are about."""

    seed: int
    kinds: Sequence[str]
    stories: int = 4
    fired: Counter[str] = field(default_factory=Counter)
    on: dict[str, list[str]] = field(init=False)
    rates: dict[str, float] = field(init=False)
    calm: int = field(init=False)
    again: dict[tuple[str, str], tuple[str, int]] = field(init=False)  # point and detail -> what comes again, how often

    def __post_init__(self) -> None:
        self._rng = random.Random(f"faults:{self.seed}")
        chosen = [kind for kind in self.kinds if self._rng.random() < 0.6]
        self.on = {}
        for kind in chosen:
            self.on.setdefault(KINDS[kind][1], []).append(kind)
        self.rates = {point: RATES[point] * self._rng.choice((0.3, 1.0, 3.0)) for point in self.on}
        self.calm = self._rng.choice(CALM) * self.stories
        self.again = {}

    def at(self, point: str, detail: str = "") -> str:
        self.calm -= 1
        if self.calm >= 0 or self.fired.total() >= MOST * self.stories:
            return ""
        kind, left = self.again.pop((point, detail), ("", 0))
        if not left:
            kind = self._rng.choice(self.on[point]) if self._rng.random() < self.rates.get(point, 0.0) else ""
            left = 1 + (self._rng.randint(1, AGAIN_MOST) if kind and self._rng.random() < AGAIN else 0)
        if kind:
            self.fired[kind] += 1
            if left > 1 and point in ("call", "hook"):
                self.again[point, detail] = kind, left - 1
        return kind

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
