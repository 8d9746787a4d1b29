"""The return case as values: what goes into a decision, and what comes out.

A `Case` is nothing but the facts it was told and the effects it has issued; everything else (`View`) is computed from
them, so the same facts in any order give the same view (docs/decisions/0001).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from counterflow.core.effects import AllocationRow, Effect
from counterflow.core.facts import Fact
from counterflow.core.policy import PolicySet


@dataclass(frozen=True, slots=True)
class Case:
    """The two lists that are the case, in the order of the log, and what the last decision left for comparing."""

    case_id: str
    facts: tuple[Fact, ...] = ()
    effects: tuple[Effect, ...] = ()
    states: Mapping[str, str] = field(default_factory=dict)  # "goods:<unit>" -> state, as of the last decision
    exceptions: tuple[str, ...] = ()  # ids of those open as of the last decision

    @property
    def version(self) -> int:
        return len(self.facts)


@dataclass(frozen=True, slots=True)
class Place:
    """Where goods are counted. `connection` gets announcements and instructions for it."""

    name: str
    connection: str
    inspects: bool = True  # False: goods handed in here travel on to be inspected elsewhere
    legal_entity: str = ""


@dataclass(frozen=True, slots=True)
class Routes:
    """Which connection plays which role for a case; from the configuration, the same for every case."""

    erp: str = "odoo"
    notify: str = ""  # empty: nobody is told
    places: tuple[Place, ...] = ()
    payments: Mapping[str, str] = field(default_factory=dict)  # a sale's connection -> its payment provider's
    cash: str = ""  # the till that pays cash
    bank: str = ""  # pays by bank transfer; empty: a person does
    inspection_place: str = ""

    def place(self, name: str) -> Place | None:
        """The place of this name, if it is known."""
        return next((place for place in self.places if place.name == name), None)


@dataclass(frozen=True, slots=True)
class Setting:
    """What the retailer configured: all policy versions ever in force, and the routes."""

    policies: tuple[PolicySet, ...]
    routes: Routes
    window_shadow_seconds: int = 300  # a refund told by two systems within this time is one refund
    payout_days: int = 7  # a payout is on the bank so many days after the day that the provider named, or it is missed
    answers: dict[object, object] = field(default_factory=dict, compare=False, repr=False)  # memo of policy answers


# ---- the view: what is true of the case now --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LineView:
    """A return line."""

    line_ref: str
    sku: str
    quantity: int
    reason: str
    remedy: str
    stated_condition: str
    authorisation: str  # pending | review | approved | declined
    because: str  # the sentence of the row or the person that decided
    money: str  # state of the money axis (states.LINE_MONEY)
    part_sku: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class UnitView:
    """A return unit."""

    unit_id: str  # "<line_ref>/<piece>" or "extra/<receipt>/<n>"
    line_ref: str  # empty: not matched to anything sold
    piece: int
    sku: str
    goods: str  # state of the goods axis (states.GOODS)
    since: datetime
    place: str = ""
    custodian: str = "customer"  # customer | carrier | a place | third_party
    grade: str = ""
    serial: str = ""
    lot: str = ""
    disposition: str = ""
    because: str = ""  # the row that chose the disposition
    part_sku: str = ""


@dataclass(frozen=True, slots=True)
class ComponentView:
    """One component of the entitlement: what is owed for a line, or kept."""

    line_ref: str
    component: str
    amount_minor: int
    basis: str


@dataclass(frozen=True, slots=True)
class IntentView:
    """A refund intent."""

    intent_id: str
    amount_minor: int
    state: str  # states.INTENT
    approvals: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    because: str = ""


@dataclass(frozen=True, slots=True)
class LegView:
    """A refund leg."""

    leg_id: str
    intent_id: str
    rail: str
    payment_ref: str
    amount_minor: int
    state: str  # states.LEG
    origin: str
    since: datetime
    connection: str = ""
    effect_id: str = ""
    refund_ref: str = ""
    payout_ref: str = ""
    bank_ref: str = ""
    acquirer_ref: str = ""
    reason: str = ""
    allocation: tuple[AllocationRow, ...] = ()


@dataclass(frozen=True, slots=True)
class PostingView:
    """One required document in the ERP."""

    posting_id: str
    kind: str  # receive_goods | move_goods | credit_note | refund_payment | payment_reversal | replacement | settlement
    subject: str  # unit, intent or leg that it books
    state: str  # states.BOOKS
    since: datetime
    amount_minor: int = 0
    document_ref: str = ""
    document_name: str = ""
    accounting_on: str = ""
    effect_id: str = ""
    origin: str = "ours"


@dataclass(frozen=True, slots=True)
class ExchangeView:
    """The replacement, and who pays what of it, in minor units."""

    replacement_ref: str
    state: str
    replacement_minor: int
    offset_minor: int
    customer_pays_minor: int
    refund_minor: int


@dataclass(frozen=True, slots=True)
class ExceptionView:
    """Something that needs a person. The id comes from class and subject: raised again it is the same one."""

    exception_id: str
    kind: str  # a class of exceptions.CLASSES
    subject: str
    severity: str  # low | medium | high
    owner: str  # team
    raised_at: datetime
    due_at: datetime
    message: str  # what happened and the next move
    impact_minor: int = 0


@dataclass(frozen=True, slots=True)
class Belief:
    """What one outside system says of this case, since when."""

    connection: str
    says: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the case waits for, and since when."""

    what: str  # a sentence
    since: datetime
    on: str  # connection, person or timer


