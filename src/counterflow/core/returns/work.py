"""The scratch pad of one decision: filled by the fold, read by the plans, frozen into a View at the end.

Mutable, private to one call of `decide`, never kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from counterflow.core.effects import AllocationRow, Command, Effect
from counterflow.core.facts import (
    AuthorisationGiven,
    EffectReported,
    Fact,
    ItemsReceived,
    RequestedLine,
    ReturnRequested,
)
from counterflow.core.ids import effect_id, make_id
from counterflow.core.policy import PolicySet
from counterflow.core.returns.case import Belief, ComponentView, PolicyHit, Setting, Timer, Waiting
from counterflow.core.returns.states import may
from counterflow.core.sale import Sale, SoldLine


@dataclass(slots=True)
class Line:
    """A return line: what is asked for, one sold line (or one part of a kit)."""

    wanted: RequestedLine
    sold: SoldLine | None
    implied: bool = False  # nobody asked: the goods came (blind return, over-receipt)
    authorisation: str = "pending"  # pending | review | approved | declined
    because: str = ""
    moment: str = "inspection"  # when money is due: request | first_scan | receipt | inspection
    credit_moment: str = "refund_confirmed"
    decided_at: datetime | None = None

    @property
    def key(self) -> str:
        return f"{self.wanted.line_ref}:{self.wanted.part_sku}" if self.wanted.part_sku else self.wanted.line_ref


@dataclass(slots=True)
class Unit:
    """One physical thing. `piece` is which of the sold pieces it is, for its share of the price; -1: none of them."""

    unit_id: str
    line: Line | None
    sku: str
    piece: int
    since: datetime
    goods: str = "not_expected"
    part: int = 0  # which piece of the part, for kits
    place: str = ""
    custodian: str = "customer"
    serial: str = ""
    expected_serial: str = ""
    serial_result: str = "ok"
    lot: str = ""
    lot_status: str = "ok"
    grade: str = ""
    findings: tuple[str, ...] = ()
    inspection_ref: str = ""
    recommended: str = ""
    receipt_ref: str = ""
    receipt_place: str = ""
    received_at: datetime | None = None
    handed_over_at: datetime | None = None
    third_party: bool = False
    disposition: str = ""
    disposition_because: str = ""
    executed_by: str = ""  # who confirmed the disposition
    payable: bool = False
    waived: bool = False
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
    payout_ref: str = ""
    bank_ref: str = ""
    settled_document: str = ""
    acquirer_ref: str = ""
    reason: str = ""
    allocation: tuple[AllocationRow, ...] = ()
    succeeded_at: datetime | None = None

    def move(self, after: str, at: datetime) -> bool:
        if self.state == after:
            return True
        if not may("leg", self.state, after):
            return False
        self.state, self.since = after, at
        if after in ("succeeded", "settled") and self.succeeded_at is None:
            self.succeeded_at = at
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
    effect_id: str = ""
    origin: str = "ours"

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


@dataclass(slots=True)
class Work:
    case_id: str
    setting: Setting
    now: datetime
    facts: list[Fact]  # canonical order
    effects: tuple[Effect, ...]  # issued before this decision
    policies: PolicySet | None = None
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
    receipts: list[tuple[ItemsReceived, Fact]] = field(default_factory=list)
    claimed_by_siblings: dict[tuple[str, int], str] = field(default_factory=dict)  # newest view of them
    ever_claimed: set[tuple[str, int]] = field(default_factory=set)
    refunded_by_siblings: dict[str, int] = field(default_factory=dict)
    observed_by_siblings: set[str] = field(default_factory=set)
    timers_fired: dict[str, datetime] = field(default_factory=dict)
    resolutions: dict[str, tuple[str, str, datetime]] = field(default_factory=dict)  # exception id -> action, by, at
    components: tuple[ComponentView, ...] = ()
    entitled_minor: int = 0
    goodwill_minor: int = 0
    replacement: dict[str, tuple[str, datetime, int]] = field(default_factory=dict)  # order_ref -> state, since, total
    exchange_state: str = ""
    offset_minor: int = 0
    customer_pays_minor: int = 0
    customer_paid_minor: int = 0
    troubles: list[Trouble] = field(default_factory=list)
    hits: list[PolicyHit] = field(default_factory=list)
    because: list[str] = field(default_factory=list)
    beliefs: dict[str, Belief] = field(default_factory=dict)
    waiting: list[Waiting] = field(default_factory=list)
    timers: list[Timer] = field(default_factory=list)
    linked: list[str] = field(default_factory=list)
    disputes: dict[str, tuple[str, int, str]] = field(default_factory=dict)  # ref -> payment_ref, amount, phase
    holds: dict[str, str] = field(default_factory=dict)  # name -> who and why
    alternative_rail: str = ""  # chosen by a person after a rail failed
    planned: list[Effect] = field(default_factory=list)
    issued_ids: set[str] = field(default_factory=set)

    def trouble(self, kind: str, subject: str, message: str, impact_minor: int = 0) -> None:
        self.troubles.append(Trouble(kind, subject, message, impact_minor))

    def state_of(self, effect: str) -> str:
        """planned | submitted | accepted | done | rejected | unknown | parked | discarded, from the last outcome."""
        reports = self.outcomes.get(effect)
        if not reports:
            return "submitted" if effect in self.issued_ids else "planned"
        last = reports[-1][0].outcome
        return "submitted" if last in ("not_found", "resumed") else last

    def done(self, effect: str) -> tuple[EffectReported, datetime] | None:
        """The report by which the effect is done, if it is."""
        return next((each for each in reversed(self.outcomes.get(effect, ())) if each[0].outcome == "done"), None)

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
