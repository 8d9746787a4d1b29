"""An Adyen merchant account that behaves like the real one, over HTTP (Checkout API v72, standard webhooks).

What it is true to: a refund is only received, and decided a minute later; too much, or a payment that was not
captured, is a REFUND with success "false" and no refusal; a refund fails or comes back days after it succeeded; no
request reads a refund; keys are kept for seven days, and the first answer comes again whatever the new body says;
unknown fields are refused; amounts have Adyen's own exponents; webhooks are signed item by item, several to a POST if
wanted, in no order, repeated for weeks; batches are closed and reported as CSV, once more when corrected.

Faults of its own beside those of the kit: `in_flight` (422, 704, `transient-error: true`; not applied), `column_order`
(the next report has its columns in reverse), `cut` (the next report ends in the middle of its last line). What it
leaves out: a refused webhook holds up those behind it at Adyen, here each is repeated for itself.
"""

import base64
import re

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from counterflow.connectors.adyen.simulator.account import Account
from counterflow.connectors.adyen.simulator.checkout import Checkout
from counterflow.connectors.adyen.simulator.errors import refuse
from counterflow.connectors.adyen.simulator.settle import register
from counterflow.sdk.simulator import World, with_sim

MERCHANT = "CounterflowEU"
API_KEY = "AQEcounterflow-test-key"
HMAC_KEY = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"  # of Adyen's published example
WEBHOOK_LOGIN = ("counterflow", "webhook-password")
REPORT_LOGIN = ("report_1@Company.Counterflow", "report-password")
_PAYMENT = re.compile(r"/payments/\w+/")


def create_app(
    world: World,
    *,
    webhook_url: str | None = None,
    bank_url: str | None = None,
    merchant: str = MERCHANT,
    api_key: str = API_KEY,
    hmac_key: str = HMAC_KEY,
    webhook_login: tuple[str, str] = WEBHOOK_LOGIN,
    report_login: tuple[str, str] = REPORT_LOGIN,
) -> Starlette:
    """The account as an ASGI app. `bank_url` gets a POST {payout_ref, amount_minor, currency, text} for each payout."""
    account = Account(world, merchant, webhook_url, bank_url, bytes.fromhex(hmac_key), basic(webhook_login))
    register(account)
    checkout = Checkout(account, api_key)

    async def report(request: Request) -> Response:
        if request.headers.get("authorization") != basic(report_login):
            return Response("HTTP Status 401 - Unauthorized", 401)
        found = world.get("reports", request.path_params["name"])
        if found is None or request.path_params["merchant"] != merchant:
            return Response("HTTP Status 404 - Not Found", 404)
        return Response(found["content"].encode("latin-1"), media_type="text/csv")

    api = Starlette(
        routes=[
            Route("/v72/payments/{payment}/refunds", checkout.refund, methods=["POST"]),
            Route("/v72/paymentMethods", checkout.payment_methods, methods=["POST"]),
            Route("/reports/download/MerchantAccount/{merchant}/{name}", report),
        ],
        exception_handlers={404: _unknown, 405: _unknown},
    )
    return with_sim(api, world, refuse, label)


def label(method: str, path: str, body: bytes) -> str:
    """One name for each endpoint: "POST /v72/payments/{psp}/refunds"."""
    return f"{method} {_PAYMENT.sub('/payments/{psp}/', path)}"


def basic(login: tuple[str, str]) -> str:
    """The header of basic authentication."""
    return f"Basic {base64.b64encode(':'.join(login).encode()).decode()}"


async def _unknown(request: Request, _: Exception) -> Response:
    return JSONResponse({"status": 404, "errorCode": "000", "message": "HTTP Status Response - Not Found"}, 404)
