"""Effects: what we have decided to do outside, in the imperative. Stored before it is done, done exactly once.

The command inside is what a connector gets. Targets are roles ("erp", "payment", ...) resolved to a connection when
the effect is planned, by the case's routes. Amounts are minor units, instants UTC.

One file, and long for that reason: this is the closed vocabulary of all that we can do, read as one table.
"""

from dataclasses import dataclass
from datetime import datetime

from counterflow.core.sale import Tax

# Highest first; waiting raises the rank (engine), so that none starves.
PRIORITY_CLASSES = ("customer", "money", "stock", "books", "background")


# ---- channel ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReadSale:
    """Fetch the sale: its answer is a SaleRecorded."""

    order_ref: str


@dataclass(frozen=True, slots=True)
class Look:
    """Fetch one object fresh because a webhook pointed at it; its answer is facts. Not owned by a case."""

    feed: str
    ref: str


@dataclass(frozen=True, slots=True)
class AnswerReturn:
    """Tell the channel that asked: approved or declined."""

    return_ref: str
    decision: str  # approve | decline
    reason: str
    rma_number: str = ""
    approved: tuple[str, ...] = ()  # line keys; with those declined, all that were answered
    declined: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReturnedItem:
    """Equal pieces that come back of one sold line; of a kit, the component's SKU."""

    line_ref: str
    sku: str
    quantity: int
    reason: str


@dataclass(frozen=True, slots=True)
class OpenReturn:
    """Open the return in the shop that sold the goods, where it was asked for elsewhere; done with its reference."""

    order_ref: str
    items: tuple[ReturnedItem, ...]


@dataclass(frozen=True, slots=True)
class UnitResult:
    """What became of pieces of a line: counted, graded, disposed of."""

    line_ref: str
    sku: str
    quantity: int
    disposition: str


@dataclass(frozen=True, slots=True)
class UpdateChannel:
    """Tell the channel how far the case is: received, refunded, dispositions. Sent once per milestone."""

    order_ref: str
    return_ref: str
    milestone: str  # received | dispositioned | refunded | closed | reopened | cancelled
    results: tuple[UnitResult, ...] = ()
    amount_minor: int = 0
    currency: str = ""


@dataclass(frozen=True, slots=True)
class ReplacementLine:
    """A line to order for the customer; `unit_minor` is the price of one piece, tax included."""

    sku: str
    quantity: int
    unit_minor: int
    line_ref: str  # the original sold line


@dataclass(frozen=True, slots=True)
class CreateReplacement:
    """Order the replacement in the channel, linked to the original sale; paid by offset up to `offset_minor`."""

    order_ref: str
    return_ref: str
    lines: tuple[ReplacementLine, ...]
    currency: str
    offset_minor: int
    customer_pays_minor: int = 0


@dataclass(frozen=True, slots=True)
class SetStock:
    """Tell a channel how many pieces of a place it may sell; a Conflict if `expected` is not what it has now."""

    sku: str
    quantity: int
    expected: int | None = None  # what this was decided on; None: the new quantity holds over whatever is there
    place: str = ""  # empty: the only one


@dataclass(frozen=True, slots=True)
class NotifyCustomer:
    """A message; `template` and values only: the address is looked up by the connection that sends."""

    template: str  # return_approved | return_declined | goods_received | refund_sent | refund_corrected | ...
    customer_ref: str
    order_number: str
    amount_minor: int = 0
    currency: str = ""


# ---- warehouse -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExpectedItem:
    """What a place is told to expect."""

    line_ref: str
    sku: str
    quantity: int
    serials: tuple[str, ...] = ()
    lots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AnnounceReturn:
    """Tell the warehouse what to expect, under which RMA number."""

    rma_number: str
    order_number: str
    items: tuple[ExpectedItem, ...]


@dataclass(frozen=True, slots=True)
class InstructDisposition:
    """Tell the warehouse where inspected pieces go, and why."""

    rma_number: str
    sku: str
    quantity: int
    disposition: str
    reason: str
    serial: str = ""
    line_ref: str = ""
    place: str = ""
    lot: str = ""
    unit_id: str = ""


# ---- money -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AllocationRow:
    """The part of a leg that pays one component of a line, in minor units."""

    line_ref: str
    component: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class PayLeg:
    """Pay one refund leg. Its effect id is the idempotency key for life."""

    leg_id: str
    intent_id: str
    rail: str  # card | wallet | bank | cash | gift_card | store_credit | pay_later
    payment_ref: str
    order_ref: str
    return_ref: str
    amount_minor: int
    currency: str
    allocation: tuple[AllocationRow, ...]
    reason: str = ""
    customer_ref: str = ""


# ---- ERP -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StockItem:
    """Equal pieces. `line_ref` empty: not of this sale (over-receipt, wrong item), valued at zero or standard cost."""

    sku: str
    quantity: int
    line_ref: str = ""
    serial: str = ""
    lot: str = ""
    unit_ids: tuple[str, ...] = ()
    lot_sold: str = ""  # the lot on the delivery that `lot` has to change places with on record (edge case 21)


