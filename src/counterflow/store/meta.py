"""What holds for the installation."""

from psycopg import AsyncConnection

from counterflow.store.shards import SHARDS


class WrongShards(Exception):
    """The database was made with another number of shards: its rows would not be found."""


async def get(conn: AsyncConnection, name: str) -> str:
    """The value of a setting of the installation (`shards`, `install_id`). Raises KeyError."""
    found = await conn.execute("SELECT value FROM meta WHERE name = %s", (name,))
    row = await found.fetchone()
    if row is None:
        raise KeyError(name)
    return str(row[0])


async def check(conn: AsyncConnection) -> None:
    """Raise WrongShards unless this program and the database agree."""
    kept = await get(conn, "shards")
    if kept != str(SHARDS):
        raise WrongShards(f"The database has {kept} shards and this version {SHARDS}: use the version that made it")
