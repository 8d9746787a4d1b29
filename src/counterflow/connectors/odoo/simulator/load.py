"""`model.load(fields, data)`: create or update by external id; the only exactly-once primitive that Odoo offers.

All rows are one transaction. A failure is HTTP 200 with `ids: false` and messages; cells are strings (a boolean or
a list in a boolean or many2many cell is an AttributeError, HTTP 500).
"""

from dataclasses import dataclass, field
from typing import Any

from counterflow.connectors.odoo.simulator.base import ExternalId
from counterflow.connectors.odoo.simulator.contract import Field
from counterflow.connectors.odoo.simulator.errors import OdooError, PythonError, SerializationFailure
from counterflow.connectors.odoo.simulator.records import Env, Vals

Cell = Any


class _Bad(Exception):
    """A message about one record."""


@dataclass
class _Node:
    """One record of the file: its external id, its own cells, its children per one2many field."""

    model: str
    cells: dict[str, tuple[str, Cell]] = field(default_factory=dict)  # field -> (suffix, cell)
    children: dict[str, list["_Node"]] = field(default_factory=dict)
    xml_id: str = ""
    database_id: int = 0
    row: int = 0


def load(env: Env, model: str, fields: list[str], data: list[list[Cell]]) -> dict[str, Any]:
    nodes = _parse(env, model, [name.split("/") for name in fields], data, 0)
    ids: list[int] = []
    messages: list[dict[str, Any]] = []
    try:
        with env.db.savepoint():
            for index, node in enumerate(nodes):
                try:
                    with env.db.savepoint():
                        ids.append(_save(env, node, {}))
                except (_Bad, OdooError) as error:
                    if isinstance(error, PythonError):
                        raise
                    messages += failed(node.row, index, str(error))["messages"]
            if messages:
                raise _Bad
    except _Bad:
        return {"ids": False, "messages": messages, "nextrow": 0}
    return {"ids": ids, "messages": [], "nextrow": 0}


def failed(row: int, record: int, message: str) -> dict[str, Any]:
    """The answer of a `load` that did nothing."""
    note = {"rows": {"from": row, "to": row}, "record": record, "type": "error", "message": message}
    return {"ids": False, "messages": [note], "nextrow": 0}


def _parse(env: Env, model: str, paths: list[list[str]], data: list[list[Cell]], offset: int) -> list[_Node]:
    """Rows to records: a row whose own cells are all empty continues the record above it."""
    for path in paths:
        if path[0] not in (".id", "id") and path[0] not in env.contract[model]:
            raise PythonError("ValueError", f"Invalid field {path[0]!r} on {model!r}")
    own = [index for index, path in enumerate(paths) if not _child(env, model, path)]
    groups: dict[str, list[int]] = {}
    for index, path in enumerate(paths):
        if _child(env, model, path):
            groups.setdefault(path[0], []).append(index)
    blocks: list[tuple[int, list[list[Cell]]]] = []
    for number, row in enumerate(data):
        if not blocks or any(row[index] not in ("", None) for index in own):
            blocks.append((number + offset, []))
        blocks[-1][1].append(row)
    nodes = []
    for number, rows in blocks:
        node = _Node(model, row=number)
        for index in own:
            name, suffix = paths[index][0], "/".join(paths[index][1:])
            cell = rows[0][index]
            if name == "id":
                node.xml_id = str(cell or "")
            elif name == ".id":
                node.database_id = int(cell or 0)
            else:
                node.cells[name] = (suffix, cell)
        for name, columns in groups.items():
            relation = env.contract[model][name].relation
            sub = [[row[index] for index in columns] for row in rows]
            filled = [row for row in sub if any(cell not in ("", None) for cell in row)]
            node.children[name] = _parse(env, relation, [paths[index][1:] for index in columns], filled, number)
        nodes.append(node)
    return nodes


def _child(env: Env, model: str, path: list[str]) -> bool:
    known = env.contract[model].get(path[0])
    return len(path) > 1 and known is not None and known.type == "one2many"


