"""Records and models: what Odoo's ORM does for every model alike (create, write, read, search, x2many commands)."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from counterflow.connectors.odoo.simulator import domain as domains
from counterflow.connectors.odoo.simulator.contract import Contract, Field
from counterflow.connectors.odoo.simulator.database import Database, Row
from counterflow.connectors.odoo.simulator.errors import MissingError, PythonError, ValidationError

Vals = dict[str, Any]
Compute = Callable[["Rec"], Any]


class Rec:
    """One record: `rec.partner_id.name`, `rec.order_line` (a list), `rec.write(...)`. An unset many2one is falsy."""

    __slots__ = ("env", "id", "model")

    def __init__(self, env: "Env", model: str, id: int) -> None:
        self.env, self.model, self.id = env, model, id

    def __bool__(self) -> bool:
        return bool(self.id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rec) and (self.model, self.id) == (other.model, other.id)

    def __hash__(self) -> int:
        return hash((self.model, self.id))

    @property
    def row(self) -> Row:
        return self.env.db.row(self.model, self.id) or {}

    def raw(self, name: str) -> Any:
        """A field as the API shows it with `load=None`: ids for relations, False for unset."""
        if name == "id":
            return self.id
        field = self.env.contract[self.model].get(name)
        model = self.env.models[self.model]
        if (alias := self.env.db.release.aliases.get((self.model, name))) is not None:
            value = self.raw(alias)
            single = isinstance(value, list) and field is not None and not field.to_many
            return (value[0] if value else False) if single else value
        if name in model.computed and self.id:
            value = model.computed[name](self)
        elif field is not None and field.type == "one2many" and self.id and field.inverse:
            value = self.env.having(field.relation, field.inverse, self.id)
            if field.inverse == "res_id":  # a pair: which model, and which record of it
                rows = self.env.db.tables[field.relation].rows
                value = [id for id in value if rows[id].get("model") == self.model]
        else:
            value = self.row.get(name)
        if field is None:  # a private column of ours
            return value
        if value is None or (value is False and field.type not in ("boolean",)):
            return field.empty()
        if isinstance(value, Rec):
            return value.id or False
        if isinstance(value, list):
            return [item.id if isinstance(item, Rec) else item for item in value]
        return float(value) if field.numeric else value

    def __getattr__(self, name: str) -> Any:
        field = self.env.contract[self.model].get(name)
        if field is None and not name.startswith("_"):
            raise AttributeError(f"{self.model} has no field {name!r}")
        value = self.raw(name)
        if field is not None and field.relation and field.relation in self.env.models:
            if field.to_many:
                return [Rec(self.env, field.relation, id) for id in value]
            return Rec(self.env, field.relation, value or 0)
        return value

    def write(self, **vals: Any) -> None:
        self.env.write(self.model, [self.id], vals)

    def set(self, **columns: Any) -> None:
        """Store columns as they are, past every rule: what Odoo's own code does with SQL or computed fields."""
        self.env.db.put(self.model, self.id, {**self.row, "write_date": self.env.stamp, **columns})

    def touch(self) -> None:
        """A stored value that is computed from elsewhere changed: whoever polls by `write_date` sees it."""
        if self:
            self.set()


class Model:
    """What is special about one model; subclasses override hooks and add public methods with `@method`."""

    name = ""
    order = "id"
    defaults: Mapping[str, Any] = {}
    computed: Mapping[str, Compute] = {}
    labels: Mapping[str, str] = {}  # of required fields, for the error that names them
    title = ""
    extra: tuple[str, ...] = ()  # keys that `create` understands although they are no fields

    def __init__(self, env_models: dict[str, "Model"]) -> None:
        self.models = env_models
        self.public = {
            name: function for name, function in inspect.getmembers(self, callable) if hasattr(function, "api")
        }

    def display(self, rec: Rec) -> str:
        name = rec.raw("name") if "name" in rec.env.contract[self.name] else None
        return str(name) if name else f"{self.name},{rec.id}"

    def prepare(self, env: "Env", vals: Vals) -> Vals:
        """Defaults and derived values before a row is inserted."""
        return vals

    def created(self, rec: Rec, vals: Vals) -> None:
        """After the row and its x2many commands."""

    def before_write(self, rec: Rec, vals: Vals) -> Vals:
        return vals

    def written(self, rec: Rec, vals: Vals) -> None:
        """After a write and its x2many commands."""

    def before_unlink(self, rec: Rec) -> None:
        """Refuse with an exception, or clean up."""


def method(model_level: bool = False, reads: bool = False) -> Callable[[Any], Any]:
    """A method that may be called from outside; `model_level` takes no ids, `reads` survives missing records."""

    def mark(function: Any) -> Any:
        function.api = {"model_level": model_level, "reads": reads}
        return function

    return mark


