"""Shards, the notifications that wake their drainers, and the advisory locks that make one drainer at a time."""

from collections.abc import Iterable
from zlib import crc32

from psycopg import AsyncConnection

SHARDS = 64  # fixed at the installation (table meta): every stored row's shard was computed with it

CHANNEL = "counterflow"  # payload "s:<shard>", "c:<connection>", or "t:" for a sweep at once

# First key of the two-part advisory locks of ours.
LOCK_SHARD, LOCK_WORKER, LOCK_CONNECTION, LOCK_DUTY, LOCK_CHECKPOINT = 7301, 7302, 7303, 7304, 7305

PAYOUTS = "payouts"  # all facts about payouts meet in one shard: a payout and its bank line cannot miss each other


def shard_of(ref: str) -> int:
    """The shard of a root sale, or of whatever else names a case."""
    return crc32(ref.encode()) % SHARDS


def lock_number(name: str) -> int:
    """A signed 32-bit number for a name, as the second key of an advisory lock."""
    return crc32(name.encode()) - (1 << 31)


async def wake_sweep(conn: AsyncConnection) -> None:
    """Let workers look at once for what is due: the clock has jumped."""
    await conn.execute("SELECT pg_notify(%s, 't:')", (CHANNEL,))


NOTIFY = "SELECT pg_notify(%s, p) FROM unnest(%s::text[]) p"


async def wake(conn: AsyncConnection, shards: Iterable[int] = (), connections: Iterable[str] = ()) -> None:
    """Wake the drainers when this transaction commits."""
    payloads = sorted({f"s:{shard}" for shard in shards} | {f"c:{name}" for name in connections})
    if payloads:
        await conn.execute(NOTIFY, (CHANNEL, payloads))
