"""The Checkout API as far as refunds go: who asks, is it the form, did it ask before under the same key."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from counterflow.connectors.adyen.simulator.account import Account
from counterflow.connectors.adyen.simulator.errors import Refusal
from counterflow.sdk.simulator import Doc

KEYS_KEPT_FOR = timedelta(days=7)
KEY_LENGTH_MAX, REFERENCE_LENGTH_MAX = 64, 80
_REFUND = {
    "amount", "applicationInfo", "capturePspReference", "enhancedSchemeData", "lineItems", "merchantAccount",
    "merchantRefundReason", "reference", "splits", "store",
}  # fmt: skip


class Checkout:
    """The endpoints of one account."""

    def __init__(self, account: Account, api_key: str) -> None:
        self._account, self._world, self._api_key = account, account.world, api_key
        self._in_flight: set[str] = set()

    async def payment_methods(self, request: Request) -> Response:
        return await self._answer(request, lambda body: self._nothing())

    async def refund(self, request: Request) -> Response:
        payment, key = request.path_params["payment"], request.headers.get("idempotency-key", "")

        async def once(body: Doc) -> tuple[int, Doc]:
            if unknown := sorted(body.keys() - _REFUND):
                message = f"Structure of PaymentRefundRequest contains the following unknown fields: {unknown}"
                raise Refusal(400, "702", message)
            if not key:
                return 201, self._make(payment, body)
            if len(key) > KEY_LENGTH_MAX:
                raise Refusal(422, "702", f"Idempotency-Key is longer than {KEY_LENGTH_MAX} characters")
            known = self._world.get("keys", key)
            if known and self._world.now() < datetime.fromisoformat(known["at"]) + KEYS_KEPT_FOR:
                return 201, known["answer"]
            if key in self._in_flight or self._world.take_fault("in_flight", "POST refunds"):
                raise Refusal(422, "704", "request already processed or in progress", transient=True)
            self._in_flight.add(key)
            try:
                await asyncio.sleep(0.001)
                with self._world.tx():
                    answer = self._make(payment, body)
                    self._world.put("keys", key, {"answer": answer, "at": self._world.now().isoformat()})
            finally:
                self._in_flight.discard(key)
            return 201, answer

        return await self._answer(request, once, {"Idempotency-Key": key} if key else {})

    def _make(self, psp: str, body: Doc) -> Doc:
        payment = self._world.get("payments", psp)
        if payment is None:
            raise Refusal(422, "167", "Original pspReference required for this operation")
        amount = body.get("amount")
        if not isinstance(amount, dict) or amount.keys() != {"currency", "value"}:
            raise Refusal(422, "100", "Required object 'amount' is not provided.")
        value, currency, reference = amount["value"], amount["currency"], body.get("reference", "")
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            raise Refusal(422, "137", "Invalid amount specified")
        if not isinstance(currency, str) or len(currency) != 3:
            raise Refusal(422, "138", "Unsupported currency specified")
        if not isinstance(reference, str) or len(reference) > REFERENCE_LENGTH_MAX:
            raise Refusal(422, "702", f"The reference is a text of at most {REFERENCE_LENGTH_MAX} characters")
        refund = self._account.receive_refund(payment, value, currency, reference)
        answer = {
            "merchantAccount": self._account.merchant,
            "paymentPspReference": psp,
            "pspReference": refund["pspReference"],
            "status": "received",
            "amount": {"currency": currency, "value": value},
        }
        return answer | ({"reference": reference} if reference else {})

    async def _nothing(self) -> tuple[int, Doc]:
        return 200, {"paymentMethods": [{"name": "Cards", "type": "scheme"}]}

    async def _answer(
        self, request: Request, do: Callable[[Doc], Awaitable[tuple[int, Doc]]], headers: dict[str, str] | None = None
    ) -> Response:
        headers = headers or {}
        try:
            if request.headers.get("x-api-key") != self._api_key:
                raise Refusal(401, "000", "HTTP Status Response - Unauthorized", "security")
            try:
                body = json.loads(await request.body())
            except ValueError:
                body = None
            if not isinstance(body, dict):
                raise Refusal(400, "702", "The request is no JSON object")
            if body.get("merchantAccount") != self._account.merchant:
                raise Refusal(403, "901", "Invalid Merchant Account", "security")
            status, answer = await do(body)
        except Refusal as refusal:
            return refusal.answer(headers)
        return JSONResponse(answer, status, headers)
