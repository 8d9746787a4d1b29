"""What was promised at the sale: a later change of policy never worsens a running case."""

from counterflow.core.money import Money
from counterflow.core.policy.table import Answer, Hit
from counterflow.core.policy.vocabulary import GRADES, TABLES, Amount, Output, Ppm, PpmByGrade, Word

# The answers that the customer feels, by table; words are listed kindest first in the vocabulary.
_FELT = {
    "eligibility": ("decision",),
    "fees": ("restocking_fee_ppm", "restocking_fee", "shipping_refund", "value_loss_ppm", "promotion"),
}


def never_worse(current: Hit, frozen: Hit) -> Hit:
    """The hit that counts: that of the policy in force at the request, unless the one frozen at the sale was better.

    Both are answers of the same table. The current one counts if it is no harsher in any answer that the customer
    feels; amounts in different currencies cannot be compared, so the promise stands. Tables that bind only the shop
    (approvals, refund moment, disposition) always take the current one.
    """
    if current.table != frozen.table:
        raise ValueError(f"{current.table} and {frozen.table} cannot be compared: pass two answers of one table")
    outputs = TABLES.get(current.table, {})
    harsher = any(
        _harsher(outputs[name], current.outputs.get(name), frozen.outputs.get(name))
        for name in _FELT.get(current.table, ())
    )
    return frozen if harsher else current


def _harsher(output: Output, now: Answer | None, then: Answer | None) -> bool:
    match output:
        case Word(words=words):
            order = list(words)
            return order.index(now) > order.index(then)  # both are in the vocabulary: checked
        case Ppm():
            return _number(now) > _number(then)
        case PpmByGrade():
            return any(_by_grade(now, grade) > _by_grade(then, grade) for grade in GRADES)
        case Amount():
            if not isinstance(now, Money) or now.minor == 0:
                return False
            return not isinstance(then, Money) or now.currency != then.currency or now.minor > then.minor


def _number(answer: Answer | None) -> int:
    return answer if isinstance(answer, int) else 0


def _by_grade(answer: Answer | None, grade: str) -> int:
    return 0 if answer is None or isinstance(answer, (str, int, Money)) else answer[grade]
