"""Exceptions: what needs a person, and what the person does with it."""

from datetime import UTC, datetime
from typing import Any

from cyclopts import App

from counterflow.cli.failures import NOT_FOUND, USAGE, Stop
from counterflow.cli.shell import Desk, Out, Reason, desk, dump, missing, plain, runtime, show, shown

app = App(name="exceptions", help="What needs a person: list, show, retry, park, discard, resolve.")


@app.command(name="list")
async def list_(
    *,
    status: str = "open",
    kind: str = "",
    owner: str = "",
    case: str = "",
    parked: bool = False,
    limit: int = 100,
    output: Out = "table",
) -> None:
    """Exceptions, the most urgent first.

    Parameters
    ----------
    status
        open, resolved, withdrawn, or all.
    kind
        Only this class.
    owner
        Only this team's.
    case
        Only this case's.
    parked
        Those parked until later too.
    limit
        At most so many.
    """
    from counterflow.store import exception_queries

    if status not in ("open", "resolved", "withdrawn", "all"):
        raise Stop(USAGE, f"{shown(status)} is no status: use open, resolved, withdrawn or all")
    async with desk() as at:
        rows = await exception_queries.page(
            at.conn,
            status="" if status == "all" else status,
            kind=kind,
            owner=owner,
            case_id=case,
            awake_at=None if parked or status != "open" else at.clock(),
            limit=max(1, min(limit, 10_000)),
        )
    show(rows, ("exception_id", "kind", "severity", "owner", "due_at", "case_id", "message"), output, "No exception.")


@app.command(name="show")
async def show_(exception: str, *, output: Out = "table") -> None:
    """One exception, and what settles it.

    Parameters
    ----------
    exception
        Its id.
    """
    from counterflow.engine import people

    async with desk() as at:
        row = await _get(at, exception)
    row["actions"] = [*people.actions_of(row["kind"]), "park"]
    if output == "json":
        dump(row)
        return
    for name, value in plain(row).items():
        if value not in ("", None):
            print(f"{name.replace('_', ' '):>14}  {shown(value) if name != 'message' else value}")


@app.command
async def retry(exception: str, *, reason: Reason) -> None:
    """Try what it is about again, after its cause was mended.

    Parameters
    ----------
    exception
        Its id.
    """
    await _settle(exception, "retry", reason)


@app.command
async def discard(exception: str, *, reason: Reason) -> None:
    """Give up what it is about.

    Parameters
    ----------
    exception
        Its id.
    """
    await _settle(exception, "discard", reason)


@app.command
async def resolve(exception: str, *, reason: Reason, action: str = "resolve") -> None:
    """Settle it by one of its actions, which `show` lists.

    Parameters
    ----------
    exception
        Its id.
    action
        resolve, or another one of its actions.
    """
    await _settle(exception, action, reason)


@app.command
async def park(exception: str, *, until: datetime, reason: Reason) -> None:
    """Put it out of sight until a time; it stays open.

    Parameters
    ----------
    exception
        Its id.
    until
        When it shall be seen again (UTC unless it names its offset).
    """
    from counterflow.engine import people

    async with desk() as at:
        row = await _get(at, exception)
        instant = until if until.tzinfo else until.replace(tzinfo=UTC)
        await people.park(at.conn, row, instant, reason, at.act("park"))
    print(f"{exception} is parked until {shown(instant)}")


async def _settle(exception: str, action: str, reason: str) -> None:
    from counterflow.engine import people

    async with desk() as at:
        row = await _get(at, exception)
        try:
            if row["kind"] == "malformed_delivery" and action == "retry":
                async with runtime() as opened:
                    await people.settle(at.conn, row, action, reason, at.act(action), opened.connectors)
            else:  # needs no sound configuration
                await people.settle(at.conn, row, action, reason, at.act(action), {})
        except KeyError:
            raise Stop(NOT_FOUND, f"what it is about ({row['subject']}) is gone: resolve it instead") from None
    print(f"{exception}: {action} is under way; `counterflow exceptions show {exception}` says how it ended")


async def _get(at: Desk, exception: str) -> dict[str, Any]:
    from counterflow.store import exception_queries

    row = await exception_queries.get(at.conn, exception)
    if row is None:
        raise missing(
            f"there is no exception {shown(exception)}", "`counterflow exceptions list` shows those that are open"
        )
    return row
