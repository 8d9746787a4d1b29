"""The wire between the connector and Odoo, which counts calls and breaks where it is told to."""

import asyncio
import json
from dataclasses import dataclass

import httpx2

from counterflow.connectors.odoo.fast_lane import ACTION

_READS = frozenset(
    (
        "search",
        "search_read",
        "search_count",
        "read",
        "read_group",
        "web_read",
        "web_search_read",
        "formatted_read_group",
        "fields_get",
        "get_external_id",
        "check_object_reference",
        "context_get",
        "default_get",
        "authenticate",
        "version",
    )
)
_TOUCHES_NOTHING = ("message_post",)  # a lost chatter line is passed over by design: there is nothing to recover

# name -> (does the request arrive?, what the connector gets)
FAULTS: dict[str, tuple[bool, str]] = {
    "lost_request": (False, "cut"),
    "lost_reply": (True, "cut"),
    "error_before": (False, "502"),
    "error_after": (True, "500"),
    "garbage_after": (True, "garbage"),
    "rate_limited": (False, "429"),
    "unauthorized": (False, "401"),
    "down": (False, "503"),
    "late_commit": (True, "late"),  # the client hangs up at once, Odoo goes on and commits
    "crash": (True, "crash"),  # our process ends after the call has been made
}


class Crash(BaseException):
    """The process of the connector is gone: nothing of it may catch this."""


@dataclass(slots=True)
class Fault:
    name: str
    number: int  # of the writing calls from now on, the n-th
    reads: bool = False  # of the reading calls instead


class Wire(httpx2.AsyncBaseTransport):
    """`calls` are the methods called since `fresh`, `lanes` how something was written; `hit`: the fault was met."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self.inner = inner
        self.calls: list[str] = []
        self.lanes: set[str] = set()
        self.fault: Fault | None = None
        self.hit = 0
        self._late: set[asyncio.Task[httpx2.Response]] = set()

    def fresh(self) -> None:
        self.calls.clear()
        self.lanes.clear()

    @property
    def lane(self) -> str:
        """Which lane the effects really went through: fast, plain or both."""
        return "+".join(sorted(self.lanes)) or "nothing written"

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        model, method = _called(request)
        self.calls.append(f"{model}.{method}")
        if lane := _lane(model, method, request):
            self.lanes.add(lane)
        fault = self.fault
        if fault is None or fault.reads != (method in _READS) or method in _TOUCHES_NOTHING:
            return await self.inner.handle_async_request(request)
        fault.number -= 1
        if fault.number:
            return await self.inner.handle_async_request(request)
        self.fault = None
        self.hit += 1
        return await self._break(fault.name, request)

    async def settled(self) -> None:
        """Whatever was still on its way has arrived and is committed."""
        while self._late:
            await asyncio.gather(*self._late, return_exceptions=True)

    async def aclose(self) -> None:
        await self.settled()
        await self.inner.aclose()

    async def _break(self, name: str, request: httpx2.Request) -> httpx2.Response:
        arrives, answer = FAULTS[name]
        if answer == "late":
            task = asyncio.create_task(self._whole(request))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
            await asyncio.sleep(0.05)  # it has left before we hang up
            raise httpx2.ReadTimeout("timed out", request=request)
        if arrives:
            await self._whole(request)
        if answer == "cut":
            raise httpx2.ReadError("connection reset", request=request)
        if answer == "crash":
            raise Crash
        if answer == "garbage":
            return httpx2.Response(200, text="<html><body>Bad gateway</body></html>", request=request)
        status = int(answer)
        headers = {"Retry-After": "0"} if status == 429 else {}
        said = {"name": "werkzeug.exceptions.Unauthorized", "message": "Invalid apikey"} if status == 401 else None
        text = None if said else f"<html><body>{status}</body></html>"
        return httpx2.Response(status, headers=headers, json=said, text=text, request=request)

    async def _whole(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self.inner.handle_async_request(request)
        await answer.aread()
        return answer


def _called(request: httpx2.Request) -> tuple[str, str]:
    parts = request.url.path.split("/")
    if len(parts) == 5 and parts[1:3] == ["json", "2"]:
        return parts[3], parts[4]
    try:
        params = json.loads(request.content).get("params", {})
    except (ValueError, httpx2.RequestNotRead):
        return "", "version"
    args = params.get("args") or []
    if params.get("method") == "execute_kw" and len(args) > 4:
        return str(args[3]), str(args[4])
    return "common", str(params.get("method", ""))


def _lane(model: str, method: str, request: httpx2.Request) -> str:
    """Empty for what only looks, as the fast lane does at the code of its procedure before the first use."""
    if (model, method) == (ACTION, "run"):
        return "fast" if b'"operations"' in request.content else ""
    return "" if method in _READS else "plain"
