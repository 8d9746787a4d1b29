"""Answers to POSTs under the caller's idempotency key, so that a repeat gets the same one and does nothing."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg import AsyncConnection

# A process that died in the middle frees the key after this. What it did carries ids made from the key, so that doing
# it again changes nothing.
IN_FLIGHT = timedelta(seconds=60)
KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of a key that was used before. Status 0: its request is being carried out."""

    request_hash: bytes
    status: int
    body: str


async def claim(
    conn: AsyncConnection, key_id: str, request_key: str, request_hash: bytes, now: datetime
) -> Answer | None:
    """None: the key is ours now, carry the request out. Else what is known of it."""
    ours = await conn.execute(
        "INSERT INTO idempotency_keys AS k (key_id, request_key, request_hash, status, answer, created_at, claimed_at) "
        "VALUES (%(id)s, %(key)s, %(hash)s, 0, '', %(now)s, %(now)s) ON CONFLICT (key_id, request_key) DO UPDATE "
        "SET claimed_at = excluded.claimed_at WHERE k.status = 0 AND k.request_hash = excluded.request_hash "
        "AND k.claimed_at < %(dead)s RETURNING 1",
        {"id": key_id, "key": request_key, "hash": request_hash, "now": now, "dead": now - IN_FLIGHT},
        prepare=True,
    )
    if await ours.fetchone() is not None:
        return None
    found = await conn.execute(
        "SELECT request_hash, status, answer FROM idempotency_keys WHERE key_id = %s AND request_key = %s",
        (key_id, request_key),
        prepare=True,
    )
    row = await found.fetchone()
    return Answer(bytes(row[0]), row[1], row[2]) if row else Answer(request_hash, 0, "")


async def keep(conn: AsyncConnection, key_id: str, request_key: str, status: int, body: str) -> None:
    await conn.execute(
        "UPDATE idempotency_keys SET status = %s, answer = %s, claimed_at = NULL "
        "WHERE key_id = %s AND request_key = %s AND status = 0",
        (status, body, key_id, request_key),
        prepare=True,
    )


async def release(conn: AsyncConnection, key_id: str, request_key: str) -> None:
    """The request was refused and did nothing: the key may be used for the corrected one."""
    await conn.execute(
        "DELETE FROM idempotency_keys WHERE key_id = %s AND request_key = %s AND status = 0",
        (key_id, request_key),
        prepare=True,
    )


async def forget(conn: AsyncConnection, now: datetime) -> int:
    """Drop answers that nobody will ask for again; how many."""
    return (await conn.execute("DELETE FROM idempotency_keys WHERE created_at < %s", (now - KEPT,))).rowcount
