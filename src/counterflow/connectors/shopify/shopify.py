"""The connector: which verb of ours is which call of Shopify's."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from counterflow.connectors.shopify import (
    answers,
    bulk,
    documents,
    feeds,
    ledger,
    openings,
    refunds,
    replacements,
    stock,
    upkeep,
    webhooks,
)
from counterflow.connectors.shopify.client import Client
from counterflow.connectors.shopify.manifest import MANIFEST, Config
from counterflow.connectors.shopify.mapping import Mapper
from counterflow.core.effects import (
    AnswerReturn,
    CreateReplacement,
    Effect,
    OpenReturn,
    PayLeg,
    ReadSale,
    SetStock,
    UpdateChannel,
)
from counterflow.core.facts import Fact
from counterflow.sdk.connector import Context, Credential, Delivery, Page, Signal
from counterflow.sdk.outcomes import ConnectorError, Done, NotFound, Outcome, Rejected
from counterflow.sdk.reading import reading
from counterflow.sdk.upgrades import Change

TEND_EVERY = timedelta(hours=1)


class Shopify:
    """One shop."""

    manifest = MANIFEST

    def __init__(self, config: Config, context: Context) -> None:
        self.config, self.context = config, context
        self.client = Client(config, context, MANIFEST.limits.timeout_seconds)
        self.mapper = Mapper(config, context.connection)
        self._tend_at: datetime | None = None
        self._lost = ""

    # ---- deliveries --------------------------------------------------------------------------------------------------

    def verify(self, delivery: Delivery) -> None:
        secrets = (self.config.webhook_secret, self.config.webhook_secret_before)
        webhooks.verify(delivery, *filter(None, (secret.get_secret_value() for secret in secrets)))

    def identify(self, delivery: Delivery) -> str:
        return webhooks.identify(delivery)

    def translate(self, delivery: Delivery) -> Sequence[Signal]:
        return webhooks.translate(delivery)

    # ---- reads -------------------------------------------------------------------------------------------------------

    @reading
    async def fetch(self, feed: str, ref: str) -> Sequence[Fact]:
        """One object, fresh. Raises NotFound for a feed that there is none of."""
        read = feeds.FETCH.get(feed)
        if read is None:
            raise NotFound(f"a shop has no feed {feed!r}: use one of {', '.join(feeds.FETCH)}")
        return await read(self.client, self.mapper, ref, self.context.now())

    @reading
    async def pull(self, feed: str, cursor: str) -> Page:
        if feed not in feeds.FETCH:
            raise NotFound(f"a shop has no feed {feed!r}: use one of {', '.join(feeds.FETCH)}")
        if feed in ledger.WATCHED:
            return await ledger.pull(self.client, self.config, feed, cursor, self.context.now())
        name = self.context.connection
        if cursor.startswith(bulk.PREFIX):
            return await bulk.read(self.client, feed, cursor, name)
        if not cursor and await bulk.wanted(self.client, self.config.bulk_from):
            return await bulk.start(self.client, self.context.now())
        page = await feeds.pull(self.client, feed, cursor, name, self.config.page_size)
        return replace(page, warning=await self._tended()) if feed == "returns" and not page.more else page

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
                case OpenReturn() as command:
                    return await openings.open_return(self.client, name, effect, command)
                case UpdateChannel() as command:
                    return await answers.update(self.client, self.config, command)
                case CreateReplacement() as command:
                    return await replacements.create(self.client, self.config, name, effect, command)
                case SetStock() as command:
                    return await stock.put(self.client, self.config, effect, command)
                case PayLeg() as command:
                    return await refunds.pay(self.client, self.config, name, effect, command)
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
            case OpenReturn() as command:
                return await openings.find(self.client, self.context.connection, effect, command)
            case CreateReplacement() as command:
                return await replacements.find(self.client, self.config, self.context.connection, effect, command)
            case SetStock() as command:
                return await stock.find(self.client, self.config, command)
            case PayLeg() as command:
                return await refunds.find(self.client, self.config, effect, command)
            case _:
                return None

    # ---- health ------------------------------------------------------------------------------------------------------

    async def check(self) -> Sequence[tuple[str, bool, str]]:
        return await upkeep.check(self.client, self.config)

    async def _tended(self) -> str:
        """What somebody should know of our standing in the shop; it is looked after once an hour."""
        now = self.context.now()
        if self._tend_at is None or now >= self._tend_at:
            self._tend_at = now + TEND_EVERY
            try:
                self._lost = await upkeep.tend(self.client, self.config)
            except ConnectorError as error:  # no reason to stop the sweep, which is what finds all without webhooks
                self._lost = f"webhooks could not be looked after: {error.message}"
        return "; ".join(filter(None, (upkeep.fallen(self.client), self._lost)))

    async def credential(self) -> Credential | None:
        return self.client.tokens.credential()

    async def renew(self, old: Credential) -> Credential:
        return await self.client.tokens.renew()

    async def retire(self, secret: str) -> None:
        """Nothing to revoke: a refresh token is used up, and an access token ends within the hour."""

    async def aclose(self) -> None:
        await self.client.aclose()


class ShopifyMaker:
    """What the entry point names."""

    manifest = MANIFEST
    Config = Config

    def make(self, config: Any, context: Context) -> Shopify:
        return Shopify(config, context)

    def upgrade_check(self, old: str, new: str, folder: Path | None = None) -> Sequence[Change]:
        """See `sdk.upgrades.Upgradable`; the schemas are Shopify's own."""
        from counterflow.connectors.shopify import schemas, upgrade

        where = folder or schemas.folder()
        before, after = schemas.load(old, where), schemas.load(new, where)
        return upgrade.changes(before, after, new, documents.DOCUMENTS, documents.inputs(new))
