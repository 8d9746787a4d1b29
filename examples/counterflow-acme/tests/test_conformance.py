"""Acme holds to what every connector has to hold to."""

from counterflow_acme.conformance import Harness

from counterflow.sdk.testing.conformance import ConnectorConformance


class TestAcme(ConnectorConformance):
    Harness = Harness
