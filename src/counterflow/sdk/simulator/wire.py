"""The wire to a simulator, with its faults, and the doors by which a test or a conductor moves its world."""

import asyncio
import inspect
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from counterflow.sdk.simulator.webhooks import Chaos
from counterflow.sdk.simulator.world import World

Refusal = Callable[[int], Response]
Label = Callable[[str, str, bytes], str]

# fault: (is the request applied?, what the caller gets); a status is answered in the vendor's own shape (`refuse`).
_FAULTS: dict[str, tuple[bool, int | str]] = {
    "refused": (False, "connect"),  # never reached the system: in process only; over a socket it is answered 503
    "lost_request": (False, "cut"),
    "lost_reply": (True, "cut"),
    "error_before": (False, 500),
    "error_after": (True, 500),
    "garbage_after": (True, "garbage"),
    "rate_limited": (False, 429),
    "unauthorized": (False, 401),
    "down": (False, 503),
}


def plain_refusal(status: int) -> Response:
    """The answer of a system that has no error shape of its own."""
    headers = {"Retry-After": "1"} if status in (429, 503) else {}
    error = {401: "unauthorized", 429: "rate limited", 503: "down"}.get(status, "error")
    return JSONResponse({"error": error}, status, headers)


def method_and_path(method: str, path: str, body: bytes) -> str:
    return f"{method} {path}"


def with_sim(
    app: ASGIApp,
    world: World,
    refuse: Refusal = plain_refusal,
    label: Label = method_and_path,
    own_faults: Collection[str] = (),
) -> Starlette:
    """The simulator `app` behind its faulty wire, with the `/_sim` doors beside it and the pump in its lifespan.

    `refuse(status)` makes the vendor's own 401, 429, 500 and 503. `label(method, path, body)` names an operation for
    faults and for the call counter (by default "POST /v1/refunds"); a GraphQL simulator adds the operation's name. A
    fault's `match` may also name what stands in the body, which follows the label on a line of its own. The wire
    leaves `own_faults` to the simulator, where the vendor's own way to fail is more than a broken answer.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with world.pumping():
            yield

    calls: Counter[str] = Counter()
    faults = {name: effect for name, effect in _FAULTS.items() if name not in own_faults}
    wire = _Wire(app, world, refuse, label, calls, faults)
    sim = Starlette(routes=[Mount("/_sim", routes=_doors(world, calls)), Mount("/", app=wire)], lifespan=lifespan)
    sim.state.world = world
    return sim


def together(sims: Mapping[str, Starlette]) -> Starlette:
    """Several simulators in one process, each under `/<name>`; their pumps run in the one lifespan."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for sim in sims.values():
                await stack.enter_async_context(sim.state.world.pumping())
            yield

    return Starlette(routes=[Mount(f"/{name}", app=sim) for name, sim in sims.items()], lifespan=lifespan)


class _Wire:
    def __init__(
        self,
        app: ASGIApp,
        world: World,
        refuse: Refusal,
        label: Label,
        calls: Counter[str],
        faults: dict[str, tuple[bool, int | str]],
    ) -> None:
        self._app, self._world, self._refuse, self._label, self._calls = app, world, refuse, label, calls
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        body = await Request(scope, receive).body()
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        label = self._label(scope["method"], path, body)
        self._calls[label] += 1
        self._world.fire()
        replay = _replaying(body, receive)

        label += "\n" + body[:4000].decode("latin-1")  # a fault may mean one payment: it is matched on the body, too
        armed = {fault["name"] for fault in self._world.faults()}
        if "slow" in armed and (slow := self._world.take_fault("slow", label)):
            await asyncio.sleep(slow["seconds"])
        name = next((name for name in self._faults if name in armed and self._world.take_fault(name, label)), None)
        if name is None:
            return await self._app(scope, replay, send)
        applied, answer = self._faults[name]
        if applied:
            await self._app(scope, replay, _nowhere)
        if isinstance(answer, int):
            return await self._refuse(answer)(scope, receive, send)
        if answer == "garbage":
            return await HTMLResponse("<html><body>Bad gateway</body></html>")(scope, receive, send)
        await self._break(answer, scope, receive, send)

    async def _break(self, how: str, scope: Scope, receive: Receive, send: Send) -> None:
        if "spec_version" not in scope["asgi"]:  # no server between us and the caller: it is httpx2.ASGITransport
            if how == "connect":
                raise httpx2.ConnectError("connection refused")
            raise httpx2.ReadError("connection reset")
        if how == "connect":
            return await self._refuse(503)(scope, receive, send)
        # A server closes the connection of an answer that stays shorter than it promised.
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4096")]})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})


def _replaying(body: bytes, receive: Receive) -> Receive:
    first = True

    async def replay() -> Message:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return replay


async def _nowhere(message: Message) -> None:
    """The answer is lost."""


def _doors(world: World, calls: Counter[str]) -> list[Route]:
    async def do(request: Request) -> Response:
        handler = world.acts.get(request.path_params["act"])
        if handler is None:
            return _problem(404, f"no such act; {world.name} has: {', '.join(sorted(world.acts))}")
        world.fire()
        try:
            payload = await _json(request)
            with world.tx():
                answer = handler(payload)
            return JSONResponse(await answer if inspect.isawaitable(answer) else answer)
        except KeyError as error:
            return _problem(400, f"the act needs {error}")
        except LookupError as error:
            return _problem(404, f"not found: {error}")
        except ValueError as error:
            return _problem(400, str(error))

    async def faults(request: Request) -> Response:
        if request.method == "DELETE":
            world.clear_faults()
        if request.method == "POST":
            try:
                world.fault(**await _json(request))
            except (TypeError, ValueError, re.error) as error:
                return _problem(400, f"a fault is name, times, match, seconds: {error}")
        return JSONResponse(world.faults())

    async def chaos(request: Request) -> Response:
        if request.method == "POST":
            try:
                world.chaos = Chaos(**await _json(request))
            except (TypeError, ValueError) as error:
                return _problem(400, f"chaos is duplicate, reorder_seconds, jitter_seconds, lose: {error}")
        return JSONResponse(world.chaos.as_doc())

    async def truth(request: Request) -> Response:
        world.fire()
        return JSONResponse(world.all(request.path_params["collection"]))

    async def counts(request: Request) -> Response:
        return JSONResponse(dict(sorted(calls.items())))

    async def next_due(request: Request) -> Response:
        due = world.next_due()
        return JSONResponse({"now": world.now().isoformat(), "next_due": due and due.isoformat()})

    async def pump(request: Request) -> Response:
        return JSONResponse(await world.pump())

    return [
        Route("/do/{act}", do, methods=["POST"]),
        Route("/faults", faults, methods=["GET", "POST", "DELETE"]),
        Route("/chaos", chaos, methods=["GET", "POST"]),
        Route("/truth/{collection}", truth),
        Route("/calls", counts),
        Route("/next_due", next_due),
        Route("/pump", pump, methods=["POST"]),
    ]


async def _json(request: Request) -> dict[str, Any]:
    body = await request.json() if await request.body() else {}
    if not isinstance(body, dict):
        raise ValueError("the body is a JSON object")
    return body


def _problem(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status)
