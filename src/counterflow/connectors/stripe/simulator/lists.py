"""Lists as Stripe gives them (newest first, paged by object id), and `expand`."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from counterflow.connectors.stripe.simulator.account import COLLECTIONS, Account, shown
from counterflow.connectors.stripe.simulator.errors import invalid, missing
from counterflow.connectors.stripe.simulator.requests import Call
from counterflow.sdk.simulator import Doc

PAGING = ("limit", "starting_after", "ending_before", "created")
_RANGES = {
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
}


def integer(params: Doc, name: str, *, least: int = 1, most: int | None = None) -> int | None:
    """An integer parameter within its bounds; None: not given."""
    text = params.get(name)
    if text is None:
        return None
    try:
        value = int(text)
    except (TypeError, ValueError):
        raise invalid(f"Invalid integer: {text}", param=name, code="parameter_invalid_integer") from None
    if value < least:
        message = f"This value must be greater than or equal to {least}."
        raise invalid(message, param=name, code="parameter_invalid_integer")
    if most is not None and value > most:
        message = f"This value must be less than or equal to {most}."
        raise invalid(message, param=name, code="parameter_invalid_integer")
    return value


def page(call: Call, kind: str, docs: Iterable[Doc], url: str) -> Doc:
    """One page of `docs` (given oldest first). A cursor is an object's id: later objects never shift a page."""
    found = [doc for doc in reversed(list(docs)) if _in_range(doc["created"], call.params.get("created"))]
    limit = integer(call.params, "limit", most=100) or 10
    after, before = call.params.get("starting_after"), call.params.get("ending_before")
    for name, cursor in (("starting_after", after), ("ending_before", before)):
        if cursor is not None and all(doc["id"] != cursor for doc in found):
            raise missing(kind, cursor, param=name)
    if after is not None:
        found = found[[doc["id"] for doc in found].index(after) + 1 :]
    if before is not None:
        found = found[: [doc["id"] for doc in found].index(before)]
        data, more = found[-limit:], len(found) > limit
    else:
        data, more = found[:limit], len(found) > limit
    whole = {"object": "list", "data": [view(call.account, doc) for doc in data], "has_more": more, "url": url}
    return expanded(call, whole)


def view(account: Account, doc: Doc) -> Doc:
    """The document as the API shows it at this instant."""
    shape = shown(doc)
    if doc["object"] == "balance_transaction":
        shape["status"] = "available" if doc["available_on"] <= account.stamp() else "pending"
    return shape


def expanded(call: Call, doc: Doc) -> Doc:
    """Replace the ids named by `expand[]` with their objects; paths such as `data.source` go into lists."""
    for path in call.params.get("expand", []):
        _expand(call.account, doc, str(path).split("."), str(path))
    return doc


def _expand(account: Account, doc: Doc, steps: list[str], path: str) -> None:
    step, rest = steps[0], steps[1:]
    value = doc.get(step)
    if isinstance(value, str) and value.split("_", 1)[0] in COLLECTIONS:
        found = account.find(value)
        value = doc[step] = view(account, found) if found else value
    elif value is not None and not isinstance(value, dict | list):
        raise invalid(f"This property cannot be expanded ({path}).", param="expand")
    if rest:
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, dict):
                _expand(account, child, rest, path)


def _in_range(created: int, wanted: Any) -> bool:
    if wanted is None:
        return True
    if not isinstance(wanted, dict):
        return created == integer({"created": wanted}, "created", least=0)
    for name in wanted:
        if name not in _RANGES:
            raise invalid(f"Received unknown parameter: created[{name}]", param="created", code="parameter_unknown")
    return all(_RANGES[name](created, integer(wanted, name, least=0)) for name in wanted)


def since(account: Account, docs: list[Doc], days: int) -> list[Doc]:
    """The documents of the last `days` days."""
    oldest = account.stamp() - days * 86400
    return [doc for doc in docs if datetime.fromtimestamp(doc["created"], UTC).timestamp() >= oldest]
