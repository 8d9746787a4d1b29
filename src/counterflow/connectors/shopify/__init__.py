"""Shopify: orders, returns, refunds and stock over the Admin GraphQL API."""

from counterflow.connectors.shopify.shopify import ShopifyMaker

connector = ShopifyMaker()
