"""The retailer's configuration: connections, places and routes (`counterflow.toml`), policies (`policies/*.toml`).

Secrets are not written into the file: a value `"env:NAME"` is read from the environment, `"file:PATH"` from a file.
Files are read again when they change; the environment of a process never does.
"""

import os
import tomllib
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from counterflow.core.policy import PolicySet, parse
from counterflow.core.returns.case import Place, Routes, Setting
from counterflow.guards import compile_guard
from counterflow.policies import default
from counterflow.sdk.connector import Maker


class ConfigurationError(Exception):
    """The configuration cannot be used; the message lists every problem with its place and the next move."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ConnectionModel(BaseModel):
    """One configured account of one outside system. What else is in its table belongs to its connector."""

    model_config = ConfigDict(extra="allow")

    connector: str = Field(description="Name of the connector, as `counterflow connectors list` prints it")
    environment: Literal["production", "test"] = Field(
        "test", description="Production and test never share a credential"
    )
    functions: list[str] = Field(
        default_factory=lambda: ["returns", "stock", "refunds", "books", "settlement"],
        description="Business functions that this credential serves",
    )


class PlaceModel(_Strict):
    name: str = Field(description="What receipts and inspections call the place")
    connection: str = Field("", description="The connection that announcements and instructions for it go to")
    inspects: bool = Field(True, description="False: goods handed in here travel on to be inspected")
    legal_entity: str = Field("", description="The company that owns the stock there")


class RoutesModel(_Strict):
    erp: str = Field("odoo", description="Connection of the ERP")
    notify: str = Field("", description="Connection that sends messages to customers; empty: nobody is told")
    cash: str = Field("", description="Till that pays cash refunds")
    bank: str = Field("", description="Connection that pays by bank transfer; empty: a person does")
    inspection_place: str = Field("", description="Place that returns are announced to")
    payments: dict[str, str] = Field(default_factory=dict, description="A shop's connection -> its payment provider's")


class SettlementModel(_Strict):
    payout_days: int = Field(
        7, ge=1, le=90, description="Days after a payout's day until finance is told that no bank line has come"
    )


class ConfigurationModel(_Strict):
    """The file as a whole."""

    connections: dict[str, ConnectionModel] = Field(default_factory=dict)
    places: list[PlaceModel] = Field(default_factory=list)
    routes: RoutesModel = Field(default_factory=lambda: RoutesModel.model_validate({}))
    settlement: SettlementModel = Field(default_factory=lambda: SettlementModel.model_validate({}))


@dataclass(frozen=True)
class Connection:
    """A connection ready to be made: its maker and its checked configuration."""

    name: str
    maker: Maker
    config: BaseModel
    environment: str
    functions: frozenset[str]


@dataclass(frozen=True)
class Configuration:
    connections: dict[str, Connection]
    setting: Setting
    files: tuple[Path, ...] = ()  # what the connections were read from: `counterflow.toml`, and the files it names


Seen = tuple[tuple[int, int, int] | None, ...]


def seen(files: tuple[Path, ...]) -> Seen:
    """What tells one content of these files from the next: a file that was replaced or written differs."""
    found: list[tuple[int, int, int] | None] = []
    for path in files:
        try:
            stat = path.stat()
            found.append((stat.st_ino, stat.st_mtime_ns, stat.st_size))
        except OSError:
            found.append(None)
    return tuple(found)


def makers() -> dict[str, Maker]:
    """Every installed connector by name: ours and third parties' come through the same entry points."""
    return {point.name: point.load() for point in entry_points(group="counterflow.connectors")}


