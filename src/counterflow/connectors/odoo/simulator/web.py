"""The HTTP face: JSON-2 and the version pages (19), JSON-RPC (all), and errors in the shape of either."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from counterflow.connectors.odoo.simulator.access import ROLES
from counterflow.connectors.odoo.simulator.calls import Odoo
from counterflow.connectors.odoo.simulator.errors import (
    AccessDenied,
    HttpError,
    OdooError,
    PythonError,
    SerializationFailure,
    UserError,
)
from counterflow.connectors.odoo.simulator.load import failed
from counterflow.connectors.odoo.simulator.users import ApiKey, role_of
from counterflow.sdk.simulator import World

_NOT_FOUND = "<!DOCTYPE html>\n<html>\n<head><title>Odoo</title></head>\n<body><h1>404: Not Found</h1></body>\n</html>"
_WRONG_TYPE = (
    "<!doctype html>\n<html lang=en>\n<title>415 Unsupported Media Type</title>\n<h1>Unsupported Media Type</h1>\n"
    "<p>Request inferred type is compatible with [&#39;http&#39;] but &#39;/json/2/&lt;__model__&gt;/"
    "&lt;__method__&gt;&#39; is type=&#39;json2&#39;.<br><br>Please verify the Content-Type request header and try "
    "again.</p>\n"
)
_NO_DATABASE = (
    "<!DOCTYPE html>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n<p>No database is selected and the requested "
    "URL was not found in the server-wide controllers.</p>\n<p>Please verify the hostname, <a href=/web/login>login</a>"
    " and try again.</p>\n\n<!-- Alternatively, use the X-Odoo-Database header. -->\n"
)
_PROXY = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>"
    "\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


def _told(error: OdooError) -> dict[str, Any]:
    return {
        "name": error.name,
        "message": error.message,
        "arguments": error.arguments,
        "context": {},
        "debug": f'Traceback (most recent call last):\n  File "/odoo/http.py", line 2275, in _transactioning\n'
        f"{error.name}: {error.message}\n",
    }


def problem(error: OdooError) -> Response:
    """An error of JSON-2."""
    headers = {"WWW-Authenticate": "Bearer "} if error.status == 401 else {}
    return JSONResponse(_told(error), error.status, headers, media_type="application/json; charset=utf-8")


def rpc_problem(error: OdooError, id: Any = None) -> Response:
    """An error of JSON-RPC: HTTP 200 whatever it is."""
    body = {"code": 200, "message": "Odoo Server Error", "data": _told(_of_the_orm(error))}
    return JSONResponse({"jsonrpc": "2.0", "id": id, "error": body})


def _of_the_orm(error: OdooError) -> OdooError:
    """What JSON-2's web layer refuses is refused further down here."""
    if not isinstance(error, HttpError):
        return error
    if error.status == 401:
        return AccessDenied()
    if error.status == 404 and error.message.startswith("the model"):
        return UserError(f"Object {error.message.split(chr(39))[1]} doesn't exist")
    return PythonError("AttributeError" if error.status == 404 else "TypeError", error.message)


def refusals(rpc: bool) -> Callable[[int], Response]:
    """The wire's own faults in Odoo's words; 429 and 503 are those of the proxy in front of it."""
    shaped = rpc_problem if rpc else problem

    def refusal(status: int) -> Response:
        if status == 401:
            return shaped(HttpError(401, "Unauthorized", "Invalid apikey"))
        if status == 500:
            return shaped(_Internal("server closed the connection unexpectedly"))
        title = {429: "429 Too Many Requests", 503: "503 Service Temporarily Unavailable"}.get(status, str(status))
        html = f"<html>\r\n<head><title>{title}</title></head>\r\n<body><center><h1>{title}</h1></center></body></html>"
        return HTMLResponse(html, status, {"Retry-After": "1"} if status in (429, 503) else {})

    return refusal


def label(method: str, path: str, body: bytes) -> str:
    """`POST /json/2/<model>/<method>`; a call over JSON-RPC has its name in the body."""
    if path == "/jsonrpc":
        try:
            params = json.loads(body)["params"]
            if params["method"] == "execute_kw":
                return f"{method} {path} {params['args'][3]}/{params['args'][4]}"
            return f"{method} {path} {params['method']}"
        except (ValueError, KeyError, IndexError, TypeError):
            pass
    return f"{method} {path}"


class _Internal(OdooError):
    name = "psycopg2.OperationalError"
    status = 500


