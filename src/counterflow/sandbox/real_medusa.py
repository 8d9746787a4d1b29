"""A real Medusa server in the place of a simulated shop: a relay that counts calls and breaks the wire.

With COUNTERFLOW_SANDBOX_MEDUSA_URL, _EMAIL and _PASSWORD (an admin user) the stories of `stories/medusa.py` are told
against that server; the conformance kit runs against the same relay. What the connector sends passes unchanged. The
acts are in `medusa_people.py`.
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from counterflow.sandbox.medusa_people import ACTS, People
from counterflow.sdk.simulator import World, with_sim

_PASSED = ("authorization", "content-type")
_TIMEOUT_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Given:
    """A Medusa server that somebody gave us, with an admin user."""

    url: str
    email: str
    password: str


def given() -> Given | None:
    """What the environment says; None: the shop is simulated."""
    url = os.environ.get("COUNTERFLOW_SANDBOX_MEDUSA_URL", "").rstrip("/")
    named = (os.environ.get(f"COUNTERFLOW_SANDBOX_MEDUSA_{name}", "") for name in ("EMAIL", "PASSWORD"))
    return Given(url, *named) if url else None


def create_app(world: World, to: Given, ids: dict[str, str] | None = None) -> Starlette:
    """The relay, with the doors of a simulator: calls, faults, and the acts of people. `ids`: shared by several."""
    wire = httpx2.AsyncClient(base_url=to.url, timeout=_TIMEOUT_SECONDS)
    people = People(wire, to.email, to.password, {} if ids is None else ids)
    began = datetime.now(UTC).isoformat()

    async def forward(request: Request) -> Response:
        headers = {name: request.headers[name] for name in _PASSED if name in request.headers}
        path = f"/{request.path_params['path']}"
        query = f"?{request.url.query}" if request.url.query else ""
        try:
            answer = await wire.request(request.method, path + query, content=await request.body(), headers=headers)
        except httpx2.HTTPError as error:
            return PlainTextResponse(f"Medusa does not answer: {type(error).__name__}", 502)
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))

    async def orders(request: Request) -> Response:
        return JSONResponse(await people.orders(began))

    for act in ACTS:
        world.act(act.__name__)(getattr(people, act.__name__))
    sim = with_sim(Starlette(routes=[Route("/{path:path}", forward, methods=["GET", "POST"])]), world)
    sim.router.routes.insert(0, Route("/_sim/truth/orders", orders))
    return sim
