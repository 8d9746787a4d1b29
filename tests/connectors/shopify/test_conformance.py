"""Shopify holds to what every connector has to hold to."""

from counterflow.connectors.shopify.conformance import Harness
from counterflow.sdk.testing.conformance import ConnectorConformance


class TestShopify(ConnectorConformance):
    Harness = Harness
