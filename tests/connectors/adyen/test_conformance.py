"""Adyen holds to what every connector has to hold to."""

from counterflow.connectors.adyen.conformance import Harness
from counterflow.sdk.testing.conformance import ConnectorConformance


class TestAdyen(ConnectorConformance):
    Harness = Harness
