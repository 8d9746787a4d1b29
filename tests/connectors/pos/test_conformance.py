from counterflow.connectors.pos.conformance import Harness as Conformance
from counterflow.sdk.testing.conformance import ConnectorConformance


class TestPos(ConnectorConformance):
    Harness = Conformance
