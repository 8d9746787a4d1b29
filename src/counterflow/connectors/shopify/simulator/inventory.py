"""Stock per variant and location: available, committed to orders, on hand (their sum)."""

import zlib

from counterflow.connectors.shopify.simulator import payloads
from counterflow.connectors.shopify.simulator.shop import Refused, Shop
from counterflow.sdk.simulator import Doc

_NAMES = ("available", "on_hand")
_REASONS = frozenset(
    [
        "correction",
        "cycle_count_available",
        "damaged",
        "movement_created",
        "movement_updated",
        "movement_received",
        "movement_canceled",
        "other",
        "promotion",
        "quality_control",
        "received",
        "reservation_created",
        "reservation_deleted",
        "reservation_updated",
        "restock",
        "safety_stock",
        "shrinkage",
    ]
)


def variant(shop: Shop, sku: str, title: str | None = None, price_minor: int | None = None) -> Doc:
    """The variant of a SKU, made if new (price in minor units of the shop's currency)."""
    doc = shop.world.get("variants", sku)
    if doc is None:
        doc = {
            "sku": sku, "title": title or sku, "barcode": f"40{zlib.crc32(sku.encode()):011d}",
            "price_minor": price_minor or 0,
            "id": shop.gid("ProductVariant"), "item_id": shop.gid("InventoryItem"), "levels": {},
        }  # fmt: skip
        shop.world.put("variants", sku, doc)
        shop.remember(doc["id"], sku)
        shop.remember(doc["item_id"], sku)
    return doc


def by_id(shop: Shop, gid: str) -> Doc | None:
    """By the gid of the variant or of its inventory item."""
    return shop.world.get("variants", shop.owner(gid) or "")


def level(shop: Shop, doc: Doc, location_id: str) -> Doc:
    made: Doc = doc["levels"].setdefault(location_id, {"available": 0, "committed": 0, "at": shop.now()})
    made.setdefault("id", f"{shop.gid('InventoryLevel')}?inventory_item_id={doc['item_id'].rsplit('/', 1)[1]}")
    return made


def commit(shop: Shop, sku: str, quantity: int) -> None:
    """Goods of the first location are promised to an order (or freed, when negative)."""
    _move(shop, sku, shop.location(None)["id"], available=-quantity, committed=quantity)


def ship(shop: Shop, sku: str, location_id: str, quantity: int) -> None:
    """Promised goods leave; from another location than the first, the promise moves there first."""
    first = shop.location(None)["id"]
    if location_id != first:
        _move(shop, sku, first, available=quantity, committed=-quantity)
        _move(shop, sku, location_id, available=-quantity, committed=quantity)
    _move(shop, sku, location_id, committed=-quantity)


def restock(shop: Shop, sku: str, location_id: str, quantity: int) -> None:
    _move(shop, sku, location_id, available=quantity)


def _move(shop: Shop, sku: str, location_id: str, available: int = 0, committed: int = 0) -> None:
    doc = variant(shop, sku)
    row = level(shop, doc, location_id)
    row["available"] += available
    row["committed"] += committed
    row["at"] = shop.now()
    shop.world.put("variants", sku, doc)
    if available:
        shop.tell("INVENTORY_LEVELS_UPDATE", payloads.inventory_level(doc, location_id))


def quantity(row: Doc, name: str) -> int:
    return int(row["available"] + row["committed"] if name == "on_hand" else row[name])


def set_quantities(shop: Shop, data: Doc) -> Doc:
    """Absolute quantities, each against the quantity that the caller believes (null: whatever it is)."""
    rows = [{**row, "to": row["quantity"]} for row in data["quantities"]]
    return _change(shop, data, rows, "quantities")


def adjust_quantities(shop: Shop, data: Doc) -> Doc:
    if data["name"] != "available":
        raise Refused("The specified quantity name is invalid.", "INVALID_QUANTITY_NAME", ["input", "name"])
    return _change(shop, data, data["changes"], "changes")


def _change(shop: Shop, data: Doc, rows: list[Doc], list_name: str) -> Doc:
    """All rows or none. Raises Refused with Shopify's codes."""
    name = data["name"]
    if name not in _NAMES:
        raise Refused("The quantity name must be either 'available' or 'on_hand'.", "INVALID_NAME", ["input", "name"])
    if data["reason"] not in _REASONS:
        raise Refused("The specified reason is invalid.", "INVALID_REASON", ["input", "reason"])
    changes = []
    for i, row in enumerate(rows):
        at = ["input", list_name, str(i)]
        doc = by_id(shop, row["inventoryItemId"])
        if doc is None:
            raise Refused(
                "The specified inventory item could not be found.", "INVALID_INVENTORY_ITEM", [*at, "inventoryItemId"]
            )
        if shop.world.get("locations", row["locationId"]) is None:
            raise Refused("The specified location could not be found.", "INVALID_LOCATION", [*at, "locationId"])
        if row["locationId"] not in doc["levels"]:
            raise Refused(
                "The specified inventory item is not stocked at the location.",
                "ITEM_NOT_STOCKED_AT_LOCATION",
                [*at, "locationId"],
            )
        if "changeFromQuantity" not in row:
            raise Refused(
                "The changeFromQuantity argument must be given, with null to skip the check.",
                "COMPARE_QUANTITY_REQUIRED",
                [*at, "changeFromQuantity"],
            )
        before = quantity(level(shop, doc, row["locationId"]), name)
        expected = row.get("changeFromQuantity")
        if expected is not None and expected != before:
            raise Refused(
                "The changeFromQuantity argument no longer matches the persisted quantity.",
                "CHANGE_FROM_QUANTITY_STALE",
                [*at, "changeFromQuantity"],
            )
        delta = row["to"] - before if "to" in row else row["delta"]
        if "to" in row and row["to"] < 0:
            raise Refused("The quantity can't be negative.", "INVALID_QUANTITY_NEGATIVE", [*at, "quantity"])
        _move(shop, doc["sku"], row["locationId"], available=delta)
        changes.append(
            {
                "sku": doc["sku"],
                "location_id": row["locationId"],
                "name": name,
                "delta": delta,
                "after": before + delta,
                "ledger": row.get("ledgerDocumentUri"),
            }
        )
    group = {
        "id": shop.gid("InventoryAdjustmentGroup"), "at": shop.now(), "reason": data["reason"],
        "reference": data.get("referenceDocumentUri"), "changes": changes,
    }  # fmt: skip
    shop.world.put("adjustments", group["id"], group)
    return group
