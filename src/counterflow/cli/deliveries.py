"""Deliveries: what arrived, raw, and what was made of it."""

import sys
from typing import Annotated, Literal

from cyclopts import App, Parameter

from counterflow.cli.failures import NOT_FOUND, Stop
from counterflow.cli.shell import Out, desk, dump, show, shown

app = App(name="deliveries", help="What arrived, raw: webhooks, and answers that could not be read.")


@app.command(name="list")
async def list_(
    *,
    connection: str = "",
    status: Literal["", "translated", "ignored", "malformed"] = "",
    limit: int = 100,
    output: Out = "table",
) -> None:
    """Deliveries, the newest first.

    Parameters
    ----------
    connection
        Only what this connection sent.
    status
        translated: it gave facts; ignored: its topic says nothing to us; malformed: it could not be read.
    limit
        At most so many.
    """
    from counterflow.store import delivery_queries

    async with desk() as at:
        limit = max(1, min(limit, 10_000))
        rows = await delivery_queries.page(at.conn, connection=connection, status=status, limit=limit)
    show(
        rows, ("delivery_id", "connection", "received_at", "status", "facts", "size", "reason"), output, "No delivery."
    )


@app.command(name="show")
async def show_(
    delivery: str, *, body: Annotated[bool, Parameter(name="--body", negative="")] = False, output: Out = "table"
) -> None:
    """One delivery as it came. It may hold personal data.

    Parameters
    ----------
    delivery
        Its id (dl_...).
    body
        Only the raw bytes, for a file or a program.
    """
    from counterflow.store import delivery_queries

    async with desk() as at:
        kept = await delivery_queries.get(at.conn, delivery)
    if kept is None:
        raise Stop(NOT_FOUND, f"There is no delivery {shown(delivery)}: `counterflow deliveries list` names them")
    if body:
        sys.stdout.flush()
        sys.stdout.buffer.write(kept.body)
        return
    text = kept.body.decode("utf-8", "backslashreplace")
    if output == "json":
        dump({**{name: getattr(kept, name) for name in kept.__dataclass_fields__}, "body": text})
        return
    print(f"{kept.delivery_id}  {kept.connection}  {shown(kept.received_at)}  {kept.status}  {shown(kept.reason)}")
    for name, values in kept.headers.items():
        print(f"{name}: {', '.join(map(shown, values))}")
    print(f"\n{text}")