def _save(env: Env, node: _Node, parent: Vals) -> int:
    vals: Vals = dict(parent)
    for name, (suffix, cell) in node.cells.items():
        known = env.contract[node.model][name]
        value = _value(env, known, suffix, cell)
        vals[name] = value
    existing = _existing(env, node)
    children = {name: [_command(env, child) for child in nodes] for name, nodes in node.children.items() if nodes}
    if existing:
        env.write(node.model, [existing], {**vals, **children})
        _claim_children(env, node)
        return existing
    record = env.create(node.model, {**vals, **children})
    if node.xml_id:
        module, name = _split(node.xml_id)
        env.create("ir.model.data", {"module": module, "name": name, "model": node.model, "res_id": record.id})
    _claim_children(env, node)
    return record.id


def _existing(env: Env, node: _Node) -> int:
    if node.database_id:
        if env.db.row(node.model, node.database_id) is None:
            raise _Bad(f"Unknown database identifier '{node.database_id}'")
        return node.database_id
    if not node.xml_id:
        return 0
    if env.db.changed_since("ir.model.data", node.xml_id, env.snapshot):
        raise SerializationFailure
    env.db.touch("ir.model.data", node.xml_id)
    known = ExternalId.lookup(env, *_split(node.xml_id))
    id = int(known.row.get("res_id") or 0) if known else 0
    if known and known.row["model"] != node.model:
        raise _Bad(f"The external id {node.xml_id} belongs to {known.row['model']}")
    if known and env.db.row(node.model, id) is None:
        env.unlink("ir.model.data", [known.id])
        return 0
    return id


def _command(env: Env, child: _Node) -> tuple[int, int, Vals]:
    vals = {
        name: _value(env, env.contract[child.model][name], suffix, cell) for name, (suffix, cell) in child.cells.items()
    }
    existing = _existing(env, child)
    return (1, existing, vals) if existing else (0, 0, {**vals, "_xml_id": child.xml_id})


def _claim_children(env: Env, node: _Node) -> None:
    """Children written with the parent carry their external id along; claim it once they exist."""
    for name, nodes in node.children.items():
        relation = env.contract[node.model][name].relation
        for child in nodes:
            if child.xml_id and not ExternalId.lookup(env, *_split(child.xml_id)):
                made = env.one(relation, _xml_id=child.xml_id)
                module, local = _split(child.xml_id)
                env.create("ir.model.data", {"module": module, "name": local, "model": relation, "res_id": made.id})


def _split(xml_id: str) -> tuple[str, str]:
    module, dot, name = xml_id.partition(".")
    return (module, name) if dot else ("__import__", module)


def _value(env: Env, known: Field, suffix: str, cell: Cell) -> Any:
    if known.type in ("boolean", "many2many") and not isinstance(cell, str):
        what = "lower" if known.type == "boolean" else "split"
        raise PythonError("AttributeError", f"'{type(cell).__name__}' object has no attribute '{what}'")
    if cell in ("", None, False):  # an empty cell is an explicit "nothing": no default takes its place
        return [(6, 0, [])] if known.type == "many2many" else False
    match known.type:
        case "boolean":
            return cell.lower() in ("1", "true", "yes")
        case "integer":
            return int(cell)
        case "float" | "monetary":
            return _number(known, cell)
        case "many2one":
            return _reference(env, known, suffix, str(cell))
        case "many2many":
            return [(6, 0, [_reference(env, known, suffix, part) for part in cell.split(",") if part])]
    return str(cell)


def _number(known: Field, cell: Cell) -> float:
    try:
        return float(cell)
    except ValueError:
        raise _Bad(f"'{cell}' does not seem to be a number for field '{known.name}'") from None


def _reference(env: Env, known: Field, suffix: str, cell: str) -> int:
    if suffix == ".id":
        if not cell.isdigit() or env.db.row(known.relation, int(cell)) is None:
            raise _Bad(f"No matching record found for database id '{cell}' in field '{known.name}'")
        return int(cell)
    if suffix == "id":
        found = ExternalId.lookup(env, *_split(cell))
        if not found:
            raise _Bad(f"No matching record found for external id '{cell}' in field '{known.name}'")
        return int(found.row["res_id"])
    for rec in env.search(known.relation, []):
        if env.display_name(known.relation, rec.id) == cell:
            return rec.id
    raise _Bad(f"No matching record found for name '{cell}' in field '{known.name}'")
