"""A Stripe account that behaves like the real one, over HTTP (API version 2026-10-28).

What it is true to: form-encoded requests; idempotency keys (the first answer, a 500 included, is replayed for 24
hours; other parameters: 400; in flight: 409; validation errors and 429 are not kept); refunds in all five statuses,
that fail days after they succeeded, and that nobody may make twice or too big; balance transactions, fees that refunds
do not give back, daily payouts that list their members; events for 30 days, webhooks that are signed, unordered,
repeated for three days.

Faults of its own beside those of the kit, which `match` "POST /v1/refunds" and the like: `slow_inside` (seconds; the
key is in flight meanwhile), `lock_timeout` (429), `insufficient_funds` (the next refund is pending). `error_before` and
`error_after` are answers of the endpoint: under a key they are replayed for a day, so that only a look-up can tell.
"""

import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from counterflow.connectors.stripe.simulator.account import COLLECTIONS, Account
from counterflow.connectors.stripe.simulator.acts import register
from counterflow.connectors.stripe.simulator.endpoints import ENDPOINTS
from counterflow.connectors.stripe.simulator.errors import refuse
from counterflow.connectors.stripe.simulator.requests import Door, Endpoint
from counterflow.sdk.simulator import World, with_sim

_ID = re.compile(rf"/({'|'.join(COLLECTIONS)})_\w+")


def create_app(
    world: World,
    *,
    api_key: str = "sk_test_counterflow",
    webhook_url: str | None = None,
    webhook_secret: str = "whsec_counterflow",
    bank_url: str | None = None,
    currency: str = "eur",
    fee_bp: int = 150,
    fee_fixed: int = 25,
) -> Starlette:
    """The account as an ASGI app.

    `webhook_url` gets all events; `bank_url` gets a POST {payout_ref, amount_minor, currency, text} for each payout
    that leaves. Each payment costs `fee_bp` basis points and `fee_fixed` minor units (nothing fixed without decimals).
    """
    account = Account(world, webhook_url, bank_url, currency, fee_bp, fee_fixed)
    register(account)
    world.signer = partial(sign, webhook_secret)
    door = Door(account, api_key)
    by_path: dict[str, dict[str, Endpoint]] = {}
    for (method, path), endpoint in ENDPOINTS.items():
        by_path.setdefault(path, {})[method] = endpoint

    async def unknown(request: Request, _: Exception) -> Response:
        path = request.url.path.removeprefix(request.scope.get("root_path", ""))
        message = f"Unrecognized request URL ({request.method}: {path})."
        return JSONResponse({"error": {"message": message, "type": "invalid_request_error"}}, 404)

    api = Starlette(
        routes=[Route(path, _route(door, methods), methods=list(methods)) for path, methods in by_path.items()],
        exception_handlers={404: unknown, 405: unknown},
    )
    return with_sim(api, world, refuse, label, own_faults=("error_before", "error_after"))


def label(method: str, path: str, body: bytes) -> str:
    """One name for each endpoint: "GET /v1/refunds/{id}"."""
    return f"{method} {_ID.sub('/{id}', path)}"


def sign(secret: str, headers: dict[str, str], body: bytes, now: datetime) -> dict[str, str]:
    """`Stripe-Signature`, made anew at each attempt: HMAC-SHA256 of "<t>.<body>"."""
    moment = int(now.timestamp())
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return headers | {"Stripe-Signature": f"t={moment},v1={digest}"}


def _route(door: Door, methods: dict[str, Endpoint]) -> Callable[[Request], Awaitable[Response]]:
    async def route(request: Request) -> Response:
        return await door.handle(request, methods[request.method])

    return route
