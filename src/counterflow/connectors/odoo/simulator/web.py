"""The HTTP face: `POST /json/2/<model>/<method>`, the version pages, and errors in the shape of JSON-2."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from counterflow.connectors.odoo.simulator.access import ROLES
from counterflow.connectors.odoo.simulator.calls import Odoo
from counterflow.connectors.odoo.simulator.errors import HttpError, OdooError, PythonError, SerializationFailure
from counterflow.connectors.odoo.simulator.load import failed
from counterflow.sdk.simulator import World

_VERSION = {"version_info": [19, 0, 0, "final", 0, ""], "version": "19.0"}
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


def problem(error: OdooError) -> Response:
    body = {
        "name": error.name,
        "message": error.message,
        "arguments": error.arguments,
        "context": {},
        "debug": f'Traceback (most recent call last):\n  File "/odoo/http.py", line 2275, in _transactioning\n'
        f"{error.name}: {error.message}\n",
    }
    headers = {"WWW-Authenticate": "Bearer "} if error.status == 401 else {}
    return JSONResponse(body, error.status, headers, media_type="application/json; charset=utf-8")


def refusal(status: int) -> Response:
    """The wire's own faults in Odoo's words; 429 and 503 are those of the proxy in front of it."""
    if status == 401:
        return problem(HttpError(401, "Unauthorized", "Invalid apikey"))
    if status == 500:
        return problem(_Internal("server closed the connection unexpectedly"))
    title = {429: "429 Too Many Requests", 503: "503 Service Temporarily Unavailable"}.get(status, str(status))
    html = f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center></body></html>"
    return HTMLResponse(html, status, {"Retry-After": "1"} if status in (429, 503) else {})


class _Internal(OdooError):
    name = "psycopg2.OperationalError"
    status = 500


class Web:
    """Requests to calls. The work of a call goes on when its client leaves, and commits."""

    def __init__(self, odoo: Odoo, world: World, keys: Mapping[str, str], database: str, latency: float) -> None:
        self.odoo, self.world, self.keys, self.database, self.latency = odoo, world, keys, database, latency
        self._running: set[asyncio.Task[Response]] = set()

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/web/version", self.version),
                Route("/json/version", self.version),
                Route("/json/2/{model}/{method}", self.json2, methods=["POST"]),
                Route("/json/2/{rest:path}", self.not_found, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
            ]
        )

    async def version(self, request: Request) -> Response:
        return JSONResponse(_VERSION)

    async def not_found(self, request: Request) -> Response:
        return problem(HttpError(404, "NotFound", "Did you mean POST /json/2/<model>/<method>?"))

    async def json2(self, request: Request) -> Response:
        if request.headers.get("X-Odoo-Database", self.database) != self.database:
            return HTMLResponse(_NO_DATABASE, 404)
        if request.headers.get("Content-Type", "").split(";")[0].strip() not in ("application/json", ""):
            return HTMLResponse(_WRONG_TYPE, 415)
        raw = await request.body()
        snapshot = self.odoo.db.version
        model, method = request.path_params["model"], request.path_params["method"]
        label = f"POST /json/2/{model}/{method}"
        if self.world.take_fault("html_error", label):
            return HTMLResponse(_PROXY, 502)
        try:
            role = self._role(request)
            if self.world.take_fault("serialization_failure", label):
                raise SerializationFailure
            body = self._body(raw)
        except OdooError as error:
            return problem(error)
        slow = self.world.take_fault("slow_commit", label)
        delay = slow["seconds"] if slow else self.latency
        task = asyncio.ensure_future(self._work(role, model, method, body, snapshot, delay, label))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def _work(
        self, role: str, model: str, method: str, body: dict[str, Any], snapshot: int, delay: float, label: str
    ) -> Response:
        await asyncio.sleep(delay)
        if method == "load" and self.world.take_fault("load_conflict", label):
            return JSONResponse(failed(0, 0, SerializationFailure().message))
        context = body.get("context") or {}
        env = self.odoo.env(ROLES[role], context if isinstance(context, dict) else {}, snapshot)
        try:
            result = self.odoo.call(env, role, model, method, body)
        except OdooError as error:
            return problem(error)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            # What a careless argument does to the real one: a Python traceback, as HTTP 500.
            return problem(_python(error))
        return Response(json.dumps(result, default=_plain), media_type="application/json; charset=utf-8")

    def _role(self, request: Request) -> str:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            raise HttpError(
                401, "Unauthorized", "User not authenticated, use an API Key with a Bearer Authorization header."
            )
        role = self.keys.get(key.strip())
        if role is None or self.world.get("_odoo_revoked", key.strip()):
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
