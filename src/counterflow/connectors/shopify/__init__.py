"""Shopify: orders, returns, refunds and stock over the Admin GraphQL API."""
