"""Acme Pay as an ASGI app. It has no idempotency keys, and refuses to refund more than was paid.

    POST /refunds {payment, amount, currency, reference}   201 the refund; the same again is a second refund
    GET  /refunds?reference=, /refunds/{id}, /payouts/{id}
    GET  /changes?kind=refund|payout&after=&limit=         {"changes": [{"number", "id"}], "more"}, oldest first

Webhooks (Standard Webhooks) {"type": "refund.changed" | "payout.sent", "data": {"id"}}. Acts: pay {amount, currency},
refund_by_hand {payment, amount}, bounce {refund}, pay_out {}.
"""

import base64
import json
from collections.abc import Callable
from datetime import datetime

from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from counterflow.sdk.simulator import Doc, World, with_sim

TOKEN = "acme_test_token"
SECRET = "whsec_" + base64.b64encode(b"acme pays its webhooks in words").decode()
RETRY_SECONDS = (5.0, 60.0, 600.0)


class Refusal(ValueError):
    """A business "no": 422 over HTTP, 400 from an act."""


def create_app(world: World, webhook_url: str) -> Starlette:
    webhook = Webhook(SECRET)

    def sign(headers: dict[str, str], body: bytes, now: datetime) -> dict[str, str]:
        signature = webhook.sign(headers["webhook-id"], now, body.decode())
        return headers | {"webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}

    world.signer = sign

    def changed(kind: str, topic: str, doc: Doc) -> Doc:
        number = world.next_id("changes")
        world.put(f"{kind}s", doc["id"], doc)
        world.put("changes", str(number), {"number": number, "kind": kind, "id": doc["id"]})
        body = json.dumps({"type": topic, "data": {"id": doc["id"]}}).encode()
        world.emit(webhook_url, {"webhook-id": f"msg_{number}"}, body, RETRY_SECONDS, label=topic)
        return doc

    def refund(wanted: Doc) -> Doc:
        payment = world.get("payments", wanted["payment"])
        if payment is None or wanted["currency"] != payment["currency"]:
            raise Refusal("there is no such payment in this currency")
        if wanted["amount"] > payment["left"]:
            raise Refusal(f"only {payment['left']} is left of this payment")
        world.put("payments", payment["id"], payment | {"left": payment["left"] - wanted["amount"]})
        doc = {**wanted, "id": f"rf_{world.next_id('rf')}", "state": "sent", "changed_at": world.now().isoformat()}
        return changed("refund", "refund.changed", doc)

    def pay(wanted: Doc) -> Doc:
        payment = {"id": f"pay_{world.next_id('pay')}", "left": wanted["amount"], **wanted}
        world.put("payments", payment["id"], payment)
        return payment

    def refund_by_hand(wanted: Doc) -> Doc:
        currency = (world.get("payments", wanted["payment"]) or {}).get("currency")
        return refund({**wanted, "currency": currency, "reference": None})

    def bounce(wanted: Doc) -> Doc:
        doc = world.get("refunds", wanted["refund"])
        if doc is None:
            raise LookupError("refund")
        return changed("refund", "refund.changed", doc | {"state": "bounced", "changed_at": world.now().isoformat()})

    def pay_out(wanted: Doc) -> Doc:
        rows = [doc for doc in world.all("refunds") if not world.get("paid_out", doc["id"])]
        for doc in rows:
            world.put("paid_out", doc["id"], {})
        sales, now = 1_000_00, world.now()
        return changed("payout", "payout.sent", {
            "id": f"po_{world.next_id('po')}", "currency": "EUR", "sales": sales, "sent_at": now.isoformat(),
            "arrives_on": now.date().isoformat(), "net": sales - sum(doc["amount"] for doc in rows),
            "refunds": [{"id": doc["id"], "amount": doc["amount"]} for doc in rows],
        })  # fmt: skip

    for act in (pay, refund_by_hand, bounce, pay_out):
        world.act(act.__name__)(act)

    async def post_refund(request: Request) -> Response:
        with world.tx():
            return JSONResponse(refund(json.loads(await request.body())), 201)

    async def search(request: Request) -> Response:
        wanted = request.query_params.get("reference")
        return JSONResponse({"refunds": [doc for doc in world.all("refunds") if doc["reference"] == wanted]})

    async def one(request: Request) -> Response:
        doc = world.get(request.path_params["kind"], request.path_params["id"])
        return JSONResponse(doc) if doc else problem(404, "not_found", "there is no such thing")

    async def changes(request: Request) -> Response:
        kind, after, limit = request.query_params["kind"], *(int(request.query_params[n]) for n in ("after", "limit"))
        rows = [row for row in world.all("changes") if row["kind"] == kind and row["number"] > after]
        return JSONResponse({"changes": rows[:limit], "more": len(rows) > limit})

    def guarded(endpoint: Callable[..., object]) -> Callable[[Request], object]:
        async def guard(request: Request) -> Response:
            if request.headers.get("authorization") != f"Bearer {TOKEN}":
                return problem(401, "unauthorized", "send a valid token")
            try:
                return await endpoint(request)  # type: ignore[misc,no-any-return]
            except Refusal as refusal:
                return problem(422, "refused", str(refusal))

        return guard

    routes = [
        Route("/refunds", guarded(post_refund), methods=["POST"]),
        Route("/refunds", guarded(search)),
        Route("/changes", guarded(changes)),
        Route("/{kind}/{id}", guarded(one)),
    ]
    return with_sim(Starlette(routes=routes), world)


def problem(status: int, code: str, message: str) -> Response:
    return JSONResponse({"code": code, "message": message}, status)
