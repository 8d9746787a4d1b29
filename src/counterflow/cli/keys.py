"""API keys: made, listed, revoked. A key is shown once, when it is made."""

from datetime import timedelta
from typing import Annotated, Literal

from cyclopts import App, Parameter

from counterflow.cli.failures import USAGE, Stop
from counterflow.cli.shell import Out, desk, dump, missing, show, shown

app = App(name="keys", help="API keys: create, list, revoke.")

Roles = Literal["reader", "agent", "warehouse", "finance", "integration", "admin"]
Functions = Literal["returns", "stock", "refunds", "books", "settlement"]


@app.command
async def create(
    name: str,
    *,
    role: Roles,
    environment: Literal["production", "test"] = "test",
    channel: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    function: Annotated[tuple[Functions, ...], Parameter(negative="")] = (),
    person: str = "",
    days: int = 90,
    output: Out = "table",
) -> None:
    """Make a key and print it; it cannot be read again.

    Parameters
    ----------
    name
        What the log will call it. A name is never used twice.
    role
        What it may do.
    environment
        Which connections it reaches.
    channel
        Only sales of this connection; may be given several times.
    function
        Only this business function; may be given several times.
    person
        Who holds it, if that is not its name: two keys of one person are one approver.
    days
        How long it is valid, 1 to 730.
    """
    from counterflow.settings import Settings
    from counterflow.store import api_keys, secret

    if not 1 <= days <= 730:
        raise Stop(USAGE, f"--days is {days}: use 1 to 730")
    if not name.isprintable() or not 1 <= len(name) <= 100:
        raise Stop(USAGE, "the name has to be 1 to 100 printable characters")
    pepper = secret.load_or_create(Settings().home)
    async with desk() as at:
        now = at.clock()
        key_id, token = await api_keys.issue(
            at.conn,
            pepper,
            name=name,
            role=role,
            environment=environment,
            now=now,
            person=person,
            channels=channel,
            functions=function,
            expires_at=now + timedelta(days=days),
        )
    if output == "json":
        dump({"key_id": key_id, "name": name, "key": token, "expires_at": now + timedelta(days=days)})
    else:
        print(f"{token}\n{name} ({key_id}) is valid for {days} days. This is the only time that the key is shown.")


@app.command(name="list")
async def list_(*, output: Out = "table") -> None:
    """All keys, without their secrets."""
    from counterflow.store import api_keys

    async with desk() as at:
        rows = await api_keys.page(at.conn)
    columns = (
        "key_id",
        "name",
        "person",
        "role",
        "environment",
        "channels",
        "expires_at",
        "revoked_at",
        "last_used_at",
    )
    show(rows, columns, output, "No key yet: `counterflow keys create` makes one.")


@app.command
async def revoke(key: str) -> None:
    """Make a key useless, now and for ever.

    Parameters
    ----------
    key
        Its name or its id.
    """
    from counterflow.store import api_keys

    async with desk() as at:
        if not await api_keys.revoke(at.conn, key, at.clock()):
            raise missing(f"there is no key {shown(key)}", "`counterflow keys list` shows all")
    print(f"{key} is revoked")
