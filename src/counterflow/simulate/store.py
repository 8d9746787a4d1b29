"""PostgreSQL as the simulation uses it: without waiting on the event loop, with every commit a place to die.

A statement is answered before the task gives way, so that a step is one piece whatever the server's timing, and
notifications go by hand: when Postgres passes them on is chance. Connections of a process that dies are rolled back,
lose their locks, and serve the next one; whoever still holds the old object finds it closed.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection, AsyncTransaction, waiting
from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn, TransactionStatus

from counterflow.store.shards import NOTIFY

KEPT = ("api_keys",)


class Died(BaseException):
    """The process ends here; nothing of it runs any further."""


class Watch:
    """What a process's connections tell of. Each of these may raise."""

    def statement(self, conn: "Connection") -> None:
        """A statement is about to be sent inside a transaction."""

    def before_commit(self, conn: "Connection") -> None:
        """The transaction is complete and not durable."""

    def after_commit(self, conn: "Connection", told: Sequence[str]) -> None:
        """It is durable, and nobody has acted on it. `told`: payloads of its notifications."""


class Connection(AsyncConnection):
    """A connection that answers within the step, in autocommit."""

    watch: Watch
    told: list[str]
    inside = False  # the body of a transaction, neither its beginning nor its end

    async def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        if self.inside:
            self.watch.statement(self)
        return waiting.wait(gen, self.pgconn.socket, interval=interval)

    async def execute(self, query: Any, params: Any = None, **how: Any) -> Any:
        if query is NOTIFY:
            self.told += params[1]
            if self.info.transaction_status == TransactionStatus.IDLE:
                told, self.told = self.told, []
                self.watch.after_commit(self, told)
            return None
        return await super().execute(query, params, **how)

    @asynccontextmanager
    async def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> AsyncIterator[AsyncTransaction]:
        if self.info.transaction_status != TransactionStatus.IDLE:
            inside, self.inside = self.inside, False
            async with super().transaction(savepoint_name, force_rollback) as tx:
                self.inside = inside
                try:
                    yield tx
                finally:
                    self.inside = False
            self.inside = inside
            return
        try:
            async with super().transaction(savepoint_name, force_rollback) as tx:
                self.inside = True
                try:
                    yield tx
                finally:
                    self.inside = False
                self.watch.before_commit(self)
        except BaseException:
            self.told = []
            raise
        told, self.told = self.told, []
        self.watch.after_commit(self, told)


class Server:
    """Sockets to one database, kept from run to run."""

    def __init__(self, url: str) -> None:
        self.url = make_conninfo(url, client_encoding="utf8")
        self.idle: list[Any] = []  # PGconn
        self._gone = PGconn.connect_start(b"host=/nowhere")
        self._gone.finish()

    async def open(self, watch: Watch) -> Connection:
        if self.idle:
            pgconn = self.idle.pop()
        else:
            pgconn = PGconn.connect(self.url.encode())
            if pgconn.status != psycopg.pq.ConnStatus.OK:
                raise psycopg.OperationalError(pgconn.get_error_message())
            pgconn.exec_(b"SET synchronous_commit = off")
        pgconn.nonblocking = 1
        conn = Connection(pgconn)
        conn.watch, conn.told = watch, []
        await conn.set_autocommit(True)
        return conn

    def take_back(self, conn: Connection) -> None:
        """As if the socket had been cut: rolled back, without locks; the object is closed for whoever has it."""
        if conn.pgconn is self._gone:
            return
        pgconn, conn.pgconn = conn.pgconn, self._gone
        pgconn.nonblocking = 0
        if pgconn.transaction_status != TransactionStatus.IDLE:
            pgconn.exec_(b"ROLLBACK")
        pgconn.exec_(b"SELECT pg_advisory_unlock_all(); UNLISTEN *; DEALLOCATE ALL")
        self.idle.append(pgconn)

    def close(self) -> None:
        for pgconn in self.idle:
            pgconn.finish()
        self.idle = []


class Connections:
    """In place of a pool: the connections of one process, cut all at once when it dies."""

    def __init__(self, server: Server, watch: Watch) -> None:
        self.server, self.watch = server, watch
        self.free: list[Connection] = []
        self.used: set[Connection] = set()
        self.dead = False

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        conn = await self.take()
        try:
            yield conn
        finally:
            self.used.discard(conn)
            if not conn.closed:
                self.free.append(conn)

    async def take(self) -> Connection:
        """One for whoever keeps it until the process ends."""
        if self.dead:
            raise Died
        conn = self.free.pop() if self.free else await self.server.open(self.watch)
        self.used.add(conn)
        return conn

    async def check(self) -> None:
        """What a pool does after the server was gone; here broken ones are never kept."""

    def cut(self) -> None:
        """The process is gone."""
        self.dead = True
        self.lose()

    def lose(self) -> None:
        """The server ended all sessions; new ones can be opened."""
        for conn in (*self.free, *self.used):
            self.server.take_back(conn)
        self.free, self.used = [], set()


def empty(url: str, keep: Sequence[str] = KEPT) -> None:
    """Forget everything but the installation itself. Its append-only tables refuse, so triggers are off for it."""
    with psycopg.connect(url, autocommit=True) as conn:
        emptier(conn, keep)()


def emptier(conn: psycopg.Connection, keep: Sequence[str] = KEPT) -> Callable[[], None]:
    """What empties the tables; for a connection that is kept."""
    names = [str(row[0]) for row in conn.execute(
        "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public' AND tablename <> ALL(%s)",
        ([*keep, "meta", "alembic_version"],),
    )]  # fmt: skip
    for name in names:  # statistics that come in the middle of a run would change plans, and so the order of rows
        conn.execute(f"ALTER TABLE {name} SET (autovacuum_enabled = false)".encode())
    statement = f"TRUNCATE {', '.join(names)} RESTART IDENTITY"
    conn.execute("SET session_replication_role = replica; SET synchronous_commit = off")
    return lambda: void(conn.execute(statement.encode()))


def void(_: object) -> None:
    """Nothing is given back."""