def load(home: Path) -> Configuration:
    """Read and check everything under the home. Raises ConfigurationError with all problems at once."""
    path = home / "counterflow.toml"
    if not path.exists():
        raise ConfigurationError(f"{path} does not exist: run `counterflow init {home}` or set COUNTERFLOW_HOME")
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
        model = ConfigurationModel.model_validate(raw)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: {error}: correct the line") from None
    except ValidationError as error:
        raise ConfigurationError(_told(str(path), error)) from None
    problems: list[str] = []
    connections = _connections(model, problems)
    names = set(connections) | set(model.connections)
    routed = {
        f"routes.{k}": v for k, v in model.routes.model_dump().items() if isinstance(v, str) and k != "inspection_place"
    }
    routed |= {f"routes.payments.{k}": v for k, v in model.routes.payments.items()}
    routed |= {f"places.{place.name}.connection": place.connection for place in model.places}
    problems += [
        f"{where} names {name!r}, which is no connection"
        for where, name in routed.items()
        if name and name not in names
    ]
    if model.routes.inspection_place and model.routes.inspection_place not in {place.name for place in model.places}:
        problems.append(
            f"routes.inspection_place {model.routes.inspection_place!r} is no place: add it under [[places]]"
        )
    policies = _policies(home / "policies", problems)
    if problems:
        raise ConfigurationError("\n".join(problems))
    files = (path, *(Path(name) for name in sorted(_named(raw.get("connections", {}), "file:"))))
    setting = Setting(policies, routes_of(model), payout_days=model.settlement.payout_days)
    return Configuration(connections, setting, files)


def routes_of(model: ConfigurationModel) -> Routes:
    routes = model.routes
    places = tuple(Place(p.name, p.connection, p.inspects, p.legal_entity) for p in model.places)
    return Routes(routes.erp, routes.notify, places, routes.payments, routes.cash, routes.bank, routes.inspection_place)


def _connections(model: ConfigurationModel, problems: list[str]) -> dict[str, Connection]:
    found = makers()
    connections = {}
    for name, entry in model.connections.items():
        maker = found.get(entry.connector)
        if maker is None:
            problems.append(
                f"connections.{name}: there is no connector {entry.connector!r}: install it, or use one of "
                + ", ".join(sorted(found))
            )
            continue
        try:
            config = maker.Config.model_validate(_secrets(entry.model_extra or {}, f"connections.{name}", problems))
        except ValidationError as error:
            problems.append(_told(f"connections.{name}", error))
            continue
        connections[name] = Connection(name, maker, config, entry.environment, frozenset(entry.functions))
    return connections


def _secrets(values: dict[str, Any], where: str, problems: list[str]) -> dict[str, Any]:
    """Values with `env:` and `file:` resolved, in nested tables too."""
    return {key: _resolved(value, f"{where}.{key}", problems) for key, value in values.items()}


def _named(value: Any, kind: str) -> set[str]:
    """What the values of this kind name, however deep."""
    if isinstance(value, dict):
        return {name for inner in value.values() for name in _named(inner, kind)}
    return {value.removeprefix(kind)} if isinstance(value, str) and value.startswith(kind) else set()


def _resolved(value: Any, where: str, problems: list[str]) -> Any:
    if isinstance(value, dict):
        return _secrets(value, where, problems)
    if not isinstance(value, str):
        return value
    kind, _, rest = value.partition(":")
    if kind == "env":
        if not os.environ.get(rest):
            problems.append(f"{where}: the environment variable {rest} is not set")
        return os.environ.get(rest, "")
    if kind == "file":
        path = Path(rest)
        if not path.exists():
            problems.append(f"{where}: the file {path} does not exist")
            return ""
        return path.read_text("utf-8").strip()
    return value


def _policies(directory: Path, problems: list[str]) -> tuple[PolicySet, ...]:
    sets = []
    for path in sorted(directory.glob("*.toml")) if directory.exists() else ():
        result = parse(path.read_text("utf-8"), compile_guard)
        if isinstance(result, PolicySet):
            sets.append(result)
        else:
            problems += [f"{path.name}: {problem}" for problem in result]
    return tuple(sets) or (default(),)


def _told(where: str, error: ValidationError) -> str:
    """A validation error as lines for a person, without the values (they may be secrets)."""
    return "\n".join(f"{where}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
