"""Facts: what happened, in our words and the past tense. A fact is never refused; only decisions are.

A `Fact` is an envelope (who said it, when it happened, when we learned it, what it is about) around one body. Its id is
derived from its cause, so the same message twice is the same fact once. Bodies hold plain values; amounts are minor
units of the named currency, instants are UTC. References are `<connection>:<kind>:<their id>`, or `<kind>:<value>` for
what is the same everywhere (`rma:`, `serial:`, `tracking:`, `leg:`, `case:`).

One file, and long for that reason: this is the closed vocabulary of all that can be said to us, read as one table.
"""

from dataclasses import dataclass
from datetime import datetime

from counterflow.core.effects import SettlementEntry
from counterflow.core.sale import Sale

ORIGINS = (
    "ours",
    "channel",
    "psp",
    "marketplace",
    "store",
    "warehouse",
    "carrier",
    "bank",
    "erp",
    "erp_user",
    "person",
)

OURSELVES = "counterflow"  # the connection of facts that we cause: outcomes and timers
CONSOLE = "console:"  # and, before their name, of what people tell us themselves: nobody there waits for an answer


# ---- the sale --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SaleRecorded:
    """A channel told us the sale as it stands; the highest `sale.version` counts."""

    sale: Sale


# ---- asking and permitting -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RequestedLine:
    """What a customer asks for, of one sold line (or of one part of a kit)."""

    line_ref: str
    quantity: int
    reason: str = "changed_mind"
    stated_condition: str = "unopened"
    remedy: str = "refund"  # refund | exchange | store_credit | replacement | repair | none
    serials: tuple[str, ...] = ()
    part_sku: str = ""  # one component of a kit comes back, not the kit
    replacement_sku: str = ""
    replacement_unit_minor: int = 0  # today's price of one replacement piece, tax included


@dataclass(frozen=True, slots=True)
class ReturnRequested:
    """Somebody asks to give something back (portal, channel, till, agent). A newer `version` replaces the lines."""

    return_ref: str
    sale_ref: str
    lines: tuple[RequestedLine, ...]
    kind: str = "return"  # the case kinds of the glossary
    version: int = 0
    rma_number: str = ""
    authorised_by_channel: bool = False  # the channel has approved already: we record, we do not answer
    zone: str = "UTC"  # the customer's time zone, for the last day of a window
    key: str = ""  # our effect id, where we have opened this return in the channel ourselves: it asks for nothing


@dataclass(frozen=True, slots=True)
class WithdrawalDeclared:
    """The legal declaration (EU): starts the refund clock of 14 days."""

    declared_at: datetime
    line_refs: tuple[str, ...] = ()  # empty: everything that is in the case


@dataclass(frozen=True, slots=True)
class AuthorisationGiven:
    """A person or the channel decided; overrides the policy's answer and says why."""

    decision: str  # approve | decline
    by: str
    reason: str
    line_refs: tuple[str, ...] = ()  # empty: all


@dataclass(frozen=True, slots=True)
class ReturnCancelled:
    """The customer or the channel takes the request back. What is on its way or here already goes on."""

    by: str
    reason: str = ""


# ---- goods -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ParcelMoved:
    """A carrier, drop-off or label event."""

    stage: str  # label_issued | handed_over | in_transit | delivered | lost | returned_to_sender
    tracking: str
    line_refs: tuple[str, ...] = ()  # empty: all that is expected


@dataclass(frozen=True, slots=True)
class Counted:
    """Equal things counted at a receipt."""

    sku: str
    quantity: int
    serial: str = ""
    lot: str = ""
    line_ref: str = ""
    condition: str = "ok"  # ok | damaged_parcel
    sold_to_other: bool = False  # the serial is known from another customer's sale
    serial_known: bool = True  # intake's look-up over all sales and cases


@dataclass(frozen=True, slots=True)
class ItemsReceived:
    """An act of counting what arrived at one place. Over, under, wrong or blind: never refused.

    Told again under the same `receipt_ref`, it is a correction: the newest statement replaces the earlier ones.
    """

    receipt_ref: str
    place: str  # a place of the connection's configuration: "store-1", "wh-1", "amazon-fc"
    items: tuple[Counted, ...]
    complete: bool = True  # nothing more is in this parcel: what is missing is missing
    third_party: bool = False  # a marketplace or repairer has it, not we
    legal_entity: str = ""


@dataclass(frozen=True, slots=True)
class ItemInspected:
    """What the warehouse or store saw. `supersedes` an earlier inspection of the same thing by being later."""

    inspection_ref: str
    place: str
    sku: str
    grade: str  # A | B | C | D
    quantity: int = 1
    serial: str = ""
    lot: str = ""
    line_ref: str = ""
    findings: tuple[str, ...] = ()  # used_beyond_testing, incomplete, wiped, seal_broken, empty_box, ...
    recommended: str = ""  # a disposition
    lot_status: str = "ok"  # ok | recalled | expired
    serial_known: bool = True
    sold_to_other: bool = False
    inspector: str = ""