@dataclass(frozen=True, slots=True)
class ReceiveGoods:
    """Book what came back against the original delivery, into a location that is not for sale.

    The outcome's value `counted`: when the stock there was last counted since then, perhaps with these goods.
    """

    order_ref: str
    order_number: str
    rma_number: str
    place: str
    location: str  # location class: returns
    items: tuple[StockItem, ...]
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class MoveGoods:
    """Carry out a disposition in stock. The outcome's value `counted` is that of `ReceiveGoods`."""

    order_ref: str
    order_number: str
    rma_number: str
    operation: str  # internal_move | repair_order | scrap_entry | outgoing (inventory/locations.py)
    disposition: str
    place_from: str
    location_from: str
    place_to: str
    location_to: str
    items: tuple[StockItem, ...]
    receipt_ref: str  # the ERP document that brought them in
    occurred_at: datetime
    reverses: str = ""  # effect id of the move that this one undoes


@dataclass(frozen=True, slots=True)
class CreditLine:
    """One credited line. `quantity` 0: money without goods (goodwill, fee), no cost of goods is reversed."""

    line_ref: str
    sku: str
    component: str
    quantity: int
    amount_minor: int  # tax included; negative for what we keep (restocking fee, value loss)
    taxes: tuple[Tax, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class PostCreditNote:
    """Post the credit note of one refund intent, to the cent of what its legs paid or offset."""

    order_ref: str
    order_number: str
    intent_id: str
    rma_number: str
    currency: str
    amount_minor: int
    lines: tuple[CreditLine, ...]
    reason: str
    occurred_at: datetime
    replacement_ref: str = ""  # offset against the replacement's invoice
    offset_minor: int = 0


@dataclass(frozen=True, slots=True)
class PostRefundPayment:
    """Post the payment of one refund leg and match it with its credit note."""

    leg_id: str
    credit_note_ref: str
    payment_ref: str
    refund_ref: str
    rail: str
    provider: str  # connection that paid: chooses the journal with its clearing account
    amount_minor: int
    currency: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class ReverseRefundPayment:
    """The refund came back after success: undo its payment, never delete it."""

    leg_id: str
    payment_document_ref: str
    amount_minor: int
    currency: str
    reason: str
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class PostReplacement:
    """The replacement order in the ERP, linked to the original sale."""

    order_ref: str
    order_number: str
    replacement_ref: str
    rma_number: str
    currency: str
    lines: tuple[ReplacementLine, ...]
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class SettlementEntry:
    """One movement of a payout."""

    kind: str  # charge | refund | fee | adjustment
    ref: str
    amount_minor: int  # as it moves the balance with the provider: refunds are negative


@dataclass(frozen=True, slots=True)
class PostSettlement:
    """A payout that was found on the bank: one bank line, the clearing account, the fees. Owned by the payout.

    The outcome's value `unmatched_minor`: what is open on the clearing account, over all its entries.
    """

    payout_ref: str
    provider: str
    bank_ref: str
    currency: str
    net_minor: int
    entries: tuple[SettlementEntry, ...]
    booked_on: str
    again: str = ""  # the effect that has posted it: nothing more is posted, and what has come since is matched with it


Command = (
    ReadSale
    | Look
    | AnswerReturn
    | OpenReturn
    | UpdateChannel
    | CreateReplacement
    | SetStock
    | NotifyCustomer
    | AnnounceReturn
    | InstructDisposition
    | PayLeg
    | ReceiveGoods
    | MoveGoods
    | PostCreditNote
    | PostRefundPayment
    | ReverseRefundPayment
    | PostReplacement
    | PostSettlement
)

COMMANDS: dict[str, type] = {command.__name__: command for command in Command.__args__}

PRIORITY: dict[str, str] = {
    "ReadSale": "customer",
    "Look": "customer",
    "AnswerReturn": "customer",
    "CreateReplacement": "customer",
    "NotifyCustomer": "customer",
    "PayLeg": "money",
    "SetStock": "stock",
    "AnnounceReturn": "stock",
    "InstructDisposition": "stock",
    "ReceiveGoods": "stock",
    "MoveGoods": "stock",
    "PostReplacement": "stock",
    "PostCreditNote": "books",
    "PostRefundPayment": "books",
    "ReverseRefundPayment": "books",
    "PostSettlement": "books",
    "OpenReturn": "background",
    "UpdateChannel": "background",
}


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing to do outside. `effect_id` is derived from its cause and is the idempotency key at the other side."""

    effect_id: str
    owner: str  # a case id (rc_), a payout id (po_), or empty for a Look
    connection: str
    command: Command
    decided_at: datetime
    scope: str = ""  # writers with the same scope are serialised: "sale:<order_ref>"
    because: str = ""
    after: tuple[str, ...] = ()  # effect ids that have to be done first

    @property
    def kind(self) -> str:
        """The command's class name."""
        return type(self.command).__name__

    @property
    def priority(self) -> str:
        """Its priority class."""
        return PRIORITY[self.kind]
