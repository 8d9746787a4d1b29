"""The connector: which verb of ours is which call of Medusa's."""

from collections.abc import Sequence
from typing import Any

from counterflow.connectors.medusa import answers, feeds, refunds, replacements
from counterflow.connectors.medusa.client import Client
from counterflow.connectors.medusa.manifest import MANIFEST, Config
from counterflow.connectors.medusa.mapping import Mapper
from counterflow.core.effects import AnswerReturn, CreateReplacement, Effect, PayLeg, ReadSale, UpdateChannel
from counterflow.core.facts import Fact
from counterflow.sdk.connector import Context, Delivery, Page, Signal
from counterflow.sdk.outcomes import AuthFailed, ConnectorError, Done, Malformed, NotFound, Outcome, Rejected
from counterflow.sdk.reading import reading

_READS = {"orders": feeds.order, "returns": feeds.ret, "refunds": feeds.payment}


class Medusa:
    """One server."""

    manifest = MANIFEST

    def __init__(self, config: Config, context: Context) -> None:
        self.config, self.context = config, context
        self.client = Client(config, context)
        self.mapper = Mapper(config, context.connection)

    # ---- deliveries: there are none ----------------------------------------------------------------------------------

    def verify(self, delivery: Delivery) -> None:
        raise AuthFailed("Medusa sends no webhooks: whoever sent this was not the shop")

    def identify(self, delivery: Delivery) -> str:
        raise Malformed("Medusa sends no webhooks")

    def translate(self, delivery: Delivery) -> Sequence[Fact | Signal]:
        return []

    # ---- reads -------------------------------------------------------------------------------------------------------

    @reading
    async def fetch(self, feed: str, ref: str) -> Sequence[Fact]:
        """An order, a return or the refunds of a payment, fresh. Raises NotFound for a feed that there is none of."""
        return await _READS[self._known(feed)](self.client, self.mapper, ref, self.context.now())

    @reading
    async def pull(self, feed: str, cursor: str) -> Page:
        name = self._known(feed)
        return await feeds.pull(self.client, self.mapper, self.config, name, cursor, self.context.now())

    def _known(self, feed: str) -> str:
        if feed not in _READS:
            raise NotFound(f"a Medusa server has no feed {feed!r}: use one of {', '.join(_READS)}")
        return feed

    # ---- writes ------------------------------------------------------------------------------------------------------

    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        return [await self._send(effect) for effect in effects]

    async def _send(self, effect: Effect) -> Outcome:
        name = self.context.connection
        try:
            match effect.command:
                case ReadSale(order_ref):
                    return Done(order_ref, facts=tuple(await self.fetch("orders", order_ref)))
                case AnswerReturn() as command:
                    return await answers.answer(self.client, command)
                case UpdateChannel() as command:
                    return await answers.update(self.client, self.config, name, effect, command)
                case CreateReplacement() as command:
                    return await replacements.create(self.client, name, effect, command)
                case PayLeg() as command:
                    return await refunds.pay(self.client, self.config, effect, command)
                case other:
                    return Rejected(f"a shop cannot do {type(other).__name__}: correct the route", code="unsupported")
        except ConnectorError as error:
            return error

    @reading
    async def find(self, effect: Effect) -> Outcome | None:
        """What sets a state may be sent again instead, so only its answer is looked for."""
        match effect.command:
            case AnswerReturn() as command:
                return await answers.find_answer(self.client, command)
            case CreateReplacement() as command:
                return await replacements.find(self.client, self.context.connection, effect, command)
            case PayLeg() as command:
                return await refunds.find(self.client, self.config, effect, command)
            case _:
                return None

    # ---- health ------------------------------------------------------------------------------------------------------

    async def check(self) -> Sequence[tuple[str, bool, str]]:
        try:
            stores = await self.client.get("/admin/stores", "stores", fields="name")
            providers = await self.client.get("/admin/payments/payment-providers", "payment_providers", limit=100)
            locations = await self.client.get("/admin/stock-locations", "stock_locations", fields="id", limit=1000)
        except ConnectorError as error:
            return [("the shop answers", False, error.message)]
        named = {*self.config.gateways, *self.config.tenders}
        strange = sorted(named - {row["id"] for row in providers})
        wanted = {*self.config.places, *filter(None, [self.config.restock_location])}
        nowhere = sorted(wanted - {row["id"] for row in locations})
        return [
            ("the shop answers", True, ", ".join(row["name"] for row in stores)),
            ("payment providers", not strange, f"the shop has no {', '.join(strange)}: correct it" if strange else ""),
            ("stock locations", not nowhere, f"the shop has no {', '.join(nowhere)}: correct it" if nowhere else ""),
        ]

    async def aclose(self) -> None:
        await self.client.aclose()


class MedusaMaker:
    """What the entry point names."""

    manifest = MANIFEST
    Config = Config

    def make(self, config: Any, context: Context) -> Medusa:
        return Medusa(config, context)
