"""Adyen: pays refund legs, always asynchronously, and tells of refunds, disputes and payouts whoever made them."""

from collections.abc import Awaitable, Sequence

from counterflow.connectors.adyen import feeds, mapping, webhooks
from counterflow.connectors.adyen.client import Client
from counterflow.connectors.adyen.manifest import MANIFEST, AdyenConfig
from counterflow.connectors.adyen.settlement import name_of
from counterflow.core.effects import Effect, PayLeg
from counterflow.core.facts import Fact
from counterflow.sdk.connector import Connector, Context, Delivery, Page, Signal
from counterflow.sdk.outcomes import ConnectorError, NotFound, Outcome, Rejected, UnknownOutcome
from counterflow.sdk.reading import reading


class AdyenConnector:
    manifest = MANIFEST

    def __init__(self, config: AdyenConfig, context: Context) -> None:
        self._connection, self._now, self._config = context.connection, context.now, config
        self._client = Client(config, context)

    def verify(self, delivery: Delivery) -> None:
        config = self._config
        keys = [key.get_secret_value() for key in (config.webhook_hmac_key, config.webhook_hmac_key_before)]
        login = f"{config.webhook_user}:{config.webhook_password.get_secret_value()}"
        webhooks.verify(delivery, login, [webhooks.key_bytes(key) for key in keys if key])

    def identify(self, delivery: Delivery) -> str:
        return webhooks.identify(delivery)

    def translate(self, delivery: Delivery) -> Sequence[Fact | Signal]:
        return webhooks.translate(self._connection, self._config.merchant_account, delivery)

    @reading
    async def fetch(self, feed: str, ref: str) -> Sequence[Fact]:
        return await feeds.fetch(self._client, self._connection, feed, ref, self._now())

    @reading
    async def pull(self, feed: str, cursor: str) -> Page:
        first, most = self._config.first_batch, self._config.page_size
        return await feeds.pull(self._client, self._connection, feed, cursor, self._now(), first, most)

    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        return [await self._pay(effect, _leg(effect)) for effect in effects]

    async def _pay(self, effect: Effect, command: PayLeg) -> Outcome:
        payment, body = mapping.payment_of(command), mapping.refund_request(effect, command)
        answer = await self._client.refund(payment, body, effect.effect_id)
        return mapping.refund_outcome(self._connection, answer, effect, command)

    async def find(self, effect: Effect) -> Outcome | None:
        _leg(effect)
        raise UnknownOutcome(
            f"Adyen has no request that reads a refund: its webhook tells, or look for {effect.effect_id} among the "
            "payment's modifications in the Customer Area"
        )

    async def check(self) -> Sequence[tuple[str, bool, str]]:
        report = name_of(self._config.first_batch)
        return [
            await _told("the API key is for this merchant account", self._client.payment_methods()),
            await _told("the report user may download reports", self._client.report(report)),
        ]

    async def aclose(self) -> None:
        await self._client.aclose()


def _leg(effect: Effect) -> PayLeg:
    if not isinstance(effect.command, PayLeg):
        raise Rejected(f"Adyen cannot do {effect.kind}: route it to another connection", code="command")
    return effect.command


async def _told(what: str, call: Awaitable[object]) -> tuple[str, bool, str]:
    try:
        await call
    except NotFound:
        pass  # the first batch is not closed yet
    except ConnectorError as error:
        return what, False, error.message
    return what, True, ""


class _Maker:
    manifest = MANIFEST
    Config = AdyenConfig

    def make(self, config: AdyenConfig, context: Context) -> Connector:
        return AdyenConnector(config, context)


connector = _Maker()
