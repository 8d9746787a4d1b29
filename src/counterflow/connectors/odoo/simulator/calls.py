"""One JSON-2 call: which method, with which arguments, by whom; one call is one transaction."""

import inspect
from collections.abc import Callable
from typing import Any

from counterflow.connectors.odoo.simulator import (
    accounting,
    base,
    invoices,
    items,
    moves,
    payments,
    places,
    products,
    reconciling,
    returns,
    sales,
    scraps,
    server_actions,
    tills,
    transfers,
    users,
)
from counterflow.connectors.odoo.simulator.access import may, refuse
from counterflow.connectors.odoo.simulator.base import post_message
from counterflow.connectors.odoo.simulator.contract import Contract
from counterflow.connectors.odoo.simulator.database import Database
from counterflow.connectors.odoo.simulator.errors import AccessError, HttpError, UserError
from counterflow.connectors.odoo.simulator.load import failed, load
from counterflow.connectors.odoo.simulator.records import Env, Model, Vals
from counterflow.connectors.odoo.simulator.release import Release

_MODULES = (
    base,
    users,
    products,
    places,
    moves,
    scraps,
    transfers,
    returns,
    accounting,
    invoices,
    items,
    reconciling,
    payments,
    sales,
    tills,
    server_actions,
)


def registry(of: Release) -> tuple[dict[str, Model], Contract]:
    models: dict[str, Model] = {}
    for module in _MODULES:
        for model in module.MODELS:
            models[model.name] = model(models)
    contract = {name: fields for name, fields in of.contract.items() if name in models}
    return {name: model for name, model in models.items() if name in contract}, contract


# What every model answers. Model-level ones take no ids; the names of the arguments are Odoo's.


def _create(env: Env, model: str, vals_list: list[Vals] | Vals) -> list[int]:
    rows = vals_list if isinstance(vals_list, list) else [vals_list]
    return [env.create(model, dict(vals)).id for vals in rows]


def _search(
    env: Env, model: str, domain: list[Any], offset: int = 0, limit: int | None = None, order: str | None = None
) -> list[int]:
    return [rec.id for rec in env.search(model, domain, offset, limit, order)]


def _search_count(env: Env, model: str, domain: list[Any], limit: int | None = None) -> int:
    return len(env.search(model, domain, limit=limit))


def _search_read(
    env: Env,
    model: str,
    domain: list[Any] | None = None,
    fields: list[str] | None = None,
    offset: int = 0,
    limit: int | None = None,
    order: str | None = None,
    load: str | None = "_classic_read",
) -> Any:
    found = env.search(model, domain or [], offset, limit, order)
    return env.read(model, [rec.id for rec in found], fields, load)


def _web_read(env: Env, model: str, ids: list[int], specification: dict[str, Vals]) -> list[Vals]:
    """What the web client reads with: relations are followed as deep as the specification goes."""
    rows: list[Vals] = env.read(model, ids, list(specification) or ["id"], None)
    for name, inner in specification.items():
        field = env.contract[model][name]
        if field.relation and "fields" in inner:
            for row in rows:
                linked = row[name] if field.to_many else [row[name]] if row[name] else []
                found = _web_read(env, field.relation, linked, inner["fields"])
                row[name] = found if field.to_many else found[0] if found else False
    return rows


def _web_search_read(
    env: Env,
    model: str,
    domain: list[Any],
    specification: dict[str, Vals],
    offset: int = 0,
    limit: int | None = None,
    order: str | None = None,
    count_limit: int | None = None,
) -> Vals:
    found = env.search(model, domain, offset, limit, order)
    return {"length": len(found), "records": _web_read(env, model, [rec.id for rec in found], specification)}


def _load(env: Env, model: str, fields: list[str], data: list[list[Any]]) -> dict[str, Any]:
    return load(env, model, fields, data)


