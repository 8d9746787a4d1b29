"""What the shop may sell from a location: set against the quantity that it was decided on, never over a newer one."""

from typing import Any

from counterflow.connectors.shopify import documents
from counterflow.connectors.shopify.client import BURNT, Client
from counterflow.connectors.shopify.manifest import Config
from counterflow.connectors.shopify.references import gid
from counterflow.core.effects import Effect, SetStock
from counterflow.sdk.outcomes import Conflict, Done, Rejected

Json = dict[str, Any]
STALE = "CHANGE_FROM_QUANTITY_STALE"


async def put(client: Client, config: Config, effect: Effect, command: SetStock) -> Done:
    """Raises Conflict with what is there when `expected` is not, Rejected for what the shop does not sell there."""
    item, location, _ = await _level(client, config, command)
    row = {"inventoryItemId": item["id"], "locationId": location, "quantity": command.quantity}
    given = {
        "name": "available",
        "reason": "correction",
        "referenceDocumentUri": f"gid://counterflow/Effect/{effect.effect_id}",
        "quantities": [{**row, "changeFromQuantity": command.expected}],  # null: over whatever is there
    }
    try:
        await client.call(documents.SET_STOCK, input=given, key=effect.effect_id)
    except Rejected as error:
        if error.code not in (STALE, BURNT):
            raise
        # A key whose first use was refused is burnt: either way the shop has something else than was thought.
        _, _, level = await _level(client, config, command)
        actual = _available(level)
        raise Conflict(f"{command.sku}: {actual} are there", actual=str(actual), code=error.code) from None
    return Done(f"{location}/{item['id']}", (("quantity", str(command.quantity)),))


async def find(client: Client, config: Config, command: SetStock) -> Done | None:
    """It is so if the quantity is there, whoever set it."""
    item, location, level = await _level(client, config, command)
    if _available(level) != command.quantity:
        return None
    return Done(f"{location}/{item['id']}", (("quantity", str(command.quantity)),))


async def _level(client: Client, config: Config, command: SetStock) -> tuple[Json, str, Json | None]:
    """The inventory item, the location's gid, and what is there of the item."""
    named = config.locations.get(command.place, "" if command.place else config.restock_location)
    if not named:
        raise Rejected(f"no location of the shop is known for {command.place!r}: add it to locations", code="location")
    location = gid("Location", named)
    quoted = command.sku.replace("\\", "").replace("'", "")
    nodes = (await client.call(documents.STOCK_OF_SKU, query=f"sku:'{quoted}'", location=location))["nodes"]
    found = [row["inventoryItem"] for row in nodes if row["sku"] == command.sku]
    if len(found) != 1:
        raise Rejected(f"{len(found)} variants of the shop have the SKU {command.sku}: one is needed", code="sku")
    return found[0], location, found[0]["inventoryLevel"]


def _available(level: Json | None) -> int | None:
    rows = level["quantities"] if level else ()
    return next((int(row["quantity"]) for row in rows if row["name"] == "available"), None)
