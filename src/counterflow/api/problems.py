"""Errors as RFC 9457 problem details: what happened, and the next move. Every kind is a row of `KINDS`."""

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import psycopg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from psycopg_pool import PoolTimeout
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from counterflow.engine.parked import NotPossible
from counterflow.engine.people import Denied
from counterflow.intake.pressure import Busy

MEDIA_TYPE = "application/problem+json"
logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Kind:
    status: int
    title: str
    means: str


# The anchor of its documentation -> what it is. `type` in an answer is "/problems#<anchor>".
KINDS: dict[str, Kind] = {
    "unreadable": Kind(400, "The request cannot be read", "The body is no JSON, or is nested too deep. Mend the body."),
    "no-idempotency-key": Kind(
        400, "An Idempotency-Key is needed", "Send a header Idempotency-Key that is new for each thing you want done."
    ),
    "not-authenticated": Kind(
        401, "Who is asking?", "Send Authorization: Bearer with a key that is not expired or revoked."
    ),
    "bad-signature": Kind(
        401, "The signature is wrong", "The delivery is not signed with the connection's secret, or is too old."
    ),
    "denied": Kind(403, "Not permitted", "The key's role or function does not cover this. Ask for another key."),
    "four-eyes": Kind(403, "A second person has to", "Who has a part in a case may not approve its refund."),
    "not-found": Kind(404, "There is no such thing", "The address is wrong, or the key may not see it."),
    "method-not-allowed": Kind(405, "This cannot be done here", "Use one of the methods in the Allow header."),
    "conflict": Kind(409, "The state does not allow it", "Read the object again, then decide again."),
    "in-flight": Kind(409, "The same request is being carried out", "Wait a moment, then send it again as it is."),
    "too-large": Kind(413, "The body is too large", "Send less at once."),
    "not-json": Kind(415, "The body has to be JSON", "Send Content-Type: application/json."),
    "invalid": Kind(422, "Something in the request is wrong", "Correct the fields that `errors` names."),
    "key-used": Kind(
        422, "The Idempotency-Key was used for something else", "Use a new key, or send exactly the same request."
    ),
    "too-many": Kind(429, "Too many requests", "Wait as long as Retry-After says."),
    "internal": Kind(500, "Something is wrong on our side", "Send it again with the same Idempotency-Key; tell us."),
    "busy": Kind(503, "Too much is waiting", "Nothing was kept. Send it again after Retry-After seconds."),
    "unavailable": Kind(503, "The database is not reachable", "Nothing was kept. Send it again after Retry-After."),
}


class FieldError(BaseModel):
    """Where the request is wrong, and why."""

    where: str = Field(description="body.lines.0.quantity, query.limit, header.idempotency-key")
    what: str


