"""Medusa holds to what every connector has to hold to."""

from counterflow.connectors.medusa.conformance import Harness
from counterflow.sdk.testing.conformance import ConnectorConformance


class TestMedusa(ConnectorConformance):
    Harness = Harness
