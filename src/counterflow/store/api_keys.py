"""API keys: `cf_<environment>_<id>_<secret>`, shown once when made, kept only as a keyed hash.

The secret has 256 bits of chance, so a keyed hash (HMAC-SHA256 under the installation's secret, which is not in the
database) is as hard to undo as a slow one, and costs a request nothing.
"""

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg import AsyncConnection
from psycopg.rows import class_row

ENVIRONMENTS = {"production": "live", "test": "test"}
USED_EVERY = timedelta(minutes=1)  # last_used_at is written at most this often


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One key as it is kept. Empty `channels` and `functions` mean all of them."""

    key_id: str
    name: str
    person: str  # whose hands these are: two keys of one person are one approver
    role: str
    environment: str
    channels: tuple[str, ...]  # connections whose sales it may see
    functions: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def usable(self, now: datetime) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class KeyExists(Exception):
    """A key with this name was made before; names are never used again, as the log speaks of them."""


async def issue(
    conn: AsyncConnection,
    pepper: bytes,
    *,
    name: str,
    role: str,
    environment: str,
    now: datetime,
    person: str = "",
    channels: tuple[str, ...] = (),
    functions: tuple[str, ...] = (),
    expires_at: datetime | None = None,
) -> tuple[str, str]:
    """Make a key: (its id, the key itself, which nobody can read again). Raises KeyExists."""
    key_id = f"key_{secrets.token_hex(6)}"
    token = f"cf_{ENVIRONMENTS[environment]}_{key_id[4:]}_{secrets.token_urlsafe(32)}"
    found = await conn.execute(
        "INSERT INTO api_keys (key_id, name, person, role, secret_hash, environment, channels, functions, created_at, "
        "expires_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (name) DO NOTHING RETURNING key_id",
        (
            *(key_id, name, person or name, role, digest(pepper, token), environment),
            *(list(channels), list(functions), now, expires_at),
        ),
    )
    if await found.fetchone() is None:
        raise KeyExists(f"there is a key named {name!r} already: choose another name")
    return key_id, token


async def find(conn: AsyncConnection, pepper: bytes, token: str) -> ApiKey | None:
    """The key that this token is, usable or not; None for a token that was never given out."""
    parts = token.split("_", 3)
    if len(parts) != 4 or parts[0] != "cf":
        return None
    key_id = f"key_{parts[2]}"
    found = await conn.execute(
        "SELECT secret_hash FROM api_keys WHERE key_id = %s", (key_id.replace("\x00", ""),), prepare=True
    )
    row = await found.fetchone()
    # The same work for an id that does not exist, so that the time tells nothing.
    if not hmac.compare_digest(row[0] if row else "0" * 64, digest(pepper, token)):
        return None
    async with conn.cursor(row_factory=class_row(ApiKey)) as cursor:
        await cursor.execute(f"SELECT {_COLUMNS} FROM api_keys WHERE key_id = %s", (key_id,), prepare=True)
        return await cursor.fetchone()


async def used(conn: AsyncConnection, key_id: str, now: datetime) -> None:
    """Remember that it was used, at most once a minute."""
    await conn.execute(
        "UPDATE api_keys SET last_used_at = %(now)s WHERE key_id = %(id)s "
        "AND (last_used_at IS NULL OR last_used_at <= %(since)s)",
        {"id": key_id, "now": now, "since": now - USED_EVERY},
        prepare=True,
    )


async def revoke(conn: AsyncConnection, name_or_id: str, now: datetime) -> bool:
    """Whether there was such a key; one that is revoked stays as it is."""
    found = await conn.execute(
        "UPDATE api_keys SET revoked_at = coalesce(revoked_at, %s) WHERE %s IN (key_id, name)", (now, name_or_id)
    )
    return found.rowcount > 0


async def page(conn: AsyncConnection) -> list[ApiKey]:
    async with conn.cursor(row_factory=class_row(ApiKey)) as cursor:
        await cursor.execute(f"SELECT {_COLUMNS} FROM api_keys ORDER BY created_at, key_id")
        return await cursor.fetchall()


async def persons(conn: AsyncConnection, names: list[str]) -> dict[str, str]:
    """Who stands behind keys, by the keys' names."""
    found = await conn.execute("SELECT name, person FROM api_keys WHERE name = ANY(%s)", (names,))
    return dict(await found.fetchall())


def digest(pepper: bytes, token: str) -> str:
    return hmac.digest(pepper, token.encode("utf-8", "replace"), "sha256").hex()


_COLUMNS = (
    "key_id, name, person, role, environment, channels, functions, created_at, expires_at, revoked_at, last_used_at"
)
