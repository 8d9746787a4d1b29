"""The database of a simulation: one of its own on a given server, or an embedded server that forgets on purpose."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from counterflow.simulate.run import Stage
from counterflow.simulate.town import Ground
from counterflow.store.embedded import Embedded

# Nothing has to survive the machine: a crash of ours is what is simulated, not one of the server.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}


@contextmanager
def stage(url: str = "") -> Iterator[Stage]:
    """Everything that runs need; gone afterwards. `url` is a PostgreSQL server on which a database may be made."""
    home = Path(tempfile.mkdtemp(prefix="counterflow-simulate-"))
    server = url or Embedded.start(home / "server", **FAST)
    name = f"simulate_{os.getpid()}"
    try:
        with psycopg.connect(server, autocommit=True) as conn:
            conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        made = Stage(Ground.prepare(home, make_conninfo(server, dbname=name)))
        try:
            yield made
        finally:
            made.close()
            with psycopg.connect(server, autocommit=True) as conn:
                conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    finally:
        if not url:
            Embedded.stop(home / "server")
        shutil.rmtree(home, ignore_errors=True)
