"""What is owed, on which tender it goes back, and what an exchange changes: pure functions of the sale as it was."""

from counterflow.core.refunds.currency import exchange_difference
from counterflow.core.refunds.entitlement import entitle
from counterflow.core.refunds.exchange import (
    ExchangeSettlement,
    guarantee_due,
    replacement_price,
    replacement_returned,
    roles_swapped,
    settle_exchange,
)
from counterflow.core.refunds.tenders import PlannedLeg, RouteRule, route
from counterflow.core.refunds.terms import (
    Component,
    Difference,
    Entitlement,
    GiveBack,
    ReturnedItem,
    explain_difference,
)

__all__ = [
    "Component",
    "Difference",
    "Entitlement",
    "ExchangeSettlement",
    "GiveBack",
    "PlannedLeg",
    "ReturnedItem",
    "RouteRule",
    "entitle",
    "exchange_difference",
    "explain_difference",
    "guarantee_due",
    "replacement_price",
    "replacement_returned",
    "roles_swapped",
    "route",
    "settle_exchange",
]
