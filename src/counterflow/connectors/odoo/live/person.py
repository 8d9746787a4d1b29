"""A person in Odoo: the proof's own client. It seeds, sells and looks; nothing of the connector is used here.

JSON-2 where the server has it (19), else JSON-RPC. What it reads is what the connector's documents are compared with.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2

Row = dict[str, Any]
_TIMEOUT_SECONDS = 120.0
_MODEL_LEVEL = ("create", "search", "search_read", "search_count", "fields_get", "load", "default_get", "sync_from_ui")


class Refused(Exception):
    """Odoo refused; the message is its own."""


class Person:
    """One user, by API key."""

    def __init__(
        self, url: str, database: str, key: str, login: str = "", network: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self.database, self.key, self.login = database, key, login
        self.major = 0
        self._uid = 0
        headers = {"Authorization": f"bearer {key}", **({"X-Odoo-Database": database} if database else {})}
        self.http = httpx2.AsyncClient(base_url=url, headers=headers, timeout=_TIMEOUT_SECONDS, transport=network)

    async def arrive(self) -> int:
        """Find out which Odoo this is; its major version. Raises Refused for no Odoo, or for a key that is none."""
        try:
            answer = await self.http.get("/web/version")
            version = answer.json()["version"] if answer.status_code == 200 else ""
        except httpx2.HTTPError as error:
            raise Refused(f"no answer from {self.http.base_url}: {type(error).__name__}. Check --url") from None
        except (ValueError, KeyError):
            version = ""
        if not version:
            version = str((await self._rpc("common", "version", [])).get("server_version", ""))
        self.major = int(version.partition(".")[0].rpartition("~")[2])
        if self.major < 19:
            self._uid = await self._rpc("common", "authenticate", [self.database, self.login, self.key, {}])
            if not self._uid:
                raise Refused(f"Odoo does not know the user {self.login!r} with this key: check --db, --login, --key")
        await self.call("res.users", "context_get")
        return self.major

    async def call(self, model: str, method: str, ids: Sequence[int] | None = None, **arguments: Any) -> Any:
        """One method call; `context` is an argument like the others."""
        if self.major < 19:
            args: list[Any] = [] if ids is None else [list(ids)]
            if method == "create":
                args = [arguments.pop("vals_list")]
            elif method == "write":
                args.append(arguments.pop("vals"))  # models call it differently
            elif ids is None and method not in _MODEL_LEVEL and method != "context_get":
                args = [[]]
            if "vals" in arguments:
                args.append(arguments.pop("vals"))  # not every model calls them so
            if method == "search_read":
                arguments.pop("load", None)  # spoken out only from 19 on: ids are taken out of the pairs below
            return await self._rpc(
                "object", "execute_kw", [self.database, self._uid, self.key, model, method, args, arguments]
            )
        body = arguments if ids is None else {"ids": list(ids), **arguments}
        answer = await self.http.post(f"/json/2/{model}/{method}", json=body)
        if answer.status_code >= 400:
            try:
                said = str(answer.json().get("message", ""))
            except ValueError:
                said = f"HTTP {answer.status_code}"
            raise Refused(f"{model}.{method}: {said.strip()}")
        return answer.json()

    async def rows(self, model: str, domain: Sequence[Any], *fields: str, order: str = "id") -> list[Row]:
        """Rows with plain ids for many2one fields."""
        found = await self.call(
            model, "search_read", domain=list(domain), fields=["id", *fields], order=order, load=None
        )
        many2one = [name for name in fields if name.endswith("_id") or name.endswith("_uid")]
        for row in found:
            for name in many2one:
                if isinstance(row.get(name), list):
                    row[name] = row[name][0]
        return list(found)

    async def row(self, model: str, id: int, *fields: str) -> Row:
        [row] = await self.rows(model, [["id", "=", id]], *fields)
        return row

    async def make(self, model: str, values: Mapping[str, Any], context: Mapping[str, Any] | None = None) -> int:
        made = await self.call(model, "create", vals_list=[dict(values)], context=dict(context or {}))
        return int(made[0] if isinstance(made, list) else made)

    async def count(self, product: int, place: int, pieces: int) -> None:
        """Count the stock: so many pieces lie there."""
        row = {"product_id": product, "location_id": place, "inventory_quantity": pieces}
        quant = await self.make("stock.quant", row, {"inventory_mode": True})
        await self.call("stock.quant", "action_apply_inventory", [quant])

    async def write(self, model: str, id: int, **values: Any) -> None:
        await self.call(model, "write", [id], vals=values)

    async def find_or_make(self, model: str, by: Mapping[str, Any], values: Mapping[str, Any]) -> int:
        found = await self.rows(model, [[name, "=", value] for name, value in by.items()])
        return int(found[0]["id"]) if found else await self.make(model, {**by, **values})

    async def aclose(self) -> None:
        await self.http.aclose()

    async def _rpc(self, service: str, method: str, args: list[Any]) -> Any:
        params = {"service": service, "method": method, "args": args}
        body = {"jsonrpc": "2.0", "method": "call", "params": params, "id": 1}
        answer = await self.http.post(
            "/jsonrpc", content=json.dumps(body), headers={"Content-Type": "application/json"}
        )
        said = answer.json()
        if error := said.get("error"):
            raise Refused(f"{args[3:5]}: {error.get('data', {}).get('message') or error.get('message')}")
        return said.get("result")
