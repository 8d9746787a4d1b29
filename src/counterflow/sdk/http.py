"""HTTP for connectors: every call has a timeout, takes from the connection's shared limit, and fails in eight words.

`Transport.request` returns any answer that arrived; `raise_for` turns a failure into its word. A connector adds a table
of its vendor's codes before it calls `raise_for`.
"""

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import httpx2

from counterflow.sdk.outcomes import (
    AuthFailed,
    Conflict,
    ConnectorError,
    Malformed,
    NotFound,
    RateLimited,
    Rejected,
    Transient,
    UnknownOutcome,
)

_BEFORE_SEND = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)
_SECRET = re.compile(
    r"(?i)(bearer|basic|sk_(?:live|test)_|whsec_|shpat_|token|secret|password|api[_-]?key)[=:\s\"']*[^\s\"',;&}]+"
)


class Limiter(Protocol):
    """The shared rate limit of a connection; the engine fills it with a row in Postgres."""

    async def acquire(self, cost: float = 1.0) -> None:
        """Wait until `cost` may be spent; raises RateLimited when the wait would be longer than a call may take."""

    async def pause(self, seconds: float) -> None:
        """Let nobody of this connection call for so long: the other side said so."""


class Unlimited:
    """No limit: for tests and for reads of local things."""

    async def acquire(self, cost: float = 1.0) -> None: ...

    async def pause(self, seconds: float) -> None: ...


def redact(text: str) -> str:
    """The text without what looks like a secret, cut to 500 characters."""
    return _SECRET.sub(lambda found: f"{found.group(1)} [redacted]", text)[:500]


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
        """Send and return the answer, whatever its status. Raises Transient, UnknownOutcome or RateLimited."""
        await self.limiter.acquire(cost)
        try:
            response = await self.client.request(method, url, **kwargs)
        except _BEFORE_SEND as error:
            raise Transient(f"cannot reach {self.client.base_url.host}: {type(error).__name__}") from None
        except httpx2.HTTPError as error:
            raise _lost(write, f"no answer from {self.client.base_url.host}: {type(error).__name__}") from None
        if len(response.content) > self.max_bytes:
            raise _lost(write, f"answer of {len(response.content)} bytes is larger than the limit of {self.max_bytes}")
        return response

    async def aclose(self) -> None:
        await self.client.aclose()


def json_of(response: httpx2.Response, *, write: bool) -> Any:
    """The JSON body. Garbage after a write is UnknownOutcome (it may have been applied), after a read Malformed."""
    try:
        return response.json()
    except ValueError:
        start = redact(response.text[:120])
        if write:
            raise UnknownOutcome(f"answered {response.status_code} with something that is no JSON: {start}") from None
        raise Malformed(f"answered {response.status_code} with something that is no JSON: {start}") from None


def raise_for(response: httpx2.Response, *, write: bool, message: str = "", code: str = "", field: str = "") -> None:
    """Raise the word for a failed answer; nothing for 2xx. `message`, `code`, `field` come from the vendor's body."""
    status = response.status_code
    if status < 300:
        return
    text = redact(message or response.text or response.reason_phrase)
    if status == 429:
        raise RateLimited(text, retry_after=retry_after(response), code=code)
    if status in (401, 403):
        raise AuthFailed(f"{status}: {text}. Check the connection's credentials", code=code)
    if status in (404, 410):
        raise NotFound(text, code=code)
    if status in (409, 412):
        raise Conflict(text, code=code)
    if status < 500:
        raise Rejected(text, code=code or str(status), field=field)
    if status == 503 and "retry-after" in response.headers:
        raise Transient(text, code=code)  # refused before the application took it
    raise _lost(write, f"{status}: {text}")


def retry_after(response: httpx2.Response, default: float = 1.0) -> float:
    """Seconds that the sender asks us to wait; both forms of the header, capped at an hour."""
    value = response.headers.get("retry-after", "")
    try:
        return min(max(float(value), 0.0), 3600.0)
    except ValueError:
        pass
    try:
        until, sent = parsedate_to_datetime(value), parsedate_to_datetime(response.headers.get("date", ""))
        return min(max((until - sent).total_seconds(), 0.0), 3600.0)
    except (ValueError, TypeError):
        return default


def _lost(write: bool, message: str) -> ConnectorError:
    return UnknownOutcome(message) if write else Transient(message)