class Env:
    """Who calls (`uid`), with what context, on which database, at what instant, seeing which snapshot."""

    def __init__(self, db: Database, models: dict[str, Model], contract: Contract, uid: int = 2) -> None:
        self.db, self.models, self.contract, self.uid = db, models, contract, uid
        self.context: dict[str, Any] = {}
        self.snapshot = db.version
        self.entered = False  # a call from outside that enters transfers: it has to give what 18 wants of them

    def with_context(self, **context: Any) -> "Env":
        return self._copy({**self.context, **context})

    def _copy(self, context: dict[str, Any]) -> "Env":
        env = Env(self.db, self.models, self.contract, self.uid)
        env.context, env.snapshot, env.entered = context, self.snapshot, self.entered
        return env

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self.db.transaction():
            yield

    @property
    def now(self) -> datetime:
        return self.db.world.now()

    @property
    def today(self) -> str:
        return self.now.strftime("%Y-%m-%d")

    @property
    def stamp(self) -> str:
        return self.now.strftime("%Y-%m-%d %H:%M:%S")

    # Reading

    def rec(self, model: str, id: int | bool | None) -> Rec:
        return Rec(self, model, int(id or 0))

    def having(self, model: str, field: str, value: Any) -> list[int]:
        table = self.db.tables.get(model)
        return table.having(field, value) if table else []

    def find(self, model: str, **equal: Any) -> list[Rec]:
        """Records whose stored columns equal these values, oldest first."""
        first, *rest = equal.items()
        ids = self.having(model, *first)
        rows = self.db.tables[model].rows
        return [Rec(self, model, id) for id in ids if all(rows[id].get(name) == value for name, value in rest)]

    def one(self, model: str, **equal: Any) -> Rec:
        found = self.find(model, **equal)
        return found[0] if found else Rec(self, model, 0)

    def display_name(self, model: str, id: int) -> str:
        if model not in self.models or self.db.row(model, id) is None:
            return f"{model},{id}"
        return self.models[model].display(Rec(self, model, id))

    def search(
        self, model: str, domain: domains.Domain, offset: int = 0, limit: int | None = None, order: str | None = None
    ) -> list[Rec]:
        domains.check(self, model, domain)
        table = self.db.tables[model]
        ids: Iterable[int] = table.rows
        for name, values in domains.pinned(domain):
            field = self.contract[model][name]
            if name == "id":
                ids = [id for id in dict.fromkeys(values) if id in table.rows]
                break
            text = field.relation and any(isinstance(value, str) for value in values)
            stored = name not in self.models[model].computed and (model, name) not in self.db.release.aliases
            if field.type != "one2many" and stored and not text:
                ids = {id for value in values for id in table.having(name, value)}
                break
        active = "active" in self.contract[model] and self.context.get("active_test", True)
        active = active and not any(isinstance(term, list | tuple) and term[0] == "active" for term in domain)
        records = [Rec(self, model, id) for id in sorted(ids)]
        found = [
            rec
            for rec in records
            if not (active and rec.row.get("active") is False) and domains.matches(self, model, domain, rec)
        ]
        for name, descending in reversed(self._order(model, order or self.models[model].order)):
            found.sort(key=lambda rec: _sort_key(self, rec, name), reverse=descending)
        return found[offset:][:limit] if limit else found[offset:]

    def _order(self, model: str, order: str) -> list[tuple[str, bool]]:
        terms = []
        for part in order.split(","):
            name, *direction = part.split()
            if name not in self.contract[model]:
                raise PythonError("ValueError", f"Invalid field {name!r} on {model!r}")
            terms.append((name, bool(direction) and direction[0].lower() == "desc"))
        return terms

    def read(self, model: str, ids: Iterable[int], fields: Iterable[str] | None, load: Any = "_classic_read") -> Any:
        names = list(dict.fromkeys(["id", *(fields or self.contract[model])]))
        for name in names:
            if name not in self.contract[model]:
                raise PythonError("ValueError", f"Invalid field {name!r} on {model!r}")
        return [
            {name: self._shown(Rec(self, model, id), self.contract[model][name], load) for name in names}
            for id in ids
            if self.db.row(model, id) is not None
        ]

    def _shown(self, rec: Rec, field: Field, load: Any) -> Any:
        if field.name == "display_name":
            return self.display_name(rec.model, rec.id)
        value = rec.raw(field.name)
        if field.type == "many2one" and value and load:
            return [value, self.display_name(field.relation, value)]
        return value

    # Writing

    def exists(self, model: str, ids: Iterable[int]) -> None:
        for id in ids:
            if self.db.row(model, id) is None:
                raise MissingError.of(model, id, self.uid)

    def create(self, model: str, vals: Vals) -> Rec:
        behaviour = self.models[model]
        for name in vals:
            if name not in self.contract[model] and not name.startswith("_") and name not in behaviour.extra:
                raise PythonError("ValueError", f"Invalid field {name!r} in {model!r}")
        vals = self.db.release.inward(model, vals)
        defaults = {name: value(self) if callable(value) else value for name, value in behaviour.defaults.items()}
        given = self.context.items() if self.context else ()
        context_defaults = {key[8:]: value for key, value in given if key.startswith("default_")}
        context_defaults = {key: value for key, value in context_defaults.items() if key in self.contract[model]}
        vals = behaviour.prepare(self, {**defaults, **context_defaults, **vals})
        columns, commands = self._split(model, vals)
        for name, label in behaviour.labels.items():
            if not columns.get(name) and columns.get(name) != 0:
                raise ValidationError(
                    f"The operation cannot be completed: Missing required value for the field '{label}' ({name}).\n"
                    f"Model: '{behaviour.title}' ({model})\n- create/update: a mandatory field is not set\n"
                    "- delete: another model requires the record being deleted, you can archive it instead\n"
                )
        id = int(columns.pop("id", 0)) or self.db.next(model)
        self.db.reserve(model, id)
        stamp = {"create_date": self.stamp, "write_date": self.stamp, "create_uid": self.uid, "write_uid": self.uid}
        self.db.put(model, id, {**stamp, **columns, "id": id})
        rec = Rec(self, model, id)
        self._command(rec, commands)
        behaviour.created(rec, vals)
        return rec

    def write(self, model: str, ids: Iterable[int], vals: Vals) -> None:
        for name in vals:
            if name not in self.contract[model] and not name.startswith("_"):
                raise PythonError("KeyError", name)
        vals = self.db.release.inward(model, vals)
        ids = list(ids)
        self.exists(model, ids)
        behaviour = self.models[model]
        for id in ids:
            rec = Rec(self, model, id)
            changes = behaviour.before_write(rec, dict(vals))
            columns, commands = self._split(model, changes)
            stamp = {"write_date": self.stamp, "write_uid": self.uid}
            self.db.put(model, id, {**rec.row, **columns, **stamp})
            self._command(rec, commands)
            behaviour.written(rec, changes)

    def unlink(self, model: str, ids: Iterable[int]) -> None:
        for id in ids:
            if self.db.row(model, id) is not None:
                self.models[model].before_unlink(Rec(self, model, id))
                self.db.put(model, id, None)

    def _split(self, model: str, vals: Vals) -> tuple[Vals, list[tuple[Field, list[Any]]]]:
        columns: Vals = {}
        commands: list[tuple[Field, list[Any]]] = []
        for name, value in vals.items():
            field = self.contract[model].get(name)
            if field is None:
                columns[name] = value
            elif field.to_many:
                commands.append((field, [(6, 0, value)] if value and isinstance(value[0], int) else list(value or [])))
            else:
                columns[name] = self._checked(model, field, value)
        return columns, commands

    def _checked(self, model: str, field: Field, value: Any) -> Any:
        if field.type == "many2one" and value:
            if isinstance(value, list | tuple):
                value = value[0]
            if field.relation in self.models and self.db.row(field.relation, int(value)) is None:
                raise MissingError.of(field.relation, int(value), self.uid)
            return int(value)
        if field.type == "selection" and value and field.selection and str(value) not in field.selection:
            raise PythonError("ValueError", f"Wrong value for {model}.{field.name}: {value!r}")
        if field.numeric:
            return float(value or 0.0)
        return False if value is None else value

    def _command(self, rec: Rec, commands: list[tuple[Field, list[Any]]]) -> None:
        for field, items in commands:
            if field.relation not in self.models:
                continue
            if field.type == "many2many" or not field.inverse:
                self._command_links(rec, field, items)
                continue
            for item in items:
                match item[0]:
                    case 0:
                        self.create(field.relation, {field.inverse: rec.id, **item[2]})
                    case 1:
                        self.write(field.relation, [item[1]], item[2])
                    case 2:
                        self.unlink(field.relation, [item[1]])
                    case 4:
                        self.write(field.relation, [item[1]], {field.inverse: rec.id})
                    case 5 | 6:
                        keep = item[2] if item[0] == 6 else []
                        self.unlink(field.relation, [id for id in rec.raw(field.name) if id not in keep])
                        self.write(field.relation, keep, {field.inverse: rec.id})

    def _command_links(self, rec: Rec, field: Field, items: list[Any]) -> None:
        linked = list(rec.row.get(field.name) or [])
        for item in items:
            match item[0]:
                case 0:
                    linked.append(self.create(field.relation, dict(item[2])).id)
                case 1:
                    self.write(field.relation, [item[1]], item[2])
                case 2 | 3:
                    linked = [id for id in linked if id != item[1]]
                case 4:
                    self.exists(field.relation, [item[1]])
                    linked = [*linked, item[1]] if item[1] not in linked else linked
                case 5:
                    linked = []
                case 6:
                    self.exists(field.relation, item[2])
                    linked = list(item[2])
        rec.set(**{field.name: linked})


def _sort_key(env: Env, rec: Rec, name: str) -> tuple[int, Any]:
    value = rec.raw(name)
    field = env.contract[rec.model][name]
    if field.type == "many2one" and value:
        value = env.display_name(field.relation, value)
    if isinstance(value, list):
        value = len(value)
    # NULLs sort last ascending, as in PostgreSQL.
    return (1, "") if value is False and field.type != "boolean" else (0, value)
