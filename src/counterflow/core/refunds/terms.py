"""The words of a refund: which pieces come back on which terms, and the entitlement that follows.

All amounts are integers in minor units of the sale's currency. Positive is owed to the customer, negative is kept.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

# Why a row is there, as the sentence shown to people. The keys are stored with the row.
RULES = {
    "paid_share": "the share of this piece in what was paid for the line; shares are fixed by piece and close",
    "kit_split": "the share of this part in the kit's price, by the split frozen at the sale",
    "shipping_full": "outbound shipping is given back as paid: the terms say so, or the shipping itself was cancelled",
    "shipping_standard": "outbound shipping is given back at the standard rate; an express surcharge stays with us",
    "re_price": "the kept goods are re-priced under the promotion frozen at the sale; this benefit is no longer earned",
    "deny_partial": "the promotion is given back only as a whole; this is released once all of its goods are back",
    "free_shipping_lost": "the kept goods are under the free-shipping threshold; the accepted terms re-bill it",
    "give_back": "a price reduction that the customer has already received for these goods",
    "restocking_fee": "restocking fee of the terms that were accepted",
    "value_loss": "loss of value by use beyond testing, found at inspection",
    "rounding": "difference between the rounded lines and what was really captured, so that the sum closes",
    "refunded_before": "already refunded: no more than what was paid can be given back",
    "not_below_zero": "the deductions are larger than the goods returned: a return never makes the customer owe us",
    "return_cost": "the customer's own cost of sending back, as the fault is ours",
}


@dataclass(frozen=True, slots=True)
class ReturnedItem:
    """One physical piece that comes back (or is cancelled), with the terms that the policy decided for it.

    `piece` is the index within the sold line, 0..quantity-1. For one part of a kit `part_sku` names it and
    `part_piece` is the index among that part's pieces in one kit; without them the whole kit is meant (those of its
    parts that are not back yet). Shipping, deposits, gift wrap, tips are pieces of their own lines and are listed
    only where they are refundable (edge case 12).
    """

    line_ref: str
    piece: int = 0
    part_sku: str = ""
    part_piece: int = 0
    reason: str = ""
    seller_fault: bool = False  # blocks the restocking fee, whatever the policy says (edge case 13)
    withdrawal: bool = False  # statutory withdrawal: from all goods, it gives the standard shipping back (edge case 14)
    refundable: bool = True  # False: the piece is back, and nothing is owed for it
    restocking_fee_ppm: int = 0  # of what was paid for the piece
    restocking_fee_minor: int = 0  # per piece, added to the former
    value_loss_ppm: int = 0  # of what was paid for the piece
    shipping: str = "none"  # none | standard | full: outbound shipping that this return gives back
    promotion: str = "keep_benefit"  # keep_benefit | re_price | deny_partial (edge case 1)


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Money that the customer got for goods kept, before they came back: price match, goodwill (edge case 11)."""

    amount_minor: int  # positive, tax included
    line_ref: str = ""  # empty: for all goods of the sale, spread by what was paid
    rule: str = "price_match"


class Component(NamedTuple):
    """One row of an entitlement. `line_ref` is empty for what belongs to the whole sale (rounding).

    A promotion that is re-priced names the *kept* line whose price rises, as its tax is what changes. `piece` is -1
    where the row is for a line and not for a piece. Tax is a row of its own: component `tax`, with its code, and `of`
    names the component it belongs to; so each amount but tax is net of tax, save fee and value_loss, which are kept
    as one figure whose tax the booking decides.
    """

    line_ref: str
    piece: int
    component: str  # a SoldLine.component | tax | discount_given_back | value_loss | rounding | return_cost
    amount_minor: int
    rule: str  # key of RULES
    tax_code: str = ""
    of: str = ""
    part: str = ""  # sku of the kit part

    @property
    def basis(self) -> str:
        """The rule in words."""
        return RULES[self.rule]


@dataclass(frozen=True, slots=True)
class Entitlement:
    """What the customer is owed for these pieces. `total_minor` is what is credited, `payable_minor` what is paid out.

    The two differ where the sale is not fully paid: the credit first settles what is open (edge case 80). Return
    costs are in both. `components` sum to `total_minor`.
    """

    currency: str
    components: tuple[Component, ...]
    total_minor: int
    payable_minor: int

    @property
    def taxes(self) -> dict[str, int]:
        """Tax code -> amount given back."""
        return _sums((row.tax_code, row.amount_minor) for row in self.components if row.component == "tax")

    @property
    def by_component(self) -> dict[str, int]:
        """Component -> amount; a deduction is negative."""
        return _sums((row.component, row.amount_minor) for row in self.components)

    @property
    def by_line(self) -> dict[str, int]:
        """line_ref -> amount, tax included."""
        return _sums((row.line_ref, row.amount_minor) for row in self.components)

    @property
    def basis(self) -> str:
        """Every rule that was used, in one sentence."""
        used = dict.fromkeys(row.rule for row in self.components)
        return "; ".join(f"{rule}: {RULES[rule]}" for rule in used) or "nothing is owed for these pieces"


def _sums(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for key, amount in pairs:
        sums[key] = sums.get(key, 0) + amount
    return sums
