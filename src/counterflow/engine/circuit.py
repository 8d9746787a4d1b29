"""The circuit of a connection: whether calls go out at all. Pure; the row is shared by all workers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from counterflow.store.connections import ConnectionRow

FAILURES = 5  # calls without an answer, one after the other, before it opens
OPEN_SECONDS = 2.0
OPEN_SECONDS_MOST = 120.0

_NO_ANSWER = frozenset({"transient", "unknown"})


@dataclass(frozen=True, slots=True)
class Circuit:
    """A connection's circuit after an outcome."""

    state: str  # closed | open | stopped
    failures: int
    paused_until: datetime | None = None
    reason: str = ""


def calls_allowed(row: ConnectionRow, now: datetime) -> int | None:
    """How many calls may be under way: None = as many as the connection takes; an open circuit lets one through."""
    if row.circuit == "stopped" or (row.paused_until is not None and row.paused_until > now):
        return 0
    return 1 if row.circuit == "open" else None


def after(row: ConnectionRow, words: Sequence[str], messages: Sequence[str], now: datetime) -> Circuit | None:
    """The circuit after calls that ended with these words; None when nothing changes."""
    if "auth_failed" in words:
        return Circuit("stopped", row.failures, None, messages[words.index("auth_failed")])
    if row.circuit == "stopped":
        return None
    if any(word not in _NO_ANSWER for word in words):
        return Circuit("closed", 0, row.paused_until) if row.failures or row.circuit != "closed" else None
    failures = row.failures + len(words)
    if failures < FAILURES:
        return Circuit("closed", failures, row.paused_until)
    seconds = min(OPEN_SECONDS_MOST, OPEN_SECONDS * 2.0 ** min(failures - FAILURES, 10))
    return Circuit("open", failures, now + timedelta(seconds=seconds), messages[-1])
