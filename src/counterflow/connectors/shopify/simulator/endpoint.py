"""`POST /admin/api/{version}/graphql.json`: token, version, cost, execution."""

import json
import math
from datetime import datetime
from functools import cache, lru_cache
from importlib import resources
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    build_schema,
    execute_sync,
    parse,
    validate,
)
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from counterflow.connectors.shopify.simulator import mutations, queries
from counterflow.connectors.shopify.simulator.oauth import OAuth
from counterflow.connectors.shopify.simulator.shop import Shop

VERSIONS = ("2025-10", "2026-01", "2026-04", "2026-07", "2026-10")
MAX_COST = 1000
_MONEY = ("Set", "shopMoney", "presentmentMoney", "pageInfo", "userErrors")


@cache
def schema() -> GraphQLSchema:
    return build_schema(resources.files(__package__ or "").joinpath("schema.graphql").read_text())


@lru_cache(maxsize=256)
def checked(text: str) -> DocumentNode | tuple[GraphQLError, ...]:
    """The document, or why it is none; a caller sends the same few documents again and again."""
    try:
        document = parse(text)
    except GraphQLError as error:
        return (error,)
    return tuple(validate(schema(), document)) or document


class Endpoint:
    """Points restore at `points_per_second` by the world's clock, up to twenty seconds' worth."""

    def __init__(self, shop: Shop, oauth: OAuth, points_per_second: float, search_lag_seconds: float) -> None:
        self._shop, self._oauth, self._rate, self._lag = shop, oauth, points_per_second, search_lag_seconds
        self._full = points_per_second * 20
        self._points = self._full
        self._at: datetime = shop.world.now()

    async def __call__(self, request: Request) -> Response:
        asked = request.path_params["version"]
        version = asked if asked in VERSIONS or asked == "unstable" else VERSIONS[0]  # falls forward to the oldest one
        headers = {"X-Shopify-API-Version": version, "X-Request-Id": f"req-{self._shop.world.next_id('request')}"}
        installed = self._shop.world.get("shop", "uninstalled") is None
        if not installed or not self._oauth.good(request.headers.get("X-Shopify-Access-Token", "")):
            return unauthorized(headers)
        try:
            body = json.loads(await request.body())
            text, variables = body["query"], body.get("variables") or {}
        except (ValueError, KeyError, TypeError):
            return JSONResponse({"errors": {"query": "Required parameter missing or invalid"}}, 400, headers)
        base = str(request.base_url)
        return JSONResponse(self._run(text, variables, body.get("operationName"), version, base), 200, headers)

    def execute(self, document: DocumentNode) -> dict[str, Any]:
        """A query of the shop's own, which costs nothing: a bulk operation at work."""
        root = queries.root(self._shop, 0.0)
        return dict(execute_sync(schema(), document, root, {"version": VERSIONS[-1]}).data or {})

    def _run(self, text: str, variables: dict[str, Any], name: str | None, version: str, base: str) -> dict[str, Any]:
        document = checked(text)
        if isinstance(document, tuple):
            return {"errors": [error.formatted for error in document]}
        cost = requested_cost(document, variables)
        if cost > MAX_COST:
            message = f"Query cost is {cost}, which exceeds the single query max cost limit ({MAX_COST})."
            extensions = {"code": "MAX_COST_EXCEEDED", "cost": cost, "maxCost": MAX_COST}
            return {"errors": [{"message": message, "extensions": extensions}]}
        self._restore()
        label = operation_name(json.dumps({"query": text, "operationName": name}).encode())
        if cost > self._points or self._shop.world.take_fault("throttled", label):
            self._points = min(self._points, cost - 1)
            refused: dict[str, Any] = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
            return {"errors": [refused], "extensions": self._cost(cost, None)}
        if self._shop.world.take_fault("access_denied", label):
            refused = {"message": "Access denied for this field.", "extensions": {"code": "ACCESS_DENIED"}}
            return {"data": None, "errors": [refused], "extensions": self._cost(cost, 0)}
        root = {**queries.root(self._shop, self._lag), **mutations.root(self._shop, base, schema())}
        result = execute_sync(schema(), document, root, {"version": version}, variables, name)
        answer: dict[str, Any] = {"data": result.data}
        if result.errors:
            answer["errors"] = [error.formatted for error in result.errors]
        actual = min(cost, max(1, _objects(result.data)))
        self._points -= actual
        return {**answer, "extensions": self._cost(cost, actual)}

    def _restore(self) -> None:
        now = self._shop.world.now()
        self._points = min(self._full, self._points + (now - self._at).total_seconds() * self._rate)
        self._at = now

    def _cost(self, requested: int, actual: int | None) -> dict[str, Any]:
        status = {
            "maximumAvailable": self._full, "currentlyAvailable": max(0, math.floor(self._points)),
            "restoreRate": self._rate,
        }  # fmt: skip
        return {"cost": {"requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": status}}


