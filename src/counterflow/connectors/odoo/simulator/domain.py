"""Search domains: `[('field.path', operator, value), '&' '|' '!']` evaluated against records."""

import operator as operators
import re
from typing import TYPE_CHECKING, Any

from counterflow.connectors.odoo.simulator.errors import PythonError

if TYPE_CHECKING:
    from counterflow.connectors.odoo.simulator.records import Env, Rec

Domain = list[Any]
_ORDERINGS = {"<": operators.lt, "<=": operators.le, ">": operators.gt, ">=": operators.ge}
_ARITY = {"&": 2, "|": 2, "!": 1}


def matches(env: "Env", model: str, domain: Domain, rec: "Rec") -> bool:
    """Whether the record satisfies the domain."""
    values = [True]
    for term in reversed(_normalised(domain)):
        if term == "!":
            values.append(not values.pop())
        elif term in ("&", "|"):
            left, right = values.pop(), values.pop()
            values.append((left and right) if term == "&" else (left or right))
        else:
            values.append(_leaf(env, model, term, rec))
    return values[-1]


def check(env: "Env", model: str, domain: Domain) -> None:
    """ValueError, as the real one says it, for a field that does not exist."""
    for term in domain:
        if isinstance(term, str):
            continue
        if not isinstance(term, list | tuple) or len(term) != 3:
            raise PythonError("ValueError", f"Domain() invalid item in domain: {term!r}")
        current = model
        for name in str(term[0]).split("."):
            field = env.contract.get(current, {}).get(name)
            if field is None:
                raise PythonError("ValueError", f"Invalid field {current}.{name} in condition {tuple(term)!r}")
            current = field.relation or current


def pinned(domain: Domain) -> list[tuple[str, list[Any]]]:
    """(field, values) of leaves that every match must satisfy by equality, for the indexes."""
    if any(term in ("|", "!") for term in domain if isinstance(term, str)):
        return []
    found = []
    for term in domain:
        if isinstance(term, list | tuple) and "." not in term[0]:
            if term[1] == "=" and isinstance(term[2], str | int) and not isinstance(term[2], bool):
                found.append((term[0], [term[2]]))
            elif term[1] == "in" and isinstance(term[2], list | tuple):
                found.append((term[0], list(term[2])))
    return found


def _normalised(domain: Domain) -> Domain:
    result: Domain = []
    expected = 1
    for term in domain:
        if expected == 0:
            result.insert(0, "&")
            expected = 1
        operator = term if isinstance(term, str) else None
        expected += _ARITY[operator] - 1 if operator in _ARITY else -1
        result.append(term)
    return result


def _leaf(env: "Env", model: str, term: Any, rec: "Rec") -> bool:
    path, operator, expected = term
    head, _, tail = path.partition(".")
    field = env.contract[model][head]
    if tail:
        value = getattr(rec, head)
        targets = value if isinstance(value, list) else [value] if value else []
        negative = operator in ("!=", "not in", "not like", "not ilike")
        inner = [tail, {"!=": "=", "not in": "in"}.get(operator, operator), expected]
        hit = any(_leaf(env, field.relation, inner, target) for target in targets)
        return hit != negative
    if operator in ("any", "not any"):
        value = getattr(rec, head)
        targets = value if isinstance(value, list) else [value] if value else []
        hit = any(matches(env, field.relation, expected, target) for target in targets)
        return bool(hit == (operator == "any"))
    actual = rec.raw(head)
    if operator in ("child_of", "parent_of"):
        return _in_tree(env, field.relation or model, actual, operator, expected)
    if field.relation and isinstance(expected, str):
        names = [env.display_name(field.relation, id) for id in _many(actual)]
        return any(_compare(name, "ilike" if operator == "=" else operator, expected) for name in names)
    if field.to_many:
        if operator in ("=", "in"):
            return any(_compare(id, operator, expected) for id in actual) if actual else expected is False
        if operator in ("!=", "not in"):
            return all(_compare(id, operator, expected) for id in actual) if actual else expected is not False
    return _compare(actual, operator, expected)


def _many(value: Any) -> list[int]:
    return value if isinstance(value, list) else [value] if value else []


def _in_tree(env: "Env", model: str, actual: Any, operator: str, expected: Any) -> bool:
    wanted = set(_many(expected))
    parent = "location_id" if model == "stock.location" else "parent_id"
    for start in _many(actual) if operator == "child_of" else wanted:
        targets = wanted if operator == "child_of" else set(_many(actual))
        node: Any = start
        while node:
            if node in targets:
                return True
            node = (env.db.row(model, node) or {}).get(parent)
    return False


def _compare(actual: Any, operator: str, expected: Any) -> bool:
    match operator:
        case "=" | "==":
            return bool((actual or False) == expected) if expected is False else bool(actual == expected)
        case "!=" | "<>":
            return not _compare(actual, "=", expected)
        case "in":
            return any(_compare(actual, "=", item) for item in _listed(expected))
        case "not in":
            return not _compare(actual, "in", expected)
        case "like" | "ilike" | "not like" | "not ilike" | "=like" | "=ilike":
            return _like(str(actual or ""), operator, str(expected))
        case "<" | "<=" | ">" | ">=":
            if actual is False or actual is None:
                return False
            try:
                return bool(_ORDERINGS[operator](actual, expected))
            except TypeError:
                return False
    raise PythonError("ValueError", f"Invalid operator {operator!r} in domain term")


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _like(actual: str, operator: str, pattern: str) -> bool:
    negative = operator.startswith("not ")
    kind = operator.removeprefix("not ")
    if not kind.startswith("="):
        pattern = f"%{pattern}%"
    flags = re.DOTALL | (re.IGNORECASE if kind.endswith("ilike") else 0)
    regex = "".join(".*" if c == "%" else "." if c == "_" else re.escape(c) for c in pattern)
    return bool(re.fullmatch(regex, actual, flags)) != negative