def _fields_get(
    env: Env, model: str, allfields: list[str] | None = None, attributes: list[str] | None = None
) -> dict[str, Any]:
    result = {}
    for name, field in env.db.release.visible[model].items():
        full = {
            "type": field.type,
            "string": name.removesuffix("_ids").removesuffix("_id").replace("_", " ").title(),
            "required": field.required,
            "name": name,
        }
        if field.relation:
            full["relation"] = field.relation
        if field.inverse:
            full["relation_field"] = field.inverse
        if field.type == "selection":
            full["selection"] = [[key, key] for key in sorted(field.selection)]
        if not allfields or name in allfields:
            result[name] = {key: value for key, value in full.items() if not attributes or key in attributes}
    return result


def _default_get(env: Env, model: str, fields: list[str]) -> Vals:
    defaults = env.models[model].defaults
    return {name: value(env) if callable(value) else value for name, value in defaults.items() if name in fields}


def _formatted_read_group(
    env: Env, model: str, domain: list[Any], groupby: list[str] | None = None, aggregates: list[str] | None = None
) -> list[Vals]:
    names = list(groupby or [])
    groups: dict[tuple[Any, ...], list[int]] = {}
    for rec in env.search(model, domain):
        groups.setdefault(tuple(rec.raw(name) for name in names), []).append(rec.id)
    rows = []
    for key, ids in groups.items():
        shown = env.read(model, ids[:1], names)[0]
        leaves = [[name, "=", value] for name, value in zip(names, key, strict=True)]
        row: Vals = {name: shown[name] for name in names}
        row["__extra_domain"] = [*["&"] * (len(leaves) - 1), *leaves]
        for aggregate in aggregates or []:
            field, _, how = aggregate.partition(":")
            values = [] if field == "__count" else [env.rec(model, id).raw(field) for id in ids]
            row[aggregate] = len(ids) if field == "__count" else _AGGREGATES[how or "sum"](values)
        rows.append(row)
    rows.sort(key=lambda row: [str(row[name][1]) if isinstance(row[name], list) else str(row[name]) for name in names])
    return rows


_AGGREGATES: dict[str, Callable[[list[Any]], Any]] = {"sum": sum, "min": min, "max": max, "count": len}


def _write(env: Env, model: str, ids: list[int], vals: Vals) -> bool:
    env.write(model, ids, dict(vals))
    return True


def _unlink(env: Env, model: str, ids: list[int]) -> bool:
    env.unlink(model, ids)
    return True


def _read(
    env: Env, model: str, ids: list[int], fields: list[str] | None = None, load: str | None = "_classic_read"
) -> Any:
    return env.read(model, ids, fields, load)


def _get_external_id(env: Env, model: str, ids: list[int]) -> dict[str, str]:
    """The first external id of each record, empty without one."""
    found = {str(id): "" for id in ids}
    for id in ids:
        for row in env.find("ir.model.data", res_id=id):
            if row.row["model"] == model:
                found[str(id)] = f"{row.row['module']}.{row.row['name']}"
                break
    return found


def _message_post(
    env: Env,
    model: str,
    ids: list[int],
    body: str = "",
    subject: str | None = None,
    message_type: str = "notification",
    body_is_html: bool = False,
    subtype_xmlid: str | None = None,
    partner_ids: list[int] | None = None,
    attachment_ids: list[int] | None = None,
) -> list[int]:
    if env.db.release.major < 19 and not env.rec("res.users", env.uid).email:
        raise UserError("Unable to send message, please configure the sender's email address.")
    return [post_message(env.rec(model, id), body, body_is_html, message_type).id for id in ids]


def _message_unsubscribe(env: Env, model: str, ids: list[int], partner_ids: list[int] | None = None) -> None:
    """Nobody follows anything here."""


def _has_access(env: Env, model: str, ids: list[int], operation: str) -> bool:
    return may(env, users.role_of(env.uid), model, operation, env.models)


_MODEL_LEVEL: dict[str, Callable[..., Any]] = {
    "create": _create,
    "search": _search,
    "search_count": _search_count,
    "search_read": _search_read,
    "web_search_read": _web_search_read,
    "load": _load,
    "fields_get": _fields_get,
    "default_get": _default_get,
    "formatted_read_group": _formatted_read_group,
}
_RECORD_LEVEL: dict[str, Callable[..., Any]] = {
    "write": _write,
    "unlink": _unlink,
    "read": _read,
    "web_read": _web_read,
    "get_external_id": _get_external_id,
    "message_post": _message_post,
    "has_access": _has_access,
    "message_unsubscribe": _message_unsubscribe,
}


