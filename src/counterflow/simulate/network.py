"""Every message between the processes of a run, held until the kernel lets it go on: there, and back.

Who answers works in a task that belongs to nobody's process: what a partner has begun it also ends, whether or not
somebody still waits for the answer.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx2
from starlette.types import ASGIApp, Message, Scope

from counterflow.simulate.store import Died

TIMEOUT_SECONDS = 10.0


@dataclass(slots=True, eq=False)
class Flight:
    """One request. `origin` sent it: a process of ours, or a system; `label` names it, the same in every run."""

    number: int
    origin: str
    target: str
    label: str
    request: httpx2.Request
    due: float  # not before
    timeout_at: float
    answer: "asyncio.Future[httpx2.Response]"
    delivered: bool = False
    response: httpx2.Response | None = None
    error: Exception | None = None
    fault: str = ""
    task: "asyncio.Task[None] | None" = None

    @property
    def write(self) -> bool:
        return self.request.method not in ("GET", "HEAD")

    @property
    def awaited(self) -> bool:
        """Somebody still waits for the answer."""
        return not self.answer.done()

    @property
    def ready(self) -> bool:
        """It has been answered, or will not be."""
        return self.response is not None or self.error is not None


@dataclass
class Network:
    """`apps`: host -> what answers there now, None while nobody does."""

    loop: asyncio.AbstractEventLoop
    apps: dict[str, Callable[[], ASGIApp | None]]
    flights: list[Flight] = field(default_factory=list)
    count: int = 0

    def of(self, origin: str) -> "Wire":
        return Wire(self, origin)

    def send(self, origin: str, request: httpx2.Request) -> Flight:
        self.count += 1
        host, path = request.url.host, request.url.path
        system, rest = host.partition(".")[0], path
        if system == "outside":
            system, _, rest = path[1:].partition("/")
        seconds = (request.extensions.get("timeout") or {}).get("read") or TIMEOUT_SECONDS
        now = self.loop.time()
        flight = Flight(
            self.count,
            origin,
            system,
            f"{request.method} {system}/{rest.lstrip('/')}",
            request,
            now,
            now + seconds,
            self.loop.create_future(),
        )
        self.flights.append(flight)
        return flight

    def deliver(self, flight: Flight) -> None:
        """Let it arrive; the answer is held back until `reply`."""
        flight.delivered = True
        flight.task = self.loop.create_task(self._carry(flight))

    def reply(self, flight: Flight) -> None:
        self.flights.remove(flight)
        if flight.answer.done():
            return
        if flight.error is not None:
            flight.answer.set_exception(flight.error)
        else:
            assert flight.response is not None
            flight.answer.set_result(flight.response)

    def fail(self, flight: Flight, error: Exception) -> None:
        """Who waits hears of no answer; whether it still arrives there is another question."""
        if not flight.answer.done():
            flight.answer.set_exception(error)

    def drop(self, flight: Flight) -> None:
        self.flights.remove(flight)

    async def _carry(self, flight: Flight) -> None:
        app = self.apps[flight.request.url.host]()
        if app is None:
            flight.error = httpx2.ConnectError("connection refused")
            return
        try:
            flight.response = await ask(app, flight.request)
        except httpx2.HTTPError as error:
            flight.error = error
        except (asyncio.CancelledError, Died):  # our own API: its process is gone
            flight.error = httpx2.ReadError("connection reset")
        except Exception as error:  # the application broke while it answered: a server closes the connection
            flight.error = httpx2.ReadError(f"connection reset ({type(error).__name__}: {error})")


async def ask(app: ASGIApp, request: httpx2.Request) -> httpx2.Response:
    """The whole answer of an application in this process, without a client in between."""
    url, body = request.url, request.content
    scope: Scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw], "scheme": url.scheme,
        "path": url.path, "raw_path": url.raw_path.partition(b"?")[0], "query_string": url.query,
        "server": (url.host, url.port), "client": ("127.0.0.1", 123), "root_path": "", "state": {},
    }  # fmt: skip
    head: Message = {}
    parts: list[bytes] = []
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            head.update(message)
        else:
            parts.append(message.get("body", b""))

    await app(scope, receive, send)
    return httpx2.Response(head["status"], headers=head.get("headers", []), content=b"".join(parts), request=request)


class Wire(httpx2.AsyncBaseTransport):
    """The way out of one process or system."""

    def __init__(self, network: Network, origin: str) -> None:
        self.network, self.origin = network, origin

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await request.aread()
        flight = self.network.send(self.origin, request)
        return await flight.answer
