"""The connector: effects to their verbs, and nothing of its own."""

from collections.abc import Awaitable, Callable, Sequence

from counterflow.connectors.odoo import (
    check,
    feeds,
    move_goods,
    post_credit_note,
    post_refund_payment,
    post_replacement,
    post_settlement,
    receive_goods,
    reverse_refund_payment,
)
from counterflow.connectors.odoo.client import Client
from counterflow.connectors.odoo.manifest import Config, manifest_for
from counterflow.connectors.odoo.names import Names
from counterflow.connectors.odoo.session import Odoo
from counterflow.connectors.odoo.wires import Access
from counterflow.core.effects import Effect
from counterflow.core.facts import Fact
from counterflow.sdk.connector import Context, Delivery, Page, Signal
from counterflow.sdk.outcomes import AuthFailed, ConnectorError, Done, Outcome, Rejected

_Send = Callable[[Odoo, Effect], Awaitable[Done]]
_Find = Callable[[Odoo, Effect], Awaitable[Done | None]]
VERBS: dict[str, tuple[_Send, _Find]] = {
    "ReceiveGoods": (receive_goods.send, receive_goods.find),
    "MoveGoods": (move_goods.send, move_goods.find),
    "PostCreditNote": (post_credit_note.send, post_credit_note.find),
    "PostRefundPayment": (post_refund_payment.send, post_refund_payment.find),
    "ReverseRefundPayment": (reverse_refund_payment.send, reverse_refund_payment.find),
    "PostReplacement": (post_replacement.send, post_replacement.find),
    "PostSettlement": (post_settlement.send, post_settlement.find),
}


class OdooConnector:
    """One Odoo database."""

    def __init__(self, config: Config, context: Context) -> None:
        self.manifest = manifest_for(config)
        access = Access(config.api_key.get_secret_value(), config.database, config.login)
        headers = {"Authorization": f"bearer {access.key}"}
        if config.database:
            headers["X-Odoo-Database"] = config.database
        self.transport = context.transport(config.base_url, headers=headers, timeout_seconds=config.timeout_seconds)
        client = Client(self.transport, access)
        self.odoo = Odoo(client, config, Names(client, config), context.connection, context.now, self.manifest.version)

    def verify(self, delivery: Delivery) -> None:
        raise AuthFailed("Odoo sends no webhooks here: its documents are polled. Remove the webhook")

    def identify(self, delivery: Delivery) -> str:
        return ""

    def translate(self, delivery: Delivery) -> Sequence[Fact | Signal]:
        return []

    async def fetch(self, feed: str, ref: str) -> Sequence[Fact]:
        return await feeds.fetch(self.odoo, feed, ref)

    async def pull(self, feed: str, cursor: str) -> Page:
        known = self.manifest.feed(feed)
        if known is None:
            raise Rejected(f"Odoo has no feed {feed!r}: use {feeds.FEED}")
        return await feeds.pull(self.odoo, cursor, known.lag_seconds)

    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        """One after the other; each begins by looking for what an earlier attempt has left."""
        return [await self._one(effect) for effect in effects]

    async def find(self, effect: Effect) -> Outcome | None:
        try:
            return await self._verb(effect)[1](self.odoo, effect)
        except Rejected as error:
            return error  # it is there, and in a state that only a person can mend

    async def check(self) -> Sequence[tuple[str, bool, str]]:
        return await check.check(self.odoo)

    async def aclose(self) -> None:
        await self.transport.aclose()

    async def _one(self, effect: Effect) -> Outcome:
        try:
            return await self._verb(effect)[0](self.odoo, effect)
        except ConnectorError as error:
            return error

    @staticmethod
    def _verb(effect: Effect) -> tuple[_Send, _Find]:
        if effect.kind not in VERBS:
            raise Rejected(f"Odoo does not do {effect.kind}: route it to another connection")
        return VERBS[effect.kind]
