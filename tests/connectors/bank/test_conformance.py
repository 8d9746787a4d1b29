"""The bank feed holds to what every connector has to hold to."""

from counterflow.connectors.bank.conformance import Harness
from counterflow.sdk.testing.conformance import ConnectorConformance


class TestBank(ConnectorConformance):
    Harness = Harness
