"""Plays recorded JSON-2 calls against the simulator and compares status and answer.

Ids differ between the two worlds, so they are learnt: an id that an answer shows for the first time is bound to the id
at the same place in the simulator's answer; from then on it must stay the same record.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx2

CONTRACT_FILE = Path(__file__).parents[3] / "src/counterflow/connectors/odoo/contract.json"
CONTRACT: dict[str, dict[str, str]] = json.loads(CONTRACT_FILE.read_text(encoding="utf-8"))["models"]
# Words that name a view or a moment of the recorded installation, and fields that the simulator does not have.
VOLATILE = {
    "debug",
    "date_done",
    "views",
    "help",
    "path",
    "mobile_view_mode",
    "binding_model_id",
    "binding_type",
    "binding_view_types",
    "view_id",
    "domain",
    "view_mode",
    "limit",
    "group_ids",
    "search_view_id",
    "embedded_action_ids",
    "filter",
    "cache",
    "journal_name",
    "inventory_date",
    "invoice_currency_rate",  # a float of its own making: 0.8999999999999999
}


class Replay:
    def __init__(self, client: httpx2.AsyncClient, key: str) -> None:
        self.client = client
        self.headers = {"Authorization": f"Bearer {key}"}
        self.ids: dict[tuple[str, int], int] = {}
        self.differences: list[str] = []
        self.equal = 0

    async def play(self, file: Path, skip: Iterable[str] = (), only: Iterable[int] | None = None) -> None:
        for number, entry in enumerate(json.loads(file.read_text(encoding="utf-8"))):
            path = str(entry["request"].get("path", ""))
            wanted = only is None or number in only
            if path.startswith("/json/2/") and wanted and not any(path.startswith(f"/json/2/{name}") for name in skip):
                await self.step(f"{file.stem}[{number}]", path, entry)

    async def step(self, label: str, path: str, entry: dict[str, Any]) -> None:
        _, _, _, model, method = path.split("/")
        body = self.translate(model, method, entry["request"]["body"])
        answer = await self.client.post(path, json=body, headers=self.headers)
        before = len(self.differences)
        if answer.status_code != entry["status"]:
            self.differences.append(
                f"{label} {model}.{method}: {answer.status_code} {answer.text[:300]}, "
                f"recorded {entry['status']} {str(entry['response'])[:200]}"
            )
        elif answer.status_code >= 400:
            self.same(label, entry["response"]["name"], answer.json()["name"])
            if not any(character.isdigit() for character in entry["response"]["message"]):
                self.same(label, entry["response"]["message"], answer.json()["message"])
        else:
            self.answer(f"{label} {model}.{method}", model, method, entry["response"], answer.json())
        self.equal += len(self.differences) == before

    # Requests

    def id(self, model: str, id: Any) -> Any:
        return self.ids.get((model, id), id) if isinstance(id, int) and not isinstance(id, bool) else id

    def translate(self, model: str, method: str, body: dict[str, Any]) -> dict[str, Any]:
        body = dict(body)
        if "ids" in body:
            body["ids"] = [self.id(model, id) for id in body["ids"]]
        if "vals" in body:
            body["vals"] = self.vals(model, body["vals"])
        if "vals_list" in body:
            body["vals_list"] = [self.vals(model, vals) for vals in body["vals_list"]]
        if "domain" in body:
            body["domain"] = [self.leaf(model, leaf) for leaf in body["domain"]]
        if "line_id" in body:
            body["line_id"] = self.id("account.move.line", body["line_id"])
        if method == "load":
            body["data"] = [
                [self.cell(model, name, cell) for name, cell in zip(body["fields"], row, strict=True)]
                for row in body["data"]
            ]
        context = dict(body.get("context", {}))
        active = context.get("active_model", "")
        for name in ("active_id", "active_ids"):
            if name in context:
                context[name] = self.deep(active, context[name])
        if "picking_ids_not_to_backorder" in context:
            context["picking_ids_not_to_backorder"] = self.deep(
                "stock.picking", context["picking_ids_not_to_backorder"]
            )
        if context:
            body["context"] = context
        return body

    def deep(self, model: str, value: Any) -> Any:
        return [self.id(model, id) for id in value] if isinstance(value, list) else self.id(model, value)

    def vals(self, model: str, vals: dict[str, Any]) -> dict[str, Any]:
        return {name: self.value(relation(model, name), value) for name, value in vals.items()}

    def value(self, relation: str, value: Any) -> Any:
        if not relation:
            return value
        if not isinstance(value, list):
            return self.id(relation, value)
        commands = []
        for command in value:
            kind, *rest = command
            if kind == 6:
                commands.append([6, 0, self.deep(relation, rest[1])])
            else:
                row = self.vals(relation, rest[1]) if len(rest) > 1 and isinstance(rest[1], dict) else 0
                commands.append([kind, self.id(relation, rest[0]), row])
        return commands

    def leaf(self, model: str, leaf: Any) -> Any:
        if not isinstance(leaf, list):
            return leaf
        for name in leaf[0].split("."):
            target, model = model, relation(model, name) or model
        last = leaf[0].split(".")[-1]
        if last == "res_id":
            return leaf
        owner = target if last == "id" else relation(target, last)
        return [leaf[0], leaf[1], self.deep(owner, leaf[2])]

    def cell(self, model: str, path: str, cell: Any) -> Any:
        names = path.split("/")
        if names[-1] != ".id":
            return cell
        for name in names[:-1]:
            model = relation(model, name)
        as_int = self.id(model, int(cell)) if str(cell).isdigit() else cell
        return as_int if isinstance(cell, int) else str(as_int)

    # Answers

    def answer(self, label: str, model: str, method: str, recorded: Any, ours: Any) -> None:
        if method in ("create", "search"):
            self.learn(label, model, recorded, ours)
        elif method == "load" and recorded["ids"] and ours["ids"]:
            self.learn(label, model, recorded["ids"], ours["ids"])
        elif method in ("read", "search_read"):
            self.rows(label, model, recorded, ours)
        elif isinstance(recorded, dict) and "res_model" in recorded and isinstance(ours, dict):
            if "res_id" in recorded:
                self.learn(label, recorded["res_model"], [recorded["res_id"]], [ours.get("res_id")])
            self.same(label, recorded["res_model"], ours.get("res_model"))
            self.same(label, sorted(set(recorded) - VOLATILE), sorted(set(ours) - VOLATILE))
        elif method not in ("message_post", "check_object_reference", "fields_get"):
            self.same(label, recorded, ours)

    def rows(self, label: str, model: str, recorded: list[Any], ours: list[Any]) -> None:
        if len(recorded) != len(ours):
            self.differences.append(f"{label}: {len(ours)} rows {ours}, recorded {len(recorded)} {recorded}")
            return
        if model == "account.move.line":  # order of tax, receivable and cost lines within a document is no promise
            recorded, ours = sorted(recorded, key=_content), sorted(ours, key=_content)
        for theirs, mine in zip(recorded, ours, strict=True):
            self.learn(label, model, [theirs["id"]], [mine["id"]])
            for name, value in theirs.items():
                if name in VOLATILE or name == "id":
                    continue
                target = relation(model, name)
                if target and isinstance(value, list) and value and isinstance(mine[name], list):
                    many = not CONTRACT[model][name].startswith("many2one")
                    left, right = (value, mine[name]) if many else (value[:1], mine[name][:1])
                    self.learn(f"{label}.{name}", target, left, right)
                elif target and isinstance(value, int) and not isinstance(value, bool):
                    self.learn(f"{label}.{name}", target, [value], [mine[name]])
                else:
                    self.same(f"{label}.{name}", value, mine[name])

    def learn(self, label: str, model: str, recorded: list[int], ours: Any) -> None:
        if not isinstance(ours, list) or len(recorded) != len(ours):
            self.differences.append(f"{label}: {ours}, recorded {recorded}")
            return
        for theirs, mine in zip(recorded, ours, strict=True):
            if self.ids.setdefault((model, theirs), mine) != mine:
                self.differences.append(f"{label}: {model} {theirs} is {self.ids[(model, theirs)]}, now {mine}")

    def same(self, label: str, recorded: Any, ours: Any) -> None:
        if _unnumbered(recorded) != _unnumbered(ours):
            self.differences.append(f"{label}: {str(ours)[:300]}, recorded {str(recorded)[:300]}")


def relation(model: str, name: str) -> str:
    words = CONTRACT.get(model, {}).get(name, "").split(" ")
    return words[1] if words[0] in ("many2one", "one2many", "many2many") else ""


def _unnumbered(value: Any) -> Any:
    """Document numbers depend on what else was booked in that world."""
    return re.sub(r"\d+", "#", value) if isinstance(value, str) else value


def _content(row: dict[str, Any]) -> str:
    names = ("display_type", "name", "debit", "credit", "balance", "quantity")
    return str([row.get(name) for name in names])
