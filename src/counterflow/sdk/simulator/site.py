"""A site with people and devices (a store, a warehouse) that speaks signed JSON events and a small REST API.

Events go out by the Standard Webhooks scheme (headers webhook-id, webhook-timestamp, webhook-signature):

    {"id": "evt_...", "type": "return.received", "sequence": 7, "timestamp": "<device clock, UTC>", "data": {...}}

`webhook-id` is the event's id and stays the same for every attempt and every copy. Retries go on for a day. A site that
is offline keeps its events and sends them in one burst when it is back, some of them twice, with the device's times.

    GET /events?after=<next of the last page>&limit=&type=   -> {"events": [...], "next": n, "more": bool}: the sweep

Every request needs `Authorization: Bearer <token>`. Writes take `Idempotency-Key`: the same again answers 200 with the
first body and `Idempotent-Replayed: true`, another body under the key 422 `key_reused`, a key under way 409
`in_flight`. Errors are {"status", "code", "title", "detail"}. Faults: `in_flight` (409, not applied), `lose_webhook`.
"""

import asyncio
import base64
import hashlib
import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from standardwebhooks import Webhook
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from counterflow.sdk.simulator.world import Doc, World

RETRY_SECONDS = (5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 20_000.0)
Endpoint = Callable[[Request], Awaitable[Response]]


class Refusal(ValueError):
    """A "no" of the site: a status and a code over REST, 400 from an act."""

    def __init__(self, code: str, detail: str, status: int = 422) -> None:
        super().__init__(detail)
        self.code, self.detail, self.status = code, detail, status


