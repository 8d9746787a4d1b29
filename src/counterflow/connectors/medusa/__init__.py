"""Medusa 2: orders, returns, exchanges, receipts and refunds over its admin API."""

from counterflow.connectors.medusa.connector import MedusaMaker

connector = MedusaMaker()
