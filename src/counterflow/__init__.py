"""Counterflow keeps returns, inventory and finance in step between retail systems and Odoo."""

__version__ = "0.1.0"
