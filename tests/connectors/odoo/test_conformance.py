"""Odoo holds to what every connector has to hold to."""

from counterflow.connectors.odoo.conformance import Harness
from counterflow.sdk.testing.conformance import ConnectorConformance


class TestOdoo(ConnectorConformance):
    Harness = Harness
