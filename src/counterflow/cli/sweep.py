"""Sweeping: read feeds now, whatever their schedule says."""

from counterflow.cli.failures import NOT_FOUND, Stop
from counterflow.cli.shell import Out, desk, show, shown


async def sweep(connection: str = "", feed: str = "", *, output: Out = "table") -> None:
    """Let the workers read feeds now: what webhooks have lost is found.

    Without a name all feeds of all connections. Prints each with when it was last read and how that ended.

    Parameters
    ----------
    connection
        Only the feeds of this connection.
    feed
        Only this one.
    """
    from counterflow.store import cursors
    from counterflow.store.shards import wake_sweep

    async with desk() as at, at.conn.transaction():
        rows = await cursors.make_due(at.conn, connection, feed, at.clock())
        await wake_sweep(at.conn)
    if not rows:
        what = shown(f"{connection} {feed}".strip()) or "at all"
        raise Stop(
            NOT_FOUND, f"No feed {what} is known: `counterflow connectors list` names feeds, a worker makes them"
        )
    show(rows, ("connection", "feed", "pulled_at", "message"), output)
