"""What the kit has to know of one connector: a simulated outside world, samples of its commands, and the truth.

An author writes a subclass `Harness` in `<connector's package>/conformance.py`. Required: `maker`, `config`,
`simulator`; `sample` and `applied` if the manifest has commands; `happen` if it has feeds; `sign` if it has topics.
All else has a default; a hook that answers None leaves its check out as "skipped", which the report shows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar

import httpx2
from starlette.types import ASGIApp

from counterflow.core.effects import Command, Effect
from counterflow.core.ids import case_id, effect_id
from counterflow.sdk.connector import Connector, Context, Delivery, Maker, Signal
from counterflow.sdk.http import Unlimited
from counterflow.sdk.manifest import Manifest, Support
from counterflow.sdk.simulator import Clock, World

CONNECTION = "here"  # the connection's name in every check
WEBHOOK_URL = "http://receiver.test/webhooks/here"


@dataclass(frozen=True, slots=True)
class File:
    """A file of a feed: what `fetch` calls it, and its bytes.

    `localised` and `corrected` are the same file with headers of another language, and with another amount in its
    last row; None where the outside has no such thing.
    """

    name: str
    body: bytes
    delimiter: str = ","
    localised: bytes | None = None
    corrected: bytes | None = None


class Harness:
    """One connector against one fresh simulated world; every check gets its own."""

    maker: ClassVar[Maker]
    config: ClassVar[Mapping[str, Any]]  # a complete configuration for the simulator; secrets in the clear
    # kind -> regular expression over the simulator's labels ("POST /v1/refunds") of the requests that make the change
    writes: ClassVar[Mapping[str, str]] = {}
    rows: ClassVar[int] = 5  # so many rows of a feed are more than one page
    currencies: ClassVar[Mapping[str, int]] = {"EUR": 19_90, "JPY": 500, "KWD": 12_340}  # minor units to send
    retry_after_seconds: ClassVar[float] = 1.0  # what the simulator's 429 asks for
    faults: ClassVar[int] = 150  # of the soak, over all commands; `counterflow conformance` goes through 1,000
    spoiled: ClassVar[int] = 50  # inputs of each check of bad input; `counterflow conformance` goes through 300
    signs_body: ClassVar[bool] = True  # False: they only show a secret; what arrives is a pointer, and is read fresh
    resends: ClassVar[bool] = True  # False: what got no answer is never sent again
    signs_time: ClassVar[bool] = True  # False: their signature covers no time, only the identity holds off a replay

    def __init__(self) -> None:
        self.clock = Clock()
        self.world = World(self.manifest.name, None, self.clock)
        self.deliveries: list[Delivery] = []
        self.receiver_status = 202  # what the simulator's webhooks are answered
        self.world.transport = httpx2.MockTransport(self._receive)
        self.app = self.simulator(self.world, WEBHOOK_URL)
        self.network = Counting(httpx2.ASGITransport(self.app))
        self.connector = self.connect()

    # ---- to be written -----------------------------------------------------------------------------------------------

    def simulator(self, world: World, webhook_url: str) -> ASGIApp:
        """The outside system, made with the secrets of `config`; its webhooks go to `webhook_url`."""
        raise NotImplementedError

    async def sample(self, kind: str, currency: str = "EUR", amount_minor: int = 19_90) -> Effect:
        """A new effect that this world will carry out when asked; sets up what it needs (an order, a payment)."""
        raise NotImplementedError

    async def applied(self, effect: Effect) -> int:
        """How often the outside has done it, counted in the simulator's own documents, never through the connector."""
        raise NotImplementedError

    async def happen(self, feed: str) -> str:
        """Let something happen outside that this feed tells; the end of a reference that will name it."""
        raise NotImplementedError

    def sign(self, body: bytes) -> Delivery:
        """These bytes as a delivery that the outside signed now (`delivery_of` helps)."""
        raise NotImplementedError

    # ---- may be written ----------------------------------------------------------------------------------------------

    async def amount(self, effect: Effect) -> tuple[int, str] | None:
        """(minor units, currency) that the outside has booked for it; None: the command carries no money."""
        return None

    def altered(self, effect: Effect) -> Effect | None:
        """The same key with other content."""
        amount = getattr(effect.command, "amount_minor", 0)
        if not amount:
            return None
        return replace(effect, command=replace(effect.command, amount_minor=amount + 10))  # type: ignore[arg-type]

    async def over(self, kind: str) -> Effect | None:
        """An effect that the outside refuses for good (a refund of more than was paid)."""
        return None

    async def stale(self, kind: str) -> Effect | None:
        """An effect that assumes what is no longer so outside: a Conflict."""
        return None

    async def late(self, feed: str, seconds: float) -> str | None:
        """Let a row appear now whose own time is `seconds` ago: what `Feed.lag_seconds` is for."""
        return None

    async def file(self, feed: str) -> File | None:
        """A file of this feed as the outside delivers it, with at least two rows that are told."""
        return None

    async def replace_file(self, name: str, body: bytes) -> None:
        """From now on the outside delivers these bytes under that name."""
        raise NotImplementedError

    async def ripen(self) -> None:
        """Let come what the outside tells only later: a batch closes, a report is written."""

    def tampered(self, delivery: Delivery) -> list[Delivery]:
        """The delivery with something changed that its signature covers; by default any bit of the body."""
        body, size = delivery.body, len(delivery.body)
        flipped = [
            body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
            for place in sorted({0, size // 3, size // 2, size - 1})
        ]
        return [replace(delivery, body=changed) for changed in (*flipped, body + b" ")]

    def unknown_topic(self) -> bytes:
        """A well-formed body of a kind that the connector does not know."""
        return b'{"id": "evt_unknown", "type": "thing.happened", "created": 1, "data": {"object": {"id": "th_1"}}}'

    def missing(self, feed: str) -> str | None:
        """A reference of this feed to something that does not exist; None: nothing is fetched by reference."""
        return None

    # ---- given -------------------------------------------------------------------------------------------------------

    @property
    def manifest(self) -> Manifest:
        return self.maker.manifest

    def support(self, kind: str) -> Support:
        return self.manifest.commands[kind]

    @property
    def secrets(self) -> list[str]:
        """The values that nobody may ever read."""
        return [str(self.config[name]) for name in self.manifest.secret_fields if self.config.get(name)]

    def write_label(self, kind: str) -> str:
        return self.writes.get(kind, r"^(POST|PUT|PATCH|DELETE) ")

    def connect(
        self, *, network: httpx2.AsyncBaseTransport | None = None, skew_seconds: float = 0.0, **config: Any
    ) -> Connector:
        """The connector as the runtime makes it, on this world's network unless another is given."""

        def now() -> datetime:
            return self.clock.now() + timedelta(seconds=skew_seconds)

        checked = self.maker.Config.model_validate({**self.config, **config})
        return self.maker.make(checked, Context(CONNECTION, Unlimited(), now, network or self.network))

    def effect(self, command: Command, number: int | None = None) -> Effect:
        """`command` as an effect with a key of its own."""
        number = self.world.next_id("_effects") if number is None else number
        owner = case_id(f"{CONNECTION}:return:{number}")
        key = effect_id(owner, type(command).__name__, str(number))
        return Effect(key, owner, CONNECTION, command, self.clock.now(), scope=f"case:{owner}")

    async def act(self, name: str, **payload: Any) -> Any:
        """What a person or machine does inside the simulator (`POST /_sim/do/<name>`)."""
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(self.app), base_url="http://sim.test") as client:
            answer = await client.post(f"/_sim/do/{name}", json=payload)
        assert answer.status_code == 200, f"the act {name} was answered {answer.status_code}: {answer.text}"
        return answer.json()

    async def told(self) -> list[Delivery]:
        """The deliveries that the outside has sent since the last time."""
        await self.world.pump()
        taken, self.deliveries = self.deliveries, []
        return taken

    def delivery_of(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        named = {name.lower(): (value,) for name, value in headers.items()}
        return Delivery(CONNECTION, named, body, self.clock.now())

    def _receive(self, request: httpx2.Request) -> httpx2.Response:
        self.deliveries.append(self.delivery_of(dict(request.headers), request.content))
        return httpx2.Response(self.receiver_status)


class Counting(httpx2.AsyncBaseTransport):
    """Counts the requests that go out."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self.inner, self.requests = inner, 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests += 1
        return await self.inner.handle_async_request(request)


class Echo(httpx2.AsyncBaseTransport):
    """A system that repeats everything it was told, secrets too, in an answer with this status."""

    def __init__(self, status: int) -> None:
        self.status = status

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        said = f"you sent {dict(request.headers)} to {request.url}"
        body = {"error": {"message": said, "code": "echo", "type": "echo"}, "detail": said, "message": said}
        return httpx2.Response(self.status, json=body, request=request)


def names(signal_or_fact: Any) -> tuple[str, ...]:
    """Every reference of an item of a feed or delivery."""
    return (signal_or_fact.ref, *signal_or_fact.refs) if isinstance(signal_or_fact, Signal) else signal_or_fact.refs


def with_text(command: Command, text: str) -> Command | None:
    """The command with this text in its free fields; None: it has none."""
    free = {field.name: text for field in fields(command) if field.name in ("reason", "order_number", "text", "note")}
    return replace(command, **free) if free else None  # type: ignore[arg-type]
