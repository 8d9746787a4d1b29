"""Adyen holds to what every connector has to hold to, with its published specification as witness of every message."""

from counterflow.sdk.testing.conformance import ConnectorConformance
from tests.connectors.adyen import spec


class TestAdyen(ConnectorConformance):
    Harness = spec.Harness
