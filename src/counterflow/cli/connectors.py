"""Connectors: which kinds of systems this installation can speak to, and what they make of a delivery."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from counterflow.cli.failures import FAILED, NOT_FOUND, UNAVAILABLE, USAGE, Stop
from counterflow.cli.shell import Out, plain, show

if TYPE_CHECKING:
    from pydantic import BaseModel

    from counterflow.sdk.connector import Maker

app = App(name="connectors", help="Which systems can be connected.")


@app.command(name="list")
def list_(*, output: Out = "table") -> None:
    """Every installed connector, ours and others'."""
    from counterflow.configuration import makers

    rows = []
    for name, maker in sorted(makers().items()):
        manifest = maker.manifest
        rows.append(
            {
                "name": name,
                "title": manifest.title,
                "roles": list(manifest.roles),
                "commands": sorted(manifest.commands),
                "feeds": [feed.name for feed in manifest.feeds],
                "topics": list(manifest.topics),
                "docs": manifest.docs,
            }
        )
    show(rows, ("name", "title", "roles", "feeds"), output, "No connector is installed.")


@app.command(name="try")
async def try_(
    name: str,
    file: Path,
    *,
    header: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    output: Out = "table",
) -> None:
    """Show the facts that a delivery gives and the objects that it points at; nothing is stored, no signature needed.

    Parameters
    ----------
    name
        A connection of this installation; or a connector, which then has the configuration of its own checks.
    file
        The body as it came.
    header
        A header of the delivery as NAME=VALUE, where the topic is told by one; may be repeated.
    """
    from datetime import UTC, datetime

    from counterflow.sdk.connector import Context, Delivery, Signal
    from counterflow.sdk.http import Unlimited
    from counterflow.sdk.outcomes import Malformed

    if not file.is_file():
        raise Stop(NOT_FOUND, f"There is no file {file}: name one that holds the body of a delivery")
    headers: dict[str, tuple[str, ...]] = {}
    for each in header:
        key, sign, value = each.partition("=")
        if not sign:
            raise Stop(USAGE, f"--header {each}: write it as NAME=VALUE")
        headers[key.lower()] = (*headers.get(key.lower(), ()), value)
    now = datetime.now(UTC)
    maker, config = _made_of(name)
    connector = maker.make(config, Context(name, Unlimited(), lambda: now))
    try:
        told = connector.translate(Delivery(name, headers, file.read_bytes(), now))
    except Malformed as error:
        raise Stop(FAILED, f"{file} breaks the contract of {maker.manifest.title}: {error.message}") from None
    finally:
        await connector.aclose()
    rows = [
        {"what": f"look at {each.feed}", "occurred_at": None, "refs": [each.ref, *each.refs], "body": {}}
        if isinstance(each, Signal)
        else {"what": each.kind, "occurred_at": each.occurred_at, "refs": list(each.refs), "body": plain(each.body)}
        for each in told
    ]
    nothing = "It says nothing that we take: the topic is not one of ours, or is told by a --header that is missing."
    show(rows, ("what", "occurred_at", "refs", "body"), output, nothing)


@app.command(name="upgrade-check")
def upgrade_check(name: str, old: str, new: str, *, schema_dir: Path | None = None, output: Out = "table") -> None:
    """Show what another version of the vendor's API breaks in a connector; exit code 1 when something does.

    Parameters
    ----------
    name
        A connector whose vendor publishes the description of each version.
    old
        The version that works now.
    new
        The version to go to.
    schema_dir
        A folder with the vendor's descriptions; without it they are fetched once and kept in the user's cache.
    """
    from counterflow.configuration import makers
    from counterflow.sdk.upgrades import CannotCompare, Upgradable

    known = makers()
    if name not in known:
        raise Stop(NOT_FOUND, f"There is no connector {name!r}: use one of {', '.join(sorted(known))}")
    maker = known[name]
    if not isinstance(maker, Upgradable):
        able = ", ".join(sorted(each for each, maker in known.items() if isinstance(maker, Upgradable)))
        raise Stop(USAGE, f"{name} cannot compare versions of its API; these can: {able}")
    try:
        found = maker.upgrade_check(old, new, schema_dir)
    except CannotCompare as error:
        raise Stop(UNAVAILABLE, str(error)) from None
    rows = [{"kind": change.kind, "where": change.where, "what": change.what} for change in found]
    show(rows, ("kind", "where", "what"), output, f"Nothing that {name} uses changes from {old} to {new}.")
    if breaks := sum(change.kind == "breaks" for change in found):
        raise Stop(FAILED, f"{new} breaks {breaks} thing(s): mend the connector before api_version is set to it")


def _made_of(name: str) -> "tuple[Maker, BaseModel]":
    """The connector behind a name and its configuration. Raises Stop, or ConfigurationError of the installation."""
    from counterflow.configuration import load, makers
    from counterflow.sdk.testing.check import harness_of
    from counterflow.settings import Settings

    settings = Settings()
    connections = load(settings.home).connections if settings.config_file.exists() else {}
    if name in connections:
        return connections[name].maker, connections[name].config
    if name not in makers():
        known = ", ".join(sorted({*connections, *makers()}))
        raise Stop(NOT_FOUND, f"There is no connection and no connector {name!r}: use one of {known}")
    try:
        harness = harness_of(name)
    except LookupError as error:
        raise Stop(NOT_FOUND, f"{error.args[0]}; or make a connection of it in {settings.config_file}") from None
    return harness.maker, harness.maker.Config.model_validate(harness.config)
