"""Odoo holds to what every connector has to hold to, over either of its APIs."""

from counterflow.connectors.odoo.conformance import Harness
from counterflow.sdk.testing.conformance import ConnectorConformance


class Harness18(Harness):
    version = "18.0"


class TestOdoo(ConnectorConformance):
    Harness = Harness


class TestOdoo18(ConnectorConformance):
    Harness = Harness18
