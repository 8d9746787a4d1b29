"""Bring a database to the newest schema.

A migration is `migrations/versions/<number>_<what>.py`; its revision id is that number ("0001", "0002", ...), so the
newest one is known from the file names alone, and a database that is current costs one query and no import of Alembic.
"""

from pathlib import Path

import psycopg
from psycopg.errors import UndefinedTable

MIGRATIONS = Path(__file__).parent / "migrations"


class MigrationError(Exception):
    """The database cannot be brought to this version's schema; the message names the next move."""


def upgrade(url: str) -> None:
    """Run the migrations that are missing in the database at `url`, in one transaction: all of them or none.

    Several processes may call this at once: one migrates, the others wait for it. Raises MigrationError when the
    database was made by a newer version of Counterflow, psycopg.Error when it cannot be reached or refuses.
    """
    have, want = current(url), newest()
    if have == want:
        return
    if have > want:
        raise MigrationError(
            f"The database is at migration {have} and this version knows only {want or 'none'}: upgrade Counterflow"
        )
    _run_alembic(url)


def current(url: str) -> str:
    """The number of the last migration in the database at `url`; "" for none."""
    with psycopg.connect(url) as connection:
        try:
            row = connection.execute("select version_num from alembic_version").fetchone()
        except UndefinedTable:
            return ""
    return row[0] if row else ""


def newest() -> str:
    """The number of the last migration that this version brings; "" for none."""
    return max((path.name.split("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*_*.py")), default="")


def _run_alembic(url: str) -> None:
    from alembic import command
    from alembic.config import Config
    from sqlalchemy.exc import DBAPIError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["url"] = url
    try:
        command.upgrade(config, "head")
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.Error):
            raise error.orig from error
        raise
