"""`POST /admin/oauth/access_token`: tokens that end, by client credentials (24 hours) or a refresh token (one hour).

A refresh token is used up by its use; the one before stays good until the new access token has been used once, so that
a lost answer locks nobody out. Acts: `install_expiring` gives the first pair, `revoke_tokens` ends all that are out.
"""

import json
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from counterflow.connectors.shopify.simulator.shop import Shop
from counterflow.sdk.simulator import Doc

DAY_SECONDS = 86_399
HOUR_SECONDS = 3_600
REFRESH_DAYS = 90


class OAuth:
    """Everything is a document of the collection `tokens`, by the token itself."""

    def __init__(self, shop: Shop, client_id: str, for_ever: str) -> None:
        self._shop, self._client_id, self._for_ever = shop, client_id, for_ever

    def good(self, token: str) -> bool:
        """Whether a call may use it. The first use of a refreshed one ends the refresh token before it."""
        if token and token == self._for_ever:
            return True
        doc = self._living("access", token)
        if doc is not None and doc["before"]:
            self._shop.world.delete("tokens", doc["before"])
            self._shop.world.put("tokens", token, {**doc, "before": ""})
        return doc is not None

    def pair(self, before: str = "") -> Doc:
        """An access token of an hour and the refresh token that gives the next."""
        refresh = self._new("refresh", REFRESH_DAYS * 86_400)
        access = self._new("access", HOUR_SECONDS, before)
        return {
            "access_token": access, "expires_in": HOUR_SECONDS, "scope": "write_orders,write_returns",
            "refresh_token": refresh, "refresh_token_expires_in": REFRESH_DAYS * 86_400,
        }  # fmt: skip

    def revoke(self) -> Doc:
        gone = [doc["id"] for doc in self._shop.world.all("tokens") if doc["kind"] == "access"]
        for token in gone:
            self._shop.world.delete("tokens", token)
        return {"revoked": len(gone)}

    async def __call__(self, request: Request) -> Response:
        try:
            asked = json.loads(await request.body())
        except ValueError:
            return _no("invalid_request", "The body is no JSON")
        if (asked.get("client_id"), asked.get("client_secret")) != (self._client_id, self._shop.secret):
            return _no("invalid_client", "Client authentication failed", 401)
        if self._shop.world.get("shop", "uninstalled") is not None:
            return _no("app_not_installed", "The app is not installed on this shop")
        if asked.get("grant_type") == "client_credentials":
            with self._shop.world.tx():
                token = self._new("access", DAY_SECONDS)
            return JSONResponse({"access_token": token, "scope": "write_orders", "expires_in": DAY_SECONDS})
        if asked.get("grant_type") == "refresh_token":
            with self._shop.world.tx():
                if self._living("refresh", str(asked.get("refresh_token"))) is None:
                    return _no("invalid_grant", "This refresh token is expired or was used")
                return JSONResponse(self.pair(before=asked["refresh_token"]))
        return _no("unsupported_grant_type", "The grant type is not supported")

    def _new(self, kind: str, seconds: int, before: str = "") -> str:
        token = f"{'shpat' if kind == 'access' else 'shprt'}_{self._shop.world.next_id('token'):08d}"
        until = self._shop.world.now() + timedelta(seconds=seconds)
        doc = {"id": token, "kind": kind, "until": until.isoformat(), "before": before}
        self._shop.world.put("tokens", token, doc)
        return token

    def _living(self, kind: str, token: str) -> Doc | None:
        doc = self._shop.world.get("tokens", token)
        alive = doc and doc["kind"] == kind and datetime.fromisoformat(doc["until"]) > self._shop.world.now()
        return doc if alive else None


def _no(code: str, message: str, status: int = 400) -> Response:
    return JSONResponse({"error": code, "error_description": message}, status)
