"""One request as Stripe takes it: who asks, with which parameters, and whether it asked before under the same key."""

import asyncio
import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from counterflow.connectors.stripe.simulator.account import API_VERSION, Account, Cause
from counterflow.connectors.stripe.simulator.errors import StripeError, invalid, refuse
from counterflow.sdk.simulator import Doc

KEY_KEPT_FOR = timedelta(hours=24)
KEY_LENGTH_MAX = 255
_SHAPES: dict[str, tuple[tuple[type, ...] | type, str]] = {  # all others are plain text
    "created": ((str, dict), "range"),
    "expand": (list, "array"),
    "metadata": ((str, dict), "object"),
    "types": (list, "array"),
}


@dataclass(frozen=True)
class Call:
    """What an endpoint gets."""

    account: Account
    label: str  # "POST /v1/refunds"
    params: Doc
    path: dict[str, str]
    cause: Cause

    def only(self, *names: str) -> None:
        """Refuse parameters that the endpoint does not know, or that have the wrong shape."""
        for name, value in self.params.items():
            if name not in names and name != "expand":
                raise invalid(f"Received unknown parameter: {name}", param=name, code="parameter_unknown")
            shape, word = _SHAPES.get(name, (str, "string"))
            if not isinstance(value, shape):
                raise invalid(f"Invalid {word}", param=name)


Endpoint = Callable[[Call], Doc]


class Door:
    """The way in to every endpoint: authentication, decoding, idempotency, error bodies, `Request-Id`."""

    def __init__(self, account: Account, api_key: str) -> None:
        self._account, self._world, self._api_key = account, account.world, api_key
        self._in_flight: set[str] = set()

    async def handle(self, request: Request, endpoint: Endpoint) -> Response:
        number = self._world.next_id("requests")
        request_id = f"req_{hashlib.sha256(f'{self._world.name}:{number}'.encode()).hexdigest()[:14]}"
        key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
        headers = {"Request-Id": request_id, "Stripe-Version": request.headers.get("Stripe-Version", API_VERSION)}
        if key:
            headers["Idempotency-Key"] = key
        try:
            self._authenticate(request)
            params = await _params(request)
            label = f"{request.method} {request.url.path.removeprefix(request.scope.get('root_path', ''))}"
            call = Call(self._account, label, params, dict(request.path_params), Cause(request_id, key))
            if self._world.take_fault("lock_timeout", label):
                message = "This object cannot be accessed right now because another API request is accessing it."
                raise StripeError(message, status=429, code="lock_timeout", saved=False)
            if key:
                status, body, replayed = await self._once(key, call, endpoint)
                if replayed:
                    headers |= {"Idempotent-Replayed": "true", "Original-Request": replayed}
            else:
                status, body = self._run(call, endpoint)
        except StripeError as error:
            status, body = error.status, error.body
        return JSONResponse(body, status, headers)

    def _authenticate(self, request: Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            try:
                token = base64.b64decode(token).decode().partition(":")[0]
            except (binascii.Error, UnicodeDecodeError):
                token = ""
        if not token:
            message = (
                "You did not provide an API key. You need to provide your API key in the Authorization header,"
                " using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
            )
            raise StripeError(message, status=401, saved=False)
        if token != self._api_key:
            message = f"Invalid API Key provided: {token[:8]}{'*' * 8}{token[-4:]}"
            raise StripeError(message, status=401, saved=False)

    async def _once(self, key: str, call: Call, endpoint: Endpoint) -> tuple[int, Doc, str | None]:
        """The first answer for a key, again and again for 24 hours, a 500 included."""
        if len(key) > KEY_LENGTH_MAX:
            raise invalid(f"Idempotency keys can be at most {KEY_LENGTH_MAX} characters long.")
        asked = hashlib.sha256(json.dumps(call.params, sort_keys=True).encode()).hexdigest()
        known = self._world.get("idempotency_keys", key)
        if known and self._world.now() < datetime.fromtimestamp(known["created"], UTC) + KEY_KEPT_FOR:
            if known["label"] != call.label:
                message = (
                    "Keys for idempotent requests can only be used for the same endpoint they were first used for"
                    f" ('{call.label}' vs '{known['label']}'). Try using a key other than '{key}' if you meant to"
                    " execute a different request."
                )
                raise StripeError(message, type="idempotency_error", saved=False)
            if known["asked"] != asked:
                message = (
                    "Keys for idempotent requests can only be used with the same parameters they were first used with."
                    f" Try using a key other than '{key}' if you meant to execute a different request."
                )
                raise StripeError(message, type="idempotency_error", saved=False)
            return known["status"], known["body"], known["request"]
        if key in self._in_flight:
            message = f"There is currently another in-progress request using this Idempotent Key: {key}."
            raise StripeError(message, status=409, type="idempotency_error", code="idempotency_key_in_use", saved=False)
        self._in_flight.add(key)
        try:
            if slow := self._world.take_fault("slow_inside", call.label):
                await asyncio.sleep(slow["seconds"])
            with self._world.tx():
                status, body = self._run(call, endpoint)
                record = {"key": key, "label": call.label, "asked": asked, "status": status, "body": body}
                record |= {"created": self._account.stamp(), "request": call.cause.request_id}
                self._world.put("idempotency_keys", key, record)
        finally:
            self._in_flight.discard(key)
        return status, body, None

    def _run(self, call: Call, endpoint: Endpoint) -> tuple[int, Doc]:
        """Execute. An error inside is an answer like any other; what never began is raised and leaves no trace."""
        if self._world.take_fault("error_before", call.label):
            return 500, _body(refuse(500))
        try:
            with self._world.tx():
                body = endpoint(call)
        except StripeError as error:
            if not error.saved:
                raise
            return error.status, error.body
        if self._world.take_fault("error_after", call.label):
            return 500, _body(refuse(500))
        return 200, body


async def _params(request: Request) -> Doc:
    if request.method != "POST":
        return decode(parse_qsl(request.url.query, keep_blank_values=True))
    body = await request.body()
    kind = request.headers.get("Content-Type", "application/x-www-form-urlencoded").partition(";")[0]
    if body and kind != "application/x-www-form-urlencoded":
        message = (
            "Invalid request (check that your POST content type is application/x-www-form-urlencoded)."
            " If you have questions, we can help at https://support.stripe.com/."
        )
        raise invalid(message)
    try:
        return decode(parse_qsl(body.decode(), keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError:
        raise invalid("Invalid request: parameters are UTF-8.") from None


def decode(pairs: Iterable[tuple[str, str]]) -> Doc:
    """`a=1&created[gte]=2&metadata[k]=v&expand[]=x` as nested dicts and lists; numbered lists keep their order."""
    decoded: Doc = {}
    for name, value in pairs:
        path = name.replace("]", "").split("[")
        here: Any = decoded
        for step, following in pairwise(path):
            fresh: Any = [] if following == "" or following.isdigit() else {}
            here = here.setdefault(step, fresh)
            if not isinstance(here, type(fresh)):
                raise invalid(f"Invalid parameter: {name}", param=path[0])
        if isinstance(here, list):
            here.append(value)
        else:
            here[path[-1]] = value
    return decoded


def _body(response: Response) -> Doc:
    body: Doc = json.loads(bytes(response.body))
    return body
