"""The access token of each call: one that was given for good, or one that is fetched for a day and renewed in time.

An app of the shop's own organisation exchanges its client id and secret for a token of 24 hours (client credentials).
Each process holds its own and fetches the next before it ends; one that is refused earlier is replaced once.
"""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from counterflow.connectors.shopify.manifest import Config
from counterflow.sdk.connector import Clock
from counterflow.sdk.http import Transport, json_of, raise_for
from counterflow.sdk.outcomes import AuthFailed, ConnectorError

PATH = "/admin/oauth/access_token"
BEFORE_SECONDS = 300.0  # a token is replaced so long before it ends
_WORDS: dict[str, type[ConnectorError]] = {"invalid_client": AuthFailed, "invalid_grant": AuthFailed}


class Tokens:
    """`of_use` gives the token for the next call, `replaced` says whether there is another one than was refused."""

    def __init__(self, config: Config, transport: Transport, now: Clock) -> None:
        self._config, self._transport, self._now = config, transport, now
        self._token, self._until = config.access_token.get_secret_value(), None if not config.client_id else now()
        self._lock = asyncio.Lock()

    async def of_use(self) -> str:
        """Raises the words of a read where none can be fetched."""
        if self._until is not None and self._now() >= self._until:
            async with self._lock:
                if self._now() >= self._until:  # nobody else has fetched it in between
                    await self._fetch()
        return self._token

    async def replaced(self, refused: str) -> bool:
        """After a 401: False where the token is the one that was given, or the new one would be no other."""
        if self._until is None:
            return False
        async with self._lock:
            if self._token == refused:
                await self._fetch()
            return self._token != refused

    async def _fetch(self) -> None:
        given = await exchange(self._transport, self._config, grant_type="client_credentials")
        self._token = str(given["access_token"])
        self._until = self._now() + timedelta(seconds=max(60.0, float(given["expires_in"]) - BEFORE_SECONDS))


async def exchange(transport: Transport, config: Config, **grant: str) -> dict[str, Any]:
    """Ask Shopify for a token. The client secret is what webhooks are signed with. Raises AuthFailed."""
    asked = {"client_id": config.client_id, "client_secret": config.webhook_secret.get_secret_value(), **grant}
    response = await transport.request("POST", PATH, write=False, json=asked)
    try:
        body = response.json()
    except ValueError:
        body = {}
    told = body if isinstance(body, dict) else {}
    code, message = str(told.get("error") or ""), str(told.get("error_description") or "")
    raise_for(response, write=False, code=code, message=message, words=_WORDS)
    found = json_of(response, write=False)
    if not isinstance(found, dict) or not found.get("access_token") or not found.get("expires_in"):
        raise AuthFailed("Shopify gave no token: check client_id and webhook_secret of the connection", code="token")
    return found


def ends(given: dict[str, Any], now: datetime) -> datetime:
    """When the token of an answer ends."""
    return now + timedelta(seconds=float(given["expires_in"]))
