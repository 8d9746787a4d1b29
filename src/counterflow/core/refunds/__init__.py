"""What is owed, on which tender it goes back, and what an exchange changes: pure functions of the sale as it was."""

from counterflow.core.refunds.currency import exchange_difference
from counterflow.core.refunds.entitlement import entitle
from counterflow.core.refunds.exchange import ExchangeSettlement, settle_exchange
from counterflow.core.refunds.tenders import PlannedLeg, RouteRule, route
from counterflow.core.refunds.terms import Component, Entitlement, GiveBack, ReturnedItem

__all__ = [
    "Component",
    "Entitlement",
    "ExchangeSettlement",
    "GiveBack",
    "PlannedLeg",
    "ReturnedItem",
    "RouteRule",
    "entitle",
    "exchange_difference",
    "route",
    "settle_exchange",
]
