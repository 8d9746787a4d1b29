"""The notifier holds to what every connector has to hold to."""

from counterflow.connectors.notify.conformance import Harness
from counterflow.sdk.testing.conformance import ConnectorConformance


class TestNotify(ConnectorConformance):
    Harness = Harness
