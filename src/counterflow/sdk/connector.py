"""The one protocol that a connector implements. All methods that do no I/O are pure; the rest is async.

verify, identify, translate   a delivery (webhook, file, form post) becomes facts and signals      pure
fetch, pull                   read one thing, or page by page                                      reads
send, find                    the only way to change the other side, and to ask whether it did     writes
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

import httpx2
from pydantic import BaseModel, ConfigDict

from counterflow.core.effects import Effect
from counterflow.core.facts import Fact
from counterflow.sdk.http import Limiter, Transport
from counterflow.sdk.manifest import Manifest
from counterflow.sdk.outcomes import Outcome


@dataclass(frozen=True, slots=True)
class Delivery:
    """One raw message as it arrived. Header names are lower case; a repeated header keeps all its values."""

    connection: str
    headers: Mapping[str, tuple[str, ...]]
    body: bytes
    received_at: datetime

    def header(self, name: str) -> str:
        """The value of a header that has to be there once; empty when it is absent or ambiguous."""
        values = self.headers.get(name, ())
        return values[0] if len(values) == 1 else ""


@dataclass(frozen=True, slots=True)
class Signal:
    """Look at this: the engine fetches the object fresh, and the answer gives the facts.

    Most shops and payment providers resend old bodies out of order, so a body is a pointer and never a state.
    `refs` says what it is about as far as the body tells, so that a person sees it before the look.
    """

    feed: str
    ref: str
    refs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a feed. `cursor` is opaque and kept by us; pulling from any kept cursor loses nothing.

    `warning` of the last page: what is wrong over there although the page is right. It is shown to a person, and taken
    back by a sweep that has none.
    """

    items: tuple[Fact | Signal, ...]
    cursor: str
    more: bool
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """What the runtime hands to a connector when it is made."""

    connection: str  # the connection's name: first part of every reference
    limiter: Limiter  # shared by all processes
    now: "Clock"
    network: httpx2.AsyncBaseTransport | None = None  # tests put a simulator here; None: the real network

    def transport(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float = 10.0,
        max_bytes: int = 20_000_000,
    ) -> Transport:
        """HTTP to one base URL, with this connection's limit. `max_bytes`: the largest answer that is taken."""
        return Transport(
            base_url,
            headers=headers,
            timeout_seconds=timeout_seconds,
            limiter=self.limiter,
            transport=self.network,
            max_bytes=max_bytes,
        )


class Clock(Protocol):
    """Now, UTC; a demo or a simulation has a clock of its own."""

    def __call__(self) -> datetime: ...


class ConnectorConfig(BaseModel):
    """Base of a connector's configuration: unknown keys are refused, values never appear in an error message.

    Every field has a description. A secret is a `SecretStr` and is named in `manifest.secret_fields`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Connector(Protocol):
    """One connection at work; the verbs are those of docs/guides/connector.md."""

    manifest: Manifest

    def verify(self, delivery: Delivery) -> None:
        """Raise AuthFailed unless the signature is right and fresh (constant time). Pure."""

    def identify(self, delivery: Delivery) -> str:
        """Their id of this delivery: the same for a repeat. Pure."""

    def translate(self, delivery: Delivery) -> Sequence[Fact | Signal]:
        """Facts and signals. Unknown topics give []; a body that breaks the contract raises Malformed. Pure."""

    async def fetch(self, feed: str, ref: str) -> Sequence[Fact]:
        """One object, fresh, as facts."""

    async def pull(self, feed: str, cursor: str) -> Page:
        """The next page after `cursor` ("" = from the beginning of what they keep)."""

    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        """Do them. One outcome per effect, in order; a raised ConnectorError counts for all of them.

        All effects are of one kind, or of kinds whose `manifest.commands[kind].together` is the same word; at most
        `batch` of the smallest, and no two of one scope. Which of them comes first does not matter. The key is
        `effect.effect_id`, shortened by hash to `key_max_length`, and written where `find` can see it.
        """

    async def find(self, effect: Effect) -> Outcome | None:
        """Did it happen? None = surely not (now); raises when it cannot tell."""

    async def check(self) -> Sequence[tuple[str, bool, str]]:
        """For `doctor`: (what, fine, what to do)."""

    async def aclose(self) -> None:
        """Let go of sockets."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A secret of the configuration that ends. Times are UTC; `secret` is filled where it is a new one."""

    field: str
    made_at: datetime
    ends_at: datetime
    secret: str = dataclasses.field(default="", repr=False)


@runtime_checkable
class Renewable(Protocol):
    """What a connector may offer beside the protocol: its credential ends, and it may be able to renew it."""

    async def credential(self) -> Credential | None:
        """The one in use; None when it does not end, or nobody tells."""

    async def renew(self, old: Credential) -> Credential:
        """A new one, proven by a call; the old one goes on. Raises Rejected when the other side does not allow it."""

    async def retire(self, secret: str) -> None:
        """Revoke an old one, which may be gone already; we are called with the new one in use."""


class Maker(Protocol):
    """What the entry point `counterflow.connectors` names: manifest, configuration model and constructor."""

    manifest: Manifest

    @property
    def Config(self) -> type[BaseModel]:
        """The model of its configuration."""

    def make(self, config: Any, context: Context) -> Connector:
        """A connector for one connection."""
