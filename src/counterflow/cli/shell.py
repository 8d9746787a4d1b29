"""What the commands share: the database or the whole runtime, opened; who is at the keyboard; tables and JSON."""

import getpass
import json
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from counterflow.cli.failures import NOT_FOUND, Stop

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from counterflow.engine.people import Act
    from counterflow.runtime import Clock, Runtime

Out = Annotated[Literal["table", "json"], Parameter(name=["--output", "-o"], help="How to print.")]
Reason = Annotated[str, Parameter(name=["--reason", "-m"], help="Why; it is kept in the log.")]


@dataclass(frozen=True, slots=True)
class Desk:
    """A connection to the database and the clock: all that reading needs."""

    conn: "AsyncConnection"
    clock: "Clock"

    def act(self, what: str) -> "Act":
        """Who is at the keyboard, doing `what`, now."""
        from counterflow.engine.people import Act

        now = self.clock()
        name = getpass.getuser()
        return Act(f"cli-{name}", name, "operator", f"{what}:{now.isoformat()}", now)

    async def connections(self) -> list[str]:
        """The first parts of references: connections that are configured, or that a worker has ever known."""
        import tomllib
        from contextlib import suppress

        from counterflow.settings import Settings

        found = await self.conn.execute("SELECT name FROM connections")
        names = {str(row[0]) for row in await found.fetchall()}
        with suppress(OSError, ValueError):  # reading cases needs no sound configuration
            names |= set(tomllib.loads(Settings().config_file.read_text("utf-8")).get("connections", {}))
        return sorted(names)


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    """The database of this installation, started and migrated if need be."""
    import asyncio

    from counterflow.runtime import Clock, database_url
    from counterflow.settings import Settings
    from counterflow.store.pool import connect

    settings = Settings()
    url = await asyncio.to_thread(database_url, settings)
    async with await connect(url) as conn:
        yield Desk(conn, Clock(settings))


@asynccontextmanager
async def runtime() -> AsyncIterator["Runtime"]:
    """Everything: the database, the configuration and the connectors."""
    from counterflow.runtime import open_runtime
    from counterflow.settings import Settings

    async with open_runtime(Settings(), pool_size=4) as opened:
        yield opened


def missing(what: str, how: str = "`counterflow case find` looks for any identifier") -> Stop:
    return Stop(NOT_FOUND, f"{what}; {how}")


# ---- printing --------------------------------------------------------------------------------------------------------


def show(rows: Iterable[Any], columns: Sequence[str], output: str, nothing: str = "Nothing.") -> None:
    """Rows (mappings or objects) as a table with these columns, or as a JSON list with everything in them."""
    listed = [plain(row) for row in rows]
    if output == "json":
        dump(listed)
        return
    if not listed:
        print(nothing)
        return
    cells = [[shown(_at(row, column)) for column in columns] for row in listed]
    titles = [column.rpartition(".")[2].removesuffix("_minor").replace("_", " ") for column in columns]
    widths = [max(len(title), *(len(row[n]) for row in cells)) for n, title in enumerate(titles)]
    for line in (titles, *cells):
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def dump(value: Any) -> None:
    """JSON with two spaces, as other programs like it."""
    json.dump(plain(value), sys.stdout, indent=2, ensure_ascii=False, default=shown)
    print()


def plain(value: Any) -> Any:
    """Dataclasses, models and instants as what JSON knows."""
    if hasattr(value, "model_dump"):
        return plain(value.model_dump())
    if hasattr(value, "__dataclass_fields__"):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(each) for each in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.hex() if isinstance(value, bytes) else value


def shown(value: Any) -> str:
    """A value as a table shows it: one line, no control characters."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (datetime, date)):
        return str(plain(value))
    if isinstance(value, list):
        return ", ".join(map(shown, value))
    text = " ".join(str(value).split())
    return "".join(c if c.isprintable() else "?" for c in text)[:160]


def money(minor: int, currency: str) -> str:
    from counterflow.core.money import Money

    return str(Money(currency, minor)) if currency else str(minor)


def _at(row: Any, path: str) -> Any:
    for name in path.split("."):
        row = row.get(name) if isinstance(row, Mapping) else None
    return row
