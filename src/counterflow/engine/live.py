"""A connector that is made again when its configuration changes: a new key is taken without a restart.

Calls that are under way end with the connector that they began with. What that one is refused says nothing about the
new key, so it counts as not done.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import BaseModel

from counterflow.core.effects import Effect
from counterflow.core.facts import Fact
from counterflow.sdk.connector import Connector, Delivery, Page, Signal
from counterflow.sdk.manifest import Manifest
from counterflow.sdk.outcomes import AuthFailed, Outcome, Transient

_CHANGED = "the credentials have just been replaced"


@dataclass(slots=True)
class _Made:
    connector: Connector
    uses: int = 0


class Live:
    """One connection's connector, whatever it is made of at the moment."""

    def __init__(self, make: Callable[[BaseModel], Connector], config: BaseModel) -> None:
        self._make, self.config = make, config
        self._made = _Made(make(config))
        self.manifest: Manifest = self._made.connector.manifest

    @property
    def connector(self) -> Connector:
        return self._made.connector

    async def put(self, config: BaseModel) -> bool:
        """Work with this configuration from now on; False when it is the one in use."""
        if config == self.config:
            return False
        made, old = _Made(self._make(config)), self._made
        self._made, self.config, self.manifest = made, config, made.connector.manifest
        if not old.uses:
            await old.connector.aclose()
        return True

    def verify(self, delivery: Delivery) -> None:
        self._made.connector.verify(delivery)

    def identify(self, delivery: Delivery) -> str:
        return self._made.connector.identify(delivery)

    def translate(self, delivery: Delivery) -> Sequence[Fact | Signal]:
        return self._made.connector.translate(delivery)

    async def fetch(self, feed: str, ref: str) -> Sequence[Fact]:
        async with self._using() as connector:
            return await connector.fetch(feed, ref)

    async def pull(self, feed: str, cursor: str) -> Page:
        async with self._using() as connector:
            return await connector.pull(feed, cursor)

    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        async with self._using() as connector:
            outcomes = await connector.send(effects)
            refused = connector is not self._made.connector
            return [Transient(_CHANGED) if refused and isinstance(o, AuthFailed) else o for o in outcomes]

    async def find(self, effect: Effect) -> Outcome | None:
        async with self._using() as connector:
            return await connector.find(effect)

    async def check(self) -> Sequence[tuple[str, bool, str]]:
        async with self._using() as connector:
            return await connector.check()

    async def aclose(self) -> None:
        await self._made.connector.aclose()

    @asynccontextmanager
    async def _using(self) -> AsyncIterator[Connector]:
        made = self._made
        made.uses += 1
        try:
            yield made.connector
        except AuthFailed:
            if made is self._made:
                raise
            raise Transient(_CHANGED) from None
        finally:
            made.uses -= 1
            if made is not self._made and not made.uses:
                await made.connector.aclose()
