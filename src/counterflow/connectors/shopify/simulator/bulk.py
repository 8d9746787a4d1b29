"""Bulk operations: one at a time, late, into a file of lines that can be read in parts for seven days.

Lines are objects; what is below an object's connection is a line of its own with `__parentId`. Fault (matched on
"bulkOperationRunQuery"): `bulk_fails` ends the operation after `seconds` as FAILED (TIMEOUT) with a part of its lines.
"""

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    GraphQLError,
    IntValueNode,
    NameNode,
    Visitor,
    parse,
    validate,
    visit,
)
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from counterflow.connectors.shopify.simulator.shop import Refused, Shop, number
from counterflow.connectors.shopify.simulator.views import pages
from counterflow.sdk.simulator import Doc

AGENDA = "shopify_bulk_operation"
SECONDS = 90.0
KEPT = timedelta(days=7)
_WORKING = ("CREATED", "RUNNING", "CANCELING")
Execute = Callable[[DocumentNode], dict[str, Any]]


def run(shop: Shop, query: str, base: str, check: Any) -> Doc:
    """Begin. `base` is the address under which the file will be found, `check` the schema."""
    if any(row["status"] in _WORKING for row in shop.world.all("bulk_operations")):
        raise Refused("A bulk query operation for this app and shop is already in progress", "OPERATION_IN_PROGRESS")
    try:
        wrong = validate(check, paged(query))
    except GraphQLError as error:
        wrong = [error]
    if wrong:
        raise Refused(f"Invalid bulk query: {wrong[0].message}", "INVALID", ["query"])
    fault = shop.world.take_fault("bulk_fails", "bulkOperationRunQuery")
    operation: Doc = {
        "id": shop.gid("BulkOperation"), "status": "CREATED", "query": query, "at": shop.now(), "base": base,
        "completed_at": None, "error": None, "lines": "", "fails": bool(fault),
    }  # fmt: skip
    shop.world.put("bulk_operations", operation["id"], operation)
    later = (fault or {}).get("seconds") or SECONDS
    shop.world.at(shop.world.now() + timedelta(seconds=later), AGENDA, {"operation": operation["id"]})
    return operation


def finish(shop: Shop, payload: Doc, execute: Execute) -> None:
    """The file holds what the shop has at the end, not at the beginning."""
    operation = shop.world.get("bulk_operations", payload["operation"])
    if operation is None or operation["status"] not in _WORKING:
        return
    lines = [json.dumps(row, separators=(",", ":")) for row in _lines(execute(paged(operation["query"])))]
    failed = operation["fails"]
    kept = lines[: len(lines) // 2] if failed else lines
    operation |= {
        "status": "FAILED" if failed else "COMPLETED", "error": "TIMEOUT" if failed else None,
        "completed_at": shop.now(), "lines": "".join(f"{line}\n" for line in kept),
    }  # fmt: skip
    shop.world.put("bulk_operations", operation["id"], operation)
    shop.tell("BULK_OPERATIONS_FINISH", lambda shop: _payload(operation))


def _payload(operation: Doc) -> Doc:
    return {
        "admin_graphql_api_id": operation["id"], "completed_at": operation["completed_at"],
        "created_at": operation["at"], "error_code": operation["error"] and operation["error"].lower(),
        "status": operation["status"].lower(), "type": "query",
    }  # fmt: skip


def paged(query: str) -> DocumentNode:
    """The query as one may run it: every connection with all its rows."""

    class All(Visitor):
        def enter_field(self, node: FieldNode, *_: Any) -> FieldNode | None:
            inner = node.selection_set.selections if node.selection_set else ()
            if not any(isinstance(each, FieldNode) and each.name.value == "edges" for each in inner):
                return None
            first = ArgumentNode(name=NameNode(value="first"), value=IntValueNode(value="250"))
            return FieldNode(
                alias=node.alias, name=node.name, directives=node.directives, selection_set=node.selection_set,
                arguments=(*(node.arguments or ()), first),
            )  # fmt: skip

    return visit(parse(query), All())  # type: ignore[no-any-return]


def _lines(found: dict[str, Any], parent: str = "") -> Iterator[Doc]:
    for connection in found.values():
        for edge in connection["edges"]:
            plain = {key: value for key, value in edge["node"].items() if not _connection(value)}
            yield {**plain, "__parentId": parent} if parent else plain
            below = {key: value for key, value in edge["node"].items() if _connection(value)}
            yield from _lines(below, edge["node"]["id"])


def _connection(value: object) -> bool:
    return isinstance(value, dict) and "edges" in value


# As the API and the store show it


def view(doc: Doc | None) -> Doc | None:
    if doc is None:
        return None
    done, data = doc["status"] == "COMPLETED", doc["lines"]
    url = f"{doc['base']}bulk/{number(doc['id'])}.jsonl" if data else None
    return {
        "__typename": "BulkOperation", "id": doc["id"], "status": doc["status"], "createdAt": doc["at"],
        "completedAt": doc["completed_at"], "errorCode": doc["error"], "query": doc["query"], "type": "QUERY",
        "objectCount": str(data.count("\n")), "rootObjectCount": str(data.count("/Order/")),
        "fileSize": str(len(data.encode())) if done else None, "url": url if done else None,
        "partialDataUrl": None if done else url,
    }  # fmt: skip


def view_all(shop: Shop, info: Any, **args: Any) -> Doc:
    rows = sorted(shop.world.all("bulk_operations"), key=lambda row: row["at"])
    return pages(lambda: [view(row) or {} for row in rows])(info, **args)  # type: ignore[no-any-return]


def download(shop: Shop) -> Callable[[Request], Any]:
    """The store is another house: a token that is sent there has leaked."""

    async def handle(request: Request) -> Response:
        doc = shop.world.get(
            "bulk_operations", f"gid://shopify/BulkOperation/{request.path_params['name'].split('.')[0]}"
        )
        if "x-shopify-access-token" in request.headers:
            return PlainTextResponse("<Error><Code>TokenLeaked</Code></Error>", 418)
        if doc is None or datetime.fromisoformat(doc["completed_at"]) + KEPT < shop.world.now():
            return PlainTextResponse("<Error><Code>ExpiredToken</Code></Error>", 400)
        data = doc["lines"].encode()
        asked = request.headers.get("Range", "").removeprefix("bytes=")
        if not asked:
            return Response(data, media_type="application/jsonl")
        start, _, end = asked.partition("-")
        if int(start) >= len(data):
            return Response(b"", 416)
        return Response(data[int(start) : int(end or len(data)) + 1], 206, media_type="application/jsonl")

    return handle
