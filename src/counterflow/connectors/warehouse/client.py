"""The warehouse's REST API, one method per endpoint."""

from collections.abc import Mapping
from typing import Any

from counterflow.sdk.fields import Fields
from counterflow.sdk.site import SiteClient


class WarehouseClient(SiteClient):
    async def announce(self, key: str, body: Mapping[str, Any]) -> Fields:
        return await self.post("/announcements", key, body)

    async def announcement(self, key: str) -> Fields | None:
        return await self.get_named("/announcements", key)

    async def instruct(self, key: str, body: Mapping[str, Any]) -> Fields:
        return await self.post("/instructions", key, body)

    async def instruction(self, key: str) -> Fields | None:
        return await self.get_named("/instructions", key)
