"""The conformance kit and the flows of one connector, on its simulator or on a real system."""

import sys
from typing import Annotated

from cyclopts import Parameter

from counterflow.cli.failures import FAILED, NOT_FOUND, Stop
from counterflow.cli.shell import Out, show

_Key = Annotated[str, Parameter(env_var="COUNTERFLOW_LIVE_KEY")]
_AdminKey = Annotated[str, Parameter(env_var="COUNTERFLOW_LIVE_ADMIN_KEY")]


def conformance(
    name: str,
    *,
    faults: int = 1000,
    spoiled: int = 300,
    url: str = "",
    db: str = "",
    key: _Key = "",
    admin_key: _AdminKey = "",
    login: str = "",
    admin_login: str = "admin",
    set_: Annotated[tuple[str, ...], Parameter(name="--set")] = (),
    only: str = "",
    output: Out = "table",
) -> int:
    """Run kit and flows of an installed connector against its own simulator; with --url the flows on a real system.

    Take a test system: the flows set up data of their own there, sell, return and book.

    Parameters
    ----------
    name
        The connector, as `counterflow connectors list` prints it.
    faults
        How many random faults the soak goes through, over all commands.
    spoiled
        How many spoiled deliveries, answers and files each check of bad input goes through.
    url
        A real system, as http://127.0.0.1:8069.
    db
        Its database, where it serves several.
    key
        The key of the user that the connector works as.
    admin_key
        The key of a user who may set things up; without it the first one has to be allowed to.
    login
        The name of the first user, where a key alone does not say it (Odoo 18).
    admin_login
        The name of the second.
    set_
        A setting of the connection as NAME=VALUE, such as lane=fast; may be repeated.
    only
        Only the checks and flows whose name has these words.
    """
    from counterflow.sdk.testing.check import Target, live, run

    try:
        if url:
            settings = tuple((name, value) for name, _, value in (entry.partition("=") for entry in set_))
            target = Target(url, db, key, admin_key, login, admin_login, settings)
            results = live(name, target, only, lambda result: print(f"{result.outcome} {result.case}", file=sys.stderr))
        else:
            results = run(name, faults, spoiled, only) + live(name, only=only)
    except LookupError as error:
        raise Stop(NOT_FOUND, str(error).strip("'\"")) from None
    show(results, ("point", "outcome", "case", "message"), output)
    return FAILED if any(result.outcome == "failed" for result in results) else 0
