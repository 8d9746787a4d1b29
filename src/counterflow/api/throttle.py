"""A bound on the requests of one key, so that one caller's loop does not slow the others down."""

import time
from collections import OrderedDict
from dataclasses import dataclass, field

CALLERS_MOST = 10_000


@dataclass(slots=True)
class Throttle:
    """A token bucket per caller and process: `burst` at once, `per_second` for ever."""

    per_second: float = 100.0
    burst: float = 400.0
    buckets: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def wait(self, caller: str) -> float:
        """Seconds until the caller may come again; 0 lets this request in."""
        now = time.monotonic()
        tokens, since = self.buckets.pop(caller, (self.burst, now))
        tokens = min(self.burst, tokens + (now - since) * self.per_second)
        allowed = tokens >= 1
        self.buckets[caller] = (tokens - 1 if allowed else tokens, now)
        if len(self.buckets) > CALLERS_MOST:
            self.buckets.popitem(last=False)
        return 0.0 if allowed else (1 - tokens) / self.per_second