class Site:
    """The device clock runs `skew_seconds` off; `reconnect_duplicates`: chance of a second copy after an outage."""

    def __init__(
        self,
        world: World,
        *,
        token: str,
        secret: str,
        webhook_url: str | None,
        skew_seconds: float,
        reconnect_duplicates: float,
    ) -> None:
        self.world, self._token, self._url = world, token, webhook_url
        self._skew, self._duplicates = timedelta(seconds=skew_seconds), reconnect_duplicates
        self._in_flight: set[str] = set()
        webhook = Webhook(secret)

        def signer(headers: dict[str, str], body: bytes, now: datetime) -> dict[str, str]:
            signature = webhook.sign(headers["webhook-id"], now, body.decode())
            return {**headers, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}

        world.signer = signer
        world.act("go_offline")(lambda data: self._go_offline())
        world.act("go_online")(lambda data: self._go_online())

    # Events

    def device_time(self) -> str:
        return (self.world.now() + self._skew).isoformat()

    def number(self, prefix: str) -> str:
        """The next number of a series of this site, `R-000012`."""
        return f"{prefix}-{self.world.next_id(prefix):06d}"

    @property
    def offline(self) -> bool:
        return self.world.get("site", "offline") is not None

    def say(self, kind: str, data: Doc, occurred_at: str | None = None) -> Doc:
        """Record an event and send it, now or when the site is online again."""
        sequence = self.world.next_id("events")
        event: Doc = {
            "id": f"evt_{hashlib.sha256(f'{self.world.name}:{sequence}'.encode()).hexdigest()[:20]}", "type": kind,
            "sequence": sequence, "timestamp": occurred_at or self.device_time(), "data": data,
        }  # fmt: skip
        if self.offline:
            self.world.put("held", event["id"], event)
        else:
            self._send(event)
        return event

    def _send(self, event: Doc) -> None:
        self.world.put("events", event["id"], event)
        if self._url:
            headers = {"content-type": "application/json", "webhook-id": event["id"]}
            body = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
            self.world.emit(self._url, headers, body, RETRY_SECONDS, label=event["type"])

    def _go_offline(self) -> Doc:
        self.world.put("site", "offline", {"since": self.world.now().isoformat()})
        return {"online": False}

    def _go_online(self) -> Doc:
        """A burst of all that was held, not in order, and some of it twice: the device never saw the first answer."""
        self.world.delete("site", "offline")
        held = self.world.all("held")
        burst = held + [event for event in held if self.world.rng.random() < self._duplicates]
        self.world.rng.shuffle(burst)
        for event in burst:
            self._send(event)
        for event in held:
            self.world.delete("held", event["id"])
        return {"online": True, "sent": len(burst), "held": len(held)}

    # REST

    def route(self, path: str, method: str, handle: Endpoint, needs_site: bool = True) -> Route:
        """`needs_site`: the request reaches into the site itself and is answered 503 while it is offline."""

        async def guarded(request: Request) -> Response:
            if request.headers.get("authorization") != f"Bearer {self._token}":
                return refuse(401)
            if needs_site and self.offline:
                return problem(503, "offline", "the site is offline; try again later", {"Retry-After": "60"})
            try:
                return await handle(request)
            except Refusal as refusal:
                return problem(refusal.status, refusal.code, refusal.detail)
            except LookupError as missing:
                return problem(404, "not_found", f"{missing.args[0]} is not known here")

        return Route(path, guarded, methods=[method])

    async def once(self, request: Request, do: Callable[[str, Doc], Doc]) -> Response:
        """Run `do(key, body)` once for an Idempotency-Key; a refusal leaves the key free."""
        key = request.headers.get("idempotency-key", "")
        path = request.url.path.removeprefix(request.scope.get("root_path", ""))
        if not 1 <= len(key) <= 255:
            raise Refusal("key_missing", "send an Idempotency-Key of 1 to 255 characters", 400)
        try:
            body = json.loads(await request.body())
        except ValueError as error:
            raise Refusal("not_json", f"the body is not JSON: {error}", 400) from error
        if not isinstance(body, dict):
            raise Refusal("not_json", "the body is a JSON object", 400)
        print_ = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        if known := self.world.get("keys", f"{path} {key}"):
            if known["print"] != print_:
                raise Refusal("key_reused", "this key was used with another body; use a new key")
            return JSONResponse(known["answer"], 200, {"Idempotent-Replayed": "true"})
        if key in self._in_flight or self.world.take_fault("in_flight", f"POST {path}"):
            raise Refusal("in_flight", "a request with this key is under way; ask again in a second", 409)
        self._in_flight.add(key)
        try:
            await asyncio.sleep(0.001)
            with self.world.tx():
                answer = do(key, body)
                self.world.put("keys", f"{path} {key}", {"print": print_, "answer": answer, "key": key})
        finally:
            self._in_flight.discard(key)
        return JSONResponse(answer, 201)

    def events_route(self) -> Route:
        async def events(request: Request) -> Response:
            after, limit = int_of(request, "after", 0), min(int_of(request, "limit", 100), 250)
            kind = request.query_params.get("type")
            # `after` counts arrivals: what an offline device held back appears late, with its old sequence.
            rows = list(enumerate(self.world.all("events"), start=1))
            found = [(n, event) for n, event in rows if n > after and kind in (None, event["type"])]
            page = found[:limit]
            last = page[-1][0] if page else after
            return JSONResponse({"events": [event for _, event in page], "next": last, "more": len(found) > limit})

        return self.route("/events", "GET", events, needs_site=False)


def int_of(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit()):
        raise Refusal("bad_parameter", f"{name} is a whole number, not {text!r}", 400)
    return int(text)


def positive(body: Doc, name: str) -> int:
    """A whole number of 1 or more. Raises Refusal."""
    value: Any = body.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise Refusal("bad_value", f"{name} is a whole number of 1 or more, not {value!r}")
    return value


def text_of(body: Doc, name: str) -> str:
    """A text that is not empty. Raises Refusal."""
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise Refusal("bad_value", f"{name} is a text that is not empty, not {value!r}")
    return value


def one_of(body: Doc, name: str, words: tuple[str, ...]) -> str:
    if body.get(name) not in words:
        raise Refusal("bad_value", f"{name} is one of {', '.join(words)}, not {body.get(name)!r}")
    return str(body[name])


def problem(status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> Response:
    body = {"status": status, "code": code, "title": code.replace("_", " "), "detail": detail}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def refuse(status: int) -> Response:
    """The site's own 401, 429, 500 and 503."""
    code = {401: "unauthorized", 429: "rate_limited", 503: "down"}.get(status, "error")
    detail = {401: "send a valid bearer token", 429: "slow down", 503: "try again later"}.get(status, "something broke")
    return problem(status, code, detail, {"Retry-After": "3"} if status in (429, 503) else None)


def secret_of(text: str) -> str:
    """A webhook secret in the scheme's form, `whsec_<base64>`, made from readable text."""
    return "whsec_" + base64.b64encode(text.encode()).decode()
