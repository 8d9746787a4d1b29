"""The kit's harness over a real Medusa: the relay in the simulator's place, the truth from the server's own API."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any, ClassVar

import httpx2
from starlette.types import ASGIApp

from counterflow.connectors.medusa.conformance import Harness
from counterflow.core.effects import Command, Effect
from counterflow.sandbox.real_medusa import Given, create_app
from counterflow.sdk.simulator import World
from tests.counterparts.medusa.server import Server

_NUMBERS = count(time.time_ns())


class RealHarness(Harness):
    server: ClassVar[Server]
    ids: ClassVar[dict[str, str]] = {}
    rows = 3

    def __init__(self) -> None:
        self.began = datetime.now(UTC)  # the server is older than this check
        super().__init__()

    @property
    def config(self) -> Mapping[str, Any]:  # type: ignore[override]
        access = {"email": self.server.email, "password": self.server.password}
        return {**access, "base_url": "http://medusa.test", "page_size": 2, "since": self.began}

    def effect(self, command: Command, number: int | None = None) -> Effect:
        """The server outlives a check, so that every effect of a run has a key of its own."""
        return super().effect(command, next(_NUMBERS) if number is None else number)

    def simulator(self, world: World, webhook_url: str) -> ASGIApp:
        return create_app(world, Given(self.server.url, self.server.email, self.server.password), self.ids)

    async def read(self, path: str, name: str, **query: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.ids['token']}"}
        async with httpx2.AsyncClient(base_url=self.server.url, headers=headers, timeout=60) as client:
            return (await client.get(path, params=query)).raise_for_status().json()[name]
