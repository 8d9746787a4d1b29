"""Replacements: the items that an exchange of the shop carries already, else an order of their own with our key.

An exchange made in Medusa's admin sends its items out by itself. For a return that the customer requested Medusa makes
no exchange any more, so the replacement is a draft order, its price paid by a credit line, that is then converted: the
conversion makes the order, and a draft that a lost answer left behind is carried on with.
"""

from typing import Any

from counterflow.connectors.medusa.client import Client
from counterflow.connectors.medusa.feeds import order_id, read_order, read_return
from counterflow.connectors.medusa.mapping import key_in
from counterflow.connectors.medusa.sale import (
    EXCHANGE,
    KEY,
    ROOT,
    ROOT_DELIVERED,
    delivered_at,
    exchange_ref,
    sale_ref,
)
from counterflow.core.effects import CreateReplacement, Effect
from counterflow.core.money import to_major
from counterflow.sdk.outcomes import Done, Rejected, UnknownOutcome

Json = dict[str, Any]
_ROWS = 100
_ADDRESS = (
    "first_name",
    "last_name",
    "company",
    "address_1",
    "address_2",
    "city",
    "country_code",
    "province",
    "postal_code",
    "phone",
)


async def create(client: Client, connection: str, effect: Effect, command: CreateReplacement) -> Done:
    """Order the replacement. Raises Rejected where the shop does not sell one of its SKUs."""
    native = await _native(client, connection, command)
    if native is not None:
        return native
    original = await read_order(client, await order_id(client, command.order_ref))
    currency = original["currency_code"].upper()
    if currency != command.currency:
        raise Rejected(f"the order is in {currency}, not in {command.currency}", code="currency")
    drafts = await _with_key(client, "draft-orders", "draft_orders", effect, original)
    draft = drafts[0] if drafts else await _draft(client, effect, command, original)
    if command.offset_minor and not draft.get("credit_lines"):
        await client.post(
            f"/admin/orders/{draft['id']}/credit-lines",
            amount=float(to_major(command.offset_minor, command.currency)),
            reference=EXCHANGE,
            reference_id=command.return_ref or command.order_ref,
        )
    made = await client.post(f"/admin/draft-orders/{draft['id']}/convert-to-order")
    return _done(connection, made["order"])


async def find(client: Client, connection: str, effect: Effect, command: CreateReplacement) -> Done | None:
    """By the exchange of the return, else by our key in an order. Raises UnknownOutcome for two."""
    native = await _native(client, connection, command)
    if native is not None:
        return native
    original = await read_order(client, await order_id(client, command.order_ref))
    rows = await _with_key(client, "orders", "orders", effect, original)
    if len(rows) > 1:
        names = ", ".join(f"#{row['display_id']}" for row in rows)
        many = f"the replacement was ordered {len(rows)} times ({names}): cancel all but one"
        raise UnknownOutcome(many, code="twice")
    return _done(connection, rows[0]) if rows else None


def _done(connection: str, order: Json) -> Done:
    return Done(sale_ref(connection, order["id"]), (("order_number", f"#{order['display_id']}"),))


async def _native(client: Client, connection: str, command: CreateReplacement) -> Done | None:
    """The exchange that an agent made in the shop together with the return."""
    if not command.return_ref.startswith(f"{connection}:return:"):
        return None
    found = (await read_return(client, command.return_ref)).get("exchange_id")
    return Done(exchange_ref(connection, found)) if found else None


async def _with_key(client: Client, path: str, name: str, effect: Effect, original: Json) -> list[Json]:
    """Orders or drafts with the effect's key. Medusa cannot search metadata: the later ones of the customer are
    read, by the shop's own clock.
    """
    query: Json = {"created_at[$gte]": original["created_at"], "order": "created_at", "limit": _ROWS}
    if original["customer_id"]:
        query["customer_id"] = original["customer_id"]
    found: list[Json] = []
    offset = 0
    while True:  # nothing is put in between, so that offsets hold
        fields = "id,display_id,metadata,*credit_lines"
        rows = await client.get(f"/admin/{path}", name, **query, fields=fields, offset=offset)
        found += [row for row in rows if key_in((row["metadata"] or {}).get(KEY)) == effect.effect_id]
        offset += len(rows)
        if len(rows) < _ROWS:
            return found


async def _draft(client: Client, effect: Effect, command: CreateReplacement, original: Json) -> Json:
    metadata = original["metadata"] or {}
    began = delivered_at(original)
    begun = metadata.get(ROOT_DELIVERED) or (began.isoformat() if began else "")
    given: Json = {
        "region_id": original["region_id"],
        "sales_channel_id": original["sales_channel_id"],
        "email": original["email"],
        "items": [await _item(client, line.sku, line.quantity, line.unit_minor, command) for line in command.lines],
        "no_notification_order": True,
        "metadata": {
            KEY: effect.effect_id,
            ROOT: metadata.get(ROOT) or command.order_ref,
            "counterflow_return": command.return_ref,
            **({ROOT_DELIVERED: begun} if begun else {}),
        },
    }
    if original["customer_id"]:
        given["customer_id"] = original["customer_id"]
    if address := original.get("shipping_address"):
        given["shipping_address"] = {name: address[name] for name in _ADDRESS if address.get(name)}
    for row in original["shipping_methods"][:1]:  # sent as the sale was, for nothing
        given["shipping_methods"] = [
            {"shipping_option_id": row["shipping_option_id"], "name": row["name"], "amount": 0}
        ]
    made: Json = (await client.post("/admin/draft-orders", **given))["draft_order"]
    return made


async def _item(client: Client, sku: str, quantity: int, unit_minor: int, command: CreateReplacement) -> Json:
    found = [row for row in await client.get("/admin/product-variants", "variants", sku=sku) if row["sku"] == sku]
    if len(found) != 1:
        raise Rejected(f"{len(found)} variants of the shop have the SKU {sku}: one is needed", code="sku", field="sku")
    unit = float(to_major(unit_minor, command.currency))
    return {"variant_id": found[0]["id"], "quantity": quantity, "unit_price": unit}
