"""A mailbox: the messaging tool of a retailer, which takes signed JSON and writes to customers.

`POST /messages` takes a Standard Webhooks message and answers 202. It keeps each `webhook-id` once and drops repeats;
a signature that is wrong, or more than five minutes off, is answered 401, what is no message 422. A message of another
type than customer.notify is taken and ignored.

Collections for `/_sim/truth`: messages ({"id", "copies", "received_at", "type", "timestamp", "data"}). `copies` counts
how often it arrived; a customer was written to once.
"""

import hmac
import json
from datetime import UTC, datetime

from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from counterflow.sdk.simulator import World, with_sim

TOLERANCE_SECONDS = 300
_NEEDED = ("template", "customer_ref", "order_number")


def create_app(
    world: World, *, secret: str = "whsec_Y291bnRlcmZsb3ctbm90aWZ5LXNlY3JldA==", path: str = "/messages"
) -> Starlette:
    """The mailbox as an ASGI app; `secret` is `whsec_` and base64."""
    webhook = Webhook(secret)

    async def take(request: Request) -> Response:
        body = await request.body()
        message_id, stamp, signature = (
            request.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")
        )
        if not message_id or not stamp.isdigit() or not _fresh(world, stamp):
            return JSONResponse({"error": "webhook-id or webhook-timestamp is missing or too old"}, 401)
        expected = webhook.sign(message_id, datetime.fromtimestamp(int(stamp), UTC), body.decode(errors="replace"))
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            return JSONResponse({"error": "the signature is wrong"}, 401)
        return _keep(world, message_id, body)

    return with_sim(Starlette(routes=[Route(path, take, methods=["POST"])]), world)


def _fresh(world: World, stamp: str) -> bool:
    return abs(world.now().timestamp() - int(stamp)) <= TOLERANCE_SECONDS


def _keep(world: World, message_id: str, body: bytes) -> Response:
    try:
        message = json.loads(body)
        kind, data = message["type"], message["data"]
        if kind == "customer.notify" and not all(isinstance(data[name], str) for name in _NEEDED):
            raise TypeError("template, customer_ref and order_number are text")
    except (ValueError, KeyError, TypeError) as error:
        return JSONResponse({"error": f"this is no message: {type(error).__name__} {error}"}, 422)
    if kind == "customer.notify":
        with world.tx():
            known = world.get("messages", message_id) or {
                "id": message_id,
                "copies": 0,
                "received_at": world.now().isoformat(),
                **message,
            }
            world.put("messages", message_id, known | {"copies": known["copies"] + 1})
    return JSONResponse({"id": message_id}, 202)
