"""Odoo 19 as the ERP: stock, credit notes, refund payments and payouts, over its JSON-2 API."""

from typing import Any

from pydantic import SecretStr

from counterflow.connectors.odoo import fast_lane
from counterflow.connectors.odoo.connector import OdooConnector
from counterflow.connectors.odoo.manifest import Config, manifest_for
from counterflow.sdk.connector import Connector, Context
from counterflow.sdk.manifest import Manifest


class OdooMaker:
    """What the entry point names."""

    manifest: Manifest = manifest_for()
    Config = Config

    def make(self, config: Any, context: Context) -> Connector:
        return OdooConnector(config, context)

    async def install(self, config: Any, context: Context, key: str, *, login: str = "", remove: bool = False) -> str:
        """Put the procedure of the fast lane into Odoo with an administrator's key, or take it out; says what was done.

        Raises ConnectorError. Odoo before 19 wants the administrator's login too.
        """
        access = {"api_key": SecretStr(key), "login": login or config.login}
        made = OdooConnector(config.model_copy(update=access), context)
        try:
            if remove:
                gone = await fast_lane.remove(made.odoo.client)
                return "the procedure is removed" if gone else "there was no procedure"
            said = f"procedure {await fast_lane.install(made.odoo.client)} is installed"
            return said if config.lane == "fast" else f'{said}; it is used with lane = "fast" in the connection'
        finally:
            await made.aclose()


connector = OdooMaker()

__all__ = ["Config", "OdooConnector", "connector"]
