"""HTTP only, in Shopify's words: one document out, the payload of its data back, failures in the eight words.

Shopify answers most failures with HTTP 200. What is told in the body, and what it means:

    THROTTLED                      the bucket of points is empty: RateLimited until this document fits in
    ACCESS_DENIED                  the token lacks a scope
    INTERNAL_SERVER_ERROR          maybe applied, when it was a write
    any other error without data   refused before it ran: Rejected
    userErrors                     a business "no", all of it or nothing (tables below)
"""

import re
from typing import Any

import httpx2

from counterflow.connectors.shopify.manifest import Config
from counterflow.connectors.shopify.tokens import Tokens
from counterflow.sdk.connector import Context
from counterflow.sdk.fields import parsed
from counterflow.sdk.http import RETRY_AFTER_SECONDS_MOST, json_of, raise_for, redact
from counterflow.sdk.outcomes import (
    AuthFailed,
    Conflict,
    ConnectorError,
    Malformed,
    MissingRight,
    NotFound,
    RateLimited,
    Rejected,
    Transient,
    UnknownOutcome,
)

Json = dict[str, Any]

_NAME = re.compile(r"(?:query|mutation) (\w+)")
_FIRST_COST = 20.0  # points, until the shop has told what a document really costs
_POINTS_MOST = 1_000_000  # of any plan, by far

_ERRORS: dict[str, type[ConnectorError]] = {
    "ACCESS_DENIED": MissingRight,
    "MAX_COST_EXCEEDED": Rejected,
    "BAD_REQUEST": Rejected,
    "SHOP_INACTIVE": AuthFailed,
}
_USER_ERRORS: dict[str, type[ConnectorError]] = {
    "INVALID_STATE": Conflict,
    "NOT_FOUND": NotFound,
    "IDEMPOTENCY_CONCURRENT_REQUEST": UnknownOutcome,  # the first request with this key may yet succeed
    "IDEMPOTENCY_KEY_PARAMETER_MISMATCH": Conflict,
}
# Errors of refundCreate have no code, so that its idempotency is told by Shopify's texts.
_BY_TEXT = {
    "request is currently in progress": "IDEMPOTENCY_CONCURRENT_REQUEST",
    "cannot be used with different operation parameters": "IDEMPOTENCY_KEY_PARAMETER_MISMATCH",
    "with this idempotency key failed": "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED",
}
BURNT = "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"


class Client:
    """Calls to one shop. The shared limit counts points: each document costs what the shop last charged for it."""

    def __init__(self, config: Config, context: Context, timeout_seconds: float) -> None:
        self.transport = context.transport(
            config.base_url, headers={"Accept": "application/json"}, timeout_seconds=timeout_seconds
        )
        self.tokens = Tokens(config, self.transport, context.now)
        self.version = config.api_version
        self.answered_version = ""  # what the shop really used: an unsupported version falls forward
        self._costs: dict[str, float] = {}

    async def call(self, document: str, **variables: Any) -> Any:
        """The payload of the document's first root field; None where the shop has no such object."""
        data = await self.data(document, **variables)
        return next(iter(data.values()), None)

    async def data(self, document: str, **variables: Any) -> Json:
        """All root fields. A mutation with `userErrors` raises."""
        write = document.startswith("mutation")
        found = _NAME.match(document)
        name = found.group(1) if found else ""
        token = await self.tokens.of_use()
        response = await self._send(token, name, document, variables, write)
        if response.status_code == 401 and await self.tokens.replaced(token):  # a 401 was surely not applied
            response = await self._send(await self.tokens.of_use(), name, document, variables, write)
        self.answered_version = response.headers.get("x-shopify-api-version", "")
        raise_for(response, write=write, message=_rest_message(response))
        body = json_of(response, write=write)
        if not isinstance(body, dict):
            raise _lost(write, "answered something that is no GraphQL")
        await self._heed(name, body)
        data: Any = body.get("data")
        if body.get("errors"):
            raise _error(body, data, write)
        if not isinstance(data, dict) or not data:
            raise _lost(write, "answered without data")
        if write:
            for payload in data.values():
                _user_errors(payload)
        return data

    async def _send(self, token: str, name: str, document: str, variables: Json, write: bool) -> httpx2.Response:
        return await self.transport.request(
            "POST",
            f"/admin/api/{self.version}/graphql.json",
            write=write,
            cost=self._costs.get(name, _FIRST_COST),
            headers={"X-Shopify-Access-Token": token},
            json={"query": document, "operationName": name, "variables": variables},
        )

    async def _heed(self, name: str, body: Json) -> None:
        """Learn the document's cost; when less than that is left for the next one, let everybody wait for it."""
        cost = _inner(body, "extensions", "cost")
        if actual := _points(cost, "actualQueryCost"):
            self._costs[name] = max(1.0, actual)
        wait = _missing_seconds(cost)
        if wait > 0:
            await self.transport.limiter.pause(wait)

    async def aclose(self) -> None:
        await self.transport.aclose()