@dataclass(frozen=True, slots=True)
class DispositionChosen:
    """A person overrides the policy's disposition for units."""

    unit_ids: tuple[str, ...]
    disposition: str
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class DispositionExecuted:
    """The warehouse, or a third party that holds the goods, did it. `reversed` says it was undone (edge case 42)."""

    disposition: str
    sku: str
    quantity: int = 1
    serial: str = ""
    line_ref: str = ""
    place: str = ""
    reversed: bool = False


@dataclass(frozen=True, slots=True)
class GoodsWaived:
    """Nothing is to come back: returnless refund, service, digital (edge case 72)."""

    by: str
    line_refs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MissingResolved:
    """Somebody looked for what did not come: found to be lost on the way, or the claim is refused with evidence."""

    verdict: str  # lost | denied | kept (the customer keeps it)
    by: str
    reason: str
    line_refs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LotRecalled:
    """A recall names a lot. What comes back of it is quarantined; it may open a case of its own."""

    lot: str
    programme: str
    refund_regardless: bool = True  # edge case 22: refund whatever the window


# ---- money -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RefundReported:
    """What a provider, a till or a channel says of one refund, by anyone. Unknown statuses arrive as `pending`."""

    refund_ref: str
    payment_ref: str
    amount_minor: int
    currency: str
    status: str  # pending | requires_action | succeeded | failed | cancelled | reversed
    version: int = 0
    key: str = ""  # our effect id, where the other side keeps it
    reason: str = ""  # insufficient_funds, expired_or_canceled_card, ...
    tender: str = "card"
    line_refs: tuple[str, ...] = ()  # where the channel says which lines were meant
    acquirer_ref: str = ""  # ARN
    place: str = ""  # of ours, where it was paid over a counter


@dataclass(frozen=True, slots=True)
class MarketplaceRefunded:
    """The marketplace paid the customer and charges us (edge cases 71, 72, 77)."""

    refund_ref: str
    amount_minor: int
    currency: str
    returnless: bool = False
    line_refs: tuple[str, ...] = ()
    payment_ref: str = ""


@dataclass(frozen=True, slots=True)
class DisputeMoved:
    """A chargeback: the customer disputes a payment with its bank. A lost one is a refund that the customer took."""

    dispute_ref: str
    payment_ref: str
    amount_minor: int
    phase: str  # opened | won | lost


@dataclass(frozen=True, slots=True)
class CustomerPaid:
    """The customer paid the difference of an exchange, or a guarantee was captured."""

    payment_ref: str
    amount_minor: int
    currency: str
    tender: str = "card"


@dataclass(frozen=True, slots=True)
class RefundSettled:
    """A line of a provider's payout names the refund: money has left (or came back: negative amount)."""

    refund_ref: str
    payout_ref: str
    amount_minor: int
    currency: str
    fee_minor: int = 0


@dataclass(frozen=True, slots=True)
class PayoutBanked:
    """The payout's net was found on a bank line: matched to the cent."""

    payout_ref: str
    bank_ref: str


@dataclass(frozen=True, slots=True)
class SettlementPosted:
    """The payout is posted in the ERP: the clearing account of its refunds is zero."""

    payout_ref: str
    document_ref: str


@dataclass(frozen=True, slots=True)
class ApprovalGiven:
    """A person signs a refund intent. The amount must be the one asked for, or it does not count."""

    intent_id: str
    amount_minor: int
    by: str
    role: str
    granted: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class GoodwillGranted:
    """An agent gives something without entitlement."""

    amount_minor: int
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class HoldPlaced:
    """A person or a risk check holds the refund; lifted by the same name with `lifted`."""

    name: str  # risk | funds | period | fraud
    by: str
    reason: str = ""
    lifted: bool = False


# ---- payouts: no case owns these; they become PayoutBanked and SettlementPosted for the cases with an entry ----------


@dataclass(frozen=True, slots=True)
class PayoutReported:
    """A provider says what one payout consists of. The entries sum up to its net, which goes to the bank."""

    payout_ref: str
    net_minor: int
    currency: str
    entries: tuple[SettlementEntry, ...]
    arrives_on: str = ""  # ISO date, where the provider says it


@dataclass(frozen=True, slots=True)
class BankLineBooked:
    """A line of a bank statement; `text` is what the payer wrote. Money that left us is negative."""

    bank_ref: str
    amount_minor: int
    currency: str
    text: str
    booked_on: str  # ISO date


# ---- exchange --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReplacementMoved:
    """The replacement order in the channel."""

    order_ref: str
    state: str  # created | out_of_stock | cancelled | shipped | delivered | returned
    total_minor: int = 0


