"""Policies are data: five checked decision tables, a statutory floor below them, and answers that say why.

eligibility, fees, approvals, refund_moment, disposition. A table is first hit wins over closed vocabularies and ranges,
with a last row that always holds. `parse` reads and checks a set, `evaluate` asks a table, `floor.apply` keeps the law.
"""

from counterflow.core.policy.check import check, check_set
from counterflow.core.policy.evaluate import NO_FLAGS, evaluate, explain, run_golden
from counterflow.core.policy.promise import never_worse
from counterflow.core.policy.table import (
    CompileGuard,
    Golden,
    Guard,
    GuardError,
    Hit,
    PolicySet,
    Problem,
    Review,
    Row,
    Table,
    in_force,
    policy_set,
)
from counterflow.core.policy.text import parse, print_toml, read
from counterflow.core.policy.vocabulary import CONTRACT_BY_CHANNEL, TABLES, Choice, Column, Span, columns

__all__ = [
    "CONTRACT_BY_CHANNEL",
    "NO_FLAGS",
    "TABLES",
    "Choice",
    "Column",
    "CompileGuard",
    "Golden",
    "Guard",
    "GuardError",
    "Hit",
    "PolicySet",
    "Problem",
    "Review",
    "Row",
    "Span",
    "Table",
    "check",
    "check_set",
    "columns",
    "evaluate",
    "explain",
    "in_force",
    "never_worse",
    "parse",
    "policy_set",
    "print_toml",
    "read",
    "run_golden",
]
