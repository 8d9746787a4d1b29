from counterflow.connectors.warehouse.conformance import Harness as Conformance
from counterflow.sdk.testing.conformance import ConnectorConformance


class TestWarehouse(ConnectorConformance):
    Harness = Conformance
