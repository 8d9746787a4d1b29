"""Stripe holds to what every connector has to hold to."""

from counterflow.connectors.stripe.conformance import Harness
from counterflow.sdk.testing.conformance import ConnectorConformance


class TestStripe(ConnectorConformance):
    Harness = Harness
