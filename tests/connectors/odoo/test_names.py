"""Names of the configuration, looked up once for all calls of a process."""

import asyncio

from counterflow.connectors.odoo.names import Names
from tests.connectors.odoo.lane import lane


async def test_two_calls_that_look_for_one_product_at_once_both_find_it() -> None:
    async with lane() as odoo:
        session = odoo.connector.odoo
        fresh = Names(session.client, session.config)
        both = await asyncio.gather(fresh.products({"TEE"}), fresh.products({"TEE", "SHIP"}))
        assert both[0]["TEE"] == both[1]["TEE"]