def next_page(info: Json, before: str) -> str:
    """Where the next page begins; empty at the end. Raises Malformed where it does not move: it would never end."""
    if not info["hasNextPage"]:
        return ""
    after = info["endCursor"]
    if not isinstance(after, str) or after in ("", before):
        raise Malformed("the shop says that there is another page, and not where it begins")
    return after


def _missing_seconds(cost: Json) -> float:
    """Until as many points are there as the document asked for."""
    status = _inner(cost, "throttleStatus")
    wanted, there = _points(cost, "requestedQueryCost"), _points(status, "currentlyAvailable")
    rate = _points(status, "restoreRate")
    return min(max(0.0, (wanted - there) / rate), RETRY_AFTER_SECONDS_MOST) if rate and status else 0.0


def _inner(doc: Json, *path: str) -> Json:
    """What costs say is a courtesy, and no reason to take an answer for broken: what is no object is an empty one."""
    for name in path:
        inner = doc.get(name)
        doc = inner if isinstance(inner, dict) else {}
    return doc


def _points(doc: Json, name: str) -> float:
    value = doc.get(name)
    usable = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _POINTS_MOST
    return float(value) if usable else 0.0  # type: ignore[arg-type]


def _error(body: Json, data: Any, write: bool) -> ConnectorError:
    errors = body["errors"]
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {"message": errors}
    code = str(_inner(first, "extensions").get("code") or "")
    text = redact(f"{first.get('message')}")
    if code == "THROTTLED":
        cost = _inner(body, "extensions", "cost")
        return RateLimited("the shop's points are used up", retry_after=_missing_seconds(cost) or 1.0, code=code)
    if code == "INTERNAL_SERVER_ERROR":
        return UnknownOutcome(text) if write else Transient(text)
    word = _ERRORS.get(code)
    if word is None and isinstance(data, dict) and any(value is not None for value in data.values()):
        return _lost(write, f"answered in part: {text}")
    word = word or Rejected
    if issubclass(word, AuthFailed):
        text = f"{text} Give the app the access scope, or install it again"
    return word(text, code=code or "graphql", field=".".join(map(str, first.get("path") or ())))


def _user_errors(payload: Any) -> None:
    rows = payload.get("userErrors") if isinstance(payload, dict) else None
    if not rows:
        return
    first = rows[0]
    text = "; ".join(str(row.get("message", "")) for row in rows)
    code = first.get("code") or next((code for part, code in _BY_TEXT.items() if part in text), "INVALID")
    word = _USER_ERRORS.get(code)
    if word is None:
        raise Rejected(redact(text), code=code, field=".".join(first.get("field") or ()))
    raise word(redact(text), code=code)


def _rest_message(response: httpx2.Response) -> str:
    """Below GraphQL the body is {"errors": "text"}."""
    if response.is_success:
        return ""
    try:
        body = parsed(response.content)
    except ValueError:
        return response.reason_phrase
    errors = body.get("errors") if isinstance(body, dict) else None
    return errors if isinstance(errors, str) else ""


def _lost(write: bool, text: str) -> ConnectorError:
    return UnknownOutcome(text) if write else Malformed(text)
