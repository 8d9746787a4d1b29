"""What every endpoint has in common, done once: the size of the body, who asks, what they may, and repeats.

An endpoint says `**needs("cases.read")`; a POST is carried out once per key and Idempotency-Key: the same request gets
the same answer again, another one under the same key is refused, and one under way is a conflict.
"""

import json
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer

from counterflow.api.access import Caller, authenticate, permit
from counterflow.api.problems import Problem, documented, problem_of
from counterflow.api.services import Services, services
from counterflow.store import answers

DEPTH_MOST = 64
bearer = HTTPBearer(auto_error=False, scheme_name="key", description="An API key: cf_<environment>_...")


def needs(permission: str, *, also: Sequence[int] = (), post: bool = False) -> dict[str, Any]:
    """Keyword arguments of an endpoint's decorator: its permission, and the problems that it may answer with."""
    statuses = {401, 403, 422, 429, 500, 503, *also}
    depends = [Depends(bearer)]
    if post:
        statuses |= {400, 409, 413, 415}
        depends.append(Depends(_idempotency_key))
    return {
        "responses": documented(*sorted(statuses)),
        "dependencies": depends,
        "openapi_extra": {"x-permission": permission},
    }


def caller_of(request: Request) -> Caller:
    found: Caller = request.state.caller
    return found


async def _services(request: Request) -> Services:
    return services(request)


async def _caller(request: Request) -> Caller:
    return caller_of(request)


# Coroutines: a plain function would be run in a thread, for each request anew.
The = Annotated[Services, Depends(_services)]
Who = Annotated[Caller, Depends(_caller)]


async def _idempotency_key(
    idempotency_key: Annotated[
        str,
        Header(
            min_length=1,
            max_length=200,
            pattern=r"^[!-~]+$",
            description="New for each thing you want done; sent again with the same body it gives the same answer",
        ),
    ],
) -> None:
    """Declares the header; `Route` uses it."""


class Route(APIRoute):
    """An endpoint behind a key."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint = super().get_route_handler()
        permission = (self.openapi_extra or {})["x-permission"]

        async def handle(request: Request) -> Response:
            found = services(request)
            caller = await authenticate(request, found)
            permit(caller, permission)
            request.state.caller = caller
            if request.method != "POST":
                return await endpoint(request)
            body = await read_body(request, found.max_body_bytes)
            _check_json(request, body)
            request_key = request.headers.get("idempotency-key", "")
            if not 0 < len(request_key) <= 200 or not request_key.isascii() or not request_key.isprintable():
                return await endpoint(request)  # its validation says what is wrong with the header
            request.state.caller = caller = replace(caller, request_key=request_key)
            digest = sha256(b"\n".join((request.method.encode(), str(request.url.path).encode(), body))).digest()
            return await _once(found, caller, digest, lambda: endpoint(request))

        return handle


def make_router(tag: str) -> APIRouter:
    return APIRouter(tags=[tag], route_class=Route)


async def read_body(request: Request, most: int) -> bytes:
    """The body, read no further than the bound. Raises Problem 413."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared[:19]) > most:
        raise Problem("too-large", f"{declared[:19]} bytes; at most {most} are taken", headers={"Connection": "close"})
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise Problem("too-large", f"More than the {most} bytes that are taken", headers={"Connection": "close"})
        chunks.append(chunk)
    body = b"".join(chunks)
    request._body = body  # what Request.body() would have kept
    return body


def _check_json(request: Request, body: bytes) -> None:
    if not body:
        return
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem("not-json", f"Content-Type is {kind[:60] or 'absent'}: send application/json")
    if _depth(body) > DEPTH_MOST:
        raise Problem("unreadable", f"The body is nested deeper than {DEPTH_MOST} levels: send it flat")
    try:
        json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Problem("unreadable", f"The body is no JSON: {str(error)[:200]}") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _depth(body: bytes) -> int:
    """How deep brackets are nested at most; brackets inside of texts count too, which only errs on the safe side."""
    depth = deepest = 0
    for byte in body.translate(None, _NOT_BRACKETS):
        depth += 1 if byte in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


async def _once(
    found: Services, caller: Caller, digest: bytes, carry_out: Callable[[], Coroutine[Any, Any, Response]]
) -> Response:
    key_id, request_key = caller.key.key_id, caller.request_key
    async with found.pool.connection() as conn:
        known = await answers.claim(conn, key_id, request_key, digest, found.clock())
    if known is not None:
        if known.request_hash != digest:
            raise Problem("key-used", f"Idempotency-Key {request_key} was used for another request: use a new one")
        if known.status == 0:
            raise Problem(
                "in-flight",
                "The same request is being carried out: ask again in a second",
                headers={"Retry-After": "1"},
            )
        again = {"Idempotent-Replayed": "true"}
        return Response(known.body, known.status, again, media_type="application/json")
    try:
        response = await carry_out()
    except Exception as error:
        if problem_of(error).kind not in ("internal", "unavailable"):
            async with found.pool.connection() as conn:  # refused: nothing was done, the key is free again
                await answers.release(conn, key_id, request_key)
        raise
    body = response.body if isinstance(response, JSONResponse) else bytes(response.body)
    async with found.pool.connection() as conn:
        await answers.keep(conn, key_id, request_key, response.status_code, bytes(body).decode())
    return response
