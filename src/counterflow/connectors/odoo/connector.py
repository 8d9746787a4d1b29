"""The connector: effects to their verbs, and nothing of its own."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from counterflow.connectors.odoo import (
    check,
    counts,
    feeds,
    keys,
    lanes,
    move_goods,
    points_of_sale,
    post_credit_note,
    post_refund_payment,
    post_replacement,
    post_settlement,
    receive_goods,
    reverse_refund_payment,
    webhooks,
)
from counterflow.connectors.odoo.client import Client
from counterflow.connectors.odoo.fast_lane import FastLane
from counterflow.connectors.odoo.manifest import Config, manifest_for
from counterflow.connectors.odoo.names import Names
from counterflow.connectors.odoo.session import Odoo
from counterflow.connectors.odoo.wires import Access
from counterflow.core.effects import Effect
from counterflow.core.facts import Fact
from counterflow.sdk.connector import Context, Credential, Delivery, Page, Signal
from counterflow.sdk.outcomes import ConnectorError, Done, Outcome, Rejected, UnknownOutcome
from counterflow.sdk.reading import reading

_Send = Callable[[Odoo, Effect], Awaitable[Done]]
_Find = Callable[[Odoo, Effect], Awaitable[Done | None]]
_Operation = Callable[[Odoo, Effect], Awaitable[dict[str, Any]]]
# What is done in visits for many documents, in whichever lane.
OPERATIONS: dict[str, _Operation] = {
    "ReceiveGoods": receive_goods.operation,
    "PostCreditNote": post_credit_note.operation,
    "PostRefundPayment": post_refund_payment.operation,
}
# What is done one by one.
VERBS: dict[str, _Send] = {
    "MoveGoods": move_goods.send,
    "ReverseRefundPayment": reverse_refund_payment.send,
    "PostReplacement": post_replacement.send,
    "PostSettlement": post_settlement.send,
    "ReadSale": points_of_sale.read_sale,
}
FIND: dict[str, _Find] = {
    "ReceiveGoods": receive_goods.find,
    "MoveGoods": move_goods.find,
    "PostCreditNote": post_credit_note.find,
    "PostRefundPayment": post_refund_payment.find,
    "ReverseRefundPayment": reverse_refund_payment.find,
    "PostReplacement": post_replacement.find,
    "PostSettlement": post_settlement.find,
}


class OdooConnector:
    """One Odoo database."""

    def __init__(self, config: Config, context: Context) -> None:
        self.manifest = manifest_for(config)
        self._config, self._context = config, context
        client = self._client(config.api_key.get_secret_value())
        names, fast_lane = Names(client, config), FastLane(client) if config.lane == "fast" else None
        version = self.manifest.version
        self.odoo = Odoo(client, config, names, context.connection, context.now, version, fast_lane)

    def _client(self, key: str) -> Client:
        config, context = self._config, self._context
        headers = {"Authorization": f"bearer {key}"}
        if config.database:
            headers["X-Odoo-Database"] = config.database
        transport = context.transport(config.base_url, headers=headers, timeout_seconds=config.timeout_seconds)
        return Client(transport, Access(key, config.database, config.login))

    def verify(self, delivery: Delivery) -> None:
        webhooks.verify(delivery, self._config.webhook_secret.get_secret_value())

    def identify(self, delivery: Delivery) -> str:
        return webhooks.identify(delivery)

    def translate(self, delivery: Delivery) -> Sequence[Fact | Signal]:
        return webhooks.translate(delivery)

    @reading
    async def fetch(self, feed: str, ref: str) -> Sequence[Fact]:
        if feed == points_of_sale.FEED:
            return await points_of_sale.fetch(self.odoo, ref)
        return await feeds.fetch(self.odoo, feed, ref)

    @reading
    async def pull(self, feed: str, cursor: str) -> Page:
        known = self.manifest.feed(feed)
        if known is None:
            raise Rejected(f"Odoo has no feed {feed!r}: use {feeds.FEED} or {points_of_sale.FEED}")
        if feed == points_of_sale.FEED:
            return await points_of_sale.pull(self.odoo, cursor, known.lag_seconds)
        return await feeds.pull(self.odoo, cursor, known.lag_seconds)

    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        """Receipts, credit notes and refund payments in one visit; each looks first what an earlier one has left."""
        self.odoo.names.keep_fresh(self.odoo.now())
        outcomes = await self._visit(effects)
        if stale := [e for e in effects if _names_a_lost_record(outcomes[e.effect_id])]:
            self.odoo.names.forget()  # what we know by its id was deleted, and perhaps made anew
            outcomes |= await self._visit(stale)
        return [outcomes[effect.effect_id] for effect in effects]

    async def _visit(self, effects: Sequence[Effect]) -> dict[str, Outcome]:
        outcomes: dict[str, Outcome] = {}
        operations = []
        for effect in effects:
            try:
                if effect.kind in OPERATIONS:
                    operations.append(await OPERATIONS[effect.kind](self.odoo, effect))
                elif effect.kind in VERBS:
                    outcomes[effect.effect_id] = await VERBS[effect.kind](self.odoo, effect)
                else:
                    raise _unknown(effect)
            except ConnectorError as error:
                outcomes[effect.effect_id] = error
        if operations:
            try:
                outcomes |= await lanes.run(self.odoo, operations)
            except ConnectorError as error:
                outcomes |= {operation["key"]: error for operation in operations}
        return outcomes | await counts.noted(self.odoo, effects, outcomes)

    @reading
    async def find(self, effect: Effect) -> Outcome | None:
        try:
            if effect.kind not in FIND:
                raise _unknown(effect)
            outcome = await FIND[effect.kind](self.odoo, effect)
        except Rejected as error:
            return error  # it is there, and in a state that only a person can mend
        noted = await counts.noted(self.odoo, [effect], {effect.effect_id: outcome})
        if isinstance(unseen := noted.get(effect.effect_id), UnknownOutcome):
            raise unseen
        return noted.get(effect.effect_id, outcome)

    async def check(self) -> Sequence[tuple[str, bool, str]]:
        return await check.check(self.odoo)

    async def aclose(self) -> None:
        await self.odoo.client.transport.aclose()

    async def credential(self) -> Credential | None:
        return await keys.credential(self.odoo.client)

    async def renew(self, old: Credential) -> Credential:
        odoo = self.odoo
        return await keys.renew(odoo.client, self._client, old, odoo.connection, odoo.now())

    async def retire(self, secret: str) -> None:
        await keys.retire(self.odoo.client, secret)


def _names_a_lost_record(outcome: Outcome) -> bool:
    return isinstance(outcome, Rejected) and "No matching record found for database id" in outcome.message


def _unknown(effect: Effect) -> Rejected:
    return Rejected(f"Odoo does not do {effect.kind}: route it to another connection")
