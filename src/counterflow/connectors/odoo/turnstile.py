"""Writers to the same stock or credit note go one after the other; those of one sale the engine keeps apart.

Odoo notices a conflict itself, and repeats the call after seconds: two that meet are slower than one after the other.
It works within this process; a second worker process still meets Odoo's own way.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

Key = tuple[str, int, int]
CUSTOMERS = 0  # where goods come from: one place, whatever its id


class Turnstile:
    def __init__(self) -> None:
        self._busy: set[Key] = set()
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def alone(self, keys: Iterable[Key]) -> AsyncIterator[None]:
        """Nobody else is inside with one of these keys; whoever waits holds none."""
        mine = set(keys)
        async with self._changed:
            await self._changed.wait_for(lambda: not mine & self._busy)
            self._busy |= mine
        try:
            yield
        finally:
            async with self._changed:
                self._busy -= mine
                self._changed.notify_all()


def stock(products: Iterable[int], *locations: int) -> set[Key]:
    """What a movement of these products between these places writes to."""
    return {("stock", product, location) for product in products for location in locations}
