"""A bank that tells of its booked lines by signed JSON (Standard Webhooks) and by a feed that is read.

webhook   {"type": "line.booked", "data": <line>}
GET /lines?after=<line id>   {"lines": [<line>, ...], "next": <line id> or null}, oldest first
"""

from collections.abc import Sequence

from counterflow.connectors.bank.manifest import LINE_BOOKED, MANIFEST, BankConfig
from counterflow.connectors.bank.mapping import line_fact
from counterflow.core.effects import Effect
from counterflow.core.facts import Fact
from counterflow.sdk import signed_json
from counterflow.sdk.connector import Connector, Context, Delivery, Page, Signal
from counterflow.sdk.fields import Fields
from counterflow.sdk.http import json_of, raise_for
from counterflow.sdk.outcomes import ConnectorError, NotFound, Outcome, Rejected


class BankConnector:
    manifest = MANIFEST

    def __init__(self, config: BankConfig, context: Context) -> None:
        self._connection, self._now, self._secret = context.connection, context.now, config.webhook_secret
        headers = {"Authorization": f"Bearer {config.api_token.get_secret_value()}"}
        self._http = context.transport(config.base_url, headers=headers)

    def verify(self, delivery: Delivery) -> None:
        signed_json.verify(delivery, self._secret.get_secret_value())

    def identify(self, delivery: Delivery) -> str:
        return signed_json.identify(delivery)

    def translate(self, delivery: Delivery) -> Sequence[Fact | Signal]:
        message = signed_json.document(delivery)
        if message.get("type") != LINE_BOOKED:
            return []
        return [line_fact(self._connection, message.get("data"), delivery.received_at)]

    async def fetch(self, feed: str, ref: str) -> Sequence[Fact]:
        raise NotFound(f"a bank line is told whole, {ref} cannot be asked for: pull the feed `lines`")

    async def pull(self, feed: str, cursor: str) -> Page:
        """The cursor is the id of the last line seen."""
        if feed != "lines":
            raise NotFound(f"the bank has no feed {feed!r}: use lines")
        response = await self._http.request("GET", "/lines", write=False, params={"after": cursor} if cursor else {})
        raise_for(response, write=False)
        page = Fields(json_of(response, write=False))
        lines = page.items("lines", needed=True)
        facts = tuple(line_fact(self._connection, line, self._now()) for line in lines)
        return Page(facts, Fields(lines[-1]).text("id") if lines else cursor, page.has("next"))

    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        raise _read_only(effects[0])

    async def find(self, effect: Effect) -> Outcome | None:
        raise _read_only(effect)

    async def check(self) -> Sequence[tuple[str, bool, str]]:
        try:
            await self.pull("lines", "")
        except ConnectorError as error:
            return [("the token may read lines", False, error.message)]
        return [("the token may read lines", True, "")]

    async def aclose(self) -> None:
        await self._http.aclose()


def _read_only(effect: Effect) -> Rejected:
    return Rejected(f"a bank feed only tells: route {effect.kind} to another connection", code="command")


class _Maker:
    manifest = MANIFEST
    Config = BankConfig

    def make(self, config: BankConfig, context: Context) -> Connector:
        return BankConnector(config, context)


connector = _Maker()
