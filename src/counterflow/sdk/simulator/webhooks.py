"""Webhooks as the outside world sends them: stored first, retried; now and then doubled, late, out of order or lost."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx2

if TYPE_CHECKING:
    from counterflow.sdk.simulator.world import World

Signer = Callable[[dict[str, str], bytes, datetime], dict[str, str]]

_POLL_SECONDS = 0.02  # the clock may be jumped by another process, so the pump looks and does not wait
_TIMEOUT_SECONDS = 10.0
_AT_ONCE = 16


@dataclass(frozen=True)
class Chaos:
    """How badly deliveries behave: chances from 0 to 1, delays in seconds of the world's clock."""

    duplicate: float = 0.0  # chance of a second copy, with the same headers and body
    reorder_seconds: float = 0.0  # every other delivery is held back this long, so that later ones overtake it
    jitter_seconds: float = 0.0  # each delivery is late by up to this much
    lose: float = 0.0  # chance that it is never sent

    def __post_init__(self) -> None:
        for field in ("duplicate", "lose"):
            if not 0 <= getattr(self, field) <= 1:
                raise ValueError(f"{field} is a chance from 0 to 1")

    def as_doc(self) -> dict[str, float]:
        return asdict(self)


class Deliveries:
    """The webhooks under way; they wait on the agenda of the world, and end in its collection `_webhooks`."""

    KIND = "_deliver"

    def __init__(self, world: "World") -> None:
        self._world = world
        self._one_pump = asyncio.Lock()

    def emit(
        self,
        url: str,
        headers: dict[str, str],
        body: bytes,
        schedule: tuple[float, ...],
        delay: float,
        label: str,
        reliable: bool,
    ) -> None:
        world, chaos = self._world, Chaos() if reliable else self._world.chaos
        text = body.decode()
        with world.tx():
            doc = {"url": url, "headers": headers, "body": text, "label": label, "schedule": schedule, "answers": []}
            lost = not reliable and world.take_fault("lose_webhook", f"{url} {label}\n{body[:4000].decode('latin-1')}")
            if lost or world.rng.random() < chaos.lose:
                return self._end(doc, "lost")
            copies = 2 if world.rng.random() < chaos.duplicate else 1
            for _ in range(copies):
                late = delay + world.rng.uniform(0, chaos.jitter_seconds)
                if chaos.reorder_seconds and world.rng.random() < 0.5:
                    late += chaos.reorder_seconds
                world.at(world.now() + timedelta(seconds=late), self.KIND, doc)

    async def pump(self) -> dict[str, int]:
        """Fire the agenda and send what is due, until nothing is."""
        done = {"fired": 0, "delivered": 0, "failed": 0}
        async with self._one_pump:  # two pumps would send the same delivery twice
            while True:
                fired = self._world.fire()
                due = self._world.take_due(webhooks=True, limit=_AT_ONCE)
                done["fired"] += fired
                if not fired and not due:
                    return done
                transport = self._world.transport or httpx2.AsyncHTTPTransport(verify=False)  # to receivers nearby
                async with httpx2.AsyncClient(transport=transport, timeout=_TIMEOUT_SECONDS) as client:
                    results = await asyncio.gather(*(self.send(client, seq, doc) for seq, _, _, doc in due))
                done["delivered"] += sum(results)
                done["failed"] += len(results) - sum(results)

    async def send(self, client: httpx2.AsyncClient, seq: int, doc: dict[str, Any]) -> bool:
        """One attempt. A crash between the answer and its record sends it once more, as it does out there."""
        body = doc["body"].encode()
        headers = self._world.signer(dict(doc["headers"]), body, self._world.clock.now())
        answer: int | str
        try:
            answer = (await client.post(doc["url"], headers=headers, content=body)).status_code
        except Exception as error:  # whatever the other side does to us, a sender only knows that it got no answer
            answer = type(error).__name__
        ok = isinstance(answer, int) and 200 <= answer < 300
        doc["answers"].append(answer)
        with self._world.tx():
            self._world.drop(seq)
            failures = len(doc["answers"])
            if ok:
                self._end(doc, "delivered")
            elif failures <= len(doc["schedule"]):
                wait = timedelta(seconds=doc["schedule"][failures - 1])
                self._world.at(self._world.clock.now() + wait, self.KIND, doc)
            else:
                self._end(doc, "given_up")
        return ok

    def _end(self, doc: dict[str, Any], state: str) -> None:
        id = str(self._world.next_id("_webhooks"))
        self._world.put("_webhooks", id, {**doc, "id": id, "state": state})

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async def forever() -> None:
            while True:
                await self.pump()
                await asyncio.sleep(_POLL_SECONDS)

        task = asyncio.create_task(forever(), name=f"pump {self._world.name}")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
