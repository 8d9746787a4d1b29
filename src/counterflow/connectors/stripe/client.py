"""The endpoints of Stripe that we use, in Stripe's words: forms go out, JSON comes back, errors become our words."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import httpx2

from counterflow.connectors.stripe.manifest import StripeConfig
from counterflow.sdk.connector import Context
from counterflow.sdk.http import json_of, raise_for
from counterflow.sdk.outcomes import (
    AuthFailed,
    Conflict,
    ConnectorError,
    Malformed,
    NotFound,
    RateLimited,
    UnknownOutcome,
)

Doc = Mapping[str, Any]

# https://docs.stripe.com/error-codes: those that mean something else than their status.
_WORDS: dict[str, type[ConnectorError]] = {
    "idempotency_error": Conflict,  # the key was used with other parameters
    "idempotency_key_in_use": UnknownOutcome,  # another request of ours with this key is under way
    "lock_timeout": RateLimited,
    "rate_limit": RateLimited,
    "resource_missing": NotFound,  # 404 in a path, 400 in a parameter
    "api_key_expired": AuthFailed,
}


class Client:
    """One account. Raises the eight words."""

    def __init__(self, config: StripeConfig, context: Context) -> None:
        headers = {
            "Authorization": f"Bearer {config.api_key.get_secret_value()}",
            "Stripe-Version": config.api_version,
        }
        self._http = context.transport(config.base_url, headers=headers)
        self._page_size = config.page_size

    async def create_refund(self, params: Mapping[str, str], key: str) -> tuple[Doc, bool]:
        """(the refund, False), or ({}, True) when this key is burnt: an error of long ago is replayed under it."""
        response = await self._http.request(
            "POST", "/v1/refunds", write=True, data=dict(params), headers={"Idempotency-Key": key}
        )
        if response.status_code >= 500 and response.headers.get("idempotent-replayed") == "true":
            return {}, True
        return _read(response, write=True), False

    async def get(self, path: str, *expand: str) -> Doc:
        """One object, with what it names expanded."""
        params = [("expand[]", name) for name in expand]
        return _read(await self._http.request("GET", path, write=False, params=params), write=False)

    async def page(self, path: str, params: Sequence[tuple[str, str]], after: str = "") -> tuple[list[Doc], bool]:
        """One page of a list, newest first, behind the object `after`; and whether more follow."""
        query = [*params, ("limit", str(self._page_size))]
        if after:
            query.append(("starting_after", after))
        found = _read(await self._http.request("GET", path, write=False, params=query), write=False)
        rows = found.get("data")
        if not isinstance(rows, list) or not all(isinstance(row, dict) and row.get("id") for row in rows):
            raise Malformed(f"the list {path} has no rows in `data`: compare with the API's change log")
        return rows, bool(found.get("has_more"))

    async def rows(self, path: str, *params: tuple[str, str]) -> AsyncIterator[Doc]:
        """All rows of a list, newest first."""
        after, more = "", True
        while more:
            found, more = await self.page(path, params, after)
            for row in found:
                yield row
            after = found[-1]["id"] if found else after
            more = more and bool(found)

    async def aclose(self) -> None:
        await self._http.aclose()


def _read(response: httpx2.Response, *, write: bool) -> Doc:
    body = json_of(response, write=write) if response.status_code < 500 or not write else {}
    if response.status_code >= 400:
        error = body.get("error") if isinstance(body, dict) else None
        error = error if isinstance(error, dict) else {}
        raise_for(
            response,
            write=write,
            message=str(error.get("message") or ""),
            code=str(error.get("code") or error.get("type") or ""),
            field=str(error.get("param") or ""),
            words=_WORDS,
        )
    if not isinstance(body, dict) or "object" not in body:
        message = f"answered {response.status_code} with something that is no Stripe object"
        raise UnknownOutcome(message) if write else Malformed(message)
    return body
