"""The scratch pad of one decision: filled by the fold, read by the plans, frozen into a View at the end.

Mutable, private to one call of `decide`, never kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from counterflow.core.effects import AllocationRow, Command, Effect, OpenReturn
from counterflow.core.facts import (
    CONSOLE,
    ApprovalGiven,
    AuthorisationGiven,
    DisputeMoved,
    EffectReported,
    Fact,
    ItemsReceived,
    RequestedLine,
    ReturnRequested,
)
from counterflow.core.ids import effect_id, make_id
from counterflow.core.policy import PolicySet
from counterflow.core.returns.case import Belief, ComponentView, PolicyHit, Setting, Timer
from counterflow.core.returns.states import may
from counterflow.core.sale import Payment, Sale, SoldLine


@dataclass(slots=True)
class Line:
    """A return line: what is asked for, one sold line (or one part of a kit)."""

    wanted: RequestedLine
    sold: SoldLine | None
    authorisation: str = "pending"  # pending | review | approved | declined
    because: str = ""
    moment: str = "inspection"  # when money is due: request | first_scan | receipt | inspection
    credit_moment: str = "refund_confirmed"
    open_in_channel: bool = False  # asked for elsewhere, it is opened in the shop that sold it, too
    decided_at: datetime | None = None
    inputs: dict[str, object] = field(default_factory=dict)  # what the policy tables may ask, see authorise.inputs_of
    key: str = ""  # "<line_ref>", or "<line_ref>:<part_sku>" for one part of a kit

    def __post_init__(self) -> None:
        self.key = f"{self.wanted.line_ref}:{self.wanted.part_sku}" if self.wanted.part_sku else self.wanted.line_ref

    @property
    def flags(self) -> tuple[str, ...]:
        return self.sold.flags if self.sold is not None else ()

    @property
    def unit_minor(self) -> int:
        """What was paid for one piece, to say what is at stake."""
        return self.sold.paid_minor // max(self.sold.quantity, 1) if self.sold is not None else 0


@dataclass(slots=True)
class Unit:
    """One physical thing. `piece` is which of the sold pieces it is, for its share of the price; -1: none of them."""

    unit_id: str
    line: Line | None
    sku: str
    piece: int
    since: datetime
    goods: str = "not_expected"
    part_sku: str = ""  # of a kit
    part: int = 0  # which piece of the part, for kits
    place: str = ""
    custodian: str = "customer"
    serial: str = ""
    expected_serial: str = ""
    serial_result: str = "ok"
    lot: str = ""
    lot_sold: str = ""  # the lot on the delivery, where another one came back
    lot_status: str = "ok"
    grade: str = ""
    findings: tuple[str, ...] = ()
    inspection_ref: str = ""
    receipt_ref: str = ""
    receipt_place: str = ""
    received_at: datetime | None = None
    uncounted: bool = False  # only its inspection says that it is here: its receipt may be told yet
    handed_over_at: datetime | None = None
    short_since: datetime | None = None  # its line was counted without it, and no carrier has it
    third_party: bool = False
    disposition: str = ""
    disposition_because: str = ""
    payable: bool = False
    waived: bool = False  # nothing is to come, and it is owed all the same
    accepted: bool = False  # by a person, in spite of its serial or number
    legal_entity: str = ""  # another one than ours has it (edge case 40)
    claimed_elsewhere: str = ""  # another case that holds the same piece
    erp_place: str = ""  # where the ERP has it, after all posted moves
    erp_location: str = ""

    def move(self, after: str, at: datetime) -> bool:
        """Move the goods axis if that is possible from here; a backward move changes nothing and gives False."""
        if self.goods == after:
            return True
        if not may("goods", self.goods, after):
            return False
        self.goods, self.since = after, at
        return True


@dataclass(slots=True)
class Leg:
    leg_id: str
    intent_id: str
    rail: str
    payment_ref: str
    amount_minor: int
    state: str
    since: datetime
    origin: str = "ours"
    connection: str = ""
    effect_id: str = ""
    refund_ref: str = ""
    known_as: dict[str, str] = field(default_factory=dict)  # connection -> its own reference of this refund
    payout_ref: str = ""
    bank_ref: str = ""
    settled_document: str = ""
    acquirer_ref: str = ""
    reason: str = ""
    allocation: tuple[AllocationRow, ...] = ()
    succeeded_at: datetime | None = None

    def move(self, after: str, at: datetime) -> bool:
        if self.state == after:
            self.since = min(self.since, at)  # another source knew it earlier
            self.succeeded_at = min(self.succeeded_at, at) if self.succeeded_at is not None else None
            return True
        if not may("leg", self.state, after):
            return False
        self.state, self.since = after, at
        if after in ("succeeded", "settled", "failed_after_success", "reversed") and self.succeeded_at is None:
            self.succeeded_at = at  # what comes back had been paid, also when nobody told us
        return True


@dataclass(slots=True)
class Intent:
    intent_id: str
    amount_minor: int
    state: str
    approvals: list[str] = field(default_factory=list)
    holds: list[str] = field(default_factory=list)
    because: str = ""


@dataclass(slots=True)
class Posting:
    posting_id: str
    kind: str
    subject: str
    state: str
    since: datetime
    amount_minor: int = 0
    document_ref: str = ""
    document_name: str = ""
    accounting_on: str = ""
    counted: str = ""  # when somebody counted the stock there, after the goods came and before this was booked
    effect_id: str = ""
    origin: str = "ours"
    cancelled_by: str = ""

    def move(self, after: str, at: datetime) -> bool:
        if self.state == after:
            return True
        if not may("books", self.state, after):
            return False
        self.state, self.since = after, at
        return True


@dataclass(slots=True)
class Trouble:
    """A condition that needs a person; exceptions.py turns it into an ExceptionView."""

    kind: str
    subject: str
    message: str
    impact_minor: int = 0
    since: datetime | None = None  # a resolution from before does not count; None: any does


@dataclass(slots=True)
class Work:
    case_id: str
    setting: Setting
    now: datetime
    facts: list[Fact]  # canonical order
    effects: tuple[Effect, ...]  # issued before this decision
    policies: PolicySet | None = None  # in force when the return was asked for
    promised: PolicySet | None = None  # in force at the sale, where it is another one
    kind: str = "return"
    opened_at: datetime | None = None
    sale: Sale | None = None
    request: ReturnRequested | None = None
    request_connection: str = ""
    requested_at: datetime | None = None
    withdrawal_at: datetime | None = None
    cancelled: tuple[str, datetime] | None = None
    given: list[tuple[AuthorisationGiven, datetime, str]] = field(default_factory=list)
    lines: dict[str, Line] = field(default_factory=dict)
    units: dict[str, Unit] = field(default_factory=dict)
    legs: dict[str, Leg] = field(default_factory=dict)
    intents: dict[str, Intent] = field(default_factory=dict)
    postings: dict[str, Posting] = field(default_factory=dict)
    outcomes: dict[str, list[tuple[EffectReported, datetime]]] = field(default_factory=dict)
    receipts: dict[str, tuple[Fact, ItemsReceived]] = field(default_factory=dict)  # ref -> first told, as told last
    handed_over_at: datetime | None = None  # when the customer first parted with the goods
    recalled: dict[str, bool] = field(default_factory=dict)  # lot -> is it refunded whatever the window
    signed: list[ApprovalGiven] = field(default_factory=list)
    foreign: dict[str, Fact] = field(default_factory=dict)  # documents that a person made in the ERP, newest statement
    claimed_by_siblings: dict[tuple[str, int], str] = field(default_factory=dict)  # newest view of them
    ever_claimed: set[tuple[str, int]] = field(default_factory=set)
    refunded_by_siblings: dict[str, int] = field(default_factory=dict)
    observed_by_siblings: set[str] = field(default_factory=set)
    timers_fired: dict[str, datetime] = field(default_factory=dict)
    resolutions: dict[str, tuple[str, str, datetime]] = field(default_factory=dict)  # exception id -> action, by, at
    components: tuple[ComponentView, ...] = ()
    entitled_minor: int = 0  # to be paid out or offset
    unpaid_minor: int = 0  # credited against what the customer has not paid yet (edge case 80)
    doubled_minor: int = 0  # paid by us and by somebody else, and nobody has said yet what becomes of it
    goodwill_minor: int = 0
    replacement: dict[str, tuple[str, datetime, int]] = field(default_factory=dict)  # order_ref -> state, since, total
    exchange_state: str = ""
    offset_minor: int = 0
    customer_pays_minor: int = 0
    paid_in: dict[str, Payment] = field(default_factory=dict)  # what the customer paid for the exchange
    troubles: list[Trouble] = field(default_factory=list)
    hits: list[PolicyHit] = field(default_factory=list)
    because: list[str] = field(default_factory=list)
    beliefs: dict[str, Belief] = field(default_factory=dict)
    timers: list[Timer] = field(default_factory=list)
    linked: list[str] = field(default_factory=list)
    disputes: dict[str, list[Fact]] = field(default_factory=dict)  # ref -> what was told of it
    holds: dict[str, str] = field(default_factory=dict)  # name -> who and why
    alternative: tuple[str, datetime] | None = None  # rail chosen by a person after one failed, and when
    planned: list[Effect] = field(default_factory=list)
    issued_ids: set[str] = field(default_factory=set)

    @property
    def to_answer(self) -> bool:
        """Whether a channel asked and waits for our answer: not one that has decided itself, nor a person of ours."""
        request = self.request
        return request is not None and not (
            request.authorised_by_channel or self.request_connection.startswith(CONSOLE)
        )

    @property
    def channel_return(self) -> str:
        """The return as the sale's own channel knows it; empty where it was asked for elsewhere (a till, our API) and
        has not been opened there.
        """
        if self.asked_in_channel and self.request is not None:
            return self.request.return_ref
        opening = self.opening
        report = self.done(opening.effect_id) if opening is not None else None
        return report[0].ref if report is not None else ""

    @property
    def asked_in_channel(self) -> bool:
        """Whether the return was asked for in the channel that made the sale."""
        return self.request is not None and self.sale is not None and self.request_connection == self.sale.connection

    @property
    def opening(self) -> Effect | None:
        """The effect that opens the return in the sale's channel."""
        return next((e for e in self.all_effects() if isinstance(e.command, OpenReturn)), None)

    def trouble(
        self, kind: str, subject: str, message: str, impact_minor: int = 0, since: datetime | None = None
    ) -> None:
        self.troubles.append(Trouble(kind, subject, message, impact_minor, since))

    def owe(self, component: str, amount_minor: int, basis: str) -> None:
        """One more row of what is owed, for no line of the sale."""
        self.components = (*self.components, ComponentView("", component, amount_minor, basis))
        self.entitled_minor += amount_minor

    def resolution(self, kind: str, subject: str, since: datetime | None = None) -> str:
        """What a person decided on this exception; empty while it is open or has been raised anew since."""
        if not self.resolutions:
            return ""
        action, _, at = self.resolutions.get(make_id("ex", self.case_id, kind, subject), ("", "", self.now))
        return action if since is None or at >= since else ""

    def is_open(self, *kinds: str) -> bool:
        """Whether a trouble of one of these classes has been met and nobody has resolved it."""
        return any(t.kind in kinds and not self.resolution(t.kind, t.subject, t.since) for t in self.troubles)

    def dispute_phase(self, ref: str) -> DisputeMoved:
        body = self.disputes[ref][-1].body
        assert isinstance(body, DisputeMoved)
        return body

    def state_of(self, effect: str) -> str:
        """planned | submitted | accepted | done | rejected | unknown | parked | discarded, from the last outcome."""
        reports = self.outcomes.get(effect)
        if not reports:
            return "submitted" if effect in self.issued_ids else "planned"
        last = reports[-1][0].outcome
        return "submitted" if last in ("not_found", "resumed") else last

    def done(self, effect: str) -> tuple[EffectReported, datetime] | None:
        """The report by which the effect is done, or by which a person took it over; None while neither is so."""
        ends = ("done", "discarded")
        return next((each for each in reversed(self.outcomes.get(effect, ())) if each[0].outcome in ends), None)

    def booked_there(self, leg: Leg) -> bool:
        """Whether a till of the ERP's own has paid it: its session books it, and we wait to be told its documents."""
        return leg.origin != "ours" and leg.connection == self.setting.routes.erp

    def plan(
        self,
        command: Command,
        subject: str,
        connection: str,
        because: str,
        *,
        scope: str = "",
        after: tuple[str, ...] = (),
        attempt: int = 0,
    ) -> Effect | None:
        """Issue an effect unless the one of the same cause was issued before; its id is its idempotency key."""
        key = effect_id(self.case_id, type(command).__name__, subject, attempt)
        if key in self.issued_ids:
            return None
        effect = Effect(key, self.case_id, connection, command, self.now, scope, because, after)
        self.issued_ids.add(key)
        self.planned.append(effect)
        self.because.append(because)
        return effect

    def all_effects(self) -> list[Effect]:
        return [*self.effects, *self.planned]

    def timer(self, name: str, due_at: datetime, subject: str = "") -> None:
        """Want to be woken at `due_at` unless it was already; the id holds the instant, so a moved date fires again."""
        timer_id = make_id("tm", self.case_id, name, subject, due_at.isoformat())
        if timer_id not in self.timers_fired:
            self.timers.append(Timer(timer_id, name, due_at))


def values_of(report: EffectReported) -> Mapping[str, str]:
    return dict(report.values)
