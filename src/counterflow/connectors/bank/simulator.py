"""A bank that tells of its booked lines: by webhook (Standard Webhooks scheme) and by `GET /lines`.

Money that is sent to the account (act `credit`) is booked one to two days later, once per payout, whoever repeats the
order. The webhook says "line.booked"; its body is {"type", "timestamp", "data": line}. A line is

    {"id", "account_ref", "booked_at", "value_on", "amount_minor", "currency", "text", "end_to_end_ref"}

with `amount_minor` positive for money that came in, `booked_at` in UTC, and in `text` what the sender wrote.
"""

import json
from datetime import datetime, timedelta
from functools import partial

from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from counterflow.sdk.simulator import Doc, World, with_sim

# The schedule that the Standard Webhooks specification recommends, in seconds.
RETRY_SCHEDULE = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
DAY_SECONDS = 86_400
LINES_A_PAGE = 100


def create_app(
    world: World,
    *,
    api_token: str = "bank_test_counterflow",
    webhook_url: str | None = None,
    webhook_secret: str = "whsec_Y291bnRlcmZsb3ctYmFuay1mZWVkLXNlY3JldA==",
    account_ref: str = "DE02120300000000202051",
) -> Starlette:
    """The bank as an ASGI app; `webhook_secret` is `whsec_` and base64, as the scheme has it."""
    world.signer = partial(sign, Webhook(webhook_secret))
    world.on("book", partial(_book, world, webhook_url, account_ref))
    world.act("credit")(partial(credit, world))

    async def lines(request: Request) -> Response:
        if request.headers.get("Authorization") != f"Bearer {api_token}":
            return JSONResponse({"error": "unauthorized"}, 401)
        try:
            return JSONResponse(_page(world, request.query_params.get("since"), request.query_params.get("after")))
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)

    return with_sim(Starlette(routes=[Route("/lines", lines)]), world)


def credit(world: World, wanted: Doc) -> Doc:
    """{payout_ref, amount_minor, currency, text, after_seconds?}: money is on its way here; booked after 1-2 days."""
    payout_ref, amount = str(wanted["payout_ref"]), int(wanted["amount_minor"])
    if amount <= 0:
        raise ValueError("amount_minor is a positive integer")
    known = world.get("credits", payout_ref)
    if known:
        return known
    after = float(wanted.get("after_seconds", world.rng.uniform(DAY_SECONDS, 2 * DAY_SECONDS)))
    order = {
        "payout_ref": payout_ref,
        "amount_minor": amount,
        "currency": str(wanted["currency"]).upper(),
        "text": str(wanted["text"]),
    }
    world.put("credits", payout_ref, order)
    world.at(world.now() + timedelta(seconds=after), "book", order)
    return order


def sign(webhook: Webhook, headers: dict[str, str], body: bytes, now: datetime) -> dict[str, str]:
    """Timestamp and signature of one attempt; the id stays the same through all of them."""
    signature = webhook.sign(headers["webhook-id"], now, body.decode())
    return headers | {"webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}


def _book(world: World, webhook_url: str | None, account_ref: str, order: Doc) -> None:
    now = world.now()
    number = world.next_id("lines")
    line = {
        "id": f"bl_{number:09d}",
        "account_ref": account_ref,
        "booked_at": now.isoformat(),
        "value_on": now.date().isoformat(),
        "amount_minor": order["amount_minor"],
        "currency": order["currency"],
        "text": order["text"],
        "end_to_end_ref": order["payout_ref"],
    }
    world.put("lines", line["id"], line)
    if webhook_url:
        body = {"type": "line.booked", "timestamp": now.isoformat(), "data": line}
        headers = {"Content-Type": "application/json", "webhook-id": f"msg_{number:09d}"}
        world.emit(webhook_url, headers, json.dumps(body).encode(), RETRY_SCHEDULE, label=f"line.booked {line['id']}")


def _page(world: World, since: str | None, after: str | None) -> Doc:
    """Lines booked at or after `since` (an instant with its offset), oldest first; `after` is the last line seen."""
    found = world.all("lines")
    if since is not None:
        instant = datetime.fromisoformat(since)
        if instant.tzinfo is None:
            raise ValueError("since is an instant with its offset, such as 2026-10-01T00:00:00Z")
        found = [line for line in found if datetime.fromisoformat(line["booked_at"]) >= instant]
    if after is not None:
        found = [line for line in found if line["id"] > after]
    page = found[:LINES_A_PAGE]
    return {"lines": page, "next": page[-1]["id"] if len(found) > len(page) else None}
