"""Connections to Postgres. Direct ones only: advisory locks and LISTEN do not survive a pooler in transaction mode."""

import contextlib

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

# A lost network frees the locks of a dead worker after about 20 seconds instead of hours.
_KEEPALIVE = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}

PATIENCE_SECONDS = 10.0  # for a connection of the pool

Pool = AsyncConnectionPool[AsyncConnection]


def make_pool(url: str, *, min_size: int = 1, max_size: int = 8) -> Pool:
    """A pool that is not open yet: `async with make_pool(url) as pool`. Connections are in autocommit."""
    return AsyncConnectionPool(
        url,
        min_size=min_size,
        max_size=max_size,
        open=False,
        timeout=PATIENCE_SECONDS,
        kwargs={"autocommit": True, **_KEEPALIVE},
    )


async def mend(pool: Pool) -> None:
    """Replace the connections that a restart of Postgres has cut: the pool notices them only one by one, when used."""
    with contextlib.suppress(psycopg.OperationalError):
        await pool.check()


def gone(error: BaseException) -> bool:
    """Whether the database is the trouble, and not what was to be written: that fails however often it is tried."""
    return isinstance(error, psycopg.OperationalError) and not isinstance(error, psycopg.errors.ProgramLimitExceeded)


async def connect(url: str) -> AsyncConnection:
    """One connection of its own, for locks and LISTEN."""
    return await AsyncConnection.connect(url, autocommit=True, keepalives=1, keepalives_idle=5, keepalives_interval=5)
