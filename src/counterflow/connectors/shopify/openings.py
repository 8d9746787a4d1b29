"""Returns that were asked for elsewhere, opened in the shop. `returnCreate` takes no key: each line's note carries it.

The notes are read straight from the order, not from an index that lags, so that the look-up before a second call is
sure; and they tell whoever reads the return afterwards that it asks for nothing.
"""

from typing import Any

from counterflow.connectors.shopify import documents
from counterflow.connectors.shopify.answers import is_sold_as
from counterflow.connectors.shopify.client import Client
from counterflow.connectors.shopify.feeds import order_gid
from counterflow.connectors.shopify.references import note_for, opening_key, return_ref
from counterflow.core.effects import Effect, OpenReturn, ReturnedItem
from counterflow.sdk.outcomes import Done, NotFound, Rejected

Json = dict[str, Any]
NOTE_CHARACTERS = 255
# The policy's reason -> Shopify's, where one of theirs says the same; the note has ours in any case.
REASONS = {
    "none_given": "UNKNOWN",
    "changed_mind": "UNWANTED",
    "defective": "DEFECTIVE",
    "not_as_described": "NOT_AS_DESCRIBED",
    "wrong_item": "WRONG_ITEM",
}


async def open_return(client: Client, connection: str, effect: Effect, command: OpenReturn) -> Done:
    """Done with the return's reference. Raises Rejected when less can be returned there, NotFound."""
    order, made = await _look(client, connection, effect, command)
    if made is not None:
        return made
    rows: list[Json] = []
    free = [
        (row["fulfillmentLineItem"], int(row["quantity"]))
        for move in (await client.call(documents.RETURNABLE, id=order))["nodes"]
        for row in move["returnableFulfillmentLineItems"]["nodes"]
    ]
    for item in command.items:
        left = item.quantity
        for shipped, quantity in free:
            taken = sum(row["quantity"] for row in rows if row["fulfillmentLineItemId"] == shipped["id"])
            count = min(left, quantity - taken) if is_sold_as(shipped["lineItem"], item.line_ref, item.sku) else 0
            if count > 0:
                rows.append(_row(effect, item, shipped["id"], count))
                left -= count
        if left:
            raise Rejected(
                f"{left} of {item.quantity} x {item.sku} cannot be returned in the shop (not shipped there, refunded, "
                "or in another return): see to the order there, then retry or discard",
                code="returnable",
            )
    given = {"orderId": order, "returnLineItems": rows}
    return _done(connection, (await client.call(documents.OPEN_RETURN, input=given))["return"])


async def find(client: Client, connection: str, effect: Effect, command: OpenReturn) -> Done | None:
    return (await _look(client, connection, effect, command))[1]


async def _look(client: Client, connection: str, effect: Effect, command: OpenReturn) -> tuple[str, Done | None]:
    """The order's gid, and the return that carries our key."""
    found = await client.call(documents.RETURN_NOTES, id=await order_gid(client, command.order_ref))
    if found is None:
        raise NotFound(f"the shop has no order {command.order_ref}")
    for ret in found["returns"]["nodes"]:
        if opening_key(ret["returnLineItems"]["nodes"]) == effect.effect_id:
            return found["id"], _done(connection, ret)
    return found["id"], None


def _done(connection: str, ret: Json) -> Done:
    return Done(return_ref(connection, ret["id"]), (("name", ret["name"]),))


def _row(effect: Effect, item: ReturnedItem, shipped: str, quantity: int) -> Json:
    return {
        "fulfillmentLineItemId": shipped,
        "quantity": quantity,
        "returnReason": REASONS.get(item.reason, "OTHER"),
        "returnReasonNote": note_for(effect.effect_id, item.reason)[:NOTE_CHARACTERS],
    }
