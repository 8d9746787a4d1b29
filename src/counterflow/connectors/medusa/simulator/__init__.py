"""Medusa 2 as an ASGI app: orders, returns, exchanges, payments and drafts over its admin API, with its quirks.

No idempotency and no webhooks: the same refund sent again is a second refund, as long as the payment has money. What
2.21 does beside that, and so does this:

    a refund of more than the order owes first pays and then writes a credit line; while an order change is open it
    pays, and answers 400                                  a refund changes the time of neither payment nor order
    a return counts as owed from its request on            one order change at a time; it is a preview until confirmed
    a return with a label is not cancelled                 a 409 speaks of an Idempotency-Key that does not exist
    a refund may have more decimals than its currency      an unhandled error is 500 "An unknown error occurred."
    of several receipts of a line its return shows the last one; a link to nothing is left out of an answer
    a refund of one minor unit too much passes             a payment that is not there is answered 200 {}

Own fault: `locked` (409, not applied). Acts (amounts are major units, as in the shop):

    sell             lines [{sku, quantity, price}], currency, discount, exclusive, created_seconds_ago -> order, payment,
                     items
    request_return   order, lines [{sku, quantity, reason}]                       -> return   (the shopper)
    agent_return     order, lines                                                 -> return   (an agent, in the admin)
    exchange         order, lines, outbound [{sku, quantity, price}]              -> exchange, return
    cancel_return    return                          fulfil, deliver  order       edit  order (an order change is open)
    refund_by_hand   payment, amount, note           receive_by_hand  return, lines [{sku, quantity, damaged}]
"""  # noqa: E501

import json
from base64 import b64decode
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from counterflow.connectors.medusa.simulator.people import People
from counterflow.connectors.medusa.simulator.shop import Refusal, Shop
from counterflow.sdk.simulator import Doc, World, with_sim

Call = Callable[..., Doc]
# method, path -> what it does in the shop; an answer is {<name>: object}, or a list with count, offset and limit.
ROUTES: tuple[tuple[str, str, str], ...] = (
    ("GET", "/admin/stores", "stores"),
    ("GET", "/admin/payments/payment-providers", "payment_providers"),
    ("GET", "/admin/stock-locations", "stock_locations"),
    ("GET", "/admin/product-variants", "variants"),
    ("GET", "/admin/inventory-items", "inventory_items"),
    ("GET", "/admin/orders", "orders"),
    ("GET", "/admin/orders/{id}", "order"),
    ("POST", "/admin/orders/{id}", "update_order"),
    ("GET", "/admin/orders/{id}/changes", "order_changes"),
    ("POST", "/admin/orders/{id}/credit-lines", "add_credit_line"),
    ("GET", "/admin/returns", "returns"),
    ("GET", "/admin/returns/{id}", "ret"),
    ("POST", "/admin/returns/{id}", "update_return"),
    ("POST", "/admin/returns/{id}/receive", "begin_receive"),
    ("POST", "/admin/returns/{id}/receive-items", "receive_items"),
    ("POST", "/admin/returns/{id}/dismiss-items", "dismiss_items"),
    ("POST", "/admin/returns/{id}/receive/confirm", "confirm_receive"),
    ("POST", "/admin/returns/{id}/cancel", "cancel"),
    ("POST", "/admin/fulfillments/{id}/cancel", "cancel_fulfillment"),
    ("GET", "/admin/exchanges", "exchanges"),
    ("GET", "/admin/payments", "payments"),
    ("GET", "/admin/payments/{id}", "payment"),
    ("POST", "/admin/payments/{id}/refund", "refund"),
    ("GET", "/admin/draft-orders", "draft_orders"),
    ("POST", "/admin/draft-orders", "make_draft"),
    ("POST", "/admin/draft-orders/{id}/convert-to-order", "convert"),
)
ACTS = (
    People.sell,
    People.request_return,
    People.agent_return,
    People.exchange,
    People.cancel_return,
    People.fulfil,
    People.deliver,
    People.edit,
    People.refund_by_hand,
    People.receive_by_hand,
)
TOKEN_SECONDS = 86_400


def create_app(world: World, *, email: str, password: str, api_key: str = "sk_simulated") -> Starlette:
    """The server behind its faulty wire, with the doors of a simulator."""
    people = People(world)
    for act in ACTS:
        world.act(act.__name__)(getattr(people, act.__name__))
    return with_sim(create_api(world, email=email, password=password, api_key=api_key), world, refuse=refuse)


def create_api(world: World, *, email: str, password: str, api_key: str = "sk_simulated") -> Starlette:
    """The admin API alone, whose whole state is the world."""
    shop = Shop(world)

    async def login(request: Request) -> Response:
        given = json.loads(await request.body())
        if (given.get("email"), given.get("password")) != (email, password):
            return problem(401, "unauthorized", "Invalid email or password")
        token = f"eyJ.{world.next_id('_tokens'):06d}.simulated"
        world.put("_tokens", token, {"until": world.now().timestamp() + TOKEN_SECONDS})
        return JSONResponse({"token": token})

    def knows(request: Request) -> bool:
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        if kind == "Basic":
            return b64decode(value) == f"{api_key}:".encode()
        known = world.get("_tokens", value) if kind == "Bearer" else None
        return known is not None and known["until"] > world.now().timestamp()

    def endpoint(method: str, name: str) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            if not knows(request):
                return JSONResponse({"message": "Unauthorized"}, 401)
            path = request.url.path.removeprefix(request.scope.get("root_path", ""))
            if method == "POST" and world.take_fault("locked", f"POST {path}"):
                said = "The request conflicted with another request. You may retry the request with the provided"
                return problem(409, "conflict", f"{said} Idempotency-Key.", code="invalid_state_error")
            body = json.loads(await request.body() or b"{}") if method == "POST" else dict(request.query_params)
            done: list[Doc] = []
            try:
                with world.tx():
                    try:
                        done.append(getattr(shop, name)(*request.path_params.values(), body))
                    except Refusal as refusal:
                        if not refusal.applied:
                            raise
                        return problem(refusal.status, refusal.type, str(refusal))
            except Refusal as refusal:
                return problem(refusal.status, refusal.type, str(refusal))
            return JSONResponse(done[0])

        return answer

    routes = [Route("/auth/user/emailpass", login, methods=["POST"])]
    routes += [Route(path, endpoint(method, name), methods=[method]) for method, path, name in ROUTES]
    return Starlette(routes=routes)


def problem(status: int, type_: str, message: str, code: str = "") -> Response:
    return JSONResponse({**({"code": code} if code else {}), "type": type_, "message": message}, status)


def refuse(status: int) -> Response:
    """The server's own 401 and 500, and what a proxy before it says."""
    if status == 401:
        return JSONResponse({"message": "Unauthorized"}, 401)
    if status == 500:
        return problem(500, "unknown_error", "An unknown error occurred.", code="unknown_error")
    headers = {"Retry-After": "1"} if status in (429, 503) else {}
    return JSONResponse({"message": "Too many requests" if status == 429 else "Service unavailable"}, status, headers)
