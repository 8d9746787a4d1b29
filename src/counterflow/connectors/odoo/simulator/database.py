"""Tables in memory, written through to the `World` at commit; one call is one transaction."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from counterflow.sdk.simulator import World

if TYPE_CHECKING:
    from counterflow.connectors.odoo.simulator.release import Release

Row = dict[str, Any]


class Table:
    """The rows of one model, and an index for each field that somebody looked up by equality."""

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self._indexes: dict[str, dict[Any, set[int]]] = {}

    def having(self, field: str, value: Any) -> list[int]:
        """Ids of the rows whose stored field has this value (for a list: holds it), ascending."""
        if field not in self._indexes:
            self._indexes[field] = {}
            for id, row in self.rows.items():
                self._index(field, id, row)
        return sorted(self._indexes[field].get(value, ()))

    def put(self, id: int, row: Row | None) -> None:
        old = self.rows.get(id)
        for field, index in self._indexes.items():
            if old is not None:
                for key in _keys(old.get(field)):
                    index.get(key, set()).discard(id)
            if row is not None:
                self._index(field, id, row)
        if row is None:
            self.rows.pop(id, None)
        else:
            self.rows[id] = row

    def _index(self, field: str, id: int, row: Row) -> None:
        for key in _keys(row.get(field)):
            self._indexes[field].setdefault(key, set()).add(id)


def _keys(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else (value,)


class Database:
    """All tables. `version` grows with every commit; a call that began at an older one has an old snapshot."""

    def __init__(self, world: World, models: Iterable[str], release: "Release") -> None:
        self.world, self.release = world, release
        self.version = 0
        self._changed_at: dict[tuple[str, int | str], int] = {}
        self._undo: list[tuple[str, int, Row | None]] | None = None
        self._counters: dict[str, int] = {doc["series"]: doc["value"] for doc in world.all("_odoo_series")}
        self._dirty_series: set[str] = set()
        self._touched: set[tuple[str, int | str]] = set()
        self.tables: dict[str, Table] = {model: Table() for model in models}
        for model, table in self.tables.items():
            for doc in world.all(model):
                table.put(doc["id"], doc)

    def row(self, model: str, id: int) -> Row | None:
        return self.tables[model].rows.get(id)

    def put(self, model: str, id: int, row: Row | None) -> None:
        assert self._undo is not None, "a write outside a transaction"
        self._undo.append((model, id, self.tables[model].rows.get(id)))
        self.tables[model].put(id, row)

    def next(self, series: str) -> int:
        """The next number of a series (ids, document numbers); like Odoo's, a rollback leaves a gap."""
        self._counters[series] = value = self._counters.get(series, 0) + 1
        self._dirty_series.add(series)
        return value

    def reserve(self, series: str, value: int) -> None:
        """Numbers up to this one are taken."""
        if self._counters.get(series, 0) < value:
            self._counters[series] = value
            self._dirty_series.add(series)

    def touch(self, model: str, id: int | str) -> None:
        """Note a change that no row shows (a claimed external id)."""
        self._touched.add((model, id))

    def changed_since(self, model: str, id: int | str, snapshot: int) -> bool:
        """Whether somebody else committed a change of this record after that snapshot was taken."""
        return self._changed_at.get((model, id), 0) > snapshot

    @contextmanager
    def transaction(self) -> Iterator[None]:
        if self._undo is not None:
            yield
            return
        self._undo = []
        try:
            with self.world.tx():
                yield
                self._flush(self._undo)
        except BaseException:
            for model, id, row in reversed(self._undo):
                self.tables[model].put(id, row)
            raise
        finally:
            self._undo = None
            self._touched.clear()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Inside a transaction: an exception undoes what happened since, and passes on."""
        mark = self.mark()
        try:
            yield
        except BaseException:
            self.back_to(mark)
            raise

    def mark(self) -> int:
        """Where a transaction is now."""
        assert self._undo is not None
        return len(self._undo)

    def back_to(self, mark: int) -> None:
        """Undo what the transaction did since."""
        assert self._undo is not None
        for model, id, row in reversed(self._undo[mark:]):
            self.tables[model].put(id, row)
        del self._undo[mark:]

    def _tell(self, changed: Iterable[tuple[str, int]]) -> None:
        """Automation rules send their webhooks after the commit, once and whatever becomes of them."""
        for rule in self.world.all("_odoo_rules"):
            for model, id in changed:
                if model == rule["model"] and (row := self.row(model, id)) is not None:
                    told = {"_action": rule["name"], "_id": id, "_model": model, "id": id}
                    told |= {name: row.get(name) for name in rule["fields"]}
                    told["write_date"] = f"{row.get('write_date')}.{self.version:06d}"  # to the microsecond here
                    body = json.dumps(told, sort_keys=True)
                    self.world.emit(rule["url"], {"Content-Type": "application/json"}, body.encode(), label=model)

    def _flush(self, undo: list[tuple[str, int, Row | None]]) -> None:
        changed = dict.fromkeys((model, id) for model, id, _ in undo)  # in the order of the first change
        if changed or self._touched:
            self.version += 1
        for model, id in changed:
            row = self.row(model, id)
            if row is None:
                self.world.delete(model, str(id))
            else:
                self.world.put(model, str(id), row)
        for series in sorted(self._dirty_series):
            self.world.put("_odoo_series", series, {"series": series, "value": self._counters[series]})
        self._dirty_series.clear()
        self._tell(changed)
        for key in changed.keys() | self._touched:
            self._changed_at[key] = self.version
