"""The access token of each call: one that was given for good, or one that ends and is replaced in time.

An app of the shop's own organisation exchanges its client id and secret for a token of 24 hours (client credentials):
each process holds its own, fetches the next before it ends, and replaces one that is refused earlier, once.

Any other app has an access token of an hour and a refresh token that is used up by its use. Nobody else may use it
then, so the pair is renewed for all processes at once, where every renewed credential is (`sdk.connector.Renewable`);
Shopify lets the refresh token before work until the new access token is used, so a lost answer locks nobody out.
"""

import asyncio
from datetime import timedelta
from typing import Any

from counterflow.connectors.shopify.manifest import Config
from counterflow.sdk.connector import Clock, Credential
from counterflow.sdk.fields import parsed
from counterflow.sdk.http import Transport, json_of, raise_for
from counterflow.sdk.outcomes import AuthFailed, ConnectorError, Rejected, Transient

PATH = "/admin/oauth/access_token"
FIELD = "refresh_token"  # holds the refresh token, once it was renewed "<access token> <refresh token>"
BEFORE_SECONDS = 300.0  # a token of our own is replaced so long before it ends
LIFE = timedelta(hours=1)
_WORDS: dict[str, type[ConnectorError]] = {"invalid_client": AuthFailed, "invalid_grant": AuthFailed}


class Tokens:
    """`of_use` gives the token for the next call, `replaced` says whether there is another one than was refused."""

    def __init__(self, config: Config, transport: Transport, now: Clock) -> None:
        self._config, self._transport, self._now = config, transport, now
        access, _, self._refresh = config.refresh_token.get_secret_value().rpartition(" ")
        self._token = config.access_token.get_secret_value() or access
        self._until = now() if config.client_id and not self._refresh else None
        self._lock = asyncio.Lock()

    async def of_use(self) -> str:
        """Raises the words of a read where there is none."""
        if self._until is not None and self._now() >= self._until:
            async with self._lock:
                if self._now() >= self._until:  # nobody else has fetched it in between
                    await self._fetch()
        if not self._token:
            raise Transient("the first access token is being fetched: a worker does that within a minute")
        return self._token

    async def replaced(self, refused: str) -> bool:
        """After a 401: False where the token is not ours to fetch, or the new one would be no other."""
        if self._until is None:
            return False
        async with self._lock:
            if self._token == refused:
                await self._fetch()
            return self._token != refused

    async def _fetch(self) -> None:
        given = await self._exchange(grant_type="client_credentials")
        self._token = str(given["access_token"])
        self._until = self._now() + timedelta(seconds=max(60.0, float(given["expires_in"]) - BEFORE_SECONDS))

    # ---- a pair that all processes share -----------------------------------------------------------------------------

    def credential(self) -> Credential | None:
        """Of the configuration: nobody knows how old its token is, so it is renewed at once."""
        return Credential(FIELD, self._now() - LIFE, self._now()) if self._refresh else None

    async def renew(self) -> Credential:
        """Raises Rejected where Shopify does not take the refresh token any more."""
        try:
            given = await self._exchange(grant_type="refresh_token", refresh_token=self._refresh)
        except AuthFailed as error:
            raise Rejected(f"{error.message}: install the app again for a new refresh token", code=error.code) from None
        now = self._now()
        secret = f"{given['access_token']} {given.get('refresh_token') or self._refresh}"
        return Credential(FIELD, now, now + timedelta(seconds=float(given["expires_in"])), secret)

    async def _exchange(self, **grant: str) -> dict[str, Any]:
        """Ask Shopify for a token. The client secret is what webhooks are signed with. Raises AuthFailed."""
        secret = self._config.webhook_secret.get_secret_value()
        asked = {"client_id": self._config.client_id, "client_secret": secret, **grant}
        response = await self._transport.request("POST", PATH, write=False, json=asked)
        try:
            body = parsed(response.content)
        except ValueError:
            body = None
        told = body if isinstance(body, dict) else {}
        code, message = str(told.get("error") or ""), str(told.get("error_description") or "")
        raise_for(response, write=False, code=code, message=message, words=_WORDS)
        json_of(response, write=False)
        if not told.get("access_token") or not told.get("expires_in"):
            raise AuthFailed(
                "Shopify gave no token: check client_id and webhook_secret of the connection", code="token"
            )
        return told
