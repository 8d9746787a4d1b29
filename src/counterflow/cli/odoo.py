"""The procedure of the fast lane in Odoo: installed and removed with an administrator's key."""

from typing import TYPE_CHECKING, Annotated, Any, Protocol, runtime_checkable

from cyclopts import App, Parameter

from counterflow.cli.failures import NOT_FOUND, USAGE, Stop

if TYPE_CHECKING:
    from counterflow.sdk.connector import Context

app = App(name="odoo", help="The fast lane's procedure in Odoo: install, remove.")

KEY = "COUNTERFLOW_ODOO_ADMIN_KEY"


@runtime_checkable
class Installs(Protocol):
    """A connector that puts something into the other side."""

    async def install(self, config: Any, context: "Context", key: str, *, login: str = "", remove: bool = False) -> str:
        """What was done, in a sentence. Raises ConnectorError."""


@app.command
async def install(
    connection: str = "odoo",
    *,
    key: Annotated[str, Parameter(env_var=KEY)] = "",
    login: Annotated[str, Parameter(env_var="COUNTERFLOW_ODOO_ADMIN_LOGIN")] = "",
    remove: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Put the procedure of the fast lane into Odoo as a server action, or bring it to this version (no module needed).

    Parameters
    ----------
    connection
        The connection to that Odoo.
    key
        API key of an Odoo administrator; it is used once and not kept. Better given in the environment.
    login
        The administrator's login; Odoo before 19 wants it beside the key.
    remove
        Take the procedure out again.
    """
    from datetime import UTC, datetime

    from counterflow.configuration import load
    from counterflow.sdk.connector import Context
    from counterflow.sdk.http import Unlimited
    from counterflow.settings import Settings

    known = load(Settings().home).connections
    if connection not in known:
        raise Stop(NOT_FOUND, f"There is no connection {connection!r}: use one of {', '.join(sorted(known)) or 'none'}")
    maker, config = known[connection].maker, known[connection].config
    if not isinstance(maker, Installs):
        raise Stop(USAGE, f"{connection} is no Odoo: name the connection whose connector is odoo")
    if not key:
        raise Stop(USAGE, f"Give the API key of an Odoo administrator with --key, or in {KEY}")
    context = Context(connection, Unlimited(), lambda: datetime.now(UTC))
    print(f"{connection}: {await maker.install(config, context, key, login=login, remove=remove)}")
