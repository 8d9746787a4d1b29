"""The till's REST API, one method per endpoint."""

from collections.abc import Mapping, Sequence
from typing import Any

from counterflow.sdk.fields import Fields
from counterflow.sdk.site import SiteClient


class PosClient(SiteClient):
    async def refund(self, key: str, body: Mapping[str, Any]) -> Fields:
        return await self.post("/refunds", key, body)

    async def refunds_of(self, key: str) -> Sequence[Fields]:
        """The refunds with this key: one or none."""
        return (await self.get("/refunds", key=key)).rows("refunds", needed=True)

    async def hold(self, key: str, body: Mapping[str, Any]) -> Fields:
        return await self.post("/holds", key, body)

    async def holds_of(self, key: str) -> Sequence[Fields]:
        return (await self.get("/holds", key=key)).rows("holds", needed=True)

    async def sale(self, sale_id: str) -> Fields | None:
        return await self.get_named("/sales", sale_id)
