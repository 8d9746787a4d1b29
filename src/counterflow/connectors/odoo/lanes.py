"""The two ways in which a visit (`procedure`) meets Odoo. The plain lane answers its calls over HTTP, one by one; the
fast lane hands all of it over in one call.

Whatever is lost on the way ends the visit: the next one looks what it has left, and goes on from there.
"""

from collections.abc import Sequence
from typing import Any

from counterflow.connectors.odoo.procedure import QUIET, READING, advance, carry_out
from counterflow.connectors.odoo.session import Odoo, done
from counterflow.connectors.odoo.turnstile import CUSTOMERS, Key, stock
from counterflow.sdk.outcomes import MissingRight, NotFound, Outcome, Rejected

Operation = dict[str, Any]
_FORBIDDEN = "You are not allowed to"


async def run(odoo: Odoo, operations: Sequence[Operation]) -> dict[str, Outcome]:
    """The outcome of each operation, by key. Raises what stops all of them."""
    settings = {
        "field": odoo.config.order_field,
        "kits": await odoo.names.kits(),
        "per_line": await odoo.names.rounds_per_line(),
        "words": await odoo.names.words(),
    }
    async with odoo.turnstile.alone(key for operation in operations for key in _written(operation)):
        found = await odoo.fast_lane.run(operations, settings, odoo.now()) if odoo.fast_lane else None
        if found is None:
            found = await _plain(odoo, operations, settings)
    return {key: _outcome(odoo, said) for key, said in found.items()}


def _written(operation: Operation) -> set[Key]:
    if operation["kind"] == "receive":
        return stock((item["product"] for item in operation["items"]), CUSTOMERS, operation["target"])
    return {("note", id, 0) for id in operation.get("notes", ())}


async def _plain(odoo: Odoo, operations: Sequence[Operation], settings: dict[str, Any]) -> dict[str, Any]:
    stack, answer = [carry_out(list(operations), settings)], None
    while True:
        model, method, ids, arguments = advance(stack, answer)
        if not model:
            return dict(arguments)
        answer = await _answer(odoo, model, method, ids, arguments)


async def _answer(odoo: Odoo, model: str, method: str, ids: list[int], arguments: dict[str, Any]) -> Any:
    if method == "check_object_reference":
        return await odoo.client.find(f"{arguments['module']}.{arguments['xml_id']}")
    body = {**arguments, **({"ids": ids} if ids else {})}
    if method in READING:
        return await odoo.client.ask(model, method, **body)
    body["context"] = QUIET | body.get("context", {})
    try:
        if method == "load":
            return await odoo.client.load_rows(model, **body)
        return await odoo.client.do(model, method, **body)
    except (Rejected, NotFound) as error:
        return {"refused": error.message}


def _outcome(odoo: Odoo, said: dict[str, Any]) -> Outcome:
    if "done" in said:
        model, ids, values = said["done"]
        return done(odoo.ref(model, *ids), **values)
    code, message, field = said["refused"]
    if _FORBIDDEN in message:
        return MissingRight(f"{message}. Give the integration user the group, then resume the connection")
    return Rejected(message, code=code, field=field)
