"""Tells the retailer's messaging tool that a customer is to be written to: one signed JSON message (Standard Webhooks).

The message's `webhook-id` is the effect's key, the same for every attempt: the receiver drops what it has already.
"""

from collections.abc import Sequence

from counterflow.connectors.notify.manifest import MANIFEST, NotifyConfig
from counterflow.connectors.notify.mapping import message
from counterflow.core.effects import Effect, NotifyCustomer
from counterflow.core.facts import Fact
from counterflow.sdk import signed_json
from counterflow.sdk.connector import Connector, Context, Delivery, Page, Signal
from counterflow.sdk.http import raise_for
from counterflow.sdk.outcomes import AuthFailed, ConnectorError, Done, NotFound, Outcome, Rejected, UnknownOutcome


class NotifyConnector:
    manifest = MANIFEST

    def __init__(self, config: NotifyConfig, context: Context) -> None:
        self._url, self._secret, self._now = config.url, config.signing_secret, context.now
        self._http = context.transport(config.url)

    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        return [await self._tell(effect) for effect in effects]

    async def _tell(self, effect: Effect) -> Outcome:
        if not isinstance(effect.command, NotifyCustomer):
            raise Rejected(f"a notifier cannot do {effect.kind}: route it to another connection", code="command")
        await self._post(effect.effect_id, message(effect, effect.command))
        return Done(ref=effect.effect_id)

    async def _post(self, message_id: str, body: bytes) -> None:
        headers = signed_json.sign(self._secret.get_secret_value(), message_id, self._now(), body)
        headers["Content-Type"] = "application/json"
        raise_for(await self._http.request("POST", self._url, write=True, content=body, headers=headers), write=True)

    async def find(self, effect: Effect) -> Outcome | None:
        raise UnknownOutcome("the receiver cannot be asked: send it again, it drops what it has")

    async def check(self) -> Sequence[tuple[str, bool, str]]:
        """Sends a signed ping of a kind that receivers ignore: nothing else says whether the secret is right."""
        try:
            await self._post("ping", b'{"type":"ping","data":{}}')
        except ConnectorError as error:
            return [("the receiver takes our signature", False, error.message)]
        return [("the receiver takes our signature", True, "")]

    def verify(self, delivery: Delivery) -> None:
        raise AuthFailed("the messaging tool sends us nothing: remove the webhook that points here")

    def identify(self, delivery: Delivery) -> str:
        return signed_json.identify(delivery)

    def translate(self, delivery: Delivery) -> Sequence[Fact | Signal]:
        return []

    async def fetch(self, feed: str, ref: str) -> Sequence[Fact]:
        raise NotFound("the messaging tool has nothing to read")

    async def pull(self, feed: str, cursor: str) -> Page:
        raise NotFound("the messaging tool has nothing to read")

    async def aclose(self) -> None:
        await self._http.aclose()


class _Maker:
    manifest = MANIFEST
    Config = NotifyConfig

    def make(self, config: NotifyConfig, context: Context) -> Connector:
        return NotifyConnector(config, context)


connector = _Maker()
