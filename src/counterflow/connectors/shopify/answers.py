"""Returns in the shop: answered, told how far they are, closed. Every verb reads first, so that it may be repeated."""

from collections import Counter
from typing import Any

from counterflow.connectors.shopify import documents
from counterflow.connectors.shopify.client import Client
from counterflow.connectors.shopify.feeds import order_gid
from counterflow.connectors.shopify.manifest import Config
from counterflow.connectors.shopify.references import answered_tag, gid, kit_ref, number
from counterflow.core.effects import AnswerReturn, UnitResult, UpdateChannel
from counterflow.sdk.outcomes import Conflict, Done, NotFound

Json = dict[str, Any]

# The state that an answer leads to, and those in which it has been given.
_GIVEN = {"approve": ("OPEN", ("OPEN", "CLOSED")), "decline": ("DECLINED", ("DECLINED",))}
# Words of our reason -> Shopify's reason to decline; the first that is in it counts, else OTHER.
DECLINE_REASONS = (
    ("final_sale", "FINAL_SALE"),
    ("final sale", "FINAL_SALE"),
    ("window", "RETURN_PERIOD_ENDED"),
    ("guarantee-over", "RETURN_PERIOD_ENDED"),
    ("too-late", "RETURN_PERIOD_ENDED"),
    ("period", "RETURN_PERIOD_ENDED"),
)
DECLINE_NOTE_CHARACTERS = 500
TAGS = {"received": "Return received", "refunded": "Return refunded", "dispositioned": "Return inspected"}
PARTLY = "Return partly declined"
# How a return ends in the shop, or goes on: the states that it does so from, and the document.
ENDS = {
    "closed": (("OPEN",), documents.CLOSE),
    "reopened": (("CLOSED",), documents.REOPEN),
    "cancelled": (("REQUESTED", "OPEN"), documents.CANCEL),
}
# Shopify takes one disposition for each piece, for ever, so that only what is final is told (edge case 43).
DISPOSITIONS = {
    "restock": "RESTOCKED",
    "scrap": "NOT_RESTOCKED",
    "recycle": "NOT_RESTOCKED",
    "donate": "NOT_RESTOCKED",
    "liquidate": "NOT_RESTOCKED",
    "return_to_vendor": "NOT_RESTOCKED",
    "send_back": "NOT_RESTOCKED",
}


async def answer(client: Client, command: AnswerReturn) -> Done:
    """Approve or decline. Raises Conflict when the shop has decided otherwise, NotFound."""
    id_ = gid("Return", command.return_ref)
    found = await client.call(documents.RETURN_STATE, id=id_)
    if found is None:
        raise NotFound(f"the shop has no return {command.return_ref}")
    _, given = _GIVEN[command.decision]
    if found["status"] in given:
        return Done(found["name"])
    if found["status"] != "REQUESTED":
        raise Conflict(
            f"return {found['name']} is {found['status'].lower()} in the shop, it cannot be {command.decision}d",
            actual=found["status"],
            code="return_status",
        )
    # Before the answer: whoever reads the return afterwards knows that it is ours.
    tags = [answered_tag(command.decision, id_)]
    if command.decision == "approve" and command.declined:
        tags.append(PARTLY)  # Shopify answers a return as a whole
    await client.call(documents.ADD_TAGS, id=found["order"]["id"], tags=tags)
    if command.decision == "approve":
        await client.call(documents.APPROVE, id=id_)
    else:
        note = command.reason[:DECLINE_NOTE_CHARACTERS]
        await client.call(documents.DECLINE, id=id_, reason=decline_reason(command.reason), note=note)
    return Done(found["name"])


async def find_answer(client: Client, command: AnswerReturn) -> Done | None:
    found = await client.call(documents.RETURN_STATE, id=gid("Return", command.return_ref))
    return Done(found["name"]) if found and found["status"] in _GIVEN[command.decision][1] else None


def decline_reason(reason: str) -> str:
    return next((word for part, word in DECLINE_REASONS if part in reason.lower()), "OTHER")


async def update(client: Client, config: Config, command: UpdateChannel) -> Done:
    """Show how far the case is: a tag for each milestone, the final dispositions, the return closed or cancelled."""
    if tag := TAGS.get(command.milestone):
        order = await order_gid(client, command.order_ref)
        await client.call(documents.ADD_TAGS, id=order, tags=[tag])
    if command.return_ref and command.milestone == "dispositioned":
        await _dispose(client, config, command)
    if command.return_ref and command.milestone in ENDS:
        await _end(client, command)
    return Done(command.return_ref or command.order_ref)


async def _end(client: Client, command: UpdateChannel) -> None:
    """What the shop has ended by itself, or never opened, is left as it is."""
    id_ = gid("Return", command.return_ref)
    found = await client.call(documents.RETURN_STATE, id=id_)
    states, document = ENDS[command.milestone]
    if found and found["status"] in states:
        await client.call(document, id=id_)


async def _dispose(client: Client, config: Config, command: UpdateChannel) -> None:
    found = await client.call(documents.RETURN_WORK, id=gid("Return", command.return_ref))
    if found is None:
        raise NotFound(f"the shop has no return {command.return_ref}")
    rows = dispositions(
        found, command.results, gid("Location", config.restock_location) if config.restock_location else ""
    )
    if rows:
        await client.call(documents.DISPOSE, rows=rows)


def dispositions(ret: Json, results: tuple[UnitResult, ...], location: str) -> list[Json]:
    """What is still to be told of the final results: pieces that have a disposition of their kind are done.

    Without a location to restock to, the shop learns its stock from elsewhere and every piece is "not restocked" here.
    """
    wanted: Counter[tuple[str, str, str]] = Counter()
    for result in results:
        kind = DISPOSITIONS.get(result.disposition)
        if kind is not None:
            kind = kind if location else "NOT_RESTOCKED"
            wanted[result.line_ref, result.sku, kind] += result.quantity
    lines = [
        line
        for order in ret["reverseFulfillmentOrders"]["nodes"]
        if order["status"] != "CANCELED"
        for line in order["lineItems"]["nodes"]
    ]
    for line in lines:  # first what was told before, over all lines
        for done in line["dispositions"]:
            key = next((k for k in wanted if k[2] == done["type"] and _is(line, k)), None)
            if key is not None:
                wanted[key] = max(0, wanted[key] - done["quantity"])
    rows = []
    for line in lines:
        left = line["totalQuantity"] - sum(done["quantity"] for done in line["dispositions"])
        for key in wanted:
            quantity = min(left, wanted[key])
            if quantity > 0 and _is(line, key):
                row = {"reverseFulfillmentOrderLineItemId": line["id"], "quantity": quantity, "dispositionType": key[2]}
                rows.append({**row, "locationId": location} if key[2] == "RESTOCKED" else row)
                wanted[key] -= quantity
                left -= quantity
    return rows


def _is(line: Json, key: tuple[str, str, str]) -> bool:
    """Whether a line of the reverse fulfilment is the sold line, or the component of the kit, that a result names."""
    sold = (line["fulfillmentLineItem"] or {}).get("lineItem")
    return sold is not None and is_sold_as(sold, key[0], key[1])


def is_sold_as(sold: Json, line_ref: str, sku: str) -> bool:
    """Whether a line item is the sold line, or the component of the kit, that we name so."""
    group = (sold["lineItemGroup"] or {}).get("id", "")
    return number(sold["id"]) == line_ref or (bool(group) and kit_ref(group) == line_ref and sold["sku"] == sku)
