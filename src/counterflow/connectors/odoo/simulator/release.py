"""Which Odoo this is. The models are written in the words of 19; what 18 calls otherwise, lacks or does is here.

`contract18.json` holds what its recorded fields differ in. Inside, both vocabularies exist: an alias reads and writes
the field of 19. A call from outside that uses a word which its version does not know is refused as the real one does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from counterflow.connectors.odoo.simulator.contract import Contract, load_contract
from counterflow.connectors.odoo.simulator.errors import PythonError

ALIASES = {
    ("stock.move", "group_id"): "reference_ids",
    ("stock.picking", "group_id"): "reference_ids",
    ("stock.picking", "move_ids_without_package"): "move_ids",
    ("sale.order", "procurement_group_id"): "stock_reference_ids",
    ("sale.order.line", "product_uom"): "product_uom_id",
    ("sale.order.line", "tax_id"): "tax_ids",
    ("res.users", "groups_id"): "group_ids",
    ("stock.location", "valuation_in_account_id"): "valuation_account_id",
    ("stock.location", "valuation_out_account_id"): "valuation_account_id",
}
_RENAMED = {"procurement.group": "stock.reference"}
_NOT_YET = {("res.users.apikeys", "generate"), ("res.users.apikeys", "revoke"), ("", "formatted_read_group")}


@dataclass(frozen=True)
class Release:
    """One version: what it shows (`visible`), and which words of it stand for fields of 19."""

    version: str
    major: int
    visible: Contract
    contract: Contract  # what exists inside
    aliases: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def inward(self, model: str, vals: dict[str, Any]) -> dict[str, Any]:
        """Values under the names of 19; a single record becomes a list where 19 has one."""
        if not self.aliases:
            return vals
        found = {}
        for name, value in vals.items():
            target = self.aliases.get((model, name), name)
            single = target != name and self.contract[model][target].to_many and not isinstance(value, list | tuple)
            found[target] = [(6, 0, [value] if value else [])] if single else value
        return found

    def model(self, name: str) -> str:
        """What a model that is called so is called inside; empty when this version has none."""
        if name not in self.visible:
            return ""
        return _RENAMED.get(name, name)

    def lacks(self, model: str, method: str) -> bool:
        return self.major < 19 and ((model, method) in _NOT_YET or ("", method) in _NOT_YET)

    def check(self, model: str, body: Mapping[str, Any]) -> None:
        """Refuse names that this version does not have, wherever they stand in a call's arguments."""
        if self.major >= 19:
            return
        for name in ("fields", "allfields", "groupby"):
            for path in body.get(name) or ():
                self._path(model, str(path).replace("/.id", "").replace("/", ".").removesuffix(".id"))
        for term in body.get("domain") or ():
            if not isinstance(term, str):
                self._path(model, str(term[0]))
        self._specification(model, body.get("specification") or {})
        vals = body.get("vals_list") or body.get("vals") or {}
        for row in vals if isinstance(vals, list) else [vals]:
            self._vals(model, row)

    def _path(self, model: str, path: str) -> str:
        """The model at the end of the path."""
        for name in path.split("."):
            if name in ("id", ""):
                break
            model = self._known(model, name)
        return model

    def _known(self, model: str, name: str) -> str:
        if model not in self.visible:
            return model
        found = self.visible[model].get(name)
        if found is None:
            raise PythonError("ValueError", f"Invalid field {name!r} on {model!r}")
        return found.relation or model

    def _specification(self, model: str, specification: Mapping[str, Any]) -> None:
        for name, inner in specification.items():
            self._specification(self._known(model, name), inner.get("fields") or {})

    def _vals(self, model: str, vals: Mapping[str, Any]) -> None:
        for name, value in vals.items():
            relation = self._known(model, name)
            for command in value if isinstance(value, list) else ():
                if isinstance(command, list | tuple) and len(command) == 3 and isinstance(command[2], dict):
                    self._vals(relation, command[2])


def release(version: str) -> Release:
    nineteen = load_contract("19.0")
    major = int(version.partition(".")[0])
    if major >= 19:
        return Release(version, major, nineteen, nineteen)
    visible = load_contract("18.0")
    contract = {model: dict(fields) for model, fields in nineteen.items()}
    for model, fields in visible.items():
        for name, known in fields.items():
            relation = _RENAMED.get(known.relation, known.relation)
            contract.setdefault(model, {}).setdefault(name, replace(known, relation=relation))
    return Release(version, major, visible, contract, ALIASES)
