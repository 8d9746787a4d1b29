"""Replacements: the lines that the return itself carries, else an order of their own that carries our key."""

from typing import Any

from counterflow.connectors.shopify import documents
from counterflow.connectors.shopify.client import Client
from counterflow.connectors.shopify.feeds import order_gid
from counterflow.connectors.shopify.manifest import Config
from counterflow.connectors.shopify.references import SOLD_LINE, exchange_ref, gid, number, sale_ref
from counterflow.connectors.shopify.sale import (
    EXCHANGE_GATEWAY,
    ROOT_ATTRIBUTE,
    ROOT_DELIVERED_ATTRIBUTE,
    delivered_at,
)
from counterflow.core.effects import CreateReplacement, Effect
from counterflow.core.money import to_major
from counterflow.sdk.outcomes import Done, NotFound, Rejected, UnknownOutcome

Json = dict[str, Any]


async def create(client: Client, config: Config, connection: str, effect: Effect, command: CreateReplacement) -> Done:
    """Order the replacement. Raises Rejected where the shop does not sell one of its SKUs."""
    native = await _native(client, config, command)
    if native is not None:
        return await _process(client, connection, native, command)
    order = await _order(client, effect.effect_id, command)
    made = (await client.call(documents.CREATE_ORDER, order=order, options=_OPTIONS))["order"]
    return _done(connection, made)


async def find(
    client: Client, config: Config, connection: str, effect: Effect, command: CreateReplacement
) -> Done | None:
    """By the exchange lines that are processed, else by the source identifier. Raises UnknownOutcome for two."""
    native = await _native(client, config, command)
    if native is not None:
        done = all(item["processedQuantity"] >= item["quantity"] for item in native["exchangeLineItems"]["nodes"])
        return Done(exchange_ref(connection, native["id"])) if done else None
    nodes = (await client.call(documents.ORDERS_BY_KEY, query=f"source_identifier:'{effect.effect_id}'"))["nodes"]
    found = [row for row in nodes if row["sourceIdentifier"] == effect.effect_id]
    if len(found) > 1:
        names = ", ".join(row["name"] for row in found)
        raise UnknownOutcome(
            f"the replacement was ordered {len(found)} times ({names}): cancel all but one", code="twice"
        )
    return _done(connection, found[0]) if found else None


_OPTIONS = {"inventoryBehaviour": "DECREMENT_OBEYING_POLICY", "sendReceipt": False}


def _done(connection: str, order: Json) -> Done:
    return Done(sale_ref(connection, order["id"]), (("order_number", order["name"]),))


async def _native(client: Client, config: Config, command: CreateReplacement) -> Json | None:
    """The return, if the shopper or an agent put the replacement into it and the shop exchanges by itself."""
    if not config.native_exchanges or not command.return_ref:
        return None
    found: Json | None = await client.call(documents.RETURN_WORK, id=gid("Return", command.return_ref))
    return found if found and found["exchangeLineItems"]["nodes"] else None


async def _process(client: Client, connection: str, ret: Json, command: CreateReplacement) -> Done:
    """Add the exchange lines to the order; the returned lines are credited beside them, and no money moves here."""
    picks = [
        {"id": item["id"], "quantity": item["quantity"] - item["processedQuantity"]}
        for item in ret["exchangeLineItems"]["nodes"]
        if item["quantity"] > item["processedQuantity"]
    ]
    exchanged = {line.line_ref for line in command.lines}
    back = [
        {"id": row["id"], "quantity": row["unprocessedQuantity"]}
        for row in ret["returnLineItems"]["nodes"]
        if row["__typename"] == SOLD_LINE
        and number(row["fulfillmentLineItem"]["lineItem"]["id"]) in exchanged
        and row["unprocessedQuantity"] > 0
    ]
    if picks:
        given = {"returnId": ret["id"], "exchangeLineItems": picks, "returnLineItems": back, "notifyCustomer": False}
        await client.call(documents.PROCESS, input=given)
    return Done(exchange_ref(connection, ret["id"]))


async def _order(client: Client, key: str, command: CreateReplacement) -> Json:
    """The input of orderCreate: paid by the offset, and by nothing else; a difference stays open for the customer."""
    original = await client.call(documents.ORDER, id=await order_gid(client, command.order_ref))
    if original is None:
        raise NotFound(f"the shop has no order {command.order_ref}")
    shop = original["originalTotalPriceSet"]["shopMoney"]["currencyCode"]
    if shop != command.currency:
        raise Rejected(
            f"the shop keeps its books in {shop} and the sale is in {command.currency}: make the replacement order in "
            "the shop, which knows the rate",
            code="currency",
        )
    attributes = {row["key"]: row["value"] for row in original["customAttributes"]}
    began = delivered_at(original)
    begun = attributes.get(ROOT_DELIVERED_ATTRIBUTE) or (began.isoformat() if began else "")
    order: Json = {
        "currency": command.currency,
        "lineItems": [
            {
                "variantId": await _variant(client, line.sku),
                "quantity": line.quantity,
                "priceSet": _money(line.unit_minor, command.currency),
                "requiresShipping": True,
            }
            for line in command.lines
        ],
        "sourceIdentifier": key,
        "taxesIncluded": True,  # a replacement's price is what the customer pays for it
        "tags": ["replacement", f"replaces {original['name']}"[:40]],
        "note": f"Replacement for {original['name']}",
        "customAttributes": [
            {"key": ROOT_ATTRIBUTE, "value": attributes.get(ROOT_ATTRIBUTE) or command.order_ref},
            {"key": "counterflow_return", "value": command.return_ref},
            *([{"key": ROOT_DELIVERED_ATTRIBUTE, "value": begun}] if begun else []),
        ],
    }
    if original["customer"]:
        order["customer"] = {"toAssociate": {"id": original["customer"]["id"]}}
    if command.offset_minor:
        order["transactions"] = [
            {
                "amountSet": _money(command.offset_minor, command.currency),
                "gateway": EXCHANGE_GATEWAY,
                "kind": "SALE",
                "status": "SUCCESS",
            }
        ]
    return order


async def _variant(client: Client, sku: str) -> str:
    quoted = sku.replace("\\", "").replace("'", "")
    nodes = (await client.call(documents.VARIANT_OF_SKU, query=f"sku:'{quoted}'"))["nodes"]
    found = [row["id"] for row in nodes if row["sku"] == sku]
    if len(found) != 1:
        raise Rejected(f"{len(found)} variants of the shop have the SKU {sku}: one is needed", code="sku", field="sku")
    return str(found[0])


def _money(amount: int, currency: str) -> Json:
    return {"shopMoney": {"amount": to_major(amount, currency), "currencyCode": currency}}
