"""What the API works with. The runtime makes it; nothing here knows how."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fastapi import Request
from prometheus_client import CollectorRegistry

from counterflow.api.throttle import Throttle
from counterflow.core.returns.case import Setting
from counterflow.intake.receive import Intake
from counterflow.sdk.connector import Clock
from counterflow.sdk.manifest import Limits
from counterflow.store.pool import Pool


@dataclass(frozen=True, slots=True)
class Account:
    """A configured connection, as far as the API tells of it: never its secrets."""

    name: str
    connector: str
    environment: str
    functions: frozenset[str]
    limits: Limits


@dataclass(frozen=True)
class Services:
    """`pepper` is the installation's secret under which API keys are hashed; `accounts` the configured connections."""

    pool: Pool
    intake: Intake
    setting: Setting
    accounts: Mapping[str, Account]
    clock: Clock
    pepper: bytes
    max_body_bytes: int = 2_000_000
    throttle: Throttle = field(default_factory=Throttle)
    metrics: CollectorRegistry = field(default_factory=CollectorRegistry)


def services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found