class Web:
    """Requests to calls. The work of a call goes on when its client leaves, and commits."""

    def __init__(
        self, odoo: Odoo, world: World, keys: Mapping[str, str], database: str, latency: float, version: str
    ) -> None:
        self.odoo, self.world, self.keys, self.database, self.latency = odoo, world, keys, database, latency
        self.release = version
        self._running: set[asyncio.Task[tuple[Any, OdooError | None]]] = set()

    def app(self) -> Starlette:
        anything = ["GET", "POST", "PUT", "PATCH", "DELETE"]
        rpc = Route("/jsonrpc", self.jsonrpc, methods=["POST"])
        if self.release != "19.0":
            login = Route("/json/{rest:path}", self.to_login, methods=anything)
            return Starlette(routes=[rpc, login, Route("/{rest:path}", self.no_page, methods=anything)])
        return Starlette(
            routes=[
                Route("/web/version", self.version),
                Route("/json/version", self.version),
                Route("/json/2/{model}/{method}", self.json2, methods=["POST"]),
                Route("/json/2/{rest:path}", self.not_found, methods=anything),
                rpc,
            ]
        )

    async def version(self, request: Request) -> Response:
        return JSONResponse({"version_info": self._info(), "version": self.release})

    def _info(self) -> list[Any]:
        return [int(self.release.partition(".")[0]), 0, 0, "final", 0, ""]

    async def not_found(self, request: Request) -> Response:
        return problem(HttpError(404, "NotFound", "Did you mean POST /json/2/<model>/<method>?"))

    async def to_login(self, request: Request) -> Response:
        return RedirectResponse(f"/web/login?redirect={request.url.path}", 303)

    async def no_page(self, request: Request) -> Response:
        return HTMLResponse(_NOT_FOUND, 404)

    async def json2(self, request: Request) -> Response:
        if request.headers.get("X-Odoo-Database", self.database) != self.database:
            return HTMLResponse(_NO_DATABASE, 404)
        if request.headers.get("Content-Type", "").split(";")[0].strip() not in ("application/json", ""):
            return HTMLResponse(_WRONG_TYPE, 415)
        raw = await request.body()
        model, method = request.path_params["model"], request.path_params["method"]

        def call() -> tuple[str, dict[str, Any]]:
            return self._role(request), self._body(raw)

        answer = await self._call(model, method, call, f"POST /json/2/{model}/{method}")
        if isinstance(answer, Response):
            return answer
        result, error = answer
        if error is not None:
            return problem(error)
        return Response(json.dumps(result, default=_plain), media_type="application/json; charset=utf-8")

    async def jsonrpc(self, request: Request) -> Response:
        """`common.version`, `common.authenticate`, `object.execute_kw`."""
        raw = await request.body()
        message = json.loads(raw)
        params, id = message["params"], message.get("id")
        args = params["args"]
        if params["method"] == "version":
            info = {"server_version": self.release, "server_serie": self.release, "server_version_info": self._info()}
            return JSONResponse({"jsonrpc": "2.0", "id": id, "result": {**info, "protocol_version": 1}})
        if args[0] != self.database:
            return rpc_problem(
                _Internal(f'connection to server failed: FATAL:  database "{args[0]}" does not exist\n'), id
            )
        if params["method"] == "authenticate":
            role = self._known(args[2])
            return JSONResponse({"jsonrpc": "2.0", "id": id, "result": ROLES[role] if role == args[1] else False})
        _, uid, key, model, method, positional, named = args

        def call() -> tuple[str, dict[str, Any]]:
            role = self._known(key)
            if not role or ROLES[role] != uid:
                raise AccessDenied
            return role, self.odoo.named(model, method, positional, named)

        answer = await self._call(model, method, call, label("POST", "/jsonrpc", raw))
        if isinstance(answer, Response):
            return answer
        result, error = answer
        if error is not None:
            return rpc_problem(error, id)
        given = {} if result is None else {"result": result}
        return Response(
            json.dumps({"jsonrpc": "2.0", "id": id, **given}, default=_plain), media_type="application/json"
        )

    async def _call(
        self, model: str, method: str, call: Callable[[], tuple[str, dict[str, Any]]], label: str
    ) -> Response | tuple[Any, OdooError | None]:
        snapshot = self.odoo.db.version
        if self.world.take_fault("html_error", label):
            return HTMLResponse(_PROXY, 502)
        try:
            role, body = call()
            if self.world.take_fault("serialization_failure", label):
                raise SerializationFailure
        except OdooError as error:
            return None, error
        slow = self.world.take_fault("slow_commit", label)
        delay = slow["seconds"] if slow else self.latency
        task = asyncio.ensure_future(self._work(role, model, method, body, snapshot, delay, label))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def _work(
        self, role: str, model: str, method: str, body: dict[str, Any], snapshot: int, delay: float, label: str
    ) -> tuple[Any, OdooError | None]:
        await asyncio.sleep(delay)
        if method == "load" and self.world.take_fault("load_conflict", label):
            return failed(0, 0, SerializationFailure().message), None
        context = body.get("context") or {}
        env = self.odoo.env(ROLES[role], context if isinstance(context, dict) else {}, snapshot)
        try:
            return self.odoo.call(env, role, model, method, body), None
        except OdooError as error:
            return None, error
        except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            # What a careless argument does to the real one: a Python traceback, as HTTP 500.
            return None, _python(error)

    def _known(self, key: str) -> str:
        """The role of a key that is in force; empty otherwise."""
        if holder := ApiKey.holder(self.odoo.env(), key):
            return role_of(holder.id)
        return "" if self.world.get("_odoo_revoked", key) else self.keys.get(key, "")

    def _role(self, request: Request) -> str:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise HttpError(
                401, "Unauthorized", "User not authenticated, use an API Key with a Bearer Authorization header."
            )
        role = self._known(key.strip())
        if not role:
            raise HttpError(401, "Unauthorized", "Invalid apikey")
        return role

    @staticmethod
    def _body(raw: bytes) -> dict[str, Any]:
        try:
            body = json.loads(raw) if raw else {}
        except ValueError as error:
            raise HttpError(400, "BadRequest", f"could not parse the body as json: {error}") from None
        return body if isinstance(body, dict) else {}


def _plain(value: object) -> Any:
    raise TypeError(f"a method gave {value!r}, which is no JSON")


def _python(error: Exception) -> OdooError:
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return PythonError(type(error).__name__, text)