class ProblemDetails(BaseModel):
    """RFC 9457. `detail` names the next move."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(description="/problems#<kind>: what this kind of problem is")
    title: str
    status: int
    detail: str
    instance: str = Field(description="Path of the request")
    errors: list[FieldError] = Field(default_factory=list)


class Problem(Exception):
    """Raised anywhere below an endpoint; becomes the answer."""

    def __init__(
        self,
        kind: str,
        detail: str,
        *,
        errors: tuple[FieldError, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.errors, self.headers = kind, detail, errors, dict(headers or {})


def invalid(where: str, what: str) -> Problem:
    """A value that cannot be: 422 with the place."""
    return Problem("invalid", f"{where}: {what}", errors=(FieldError(where=where, what=what),))


def not_found(what: str) -> Problem:
    return Problem("not-found", f"{what}. Check the id, and that your key covers its channel and environment")


def answer(request: Request, problem: Problem) -> JSONResponse:
    found = KINDS[problem.kind]
    body = ProblemDetails(
        type=f"/problems#{problem.kind}",
        title=found.title,
        status=found.status,
        detail=problem.detail,
        instance=request.url.path,
        errors=list(problem.errors),
    )
    content = body.model_dump() if problem.errors else body.model_dump(exclude={"errors"})
    return JSONResponse(_sound(content), found.status, headers=problem.headers, media_type=MEDIA_TYPE)


def problem_of(error: Exception) -> Problem:
    """Every exception that can leave an endpoint, as a problem."""
    match error:
        case Problem():
            return error
        case Denied():
            return Problem("four-eyes", str(error))
        case NotPossible():
            return Problem("conflict", str(error))
        case Busy():
            return Problem("busy", str(error), headers={"Retry-After": str(error.retry_after)})
        case RequestValidationError():
            return _validation(error)
        case HTTPException():
            return _http(error)
        case psycopg.OperationalError() | PoolTimeout():
            text = "The database cannot be reached; nothing was kept. Send it again in 5 seconds"
            return Problem("unavailable", text, headers={"Retry-After": "5"})
        case _:
            # Frames and message, never the values of variables: among them are keys and bodies.
            logger.error("api.failed", error=type(error).__name__, trace="".join(traceback.format_exception(error)))
            return Problem("internal", "It is logged with the path and the time. Try again with the same key")


def install(app: FastAPI) -> None:
    """Answer every error with problem details, those of the framework too."""

    async def handle(request: Request, error: Exception) -> JSONResponse:
        return answer(request, problem_of(error))

    kinds: tuple[type[Exception], ...] = (Problem, Denied, NotPossible, Busy, RequestValidationError, HTTPException)
    for kind in (Exception, psycopg.OperationalError, PoolTimeout, *kinds):
        app.add_exception_handler(kind, handle)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """`responses=` of an endpoint: the problems that it may answer with."""
    found: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        kinds = [f"`{name}`: {kind.means}" for name, kind in KINDS.items() if kind.status == status]
        found[status] = {
            "description": " ".join(kinds) or HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
        }
        if status in (429, 503):
            found[status]["headers"] = {"Retry-After": {"schema": {"type": "string"}, "description": "Seconds"}}
    return found


def page() -> str:
    """The page that `type` points to."""
    rows = "".join(
        f'<h2 id="{name}">{name}</h2><p><b>{kind.status} {kind.title}.</b> {kind.means}</p>'
        for name, kind in KINDS.items()
    )
    return f"<!doctype html><html lang=en><meta charset=utf-8><title>Problems</title><h1>Problems</h1>{rows}</html>"


def _validation(error: RequestValidationError) -> Problem:
    errors = tuple(
        FieldError(where=".".join(map(str, each["loc"])), what=str(each["msg"])) for each in error.errors()[:50]
    )
    if any(each["type"] == "json_invalid" for each in error.errors()):
        return Problem("unreadable", "The body is no JSON: " + errors[0].what)
    missing = [each for each in error.errors() if each["loc"] == ("header", "idempotency-key")]
    if missing and missing[0]["type"] == "missing":
        return Problem("no-idempotency-key", KINDS["no-idempotency-key"].means)
    first = errors[0] if errors else FieldError(where="request", what="it does not fit")
    return Problem("invalid", f"{first.where}: {first.what}", errors=errors)


def _http(error: HTTPException) -> Problem:
    kind = {
        400: "unreadable",
        401: "not-authenticated",
        403: "denied",
        404: "not-found",
        405: "method-not-allowed",
        413: "too-large",
        415: "not-json",
        422: "invalid",
        429: "too-many",
        503: "unavailable",
    }.get(error.status_code, "internal" if error.status_code >= 500 else "unreadable")
    return Problem(kind, f"{error.detail}. {KINDS[kind].means}", headers=error.headers or {})


def _sound(value: Any) -> Any:
    """Text that can be written as UTF-8: a lone surrogate of the request is shown, not passed on."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_sound(key): _sound(each) for key, each in value.items()}
    return [_sound(each) for each in value] if isinstance(value, list) else value
