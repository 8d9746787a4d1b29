"""A kept delivery translated once more: after a translation was mended, or after somebody has asked for it."""

from collections.abc import Mapping
from datetime import datetime

from psycopg import AsyncConnection

from counterflow.core.ids import make_id
from counterflow.intake.accept import accept
from counterflow.intake.receive import Receipt, translated
from counterflow.sdk.connector import Connector, Delivery
from counterflow.store import deliveries, exceptions


async def translate_again(
    conn: AsyncConnection, connectors: Mapping[str, Connector], delivery_id: str, by: str, now: datetime
) -> Receipt:
    """Its facts are the same ones, so what is known already changes nothing.

    The signature is not asked for again: it was good when the delivery was kept, and its time is over. Raises
    KeyError for a delivery that is not kept, or whose connection is no longer configured.
    """
    async with conn.transaction():
        kept = await deliveries.get(conn, delivery_id)
        if kept is None:
            raise KeyError(delivery_id)
        delivery = Delivery(kept.connection, kept.headers, kept.body, kept.received_at)
        new, facts, looks = translated(connectors[kept.connection], delivery, delivery_id)
        await accept(conn, facts, looks)
        await deliveries.set_status(conn, delivery_id, new.status, new.facts, new.reason)
        if new.status != "malformed":
            name = make_id("ex", "malformed_delivery", kept.connection, kept.delivery_key)
            await exceptions.end(conn, {name: f"translated again by {by}"}, now)
    return Receipt(delivery_id, new.status, new.facts)
