"""The names and types of the fields that a real Odoo has, per model; whatever is not in here does not exist.

`contract.json` is that of 19, `contract18.json` what 18 differs in: other fields and types, null for what it lacks.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Field:
    """One field: its type, and for a relation the other model and, on a one2many, the field that points back."""

    name: str
    type: str
    relation: str = ""
    inverse: str = ""
    selection: frozenset[str] = frozenset()
    required: bool = False

    @property
    def to_many(self) -> bool:
        return self.type in ("one2many", "many2many")

    @property
    def numeric(self) -> bool:
        return self.type in ("float", "monetary")

    def empty(self) -> object:
        """What reading the unset field gives over the API."""
        if self.to_many:
            return []
        return 0.0 if self.numeric else 0 if self.type == "integer" else False

    @classmethod
    def parse(cls, name: str, spec: str) -> "Field":
        words = spec.split(" ")
        required = words[-1] == "!"
        words = words[:-1] if required else words
        kind, rest = words[0], words[1:]
        if kind == "selection":
            return cls(name, kind, selection=frozenset("|".join(rest).split("|")) - {""}, required=required)
        relation, inverse = (*rest, "", "")[:2]
        return cls(name, kind, relation, inverse, required=required)


Contract = dict[str, dict[str, Field]]

# One2many fields whose way back the recorded fields_get does not name, and views on another field.
INVERSES = {
    ("account.bank.statement.line", "line_ids"): ("account.move.line", "statement_line_id"),
}


@cache
def load_contract(version: str = "19.0") -> Contract:
    """The contract of 19.0 or 18.0."""
    models = _models("contract.json")
    if version == "18.0":
        for model, fields in _models("contract18.json").items():
            merged = {**models.get(model, {}), **(fields or {})}
            models[model] = {name: spec for name, spec in merged.items() if spec is not None}
            if fields is None:
                del models[model]
    contract: Contract = {}
    for model, fields in models.items():
        contract[model] = {name: Field.parse(name, spec) for name, spec in fields.items()}
        for name in ("id", "display_name"):
            contract[model].setdefault(name, Field(name, "integer" if name == "id" else "char"))
    for (model, name), (relation, inverse) in INVERSES.items():
        contract[model][name] = Field(name, "one2many", relation, inverse)
    return contract


def _models(file: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((Path(__file__).parent.parent / file).read_text(encoding="utf-8"))
    return dict(document["models"])
