"""A store till: returns at the counter, cash and card refunds, over signed events and a small REST API."""

from collections.abc import Sequence

from counterflow.connectors.pos.actions import Actions
from counterflow.connectors.pos.client import PosClient
from counterflow.connectors.pos.manifest import MANIFEST, PosConfig
from counterflow.connectors.pos.mapping import Translation
from counterflow.core.effects import Effect
from counterflow.sdk.connector import Connector, Context
from counterflow.sdk.outcomes import Outcome
from counterflow.sdk.site import SiteConnector


class PosConnector(SiteConnector):
    manifest = MANIFEST

    def __init__(self, config: PosConfig, context: Context) -> None:
        client, translation = PosClient(config, context, MANIFEST.limits.timeout_seconds), Translation(config)
        super().__init__(config, context, client, translation.events)
        self._actions = Actions(client, context.connection, translation, context.now)

    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        return [await self._actions.send(effect) for effect in effects]

    async def find(self, effect: Effect) -> Outcome | None:
        return await self._actions.find(effect)


class _Maker:
    manifest = MANIFEST
    Config = PosConfig

    def make(self, config: PosConfig, context: Context) -> Connector:
        return PosConnector(config, context)


connector = _Maker()