# ---- books -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DocumentMoved:
    """A document in the ERP, ours (then `key` is our effect id) or made by a person there (edge cases 86, 87)."""

    document_ref: str
    posting: str  # a posting kind: receive_goods | move_goods | credit_note | refund_payment | settlement
    state: str  # drafted | posted | applied | cancelled
    version: int = 0
    key: str = ""
    amount_minor: int = 0
    currency: str = ""
    accounting_on: str = ""  # ISO date that the ERP chose
    by: str = ""
    sku: str = ""
    quantity: int = 0
    pieces: tuple[Counted, ...] = ()  # what a transfer holds; with one kind of thing also in `sku` and `quantity`


# ---- our own doing ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EffectReported:
    """The outcome of an attempt or a look-up, as the engine recorded it."""

    effect_id: str
    outcome: str  # done | accepted | rejected | unknown | not_found | parked | discarded | resumed
    ref: str = ""  # the other side's id of what now exists
    code: str = ""
    message: str = ""
    values: tuple[tuple[str, str], ...] = ()  # what else we learned: document name, accounting date, ...


@dataclass(frozen=True, slots=True)
class TimerFired:
    """An instant that the case waits for has come. What follows depends on the state at that moment."""

    timer_id: str
    name: str


@dataclass(frozen=True, slots=True)
class SiblingsClaimed:
    """What the other cases over the same sale hold, as the engine saw it (edge case 59). The newest counts."""

    pieces: tuple[tuple[str, int, str], ...] = ()  # line_ref, piece, case id
    refunded: tuple[tuple[str, int], ...] = ()  # payment_ref, live amount of their legs
    observed: tuple[str, ...] = ()  # refund refs that another case has attributed to itself


# ---- people ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExceptionResolved:
    """A person settled an exception, by one of the actions of its class, and says why."""

    exception_id: str
    action: str  # accept | retry | discard | write_off | park | resolve
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class NoteAdded:
    """A person's note; its text is personal data and lives beside the log under `note_ref`."""

    note_ref: str
    by: str


@dataclass(frozen=True, slots=True)
class CasesLinked:
    """This case has to do with another one: found serial of another customer, merge of a shadow case, dependency."""

    other_case_id: str
    why: str


Body = (
    SaleRecorded
    | ReturnRequested
    | WithdrawalDeclared
    | AuthorisationGiven
    | ReturnCancelled
    | ParcelMoved
    | ItemsReceived
    | ItemInspected
    | DispositionChosen
    | DispositionExecuted
    | GoodsWaived
    | MissingResolved
    | LotRecalled
    | RefundReported
    | MarketplaceRefunded
    | DisputeMoved
    | CustomerPaid
    | RefundSettled
    | PayoutBanked
    | SettlementPosted
    | PayoutReported
    | BankLineBooked
    | ApprovalGiven
    | GoodwillGranted
    | HoldPlaced
    | ReplacementMoved
    | DocumentMoved
    | EffectReported
    | TimerFired
    | SiblingsClaimed
    | ExceptionResolved
    | NoteAdded
    | CasesLinked
)

BODIES: dict[str, type] = {body.__name__: body for body in Body.__args__}

# Facts that may open a case of their own when none is known for any of their references. The number is how long they
# wait for the case to appear first (seconds): a message that overtook its parent is not a blind return.
OPENS_AFTER_SECONDS: dict[str, int] = {
    "ReturnRequested": 0,
    "MarketplaceRefunded": 0,
    "LotRecalled": 0,
    "ItemsReceived": 300,
    "RefundReported": 900,
    "ParcelMoved": 3600,
}


# Where the instants are equal: counted, then inspected, then disposed of.
_COMES_AFTER: dict[type, int] = {ItemInspected: 1, DispositionChosen: 2, DispositionExecuted: 3}


@dataclass(frozen=True, slots=True)
class Fact:
    """The envelope. `refs` are the strongest first; the first that is known finds the case."""

    fact_id: str
    connection: str
    occurred_at: datetime
    seen_at: datetime
    refs: tuple[str, ...]
    body: Body
    origin: str = "channel"  # see ORIGINS
    delivery_id: str = ""
    adapter: str = ""  # version of the translation that made it (domain.md 8.15)

    @property
    def kind(self) -> str:
        """The body's class name."""
        return type(self.body).__name__

    @property
    def order(self) -> tuple[int, datetime, int, int, str]:
        """The canonical order of a case's facts: the sale first, then by when it happened.

        Clocks with whole seconds make ties: what must have happened first is first, then the lower version of one
        object, then the id: total, the same for every arrival order.
        """
        return (
            0 if isinstance(self.body, SaleRecorded) else 1,
            self.occurred_at,
            _COMES_AFTER.get(type(self.body), 0),
            getattr(self.body, "version", 0),
            self.fact_id,
        )
