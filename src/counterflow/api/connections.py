"""Connections: the outside systems, and how each is doing."""

from datetime import datetime

from pydantic import BaseModel

from counterflow.api.route import The, Who, make_router, needs
from counterflow.api.shapes import Page
from counterflow.sdk.manifest import Limits
from counterflow.store import connection_queries

router = make_router("connections")


class Connection(BaseModel):
    """`circuit`: closed lets calls through, open waits until `paused_until`, stopped waits for a person.

    Calls of all workers share a bucket of `burst` tokens that is refilled by `per_second`; `tokens` are left in it now,
    below zero while calls wait. `concurrency` calls may be under way at once.
    """

    name: str
    connector: str
    environment: str
    functions: list[str]
    circuit: str
    failures: int
    paused_until: datetime | None
    reason: str
    planned: int
    sending: int
    unknown: int
    accepted: int
    parked: int
    oldest_at: datetime | None
    concurrency: int
    per_second: float
    burst: float
    tokens: float


@router.get("/connections", **needs("connections.read"))
async def list_connections(the: The, who: Who) -> Page[Connection]:
    """Every configured connection of the key's environment, with its circuit and what waits for it."""
    async with the.pool.connection() as conn:
        rows = {row.name: row for row in await connection_queries.standing(conn)}
    items = []
    for name, account in sorted(the.accounts.items()):
        if account.environment != who.key.environment or (who.key.channels and name not in who.key.channels):
            continue
        row = rows.get(name)
        items.append(
            Connection(
                name=name,
                connector=account.connector,
                environment=account.environment,
                functions=sorted(account.functions),
                circuit=row.circuit if row else "closed",
                failures=row.failures if row else 0,
                paused_until=row.paused_until if row else None,
                reason=row.reason if row else "",
                planned=row.planned if row else 0,
                sending=row.sending if row else 0,
                unknown=row.unknown if row else 0,
                accepted=row.accepted if row else 0,
                parked=row.parked if row else 0,
                oldest_at=row.oldest_at if row else None,
                concurrency=account.limits.concurrency,
                per_second=account.limits.per_second,
                burst=account.limits.burst,
                tokens=_tokens(row, account.limits, the.clock()),
            )
        )
    return Page(items=items)


def _tokens(row: connection_queries.Standing | None, limits: Limits, now: datetime) -> float:
    if row is None:
        return limits.burst
    refilled = limits.per_second * max(0.0, (now - row.refilled_at).total_seconds())
    return round(min(limits.burst, row.tokens + refilled), 3)
