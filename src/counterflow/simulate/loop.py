"""An event loop in which no time passes by itself and nothing happens in an order that chance decides.

`time()` is virtual. When every task waits for something, the loop says so to the kernel, which then decides what
happens next: a message arrives, an answer comes, somebody looks, or the clock goes on. Nothing else of the process may
wake a task: the database is spoken to without leaving the step (`store.py`), and simulators live in this process.
"""

import asyncio
import heapq
import selectors
from collections.abc import Callable
from contextvars import Context
from typing import Any


class Stalled(RuntimeError):
    """Every task waits and nobody decides what happens next: a bug of the simulation."""


class _Selector(selectors.DefaultSelector):
    """Never waits for a socket: a loop that is idle is told so instead."""

    def __init__(self) -> None:
        super().__init__()
        self.idle: Callable[[], None] | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.idle is None:
            raise Stalled("every task waits, and so does the kernel")
        self.idle()
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """`virtual` is the loop's time in seconds; only the kernel moves it."""

    def __init__(self) -> None:
        self._watch = _Selector()
        self.virtual = 0.0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._count = 0
        super().__init__(self._watch)

    def time(self) -> float:
        return self.virtual

    def call_at(  # type: ignore[override]  # the type of its arguments is no matter here
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = super().call_at(when, callback, *args, context=context)
        self._count += 1
        heapq.heappush(self._timers, (when, self._count, handle))
        return handle

    def next_timer(self) -> float | None:
        """When the next timer of a task is due, None without any."""
        while self._timers and (self._timers[0][2].cancelled() or self._timers[0][0] <= self.virtual):
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def forever_idle(self) -> None:
        """From now on an idle loop is nobody's concern: it is being closed."""
        self._watch.idle = self.stop

    async def quiet(self) -> None:
        """Wait until every other task waits for something that only the kernel can give."""
        waiter = self.create_future()

        def idle() -> None:
            self._watch.idle = None
            waiter.set_result(None)

        self._watch.idle = idle
        await waiter
