"""What every verb works with: the client, the names, and how we refer to documents."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from counterflow.connectors.odoo.client import Client
from counterflow.connectors.odoo.fast_lane import FastLane
from counterflow.connectors.odoo.manifest import Config
from counterflow.connectors.odoo.names import Names
from counterflow.connectors.odoo.turnstile import Turnstile
from counterflow.sdk.connector import Clock
from counterflow.sdk.outcomes import ConnectorError, Done, Rejected


@dataclass(frozen=True)
class Odoo:
    client: Client
    config: Config
    names: Names
    connection: str
    now: Clock
    adapter: str  # version of the translation
    fast_lane: FastLane | None = None
    turnstile: Turnstile = field(default_factory=Turnstile)

    def ref(self, model: str, *ids: int) -> str:
        """`<connection>:document:<model>,<id>`; several documents of one effect share a reference."""
        return f"{self.connection}:document:{model},{','.join(map(str, ids))}"

    def ids(self, ref: str, model: str) -> list[int]:
        """The ids in such a reference. Raises Rejected for one of another system or model."""
        start, _, rest = ref.rpartition(":")
        named, *ids = rest.split(",")
        if start not in (f"{self.connection}:document", "") or named != model or not all(id.isdigit() for id in ids):
            raise Rejected(f"{ref!r} is no {model} of {self.connection}: the document has to be posted first")
        return [int(id) for id in ids]

    def reference(self, order_number: str, order_ref: str) -> str:
        """What the reference field of a sale holds."""
        return self.config.order_reference.format(order_number=order_number, order_ref=order_ref)

    def day(self, happened: datetime) -> str:
        """The day of a document, ISO."""
        instant = happened if self.config.dates == "event" else self.now()
        return instant.astimezone(ZoneInfo(self.config.timezone)).date().isoformat()

    async def change(self, model: str, method: str, ids: Sequence[int]) -> None:
        """Call a state method. A refusal is passed over: another attempt may have done it, and what is read decides."""
        with suppress(Rejected):
            await self.client.do(model, method, ids=list(ids))

    async def say(self, model: str, id: int, text: str) -> None:
        """One line in the chatter. It is no part of the effect: what it meets is passed over."""
        try:
            await self.client.do(model, "message_post", ids=[id], body=text)
        except ConnectorError:
            return


def done(ref: str, **values: Any) -> Done:
    return Done(ref, tuple((name, str(value)) for name, value in values.items() if value is not False and value != ""))


def theirs(ref: str) -> str:
    """The other system's own id in a reference of ours (`psp:refund:re_1`): what people compare with its pages."""
    parts = ref.split(":", 2)
    return parts[2] if len(parts) == 3 else ref


def names_of(rows: Iterable[dict[str, Any]]) -> str:
    return ", ".join(str(row["name"]) for row in rows)
