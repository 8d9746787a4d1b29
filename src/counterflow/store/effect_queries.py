"""Effects as people look at them."""

from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row

UNDER_WAY = ("planned", "sending", "accepted", "unknown", "parked")


@dataclass(frozen=True, slots=True)
class EffectRow:
    """An effect as people see it."""

    effect_id: str
    owner: str
    connection: str
    kind: str
    status: str
    attempts: int
    looks: int
    not_before: datetime
    decided_at: datetime
    first_sent_at: datetime | None
    done_at: datetime | None
    word: str
    message: str
    ref: str
    because: str


async def of_owner(conn: AsyncConnection, owner: str) -> list[EffectRow]:
    """What was ever decided to be done outside for a case or a payout, in the order of the decisions."""
    async with conn.cursor(row_factory=class_row(EffectRow)) as cursor:
        await cursor.execute(
            f"SELECT {_COLUMNS} FROM effects WHERE owner = %s ORDER BY decided_at, effect_id", (owner,)
        )
        return await cursor.fetchall()


_COLUMNS = (
    "effect_id, owner, connection, kind, status, attempts, looks, not_before, decided_at, first_sent_at, done_at, "
    "word, message, ref, because"
)
