"""A warehouse: announcements, receipts, inspections and dispositions, over signed events and a small REST API."""

from collections.abc import Sequence

from counterflow.connectors.warehouse.actions import Actions
from counterflow.connectors.warehouse.client import WarehouseClient
from counterflow.connectors.warehouse.manifest import MANIFEST, WarehouseConfig
from counterflow.connectors.warehouse.mapping import Translation
from counterflow.core.effects import Effect
from counterflow.sdk.connector import Connector, Context
from counterflow.sdk.outcomes import Outcome
from counterflow.sdk.site import SiteConnector


class WarehouseConnector(SiteConnector):
    manifest = MANIFEST

    def __init__(self, config: WarehouseConfig, context: Context) -> None:
        client = WarehouseClient(config, context, MANIFEST.limits.timeout_seconds)
        super().__init__(config, context, client, Translation(config).events)
        self._actions = Actions(client, context.connection)

    async def send(self, effects: Sequence[Effect]) -> Sequence[Outcome]:
        return [await self._actions.send(effect) for effect in effects]

    async def find(self, effect: Effect) -> Outcome | None:
        return await self._actions.find(effect)


class _Maker:
    manifest = MANIFEST
    Config = WarehouseConfig

    def make(self, config: WarehouseConfig, context: Context) -> Connector:
        return WarehouseConnector(config, context)


connector = _Maker()
