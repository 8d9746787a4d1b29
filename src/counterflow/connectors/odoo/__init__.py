"""Odoo 19 as the ERP: stock, credit notes, refund payments and payouts, over its JSON-2 API."""

from typing import Any

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


connector = OdooMaker()

__all__ = ["Config", "OdooConnector", "connector"]
