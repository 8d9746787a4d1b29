"""The API as one application. The runtime hands in what it works with; the worker runs in processes of its own."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import structlog
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from prometheus_client import Counter, Histogram
from psycopg_pool import PoolTimeout
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from counterflow import __version__
from counterflow.api import (
    approvals,
    cases,
    connections,
    dispositions,
    exceptions,
    explain,
    health,
    inspections,
    lines,
    metrics,
    missing,
    payments,
    policies,
    problems,
    receipts,
    refunds,
    webhooks,
)
from counterflow.api.problems import ProblemDetails
from counterflow.api.services import Services
from counterflow.store import answers

FORGET_SECONDS = 3600.0
logger = structlog.get_logger(__name__)

NOUNS = (
    *(cases, explain, lines, receipts, missing, inspections, dispositions, approvals, payments, refunds, exceptions),
    connections,
)
ROUTERS = tuple(noun.router for noun in (*NOUNS, policies, webhooks, health, metrics))


def make_app(services: Services) -> FastAPI:
    """The application; its lifespan runs intake's committers."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with services.intake:
            forgetting = asyncio.create_task(_forget(services))
            yield
            forgetting.cancel()

    app = FastAPI(
        title="Counterflow",
        version=__version__,
        summary="Returns, inventory and finance in step between retail systems and Odoo",
        lifespan=lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        docs_url=None,  # their pages load scripts from elsewhere; the document itself is at /openapi.json
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    problems.install(app)
    for router in ROUTERS:
        app.include_router(router)
    app.add_middleware(Measured, services=services)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


async def _forget(services: Services) -> None:
    """Drop answers that nobody asks for any more, now and then."""
    while True:
        try:
            async with services.pool.connection() as conn:
                await answers.forget(conn, services.clock())
        except (psycopg.Error, PoolTimeout) as error:
            logger.warning("answers.not_forgotten", reason=str(error))  # the next turn does
        await asyncio.sleep(FORGET_SECONDS)


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The document, with the shape of problems in it, and nothing that we never answer."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        shape = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(shape.pop("$defs", {}))
        schemas["ProblemDetails"] = shape
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        app.openapi_schema = document
    return app.openapi_schema


class Measured:
    """Counts requests and their time by endpoint, never by what callers wrote into the path."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        registry = services.metrics
        self.app = app
        self.count = Counter(
            "counterflow_requests", "Requests answered", ["method", "route", "status"], registry=registry
        )
        self.seconds = Histogram("counterflow_request_seconds", "Time to answer", ["route"], registry=registry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()

        async def measure(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                method = scope["method"] if scope["method"] in ("GET", "POST", "HEAD", "OPTIONS") else "other"
                self.count.labels(method, route, message["status"]).inc()
                self.seconds.labels(route).observe(time.perf_counter() - started)
            await send(message)

        await self.app(scope, receive, measure)
