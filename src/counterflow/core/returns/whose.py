"""Whose a refund is, where several cases hold the payment that it gives back (edge cases 45, 46, 59)."""

from counterflow.core.facts import Fact, MarketplaceRefunded, RefundReported, ReturnRequested
from counterflow.core.returns import legs
from counterflow.core.returns.case import Case, Setting
from counterflow.core.returns.decide import fold


def likeness(case: Case, fact: Fact, setting: Setting) -> int:
    """How surely a RefundReported or MarketplaceRefunded is this case's: 3 surely, -1 not (legs.whose)."""
    work, body = fold(case, setting), fact.body
    if isinstance(body, RefundReported):
        return legs.whose(work, [(body, fact)])[0]
    assert isinstance(body, MarketplaceRefunded)
    if any(leg.refund_ref == body.refund_ref for leg in work.legs.values()):
        return 3
    mine = {line.wanted.line_ref for line in work.lines.values()}
    return 0 if not mine or not body.line_refs else 1 if mine & set(body.line_refs) else -1


def awaits(case: Case, request: ReturnRequested, setting: Setting) -> bool:
    """Whether a case is nothing but a refund that nobody could attribute, and this may be its return.

    Then the return joins it (domain.md 8.4): in a case of its own it would be paid a second time.
    """
    work = fold(case, setting)
    if work.lines or work.request is not None or not work.is_open("unattributed_refund"):
        return False
    meant = {ref for fact in case.facts for ref in getattr(fact.body, "line_refs", ())}
    return not meant or bool(meant & {line.line_ref for line in request.lines})
