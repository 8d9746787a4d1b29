"""Connections: the outside systems, and how each is doing."""

from datetime import datetime

from pydantic import BaseModel

from counterflow.api.route import The, Who, make_router, needs
from counterflow.api.shapes import Page
from counterflow.store import connection_queries

router = make_router("connections")


class Connection(BaseModel):
    """`circuit`: closed lets calls through, open waits until `paused_until`, stopped waits for a person."""

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
            )
        )
    return Page(items=items)
