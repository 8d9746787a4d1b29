"""What an attempt gave: two kinds of success and eight words for the rest; each word is one thing the engine does.

Authors classify by *when* it failed (before send, after send, answered), not by status code alone.
"""

import re
from dataclasses import dataclass

from counterflow.core.facts import Fact

_BROKEN = re.compile("[\x00\ud800-\udfff]")


def legible(text: str, most: int = 2_000) -> str:
    """Text that may quote them, so that it can be stored: whole characters, no NUL, not too many."""
    return _BROKEN.sub("\ufffd", text[:most])


@dataclass(frozen=True, slots=True)
class Done:
    """It is so at the other side. `ref` is their id; `values` what else they said; `facts` the answer of a read."""

    ref: str = ""
    values: tuple[tuple[str, str], ...] = ()
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class Accepted:
    """They took it and will say later how it ended: a webhook, a feed, or `find` tells."""

    ref: str = ""
    values: tuple[tuple[str, str], ...] = ()


class ConnectorError(Exception):
    """Base of the eight words. `message` is for a person and names the next move; it holds no secret."""

    word = "error"
    unhealthy = False  # it counts towards opening the circuit: the other side is ill, not our request

    def __init__(self, message: str, *, code: str = "", field: str = "") -> None:
        super().__init__(message)
        self.message, self.code, self.field = legible(message), legible(code), legible(field)


class Transient(ConnectorError):
    """Surely not applied (refused, DNS, TLS, 503 before the application): retried with back-off, bounded."""

    word = "transient"
    unhealthy = True


class RateLimited(ConnectorError):
    """Surely not applied: the scope pauses for `retry_after` seconds, no attempt is counted."""

    word = "rate_limited"

    def __init__(self, message: str, *, retry_after: float, code: str = "") -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class UnknownOutcome(ConnectorError):
    """Maybe applied (timeout, reset, 5xx or garbage after a write was sent): only `find` moves it, never a resend."""

    word = "unknown"
    unhealthy = True


class Rejected(ConnectorError):
    """Surely not applied and never will be: stops, goes to a person with the field."""

    word = "rejected"


class Conflict(ConnectorError):
    """Not applied, the world differs from what the command assumed: read again, decide again."""

    word = "conflict"

    def __init__(self, message: str, *, actual: str = "", code: str = "", field: str = "") -> None:
        super().__init__(message, code=code, field=field)
        self.actual = actual


class AuthFailed(ConnectorError):
    """Not applied (401, bad signature): refreshed once, then the connection stops and someone is told."""

    word = "auth_failed"


class MissingRight(AuthFailed):
    """Not applied (403, no scope): we are known, but not allowed this. A feed stops alone, a write as `AuthFailed`."""


class NotFound(ConnectorError):
    """Not applied, their object is gone: the link is broken, a person repairs it."""

    word = "not_found"


class Malformed(ConnectorError):
    """Their answer to a read, or their delivery, breaks their own contract: raw bytes kept, drift alarm."""

    word = "malformed"
    raw = b""  # what could not be understood; the engine fills it


Outcome = Done | Accepted | ConnectorError
