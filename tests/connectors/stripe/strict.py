"""localstripe behind a proxy that is as strict as Stripe where localstripe is lenient.

localstripe holds the documents. It ignores idempotency keys, refunds more than was paid, and no refund of it ever
fails; it has no refund events and no fees. The proxy adds that: the first answer of a key for 24 hours, 409 while it is
under way, 400 for other parameters, no refund beyond what is left, fees, and refunds that fail later, told by signed
events.
Source: https://docs.stripe.com/api/idempotent_requests, https://docs.stripe.com/refunds#failed-refunds.
"""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Doc = dict[str, Any]
KEPT_SECONDS = 24 * 3600
_LATER = "failure_balance_transaction"  # localstripe does not know this field
_SORTED = ("/v1/balance_transactions", "/v1/payouts")  # lists that localstripe filters or sorts otherwise


class Strict:
    """The proxy. `tell(body, headers)` gets each event; `pause` holds the next refund back until it is set."""

    def __init__(
        self, upstream: str, secret: str, now: Callable[[], float], tell: Callable[[bytes, Doc], None]
    ) -> None:
        self._upstream, self._secret, self._now, self._tell = upstream, secret, now, tell
        self._keys: dict[str, tuple[float, str, int, Doc, str]] = {}  # key -> at, asked, status, body, request
        self.in_flight: set[str] = set()
        self._numbers = iter(range(1, 10**9))
        self.failed: dict[str, Doc] = {}  # refund -> what has become of it
        self.transactions: dict[str, Doc] = {}  # of refunds that failed
        self.events: list[Doc] = []  # newest last
        self.pause: asyncio.Event | None = None
        self.app = Starlette(routes=[Route("/{path:path}", self._handle, methods=["GET", "POST"])])

    # Requests

    async def _handle(self, request: Request) -> Response:
        body, key = await request.body(), request.headers.get("idempotency-key", "")
        if request.method == "GET" or not key:
            return _answer(*await self._forward(request, body))
        asked = json.dumps([request.url.path, sorted(parse_qsl(body.decode()))])
        at, known, status, doc, first = self._keys.get(key, (0.0, "", 0, {}, ""))
        if known and self._now() - at < KEPT_SECONDS:
            if known != asked:
                return _error(400, "Keys for idempotent requests can only be used with the same parameters "
                              "they were first used with.", type="idempotency_error")  # fmt: skip
            return _answer(status, doc, {"Idempotent-Replayed": "true", "Original-Request": first})
        if key in self.in_flight:
            return _error(409, "There is currently another in-progress request using this Idempotent Key.",
                          type="idempotency_error", code="idempotency_key_in_use")  # fmt: skip
        self.in_flight.add(key)
        try:
            status, doc = await self._forward(request, body)
            if status < 400 or status >= 500:  # validation errors are not kept
                self._keys[key] = (self._now(), asked, status, doc, f"req_{next(self._numbers)}")
        finally:
            self.in_flight.discard(key)
        return _answer(status, doc)

    async def _forward(self, request: Request, body: bytes) -> tuple[int, Doc]:
        path = request.url.path
        if not request.headers.get("authorization"):
            return 401, _body("You did not provide an API key.")
        if path == "/v1/events":
            return 200, self._page(self.events, request)
        if path in _SORTED and request.method == "GET":
            return 200, self._page(await self._all(path), request)
        form = dict(parse_qsl(body.decode()))
        if path == "/v1/refunds" and request.method == "POST" and (refused := await self._refused(form)):
            return refused
        if path == "/v1/refunds" and request.method == "POST" and self.pause is not None:
            await self.pause.wait()
        query = [(name, value) for name, value in request.query_params.multi_items() if _known(name, value)]
        status, doc = await self._ask(request.method, path, query, body)
        if status >= 400:
            return status, doc
        for each in doc["data"] if doc.get("object") == "list" else [doc]:
            self._overlay(each, [value for name, value in request.query_params.multi_items() if name == "expand[]"])
        if path == "/v1/refunds" and request.method == "POST":
            self._event("refund.created", doc)
            _, charge = await self._ask("GET", f"/v1/charges/{doc['charge']}")
            self._event("charge.refunded", charge)
        return status, doc

    async def _refused(self, form: Doc) -> tuple[int, Doc] | None:
        """Stripe's no to a refund that is more than what is left of the charge."""
        charge_id = form.get("charge")
        if not charge_id:
            status, intent = await self._ask("GET", f"/v1/payment_intents/{form.get('payment_intent')}")
            if status != 200:
                message = f"No such payment_intent: '{form.get('payment_intent')}'"
                return 404, _body(message, code="resource_missing", param="payment_intent")
            charge_id = intent["latest_charge"]["id"]
        _, charge = await self._ask("GET", f"/v1/charges/{charge_id}")
        gone = sum(doc["amount"] for doc in charge["refunds"]["data"] if doc["id"] not in self.failed)
        left = charge["amount"] - gone
        if left == 0:
            return 400, _body(f"Charge {charge_id} has already been refunded.", code="charge_already_refunded")
        if int(form.get("amount", left)) > left:
            return 400, _body("Refund amount is greater than unrefunded amount on charge.", param="amount")
        return None

    async def _ask(self, method: str, path: str, query: Any = (), body: bytes = b"") -> tuple[int, Doc]:
        headers = {"Authorization": "Bearer sk_test_counterflow"}
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        url = f"{self._upstream}{path}" + (f"?{urlencode(list(query))}" if query else "")
        async with httpx2.AsyncClient(verify=False) as client:
            answer = await client.request(method, url, content=body, headers=headers)
        doc = answer.json() if answer.headers["content-type"].startswith("application/json") else {}
        if answer.status_code == 404:  # localstripe has no code for it
            doc = _body(f"No such object: '{path.rpartition('/')[2]}'", code="resource_missing", param="id")
        return answer.status_code, doc

    # Documents

    def _overlay(self, doc: Doc, expand: list[str]) -> None:
        """What became of it since localstripe wrote it."""
        if doc.get("object") == "refund":
            doc |= self.failed.get(doc["id"], {})
            if isinstance(doc["balance_transaction"], dict):
                self._overlay(doc["balance_transaction"], [])
            if doc.get(_LATER) and any(name.endswith(_LATER) for name in expand):
                doc[_LATER] = self.transactions[doc[_LATER]]
        if doc.get("object") == "balance_transaction" and doc["type"] == "charge":
            fee = doc["amount"] * 150 // 10_000 + 25
            detail = {"amount": fee, "application": None, "currency": doc["currency"], "description": "fees"}
            doc |= {"fee": fee, "net": doc["amount"] - fee, "fee_details": [{**detail, "type": "stripe_fee"}]}

    async def _all(self, path: str) -> list[Doc]:
        """All documents of a kind, oldest first, with what they are about."""
        query = [("limit", "100000"), *([("expand[]", "data.source")] if path == _SORTED[0] else [])]
        _, page = await self._ask("GET", path, query)
        for doc in page["data"]:
            self._overlay(doc, [])
        return sorted(page["data"], key=lambda doc: int(doc["created"]))

    async def fail(self, refund_id: str, reason: str) -> None:
        """The bank refuses it, days after it succeeded: the money is in the balance again."""
        _, refund = await self._ask("GET", f"/v1/refunds/{refund_id}")
        _, txn = await self._ask("GET", f"/v1/balance_transactions/{refund['balance_transaction']}")
        back = {**txn, "id": f"txn_failed{next(self._numbers)}", "amount": refund["amount"], "net": refund["amount"]}
        back |= {"type": "refund_failure", "reporting_category": "refund_failure", "created": int(self._now())}
        self.transactions[back["id"]] = back
        self.failed[refund_id] = {"status": "failed", "failure_reason": reason, _LATER: back["id"]}
        self._event("refund.updated", refund | self.failed[refund_id])
        self._event("refund.failed", refund | self.failed[refund_id])

    def _event(self, kind: str, doc: Doc) -> None:
        event: Doc = {"id": f"evt_{next(self._numbers)}", "object": "event", "type": kind, "data": {"object": doc}}
        event |= {"created": int(self._now()), "api_version": "2026-10-28.endive", "livemode": False}
        self.events.append(event)
        body, stamp = json.dumps(event).encode(), int(self._now())
        digest = hmac.new(self._secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        self._tell(body, {"stripe-signature": f"t={stamp},v1={digest}"})

    def _page(self, docs: list[Doc], request: Request) -> Doc:
        """A page of documents, which come oldest first, by the filters that localstripe does not have."""
        asked = request.query_params
        wanted = [value for name, value in asked.multi_items() if name == "types[]"]
        since, until = int(asked.get("created[gte]", 0)), int(asked.get("created[lte]", 2**40))
        found = [
            doc
            for doc in reversed(docs)
            if since <= doc["created"] <= until
            and (not wanted or doc["type"] in wanted)
            and asked.get("currency") in (None, doc.get("currency"))
        ]
        after, limit = asked.get("starting_after"), int(asked.get("limit", 10))
        if after:
            found = found[[doc["id"] for doc in found].index(after) + 1 :]
        return {"object": "list", "data": found[:limit], "has_more": len(found) > limit, "url": request.url.path}


def _known(name: str, value: str) -> bool:
    return not name.startswith("created") and not value.endswith(_LATER)


def _body(message: str, type: str = "invalid_request_error", **more: str) -> Doc:
    return {"error": {"message": message, "type": type, **more}}


def _error(status: int, message: str, **more: str) -> Response:
    return _answer(status, _body(message, **more))


def _answer(status: int, doc: Doc, headers: Doc | None = None) -> Response:
    return JSONResponse(doc, status, {"Request-Id": "req_strict", **(headers or {})})
