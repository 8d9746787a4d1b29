"""The state of one simulated system: documents, counters, an agenda and the faults that are armed."""

import json
import random
import re
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2

from counterflow.sdk.simulator.clock import Clock
from counterflow.sdk.simulator.webhooks import Chaos, Deliveries, Signer

Doc = dict[str, Any]
Handler = Callable[[Doc], None]
ActHandler = Callable[[Doc], Doc | Awaitable[Doc]]

_TABLES = """
CREATE TABLE IF NOT EXISTS docs (
    seq INTEGER PRIMARY KEY, coll TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (coll, id));
CREATE INDEX IF NOT EXISTS docs_by_coll ON docs (coll, seq);
CREATE TABLE IF NOT EXISTS counters (coll TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS agenda (
    seq INTEGER PRIMARY KEY, due REAL NOT NULL, kind TEXT NOT NULL, payload TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS agenda_by_due ON agenda (due, seq);
"""


class World:
    """Durable JSON documents in one SQLite file, which survive a kill at any moment (`path` None: in memory).

    One process owns a world. What must change together goes inside `with world.tx()`; acts and agenda handlers are
    already inside one, so a webhook that they emit is stored if and only if their change is. Numbers of a series follow
    `first`: worlds that meet in one real system differ in it. `image` is what `copy` gave: where this world begins.
    """

    def __init__(
        self, name: str, path: Path | None, clock: Clock, seed: int = 0, first: int = 0, image: bytes | None = None
    ) -> None:
        self.name = name
        self.clock = clock
        self.acts: dict[str, ActHandler] = {}
        self.transport: httpx2.AsyncBaseTransport | None = None  # how webhooks travel; None: over the network
        self.signer: Signer = lambda headers, body, now: headers  # runs at each sending; headers are stored before it
        self._first = first
        self._handlers: dict[str, Handler] = {}
        self._lock = threading.RLock()
        self._depth = 0
        self._instant: datetime | None = None
        self._next: tuple[datetime | None] | None = None  # what `next_due` gave, while the agenda is the same
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        if image is not None:
            self._db.deserialize(image)
        self._db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {_TABLES}")
        # A restarted world must not repeat the draws of its first life.
        self.rng = random.Random(f"{name}:{seed}:{self.next_id('_starts')}")
        self._deliveries = Deliveries(self)

    def now(self) -> datetime:
        """The present instant, aware, UTC; inside an agenda handler the instant for which it was planned.

        So a clock that jumped a month plays its thirty midnights one by one, each with its own date.
        """
        return self._instant or self.clock.now()

    # Documents

    def get(self, coll: str, id: str) -> Doc | None:
        row = self._db.execute("SELECT body FROM docs WHERE coll = ? AND id = ?", (coll, id)).fetchone()
        return None if row is None else json.loads(row[0])

    def put(self, coll: str, id: str, doc: Doc) -> None:
        self._db.execute(
            "INSERT INTO docs (coll, id, body) VALUES (?, ?, ?)"
            " ON CONFLICT (coll, id) DO UPDATE SET body = excluded.body",
            (coll, id, json.dumps(doc)),
        )

    def all(self, coll: str) -> list[Doc]:
        """Every document of a collection, oldest first."""
        rows = self._db.execute("SELECT body FROM docs WHERE coll = ? ORDER BY seq", (coll,)).fetchall()
        return [json.loads(body) for (body,) in rows]

    def delete(self, coll: str, id: str) -> None:
        self._db.execute("DELETE FROM docs WHERE coll = ? AND id = ?", (coll, id))

    def next_id(self, coll: str) -> int:
        """The next number of a series, `first` + 1 first; never given twice, gaps are possible after a rollback."""
        row = self._db.execute(
            "INSERT INTO counters VALUES (?, ?) ON CONFLICT (coll) DO UPDATE SET value = value + 1 RETURNING value",
            (coll, self._first + 1),
        ).fetchone()
        return int(row[0])

    @contextmanager
    def tx(self) -> Iterator[None]:
        """One transaction; a nested one can fail alone. Never await inside: other requests would join it too."""
        with self._lock:
            level = f"level{self._depth}"
            self._db.execute(f"SAVEPOINT {level}" if self._depth else "BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._next = None
                self._db.execute(f"ROLLBACK TO {level}" if self._depth > 1 else "ROLLBACK")
                raise
            else:
                self._db.execute(f"RELEASE {level}" if self._depth > 1 else "COMMIT")
            finally:
                self._depth -= 1

    # Agenda

    def on(self, kind: str, handler: Handler) -> None:
        """Handle what was planned with `at(..., kind, ...)`: `handler(payload)`, once, inside a transaction."""
        self._handlers[kind] = handler

    def at(self, due: datetime, kind: str, payload: Doc) -> None:
        """Plan something; a due instant in the past happens at the next opportunity."""
        self._next = None
        self._db.execute(
            "INSERT INTO agenda (due, kind, payload) VALUES (?, ?, ?)", (due.timestamp(), kind, json.dumps(payload))
        )

    def planned(self, kind: str) -> list[tuple[datetime, Doc]]:
        """What is on the agenda of one kind, in order of due."""
        rows = self._db.execute("SELECT due, payload FROM agenda WHERE kind = ? ORDER BY due, seq", (kind,)).fetchall()
        return [(datetime.fromtimestamp(due, UTC), json.loads(payload)) for due, payload in rows]

    def next_due(self) -> datetime | None:
        """The earliest instant at which something happens by itself, webhooks included; None: nothing waits."""
        if self._next is None:
            due = self._db.execute("SELECT min(due) FROM agenda").fetchone()[0]
            self._next = (None if due is None else datetime.fromtimestamp(due, UTC),)
        return self._next[0]

    def take_due(self, *, webhooks: bool, limit: int = 1) -> list[tuple[int, datetime, str, Doc]]:
        """The due items (deliveries, or everything else), earliest first; they stay until `dropped`."""
        rows = self._db.execute(
            "SELECT seq, due, kind, payload FROM agenda WHERE due <= ? AND (kind = ?) = ? ORDER BY due, seq LIMIT ?",
            (self.clock.now().timestamp(), Deliveries.KIND, webhooks, limit),
        ).fetchall()
        return [(seq, datetime.fromtimestamp(due, UTC), kind, json.loads(doc)) for seq, due, kind, doc in rows]

    def drop(self, seq: int) -> None:
        self._next = None
        self._db.execute("DELETE FROM agenda WHERE seq = ?", (seq,))

    def fire(self) -> int:
        """Play the agenda up to now, in order of due; how many items. Requests do it first; none sees a stale world."""
        count = 0
        while due := self.take_due(webhooks=False):
            seq, instant, kind, payload = due[0]
            with self.tx():
                self._instant = instant
                try:
                    self.drop(seq)
                    self._handlers[kind](payload)
                finally:
                    self._instant = None
            count += 1
        return count

    # Webhooks (see webhooks.py)

    def emit(
        self,
        url: str,
        headers: dict[str, str],
        body: bytes,
        retry_schedule: tuple[float, ...] = (),
        delay: float = 0.0,
        label: str = "",
        reliable: bool = False,
    ) -> None:
        """Send a webhook: stored now, delivered by the pump, retried after each `retry_schedule` seconds, given up.

        `label` (say, the event's type) is what a fault `lose_webhook` matches on beside the URL. `reliable` spares it
        all chaos: for what passes between two simulated systems, such as money on its way to the bank.
        """
        self._deliveries.emit(url, headers, body, retry_schedule, delay, label, reliable)

    @property
    def chaos(self) -> Chaos:
        return Chaos(**(self.get("_settings", "chaos") or {}))

    @chaos.setter
    def chaos(self, chaos: Chaos) -> None:
        self.put("_settings", "chaos", chaos.as_doc())

    async def pump(self) -> dict[str, int]:
        """Do everything that is due now: {"fired", "delivered", "failed"}."""
        return await self._deliveries.pump()

    async def deliver(self, client: httpx2.AsyncClient, seq: int, doc: Doc) -> bool:
        """Send one due delivery (a row of `take_due(webhooks=True)`), for whoever decides itself which is next."""
        return await self._deliveries.send(client, seq, doc)

    @asynccontextmanager
    async def pumping(self) -> AsyncIterator[None]:
        """Pump in the background; `with_sim` and `together` do this in their lifespan."""
        async with self._deliveries.running():
            yield

    # Faults

    def fault(self, name: str, times: int = 1, match: str = "", seconds: float = 0.0) -> None:
        """Arm a fault for the next `times` requests whose label matches (-1: until cleared).

        `down` with `seconds` ends by the clock and not by count; for `slow` the seconds are real ones.
        """
        re.compile(match)
        until = (self.clock.now() + timedelta(seconds=seconds)).timestamp() if name == "down" and seconds else None
        id = self.next_id("_faults")
        fault = {"id": id, "name": name, "times": times, "match": match, "seconds": seconds, "until": until}
        self.put("_faults", str(id), fault)

    def clear_faults(self) -> None:
        with self.tx():
            for fault in self.faults():
                self.delete("_faults", str(fault["id"]))

    def faults(self) -> list[Doc]:
        """What is armed, oldest first."""
        return self.all("_faults")

    def take_fault(self, name: str, label: str = "") -> Doc | None:
        """Use up one shot of an armed fault of this name that matches; None: nothing is armed."""
        with self.tx():
            for fault in self.faults():
                if fault["name"] == name and re.search(fault["match"], label, re.MULTILINE) and self._shot(fault):
                    return fault
        return None

    def _shot(self, fault: Doc) -> bool:
        if fault["until"] is not None:
            if self.clock.now().timestamp() < fault["until"]:
                return True
            self.delete("_faults", str(fault["id"]))
            return False
        if fault["times"] > 0:
            fault["times"] -= 1
            if fault["times"] == 0:
                self.delete("_faults", str(fault["id"]))
            else:
                self.put("_faults", str(fault["id"]), fault)
        return True

    # Actors

    def act(self, name: str) -> Callable[[ActHandler], ActHandler]:
        """Register what `POST /_sim/do/<name>` does: `handler(payload) -> JSON`.

        ValueError and KeyError answer 400, LookupError 404. A plain function runs in a transaction.
        """

        def register(handler: ActHandler) -> ActHandler:
            self.acts[name] = handler
            return handler

        return register

    def copy(self) -> bytes:
        """All that it holds, as the `image` of other worlds."""
        return self._db.serialize()

    def close(self) -> None:
        self._db.close()