@dataclass(frozen=True, slots=True)
class Timer:
    """When the case wants to be looked at again."""

    timer_id: str
    name: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class View:
    """The read model of one case; computed, never edited."""

    case_id: str
    kind: str
    status: str
    opened_at: datetime
    updated_at: datetime
    currency: str = ""
    sale_ref: str = ""
    root_sale_ref: str = ""
    order_number: str = ""
    return_ref: str = ""
    rma_number: str = ""
    channel: str = ""
    connection: str = ""
    customer_ref: str = ""
    policy_version: str = ""
    attention: bool = False
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    refund_due_on: str = ""  # legal clock, ISO date
    entitled_minor: int = 0
    paid_minor: int = 0  # legs succeeded, by anyone
    pending_minor: int = 0  # legs on their way or unknown
    unpaid_minor: int = 0  # credited against what the customer has not paid yet
    lines: tuple[LineView, ...] = ()
    units: tuple[UnitView, ...] = ()
    components: tuple[ComponentView, ...] = ()
    intents: tuple[IntentView, ...] = ()
    legs: tuple[LegView, ...] = ()
    postings: tuple[PostingView, ...] = ()
    exchange: ExchangeView | None = None
    exceptions: tuple[ExceptionView, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    beliefs: tuple[Belief, ...] = ()
    linked: tuple[str, ...] = ()  # other cases


# ---- the decision ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """One state of one axis moved. `axis`: status, goods, money, books, authorisation, intent, exchange."""

    axis: str
    subject: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class PolicyHit:
    """Which row of which version answered, for whom, and whether the law overrode it."""

    table: str
    version: str
    row: str
    subject: str
    answer: str
    floor: str = ""


@dataclass(frozen=True, slots=True)
class Claims:
    """What this case holds of its sale, for the other cases over it."""

    pieces: tuple[tuple[str, int], ...] = ()  # line_ref, piece
    refunded: tuple[tuple[str, int], ...] = ()  # payment_ref, live amount
    observed: tuple[str, ...] = ()  # refund refs


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from one fact. `timers` and `view.exceptions` are complete sets: what is absent is withdrawn."""

    case: Case
    view: View
    effects: tuple[Effect, ...]  # new ones only
    timers: tuple[Timer, ...]
    changes: tuple[Change, ...]
    hits: tuple[PolicyHit, ...]
    refs: tuple[str, ...]  # all references by which this case can be found
    claims: Claims
    because: tuple[str, ...]
    duplicate: bool = False  # the fact was known: nothing to write