class Odoo:
    """The models over one database. `call` does what one HTTP request does."""

    def __init__(self, db: Database, models: dict[str, Model], contract: Contract) -> None:
        self.db, self.models, self.contract = db, models, contract

    def env(self, uid: int = 2, context: dict[str, Any] | None = None, snapshot: int | None = None) -> Env:
        env = Env(self.db, self.models, self.contract, uid)
        env.context = dict(context or {})
        env.snapshot = self.db.version if snapshot is None else snapshot
        return env

    def call(self, env: Env, role: str, model: str, name: str, body: Vals) -> Any:
        asked, model = model, self.db.release.model(model)
        if model not in self.models:
            raise HttpError(404, "NotFound", f"the model {asked!r} does not exist")
        arguments = {key: value for key, value in body.items() if key not in ("ids", "context")}
        if self.db.release.lacks(model, name):
            raise HttpError(404, "NotFound", f"The method '{model}.{name}' does not exist")
        self.db.release.check(model, arguments)
        env.entered = name in ("create", "load") and model in ("stock.picking", "stock.move")
        raw = body.get("ids") or []
        ids = [raw] if isinstance(raw, int) else list(raw)
        running = (model, name) == (server_actions.ServerAction.name, "run")
        function, model_level, reads = (_run, False, True) if running else self.method(model, name)
        if model_level and ids:
            raise HttpError(422, "UnprocessableEntity", f"cannot call {model}.{name} with ids")
        bound = (env,) if model_level else (env, ids)
        try:
            inspect.signature(function).bind(*bound, **arguments)
        except TypeError as error:
            raise HttpError(422, "UnprocessableEntity", str(error)) from None
        try:
            refuse(env, role, model, name, self.models)
        except AccessError as error:
            if name != "load":
                raise
            return failed(0, 0, error.message)  # `load` swallows even this
        with env.transaction():
            if not reads:
                env.exists(model, ids)
            result = server_actions.run(self, env, role, ids) if running else function(*bound, **arguments)
            if (model, name) == ("account.payment.register", "action_create_payments"):
                self.models[model].paid(env, ids)  # type: ignore[attr-defined]
        return result

    def named(self, model: str, name: str, positional: list[Any], named: Vals) -> Vals:
        """The arguments of `execute_kw` as JSON-2 would name them: a record method's first one is its ids."""
        model = self.db.release.model(model)
        if model not in self.models or not positional:
            return named
        function, model_level, _ = self.method(model, name)
        names = list(inspect.signature(function).parameters)[1:] if model_level else ["ids", *self._rest(function)]
        return {**dict(zip(names, positional, strict=False)), **named}

    @staticmethod
    def _rest(function: Callable[..., Any]) -> list[str]:
        return list(inspect.signature(function).parameters)[2:]

    def method(self, model: str, name: str) -> tuple[Callable[..., Any], bool, bool]:
        if name.startswith("_"):
            raise AccessError(f"Private methods (such as '{model}.{name}') cannot be called remotely.")
        own = self.models[model].public.get(name)
        if own is not None:
            return own, own.api["model_level"], own.api["reads"]
        for table in (_MODEL_LEVEL, _RECORD_LEVEL):
            if name in table:
                generic = table[name]
                return (
                    _for_model(generic, model),
                    table is _MODEL_LEVEL,
                    name in ("read", "web_read", "unlink", "get_external_id"),
                )
        raise HttpError(404, "NotFound", f"The method '{model}.{name}' does not exist")


def _run(env: Env, ids: list[int]) -> None:
    """The signature of a server action's `run`, which has to know who calls."""


def _for_model(generic: Callable[..., Any], model: str) -> Callable[..., Any]:
    """The generic method as a method of this model: the model's name is no argument of the caller's."""
    signature = inspect.signature(generic)
    parameters = [parameter for name, parameter in signature.parameters.items() if name != "model"]

    def bound(env: Env, *args: Any, **kwargs: Any) -> Any:
        return generic(env, model, *args, **kwargs)

    bound.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return bound