def unauthorized(headers: dict[str, str] | None = None) -> Response:
    message = "[API] Invalid API key or access token (unrecognized login or wrong password)"
    return JSONResponse({"errors": message}, 401, headers)


def refuse(status: int) -> Response:
    """Shopify's answers below GraphQL."""
    if status == 401:
        return unauthorized()
    if status == 429:
        return JSONResponse({"errors": "Exceeded 2 calls per second for api client."}, 429, {"Retry-After": "2.0"})
    if status == 503:
        return Response("<html><body>Service Unavailable</body></html>", 503, {"Retry-After": "5"}, "text/html")
    return JSONResponse(
        {"errors": [{"message": "Internal error.", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}]}, status
    )


def operation_name(body: bytes) -> str:
    """The operation's name and its root fields, "RefundCreate refundCreate"; "" when the body is no operation."""
    try:
        data = json.loads(body)
        document = checked(data["query"])
    except (ValueError, KeyError, TypeError):
        return ""
    if isinstance(document, tuple):
        return ""
    wanted = data.get("operationName")
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode) and wanted in (None, node.name and node.name.value):
            fields = [field.name.value for field in node.selection_set.selections if isinstance(field, FieldNode)]
            return " ".join([*([node.name.value] if node.name else []), *fields])
    return ""


def label(method: str, path: str, body: bytes) -> str:
    return " ".join(filter(None, [method, path, operation_name(body)]))


def requested_cost(document: DocumentNode, variables: dict[str, Any]) -> int:
    """An object costs 1, a mutation 10, a connection grows with its page size and its nodes; money is free.

    Shopify publishes the outline of its rule, not the curve for nested connections: here it is gentler than a product.
    """
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}

    def size(field: FieldNode) -> int | None:
        for argument in field.arguments or ():
            if argument.name.value == "first":
                if isinstance(argument.value, IntValueNode):
                    return int(argument.value.value)
                if isinstance(argument.value, VariableNode):
                    return int(variables.get(argument.value.name.value) or 0)
        return None

    def walk(selections: SelectionSetNode | None) -> int:
        total = 0
        for node in selections.selections if selections else ():
            if not isinstance(node, FieldNode):
                inner = fragments[node.name.value] if isinstance(node, FragmentSpreadNode) else node
                assert isinstance(inner, FragmentDefinitionNode | InlineFragmentNode)
                total += walk(inner.selection_set)
            elif node.selection_set and not node.name.value.endswith(_MONEY):
                below = walk(node.selection_set)
                pages = size(node)
                wrapper = node.name.value == "nodes"
                total += below if wrapper else 1 + below if pages is None else 2 + math.ceil(pages * (1 + below) ** 0.5)
        return total

    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    return sum(walk(node.selection_set) + (10 if node.operation.value == "mutation" else 0) for node in operations)


def _objects(value: Any) -> int:
    if isinstance(value, dict):
        return (0 if "amount" in value or "shopMoney" in value else 1) + sum(
            _objects(inner) for inner in value.values()
        )
    return sum(_objects(inner) for inner in value) if isinstance(value, list) else 0
