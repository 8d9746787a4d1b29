"""The endpoints of Adyen that we use: JSON refunds of the Checkout API, settlement reports as CSV."""

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx2

from counterflow.connectors.adyen.manifest import AdyenConfig
from counterflow.sdk.connector import Context
from counterflow.sdk.fields import parsed
from counterflow.sdk.http import json_of, raise_for
from counterflow.sdk.outcomes import AuthFailed, ConnectorError, UnknownOutcome

VERSION = "v72"
REPORT_BYTES_MOST = 100_000_000

# https://docs.adyen.com/development-resources/error-codes: those that mean something else than their status.
_WORDS: dict[str, type[ConnectorError]] = {
    "704": UnknownOutcome,  # "request already processed or in progress", with status 409 or 422
    "901": AuthFailed,  # "Invalid Merchant Account": the credential is not for it
}


class Client:
    """One merchant account. Raises the eight words."""

    def __init__(self, config: AdyenConfig, context: Context) -> None:
        login = f"{config.report_user}:{config.report_password.get_secret_value()}".encode()
        self._account = config.merchant_account
        self._api = context.transport(config.base_url, headers={"X-API-Key": config.api_key.get_secret_value()})
        self._reports = context.transport(
            config.reports_url,
            headers={"Authorization": f"Basic {base64.b64encode(login).decode()}"},
            timeout_seconds=60.0,
            max_bytes=REPORT_BYTES_MOST,
        )

    async def refund(self, payment: str, body: Mapping[str, Any], key: str) -> Any:
        """The answer to a refund request: it is received, and nothing more."""
        path = f"/{VERSION}/payments/{quote(payment, safe='')}/refunds"
        return await self._post(path, {"merchantAccount": self._account, **body}, {"Idempotency-Key": key})

    async def payment_methods(self) -> None:
        """Changes nothing: whether key and merchant account are accepted."""
        await self._post(f"/{VERSION}/paymentMethods", {"merchantAccount": self._account}, {})

    async def report(self, name: str) -> bytes:
        """One report file. Raises NotFound for one that was not written."""
        path = f"/reports/download/MerchantAccount/{quote(self._account, safe='')}/{quote(name, safe='')}"
        response = await self._reports.request("GET", path, write=False)
        raise_for(response, write=False, message=f"no {name}" if response.status_code == 404 else "")
        return response.content

    async def aclose(self) -> None:
        await self._api.aclose()
        await self._reports.aclose()

    async def _post(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> Any:
        response = await self._api.request("POST", path, write=True, json=dict(body), headers=dict(headers))
        if response.status_code >= 400:
            _refused(response)
        return json_of(response, write=True)


def _refused(response: httpx2.Response) -> None:
    """Raise the word. `transient-error: true` says that the same key may be sent again: until then nobody knows."""
    try:
        error = parsed(response.content)
    except ValueError:
        error = {}
    error = error if isinstance(error, dict) else {}
    message, code = str(error.get("message") or ""), str(error.get("errorCode") or "")
    words = _WORDS
    if response.headers.get("transient-error") == "true":
        words = {code: UnknownOutcome}
    raise_for(response, write=True, message=message, code=code, words=words)
