"""The two APIs of Odoo: JSON-2 (19 and newer), and JSON-RPC before it. Which one a server speaks is asked, once.

A call is one POST and one transaction either way. JSON-RPC answers HTTP 200 to errors too, names methods' arguments by
position where they are records, and wants the login beside the key.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import httpx2

from counterflow.connectors.odoo.errors import error_of
from counterflow.sdk.fields import parsed
from counterflow.sdk.http import Transport, json_of, raise_for, redact
from counterflow.sdk.outcomes import AuthFailed, ConnectorError, Malformed, Rejected, UnknownOutcome

OLDEST = 18  # 17 has other payments: no memo, other states
_PROXY_STATUS = frozenset((429, 502, 503, 504))


@dataclass(frozen=True, slots=True)
class Access:
    """Who calls which database. The login is needed by JSON-RPC alone."""

    key: str
    database: str = ""
    login: str = ""


class Wire(Protocol):
    """One API: `body` holds `ids` and `context` where the method takes them, and its arguments by name."""

    async def call(self, model: str, method: str, body: dict[str, Any], *, write: bool) -> Any:
        """The bare result; raises one of the eight words."""


async def version_of(transport: Transport) -> str:
    """The release, as `19.0`, `18.0` or `saas~19.1`, without logging in."""
    response = await transport.request("GET", "/web/version", write=False)
    if response.status_code not in (303, 404):  # before 19 there is no such page
        raise_for(response, write=False)
        answer = json_of(response, write=False)
        if isinstance(answer, dict) and answer.get("version"):
            return str(answer["version"])
    answer = await _rpc(transport, "version", "common", "version", [], write=False)
    if not isinstance(answer, dict) or not answer.get("server_serie"):
        raise Malformed(f"no Odoo told its version, but {redact(str(answer))}: check base_url")
    return str(answer["server_serie"])


def major_of(version: str) -> int:
    """19 of `19.0` and of `saas~19.1`; 0 of anything else."""
    major = version.partition(".")[0].rpartition("~")[2]
    return int(major) if major.isdigit() else 0


def wire_of(version: str, transport: Transport, access: Access) -> Wire:
    """The API to use. Raises Rejected for one that this connector does not speak to."""
    major = major_of(version)
    if major < OLDEST:
        raise Rejected(f"Odoo {version} is too old: this connector speaks to {OLDEST} and newer")
    return Json2(transport) if major >= 19 else JsonRpc(transport, access)


class Json2:
    """`POST /json/2/<model>/<method>`; key and database are headers of the transport."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    async def call(self, model: str, method: str, body: dict[str, Any], *, write: bool) -> Any:
        response = await self.transport.request("POST", f"/json/2/{model}/{method}", write=write, json=body)
        status = response.status_code
        if status < 300:
            return json_of(response, write=write)
        said = _said(response)
        name, message = str(said.get("name", "")), redact(str(said.get("message", "")).strip())
        if not name or status in _PROXY_STATUS:
            if status == 404 and "database" in response.text.lower():
                raise AuthFailed("Odoo does not serve this database: correct `database` of the connection")
            raise_for(response, write=write, message=message)
        raise error_of(name, f"{model}.{method}: {message}", write=write, status=status)


class JsonRpc:
    """`POST /jsonrpc`, `object.execute_kw`; the key is the password of every call."""

    def __init__(self, transport: Transport, access: Access) -> None:
        self.transport, self.access = transport, access
        self._uid = 0

    async def call(self, model: str, method: str, body: dict[str, Any], *, write: bool) -> Any:
        named = dict(body)
        # Ids go by position, and values, which not every model calls `vals`; all else goes by name.
        args = [named.pop(name) for name in ("ids", "vals_list", "vals") if name in named]
        access = self.access
        call = [access.database, await self._user(), access.key, model, method, args, named]
        return await _rpc(self.transport, f"{model}.{method}", "object", "execute_kw", call, write=write)

    async def _user(self) -> int:
        """Our user's id; asked once, a login never changes hands."""
        if not self._uid:
            access = self.access
            if missing := [name for name in ("database", "login") if not getattr(access, name)]:
                raise AuthFailed(f"Odoo before 19 needs {' and '.join(missing)} of the connection: add it")
            who = [access.database, access.login, access.key, {}]
            uid = await _rpc(self.transport, "authenticate", "common", "authenticate", who, write=False)
            if not isinstance(uid, int) or not uid:
                raise AuthFailed(
                    f"Odoo knows no user {access.login!r} with this API key: it is wrong, revoked or expired; make a "
                    "new one, or correct `login`",
                    code="AccessDenied",
                )
            self._uid = uid
        return self._uid


async def _rpc(transport: Transport, operation: str, service: str, method: str, args: list[Any], *, write: bool) -> Any:
    params = {"service": service, "method": method, "args": args}
    body = {"jsonrpc": "2.0", "method": "call", "id": 1, "params": params}
    response = await transport.request("POST", "/jsonrpc", write=write, json=body)
    raise_for(response, write=write)
    answer = json_of(response, write=write)
    if not isinstance(answer, dict) or not ("result" in answer or "error" in answer or "id" in answer):
        text = f"{operation} answered with something that is no JSON-RPC: {redact(str(answer))}"
        raise UnknownOutcome(text) if write else Malformed(text)
    if (error := answer.get("error")) is None:
        return answer.get("result")  # absent when the method gives nothing
    raise _rpc_error(error, operation, write=write)


def _rpc_error(error: Any, operation: str, *, write: bool) -> ConnectorError:
    data = error.get("data") if isinstance(error, dict) else None
    if not isinstance(data, dict) or not data.get("name"):
        text = f"{operation}: {redact(str(error))}"
        return UnknownOutcome(text) if write else Malformed(text)
    message = redact(str(data.get("message", "")).strip())
    return error_of(str(data["name"]), f"{operation}: {message}", write=write)


def _said(response: httpx2.Response) -> dict[str, Any]:
    """The JSON error body; {} for HTML and the like. Never shows `debug`, which is a traceback with values."""
    try:
        body = parsed(response.content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
