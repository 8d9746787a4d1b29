"""Stripe: pays refund legs, and tells of refunds, disputes and payouts whoever made them."""

from collections.abc import Sequence

from counterflow.connectors.stripe import actions, feeds, webhooks
from counterflow.connectors.stripe.client import Client
from counterflow.connectors.stripe.manifest import MANIFEST, StripeConfig
from counterflow.core.effects import Effect, PayLeg
from counterflow.core.facts import Fact
from counterflow.sdk.connector import Connector, Context, Delivery, Page, Signal
from counterflow.sdk.outcomes import ConnectorError, Outcome, Rejected
from counterflow.sdk.reading import reading


class StripeConnector:
    manifest = MANIFEST

    def __init__(self, config: StripeConfig, context: Context) -> None:
        self._connection, self._now = context.connection, context.now
        self._secrets = (config.webhook_secret, config.webhook_secret_before)
        self._client = Client(config, context)

    def verify(self, delivery: Delivery) -> None:
        webhooks.verify(delivery, [secret.get_secret_value() for secret in self._secrets])

    def identify(self, delivery: Delivery) -> str:
        return webhooks.identify(delivery)

    def translate(self, delivery: Delivery) -> Sequence[Fact | Signal]:
        return webhooks.translate(self._connection, delivery)

    @reading
    async def fetch(self, feed: str, ref: str) -> Sequence[Fact]:
        return await feeds.fetch(self._client, self._connection, feed, ref, self._now())

    @reading
    async def pull(self, feed: str, cursor: str) -> Page:
        return await feeds.pull(self._client, self._connection, feed, cursor, self._now())

    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        return [await actions.pay(self._client, self._connection, effect, _leg(effect)) for effect in effects]

    @reading
    async def find(self, effect: Effect) -> Outcome | None:
        return await actions.find(self._client, self._connection, effect, _leg(effect))

    async def check(self) -> Sequence[tuple[str, bool, str]]:
        told = []
        for what, path in (("refunds", "/v1/refunds"), ("payouts", "/v1/payouts"), ("events", "/v1/events")):
            try:
                await self._client.page(path, [])
                told.append((f"the key may read {what}", True, ""))
            except ConnectorError as error:
                told.append((f"the key may read {what}", False, error.message))
        return told

    async def aclose(self) -> None:
        await self._client.aclose()


def _leg(effect: Effect) -> PayLeg:
    if not isinstance(effect.command, PayLeg):
        raise Rejected(f"Stripe cannot do {effect.kind}: route it to another connection", code="command")
    return effect.command


class _Maker:
    manifest = MANIFEST
    Config = StripeConfig

    def make(self, config: StripeConfig, context: Context) -> Connector:
        return StripeConnector(config, context)


connector = _Maker()
