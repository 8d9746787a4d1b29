"""Presentment against settlement currency (edge case 60).

A refund is always in the currency that the customer paid in. What the provider adds to or takes from our payout is
in another, and never on the same document: the difference of the rates is a figure of its own, in the settlement
currency, for the exchange-difference account.
"""

from counterflow.core.money import share_of


def exchange_difference(
    captured_minor: int,
    captured_settled_minor: int,
    refunded_before_minor: int,
    refund_minor: int,
    refund_settled_minor: int,
) -> int:
    """Our loss (positive) or gain (negative) by the change of rates, in minor units of the settlement currency.

    `captured_minor`, `refunded_before_minor`, `refund_minor`: presentment currency. `captured_settled_minor`: what
    the capture brought in the payout, `refund_settled_minor`: what this refund took from it, both without fees. The
    refund's part of the capture is cumulative: over all refunds of a payment the parts sum to
    `captured_settled_minor`. Raises ValueError for a refund beyond what was captured.
    """
    return refund_settled_minor - share_of(captured_settled_minor, captured_minor, refunded_before_minor, refund_minor)
