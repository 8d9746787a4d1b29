"""HTTP only, in Medusa's words: JSON out and in, a token that is renewed once, failures in the eight words.

Errors are {"type", "message", "code"}. A 409 says "you may retry with the provided Idempotency-Key", and there is none:
whether it was done is unknown. A 500 hides everything ("An unknown error occurred.").
"""

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import httpx2

from counterflow.connectors.medusa.manifest import MANIFEST, Config
from counterflow.sdk.connector import Context
from counterflow.sdk.fields import parsed
from counterflow.sdk.http import json_of, raise_for
from counterflow.sdk.outcomes import ConnectorError, Malformed, NotFound, UnknownOutcome

Json = dict[str, Any]
_WORDS: Mapping[str, type[ConnectorError]] = {"conflict": UnknownOutcome}


class Client:
    """Calls to one server."""

    def __init__(self, config: Config, context: Context) -> None:
        self._config = config
        self._http = context.transport(config.base_url, timeout_seconds=MANIFEST.limits.timeout_seconds)
        self._token = ""
        self._login = asyncio.Lock()

    async def get(self, path: str, name: str, **query: Any) -> Any:
        """What an answer holds under `name`: an object, or a list of them. For a payment that is not there it is {}."""
        found = await self._call("GET", path, write=False, params=query)
        if not found:
            raise NotFound(f"the shop has nothing at {path}")
        if name not in found:
            raise Malformed(f"GET {path} answered without {name}")
        return found[name]

    async def post(self, path: str, **body: Any) -> Json:
        return await self._call("POST", path, write=True, json=body)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _call(self, method: str, path: str, *, write: bool, **kwargs: Any) -> Json:
        token = await self._authorization("")
        response = await self._http.request(method, path, write=write, headers={"Authorization": token}, **kwargs)
        if response.status_code == 401 and not self._config.api_key.get_secret_value():
            token = await self._authorization(token)
            response = await self._http.request(method, path, write=write, headers={"Authorization": token}, **kwargs)
        return _read(response, write=write)

    async def _authorization(self, refused: str) -> str:
        """The header's value; one that was refused is replaced by a new one, once for all who wait."""
        if key := self._config.api_key.get_secret_value():
            return "Basic " + b64encode(f"{key}:".encode()).decode()
        async with self._login:
            if self._token == refused:
                body = {"email": self._config.email, "password": self._config.password.get_secret_value()}
                response = await self._http.request("POST", "/auth/user/emailpass", write=False, json=body)
                token = _read(response, write=False).get("token")
                if not isinstance(token, str) or not token:
                    raise Malformed("the server gave no token: has the user another way to log in than its password?")
                self._token = f"Bearer {token}"
            return self._token


def _read(response: httpx2.Response, *, write: bool) -> Json:
    problem: Json = {}
    if not response.is_success:
        try:
            body = parsed(response.content)
        except ValueError:
            body = None
        problem = body if isinstance(body, dict) else {}
    code = "conflict" if response.status_code == 409 else str(problem.get("type") or "")
    raise_for(response, write=write, message=str(problem.get("message") or ""), code=code, words=_WORDS)
    found = json_of(response, write=write)
    if not isinstance(found, dict):
        raise (UnknownOutcome if write else Malformed)("answered something that is no object")
    return found
