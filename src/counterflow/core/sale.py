"""The sale as it was: prices, discounts, taxes, kits and tenders frozen when the customer paid.

A return is judged by this snapshot and never by today's catalogue (edge cases 1-16, 96). All amounts are integers in
minor units of `Sale.currency` (the currency that the customer paid in, the presentment currency).
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Tax:
    """One tax on a line: the whole amount for the line's whole quantity, after discounts."""

    code: str  # the channel's name for it, mapped to an Odoo tax by the connection: "DE-19"
    rate_ppm: int  # parts per million: 19 % = 190_000
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Discount:
    """A price reduction on a line, already the line's own share where the rule is for the whole order."""

    rule: str  # promotion, voucher or price-match that gave it
    amount_minor: int  # positive, tax treatment as the line's price


@dataclass(frozen=True, slots=True)
class KitPart:
    """One component of a kit by the definition and split that were frozen at the sale (edge cases 15-17)."""

    sku: str
    quantity: int  # pieces in one kit
    share_minor: int  # part of one kit's paid price (tax included) that falls to all these pieces
    tracking: str = "none"  # none | serial | lot


@dataclass(frozen=True, slots=True)
class SoldLine:
    """A line of the sale. `paid_minor` = what the customer paid for it in all: after discounts, tax included."""

    line_ref: str
    sku: str
    quantity: int
    delivered: int  # pieces that left us; what is not delivered is cancelled, not returned
    unit_price_minor: int  # list price of one piece, before discounts, as displayed (see Sale.prices_include_tax)
    paid_minor: int
    taxes: tuple[Tax, ...] = ()
    discounts: tuple[Discount, ...] = ()
    component: str = "goods"  # goods | shipping | duty | fee | tip | deposit | gift_wrap | donation
    title: str = ""
    category: str = "general"
    flags: tuple[str, ...] = ()  # final_sale, hygiene, digital, customised, hazmat, data_bearing, gift, perishable, kit
    tracking: str = "none"  # none | serial | lot
    serials: tuple[str, ...] = ()
    lots: tuple[str, ...] = ()
    kit: tuple[KitPart, ...] = ()


@dataclass(frozen=True, slots=True)
class Payment:
    """One tender that the customer paid with."""

    payment_ref: str  # the provider's id: what a refund names
    tender: str  # card | wallet | cash | gift_card | store_credit | bank | pay_later | marketplace
    captured_minor: int
    connection: str = ""  # the configured payment provider; empty: the channel itself
    settlement_currency: str = ""  # of the provider's payout, where it differs
    refundable_until: datetime | None = None  # UTC; the rail's refund window, where it has one (edge case 50)
    partial_refunds: bool = True  # edge case 51


@dataclass(frozen=True, slots=True)
class Promotion:
    """A promotion that has to be re-priced when part of its goods comes back (edge case 1)."""

    rule: str  # the `Discount.rule` that it produced
    kind: str  # buy_x_get_y | threshold_percent | threshold_amount | free_shipping
    buy: int = 0  # pieces to pay
    get: int = 0  # pieces free
    threshold_minor: int = 0
    percent_ppm: int = 0
    amount_minor: int = 0
    lines: tuple[str, ...] = ()  # line_refs that count for it; empty: see refunds/promotions.py


@dataclass(frozen=True, slots=True)
class Sale:
    """The snapshot. `version` grows when the channel edits the order; the newest is what counts."""

    sale_ref: str  # "<connection>:order:<their id>"
    connection: str
    channel: str  # web | store | marketplace | service
    currency: str  # ISO 4217, what the customer paid in
    ordered_at: datetime
    lines: tuple[SoldLine, ...]
    payments: tuple[Payment, ...]
    promotions: tuple[Promotion, ...] = ()
    prices_include_tax: bool = True
    delivered_at: datetime | None = None
    country: str = "DE"
    regime: str = "consumer"  # consumer | business
    customer_ref: str = ""  # opaque; never a name or an address
    email_ref: str = ""  # `core.ids.email_ref`: people find sales by it, facts are never attributed by it
    order_number: str = ""  # what people read: "#1001"
    root_sale_ref: str = ""  # first sale of a chain of exchanges (edge case 67); empty: this one
    gift: bool = False
    version: int = 0
    root_delivered_at: datetime | None = None  # of the first sale of a chain: its window counts (edge case 67)
    standard_shipping_minor: int | None = None  # cheapest delivery offered, tax included; None: what was paid (case 14)
    place: str = ""  # of ours, where it was sold over a counter

    @property
    def root(self) -> str:
        return self.root_sale_ref or self.sale_ref

    def line(self, line_ref: str) -> SoldLine | None:
        return next((line for line in self.lines if line.line_ref == line_ref), None)

    @property
    def paid_minor(self) -> int:
        """What the lines cost in all; differs from `captured_minor` by rounding, or by what is still unpaid."""
        return sum(line.paid_minor for line in self.lines)

    @property
    def captured_minor(self) -> int:
        """What we really hold of it, over all tenders."""
        return sum(payment.captured_minor for payment in self.payments)
