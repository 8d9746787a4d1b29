"""What is owed, on which tender it goes back, and what an exchange changes: pure functions of the sale as it was."""

from counterflow.core.refunds.entitlement import entitle
from counterflow.core.refunds.terms import (
    Component,
    Difference,
    Entitlement,
    GiveBack,
    ReturnedItem,
    explain_difference,
)

__all__ = ["Component", "Difference", "Entitlement", "GiveBack", "ReturnedItem", "entitle", "explain_difference"]
