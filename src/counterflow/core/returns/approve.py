"""Who has to sign a refund intent, and who has signed it: the approvals table is asked for the whole case."""

from collections.abc import Collection

from counterflow.core.facts import RequestedLine
from counterflow.core.money import Money
from counterflow.core.policy import Review
from counterflow.core.policy.vocabulary import TABLES, Word
from counterflow.core.returns.authorise import ask, inputs_of, row_of
from counterflow.core.returns.work import Intent, Line, Work

_PERSONS = {"auto": 0, "one": 1, "two": 2}
_ROLES = TABLES["approvals"]["role"]
assert isinstance(_ROLES, Word)
_RANK = {str(role): rank for rank, role in enumerate(_ROLES.words)}  # who may sign for whom, the highest last


def approved(work: Work, intent: Intent, waves: Collection[str]) -> bool:
    """Whether the intent may go: enough different people of the role have signed its very amount, and none refused.

    A signature under an earlier one of the `waves` holds for what that wave could not pay, up to what was signed.
    """
    assert work.sale is not None
    paid_before = sum(leg.amount_minor for leg in work.legs.values() if leg.origin == "ours")
    due = work.entitled_minor - work.offset_minor
    if paid_before and due <= paid_before:
        intent.because = "approved before: a leg that failed is paid again on another rail"
        return True
    needed, role = _needed(work, intent, max(due, intent.amount_minor))
    signed: dict[str, bool] = {}
    for body in work.signed:
        meant = (body.intent_id, body.amount_minor) == (intent.intent_id, intent.amount_minor)
        rest = body.intent_id in waves and body.amount_minor >= paid_before + intent.amount_minor
        if (meant or rest) and (not body.granted or _RANK.get(body.role, 0) >= _RANK[role]):
            signed[body.by] = body.granted
    refused = [by for by, granted in signed.items() if not granted]
    if refused:
        intent.holds.append("refused by " + ", ".join(refused))
        work.trouble(
            "approval_refused", intent.intent_id, f"{intent.holds[-1]}: settle it with the customer or ask again"
        )
        return False
    intent.approvals = sorted(signed)
    missing = needed - len(signed)
    if missing <= 0:
        return True
    work.trouble(
        "approval_needed",
        intent.intent_id,
        f"a refund of {Money(work.sale.currency, intent.amount_minor)} waits for {missing} approval(s) by "
        f"{role.replace('_', ' ')}: {intent.because}",
        intent.amount_minor,
    )
    return False


def _needed(work: Work, intent: Intent, total: int) -> tuple[int, str]:
    """(persons, role) for the case's whole amount, so that splitting slips below no limit; goodwill counts apart."""
    assert work.sale is not None
    line = next((line for line in work.lines.values() if line.sold is not None), None)
    if line is None and work.sale.lines:
        sold = work.sale.lines[0]
        line = Line(RequestedLine(sold.line_ref, 1, reason="none_given"), sold)
    if line is None:
        return 1, "finance_controller"
    questions = [(work.kind, total)]
    if work.goodwill_minor and work.kind != "goodwill":
        questions.append(("goodwill", work.goodwill_minor))
    answers = [_ask(work, intent, line, kind, amount) for kind, amount in questions]
    return max(answers, key=lambda answer: (answer[0], _RANK[answer[1]]))


def _ask(work: Work, intent: Intent, line: Line, kind: str, amount: int) -> tuple[int, str]:
    inputs = inputs_of(work, line, case_kind=kind, amount_minor=amount)
    answer = ask(work, "approvals", intent.intent_id, inputs)
    if isinstance(answer, Review):
        intent.because = answer.why
        return 1, "finance_controller"
    intent.because = row_of(answer)
    return _PERSONS[str(answer.outputs["persons"])], str(answer.outputs.get("role", "none"))
