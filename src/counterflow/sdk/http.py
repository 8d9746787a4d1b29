"""HTTP for connectors: every call has a timeout, takes from the connection's shared limit, and fails in eight words.

`Transport.request` returns any answer that arrived; `raise_for` turns a failure into its word by *when* it failed:

    not sent (refused, DNS, TLS, proxy, pool)       Transient
    sent, no or half an answer; 5xx                 UnknownOutcome for a write, Transient for a read
    answered by status                              401 AuthFailed, 403 MissingRight, 404 410 NotFound,
                                                    409 412 Conflict, 429 RateLimited,
                                                    408 425 and 503 with Retry-After Transient,
                                                    every other 3xx and 4xx Rejected

What a vendor means by its own codes is a table of the connector: `raise_for(..., words={"lock_timeout": RateLimited})`.
Traces come from OpenTelemetry's instrumentation of httpx2; nothing here is needed for them.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any, Protocol

import httpx2

from counterflow.sdk.fields import parsed
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

RETRY_AFTER_SECONDS_MOST = 3600.0
_MESSAGE_CHARACTERS = 500
_BEFORE_SEND = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
)
_BY_STATUS: dict[int, type[ConnectorError]] = {
    401: AuthFailed,
    403: MissingRight,
    404: NotFound,
    408: Transient,
    409: Conflict,
    410: NotFound,
    412: Conflict,
    425: Transient,
    429: RateLimited,
}
_VALUE = r"[^\s\"',;&}]+"
_SECRET = re.compile(
    rf"""(?ix)
      ( authorization ["']? \s* [=:,] \s* ["']? (?: bearer | basic )? ) \s* {_VALUE}
    | ( \b (?: bearer | basic ) ) \s+ {_VALUE}
    | ( (?: token | secret | password | api[_-]?key | signature ) ["']? \s* [=:,] \s* ["']? (?: v\d [,=] )? ) {_VALUE}
    | ( \b (?: [srp]k_ (?: live | test ) | whsec | shp (?: at | ca | pa | ss ) )_ ) {_VALUE}
    | ( // [^/\s:@]+ : ) [^/\s@]+ (?= @ )
    | ( \b v\d [,=] ) {_VALUE}
    | ( \b eyJ ) [\w-]+ \. [\w-]+ \. [\w-]*
    """
)


_heard: ContextVar[list[bytes] | None] = ContextVar("heard", default=None)


@contextmanager
def hearing() -> Iterator[list[bytes]]:
    """The body of the last answer inside this block, raw: what an alarm shows when it could not be understood."""
    last: list[bytes] = []
    before = _heard.set(last)
    try:
        yield last
    finally:
        _heard.reset(before)


class Limiter(Protocol):
    """The shared rate limit of a connection; the engine fills it with a row in Postgres."""

    async def acquire(self, cost: float = 1.0) -> None:
        """Wait until `cost` may be spent; raises RateLimited when the wait would be longer than a call may take."""

    async def pause(self, seconds: float) -> None:
        """Let nobody of this connection call for so long: the other side said so."""


class Unlimited:
    """No limit: for tests and for reads of local things."""

    async def acquire(self, cost: float = 1.0) -> None:
        """Go at once."""

    async def pause(self, seconds: float) -> None:
        """Nobody else is to be held back."""


class Transport:
    """One connection's HTTP client. `write=True` marks a call that changes something: its lost answer is unknown."""

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float = 10.0,
        limiter: Limiter | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
        max_bytes: int = 20_000_000,
    ) -> None:
        self.client = httpx2.AsyncClient(
            base_url=base_url,
            headers=dict(headers or {}),
            timeout=httpx2.Timeout(timeout_seconds, connect=min(5.0, timeout_seconds)),
            transport=transport,
            follow_redirects=False,
        )
        self.limiter = limiter or Unlimited()
        self.max_bytes = max_bytes

    async def request(self, method: str, url: str, *, write: bool, cost: float = 1.0, **kwargs: Any) -> httpx2.Response:
        """Send and return the answer, whatever its status. Raises Transient, UnknownOutcome or RateLimited.

        `url` is relative to the base URL, or absolute. A 429 also pauses everybody who shares the limit.
        """
        await self.limiter.acquire(cost)
        try:
            async with self.client.stream(method, url, **kwargs) as answer:
                response = await self._read(answer, write)
        except _BEFORE_SEND as error:
            raise Transient(f"cannot reach {self._host(url)}: {type(error).__name__}. Check the address") from None
        except httpx2.InvalidURL as error:  # an id of theirs that no address can hold
            raise Rejected(f"cannot ask for {redact(url)!r}: {error}", code="address") from None
        except httpx2.HTTPError as error:
            raise _lost(write, f"no answer from {self._host(url)}: {type(error).__name__}") from None
        if (last := _heard.get()) is not None:
            last[:] = [response.content]
        if response.status_code == 429:
            await self.limiter.pause(retry_after(response))
        return response

    async def aclose(self) -> None:
        """Let go of sockets."""
        await self.client.aclose()

    async def _read(self, answer: httpx2.Response, write: bool) -> httpx2.Response:
        """The whole answer, but never more of it than the limit."""
        body = bytearray()
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > self.max_bytes:
                raise _lost(write, f"the answer is larger than the limit of {self.max_bytes} bytes: ask for less")
        headers = [
            (name, value)
            for name, value in answer.headers.multi_items()
            if name not in ("content-encoding", "content-length", "transfer-encoding")  # it is decoded now
        ]
        return httpx2.Response(answer.status_code, headers=headers, content=bytes(body), request=answer.request)

    def _host(self, url: str) -> str:
        return httpx2.URL(url).host or self.client.base_url.host


def json_of(response: httpx2.Response, *, write: bool) -> Any:
    """The JSON body. Garbage after a write is UnknownOutcome (it may have been applied), after a read Malformed."""
    try:
        return parsed(response.content)
    except ValueError:
        message = f"answered {response.status_code} with something that is no JSON: {redact(response.text[:120])}"
        if write:
            raise UnknownOutcome(message) from None
        raise Malformed(message) from None


def raise_for(
    response: httpx2.Response,
    *,
    write: bool,
    message: str = "",
    code: str = "",
    field: str = "",
    words: Mapping[str, type[ConnectorError]] | None = None,
) -> None:
    """Raise the word for a failed answer; nothing for 2xx. `message`, `code`, `field` come from the vendor's body."""
    error = classify(response, write=write, message=message, code=code, field=field, words=words)
    if error is not None:
        raise error


def classify(
    response: httpx2.Response,
    *,
    write: bool,
    message: str = "",
    code: str = "",
    field: str = "",
    words: Mapping[str, type[ConnectorError]] | None = None,
) -> ConnectorError | None:
    """The word for an answer, None for success. `words`, the vendor's table code -> word, wins over the status."""
    status = response.status_code
    if 200 <= status < 300:
        return None
    text = redact(message or response.text or response.reason_phrase or str(status))
    word = (words or {}).get(code) or _by_status(response, write)
    if issubclass(word, RateLimited):
        return word(text, retry_after=retry_after(response), code=code)
    if word is MissingRight:
        text = f"{status}: {text}. Give the connection's credentials this right"
    elif word is AuthFailed:
        text = f"{status}: {text}. Check the connection's credentials"
    elif status < 400:
        text = f"answered {status}, a redirect: check the connection's address"
    elif word in (Transient, UnknownOutcome):
        text = f"{status}: {text}"
    return word(text, code=code or (str(status) if word is Rejected else ""), field=field)


def retry_after(response: httpx2.Response, default: float = 1.0) -> float:
    """Seconds that the sender asks us to wait; both forms of the header, capped at an hour."""
    value = response.headers.get("retry-after", "")
    try:
        seconds = float(value)
    except ValueError:
        try:
            until, sent = parsedate_to_datetime(value), parsedate_to_datetime(response.headers.get("date", ""))
            seconds = (until - sent).total_seconds()
        except (ValueError, TypeError):
            return default
    return min(max(seconds, 0.0), RETRY_AFTER_SECONDS_MOST) if isfinite(seconds) else default


def redact(text: str) -> str:
    """The text without what looks like a secret, cut to 500 characters."""
    start = text[: 8 * _MESSAGE_CHARACTERS]  # an answer may be megabytes long
    hidden = _SECRET.sub(lambda found: next(filter(None, found.groups()), "") + "[redacted]", start)
    return hidden[:_MESSAGE_CHARACTERS]


def _by_status(response: httpx2.Response, write: bool) -> type[ConnectorError]:
    status = response.status_code
    if word := _BY_STATUS.get(status):
        return word
    if status < 500:
        return Rejected
    if status == 503 and "retry-after" in response.headers:
        return Transient  # refused before the application took it
    return UnknownOutcome if write else Transient


def _lost(write: bool, message: str) -> ConnectorError:
    return UnknownOutcome(message) if write else Transient(message)
