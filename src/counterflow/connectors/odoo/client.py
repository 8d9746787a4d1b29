"""One call per method in Odoo's words, and `load`, the one write of Odoo that happens once however often it is sent.

`load` creates records under external ids (module `cf`, name = our key); the index on those ids is unique. It fails with
HTTP 200, and it also "fails" on a record that exists and has moved on: then the look-up by external id decides.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from counterflow.connectors.odoo.procedure import CONFLICT, MODULE, table
from counterflow.connectors.odoo.wires import Access, Wire, version_of, wire_of
from counterflow.sdk.http import Transport, redact
from counterflow.sdk.outcomes import Malformed, MissingRight, Rejected, Transient, UnknownOutcome

STAMP = "%Y-%m-%d %H:%M:%S"  # how Odoo writes an instant: UTC, whole seconds
_FORBIDDEN = "You are not allowed to"
_LOAD_TRIES = 4
_NO_SUCH_ID = "External ID not found"


@dataclass(frozen=True, slots=True)
class Document:
    """One record for `load`: our key, its own cells, and its lines (each gets the key with its number)."""

    key: str
    head: dict[str, Any]
    lines_field: str = ""
    lines: Sequence[dict[str, Any]] = field(default_factory=tuple)


class Client:
    """Calls in Odoo's words. `ask` only reads; `do` changes something, so its lost answer is an unknown outcome."""

    def __init__(self, transport: Transport, access: Access) -> None:
        self.transport, self.access = transport, access
        self._version = ""
        self._wire: Wire | None = None

    async def ask(self, model: str, method: str, **body: Any) -> Any:
        return await self._call(model, method, body, write=False)

    async def do(self, model: str, method: str, **body: Any) -> Any:
        return await self._call(model, method, body, write=True)

    async def search(
        self, model: str, domain: list[Any], fields: Sequence[str], limit: int = 0, order: str = ""
    ) -> list[dict[str, Any]]:
        """Rows; a many2one is a plain id (False without value)."""
        more: dict[str, Any] = {"limit": limit} if limit else {}
        if order:
            more["order"] = order
        answer = await self.ask(model, "search_read", domain=domain, fields=list(fields), load=None, **more)
        return _rows(f"{model}.search_read", answer)

    async def read(self, model: str, ids: Sequence[int], fields: Sequence[str]) -> list[dict[str, Any]]:
        """Rows of the ids that exist."""
        return _rows(f"{model}.read", await self.ask(model, "read", ids=list(ids), fields=list(fields), load=None))

    async def version(self) -> str:
        """The release that answers, as `19.0`; asked once, so a process is restarted when Odoo was upgraded."""
        if not self._version:
            self._version = await version_of(self.transport)
        return self._version

    async def find(self, xml_id: str) -> tuple[str, int] | None:
        """(model, id) of an external id; None when there is none, or its record was deleted."""
        module, _, name = xml_id.partition(".")
        try:
            answer = await self.ask("ir.model.data", "check_object_reference", module=module, xml_id=name)
        except Rejected as error:
            if error.code == "ValueError" and _NO_SUCH_ID in error.message:
                return None  # how Odoo says "no such id"
            raise
        if not isinstance(answer, list) or len(answer) != 2:
            raise Malformed(f"check_object_reference answered with something else: {redact(str(answer))}")
        return (str(answer[0]), int(answer[1])) if answer[1] else None

    async def find_key(self, key: str, model: str) -> int:
        """The id of our record under a key, 0 when it does not exist."""
        found = await self.find(f"{MODULE}.{key}")
        if found is not None and found[0] != model:
            raise Rejected(f"the key {key} belongs to a {found[0]} in Odoo, not to a {model}: delete that external id")
        return found[1] if found else 0

    async def load(self, model: str, documents: Sequence[Document]) -> list[int]:
        """The ids of the documents, created now or before, in order; all or none are created.

        Raises Rejected with Odoo's words when one cannot be; Transient after too many conflicts with other writers.
        """
        fields, data = _table(documents)
        answer = await self.load_rows(model, fields=fields, data=data)
        if answer.get("ids"):
            return [int(id) for id in answer["ids"]]
        said = "; ".join(str(message.get("message", "")).strip() for message in answer.get("messages", ()))
        return await self._existing(model, documents, said)

    async def load_rows(self, model: str, **body: Any) -> dict[str, Any]:
        """What `load` answers: `ids`, or `messages` that say why nothing was done. Raises Transient after too many
        conflicts with other writers, which Odoo does not repeat by itself here."""
        for attempt in range(_LOAD_TRIES):
            answer = await self.do(model, "load", **body)
            if not isinstance(answer, dict):
                raise UnknownOutcome(f"{model}.load answered with something that is no result: {redact(str(answer))}")
            if answer.get("ids") or CONFLICT not in str(answer.get("messages")):
                return answer
            await asyncio.sleep(0.05 * 2**attempt)
        raise Transient(f"{model}.load keeps meeting other writers")

    async def _existing(self, model: str, documents: Sequence[Document], said: str) -> list[int]:
        ids = [await self.find_key(document.key, model) for document in documents]
        if all(ids):
            return ids
        if _FORBIDDEN in said:
            raise MissingRight(f"{redact(said)}. Give the integration user the group, then resume the connection")
        raise Rejected(f"Odoo does not take the {model}: {redact(said)}", code="load")

    async def _call(self, model: str, method: str, body: dict[str, Any], *, write: bool) -> Any:
        if self._wire is None:
            self._wire = wire_of(await self.version(), self.transport, self.access)
        return await self._wire.call(model, method, body, write=write)


def _rows(operation: str, answer: Any) -> list[dict[str, Any]]:
    if not isinstance(answer, list) or not all(isinstance(row, dict) for row in answer):
        raise Malformed(f"{operation} answered with something that is no list of rows: {redact(str(answer))}")
    return answer


def _table(documents: Sequence[Document]) -> tuple[list[str], list[list[str]]]:
    columns, rows = table(
        [{"key": d.key, "head": d.head, "lines_field": d.lines_field, "lines": d.lines} for d in documents]
    )
    return columns, rows
