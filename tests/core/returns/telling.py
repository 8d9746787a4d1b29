"""Tell a case its facts in three words: builders, and a `Story` that answers effects as the outside world would."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from counterflow.core import invariants as system
from counterflow.core.effects import Effect, PayLeg
from counterflow.core.facts import (
    ApprovalGiven,
    Body,
    Counted,
    DocumentMoved,
    EffectReported,
    ExceptionResolved,
    Fact,
    ItemInspected,
    ItemsReceived,
    ParcelMoved,
    PayoutBanked,
    RefundReported,
    RefundSettled,
    ReplacementMoved,
    RequestedLine,
    ReturnRequested,
    SaleRecorded,
    SettlementPosted,
    TimerFired,
)
from counterflow.core.ids import fact_id
from counterflow.core.returns import invariants
from counterflow.core.returns.case import Case, Decision, Place, Routes, Setting, UnitView, View
from counterflow.core.returns.decide import decide
from counterflow.core.sale import Payment, Sale, SoldLine, Tax
from counterflow.policies import default

START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
ROUTES = Routes(
    erp="odoo",
    notify="mail",
    places=(Place("store-1", "till-1", inspects=False), Place("wh-1", "wms")),
    payments={"shop": "psp"},
    cash="till-1",
    inspection_place="wh-1",
)
SETTING = Setting((default(),), ROUTES)


def line(ref: str = "L1", sku: str = "TEE", paid: int = 2000, quantity: int = 1, **more: object) -> SoldLine:
    """A sold line at 19 % included."""
    tax = round(paid * 19 / 119)
    fields = {
        "unit_price_minor": paid // max(quantity, 1),
        "taxes": (Tax("DE-19", 190_000, tax),),
        "delivered": quantity,
    }
    return SoldLine(line_ref=ref, sku=sku, quantity=quantity, paid_minor=paid, **{**fields, **more})  # type: ignore[arg-type]


def sale(*lines: SoldLine, payments: tuple[Payment, ...] = (), **more: object) -> Sale:
    """A web sale delivered the day before the story starts, paid by card unless said otherwise."""
    lines = lines or (line(),)
    total = sum(each.paid_minor for each in lines)
    fields = {
        "sale_ref": "shop:order:5001",
        "connection": "shop",
        "channel": "web",
        "currency": "EUR",
        "ordered_at": START - timedelta(days=4),
        "delivered_at": START - timedelta(days=1),
        "order_number": "#1001",
        "customer_ref": "shop:customer:7",
    }
    return Sale(lines=lines, payments=payments or (Payment("pi_1", "card", total, "psp"),), **{**fields, **more})  # type: ignore[arg-type]


def wanted(ref: str = "L1", quantity: int = 1, **more: object) -> RequestedLine:
    return RequestedLine(ref, quantity, **more)  # type: ignore[arg-type]


class Story:
    """One case and its world. Every body told becomes a fact one minute later; `settle` answers all open effects."""

    def __init__(self, sold: Sale | None = None, setting: Setting = SETTING) -> None:
        self.begin(sold or sale(), setting)
        self.told_sale()

    def begin(self, sold: Sale, setting: Setting = SETTING) -> "Story":
        """A case that has not heard of its sale yet."""
        self.sale = sold
        self.setting = setting
        self.now = START
        self.case = Case("rc_test")
        self.told: list[Fact] = []
        self.decisions: list[Decision] = []
        self.answered: set[str] = set()
        self.refuse: dict[str, str] = {}  # effect kind -> outcome instead of done
        self.count = 0
        return self

    def told_sale(self) -> "Story":
        self.tell(SaleRecorded(self.sale), "shop")
        return self

    @property
    def view(self) -> View:
        return self.decisions[-1].view

    @property
    def effects(self) -> tuple[Effect, ...]:
        return self.case.effects

    def kinds(self) -> list[str]:
        return [effect.kind for effect in self.effects]

    def exceptions(self) -> list[str]:
        return sorted(e.kind for e in self.view.exceptions)

    def fact(self, body: Body, connection: str = "shop", origin: str = "channel", at: datetime | None = None) -> Fact:
        self.count += 1
        self.now += timedelta(minutes=1)
        their_id = f"{self.count}"
        return Fact(
            fact_id(connection, type(body).__name__, their_id),
            connection,
            at or self.now,
            self.now,
            ("case:rc_test",),
            body,
            origin,
        )

    def tell(
        self, body: Body, connection: str = "shop", origin: str = "channel", at: datetime | None = None
    ) -> Decision:
        return self.hear(self.fact(body, connection, origin, at))

    def hear(self, fact: Fact) -> Decision:
        decision = decide(self.case, fact, self.setting)
        self.told.append(fact)
        self.decisions.append(decision)
        self.case = decision.case
        broken = [f for f in invariants.check(self.case, decision.view, self.setting) if not f.holds]
        broken += [f for f in system.within([decision.view], self.case.effects) if not f.holds]
        assert not broken, (fact.body, broken)
        return decision

    def request(self, *lines: RequestedLine, **more: object) -> "Story":
        self.tell(ReturnRequested("shop:return:1", self.sale.sale_ref, lines or (wanted(),), **more))  # type: ignore[arg-type]
        return self

    def receive(
        self, sku: str = "TEE", quantity: int = 1, place: str = "wh-1", ref: str = "", **more: object
    ) -> "Story":
        item = Counted(sku, quantity, **more)  # type: ignore[arg-type]
        self.tell(ItemsReceived(ref or f"r{self.count}", place, (item,)), "wms", "warehouse")
        return self

    def inspect(
        self, sku: str = "TEE", grade: str = "A", place: str = "wh-1", ref: str = "", **more: object
    ) -> "Story":
        self.tell(ItemInspected(ref or f"i{self.count}", place, sku, grade, **more), "wms", "warehouse")  # type: ignore[arg-type]
        return self

    def outcome(self, effect: Effect, outcome: str = "done", ref: str = "", **values: str) -> Decision:
        return self.tell(
            EffectReported(
                effect.effect_id, outcome, ref or f"{effect.kind}:{len(self.answered)}", values=tuple(values.items())
            ),
            "counterflow",
            "ours",
        )

    def settle(self, keep: Callable[[Effect], bool] = lambda effect: True) -> "Story":
        """Answer open effects until none is left: done, or as `refuse` says for their kind."""
        while True:
            open_ = [e for e in self.effects if e.effect_id not in self.answered and keep(e)]
            if not open_:
                return self
            for effect in open_:
                self.answered.add(effect.effect_id)
                self.outcome(effect, self.refuse.get(effect.kind, "done"))

    def payout(self, ref: str = "po_1") -> "Story":
        """The provider pays out, the bank books it, the ERP clears it: for every leg that has succeeded."""
        for leg in [leg for leg in self.view.legs if leg.state == "succeeded"]:
            self.tell(RefundSettled(leg.refund_ref, ref, leg.amount_minor, self.sale.currency), "psp", "psp")
        self.tell(PayoutBanked(ref, "bank_1"), "bank", "bank")
        self.tell(SettlementPosted(ref, "BNK1"), "odoo", "erp")
        return self

    def replacement(self, state: str, ref: str = "shop:order:6001", total: int = 0) -> "Story":
        self.tell(ReplacementMoved(ref, state, total))
        return self

    def refunded_by(
        self, origin: str, amount: int, ref: str = "re_x", status: str = "succeeded", **more: object
    ) -> "Story":
        body = RefundReported(ref, "pi_1", amount, self.sale.currency, status, **more)  # type: ignore[arg-type]
        self.tell(body, "psp", origin)
        return self

    def parcel(self, stage: str, *refs: str) -> "Story":
        self.tell(ParcelMoved(stage, "1Z", refs), "carrier", "carrier")
        return self

    def resolve(self, kind: str, action: str = "resolve") -> "Story":
        """A person settles the open exception of this class."""
        open_ = next(e for e in self.view.exceptions if e.kind == kind)
        self.tell(ExceptionResolved(open_.exception_id, action, "kim", "looked at it"), "console:kim", "person")
        return self

    def sign(self, by: str = "lea", role: str = "cs_lead", amount: int | None = None, granted: bool = True) -> "Story":
        """Sign the intent that waits, for what it asks unless said otherwise."""
        intent = next(i for i in self.view.intents if i.state in ("proposed", "held"))
        asked = intent.amount_minor if amount is None else amount
        self.tell(ApprovalGiven(intent.intent_id, asked, by, role, granted), f"console:{by}", "person")
        return self

    def answer(self, kind: str, outcome: str, ref: str = "", **values: str) -> "Story":
        """The newest effect of a kind ends this way."""
        effect = [e for e in self.effects if e.kind == kind][-1]
        self.answered.add(effect.effect_id)
        self.outcome(effect, outcome, ref, **values)
        return self

    def document(self, posting: str, state: str = "posted", ref: str = "RINV9", **more: object) -> "Story":
        """Somebody moves a document in the ERP."""
        self.tell(DocumentMoved(ref, posting, state, **more), "odoo", "erp_user")  # type: ignore[arg-type]
        return self

    def unit(self, n: int = 0) -> UnitView:
        return self.view.units[n]

    def commands(self, kind: str) -> list[Any]:
        return [e.command for e in self.effects if e.kind == kind]

    def exchange(self) -> str:
        return self.view.exchange.state if self.view.exchange is not None else ""

    def credited(self) -> int:
        return sum(note.amount_minor for note in self.commands("PostCreditNote"))

    def full(self) -> "Story":
        """Ask, hand in, inspect: up to the refund, everything answered."""
        return self.request().settle().receive().settle().inspect().settle()

    def closed(self) -> "Story":
        """Pay out, and expect the end."""
        self.payout()
        assert self.view.status == "closed", (self.view.waiting, self.view.postings, self.exceptions())
        return self

    def wait(self, **span: float) -> "Story":
        """Let time pass and fire the timers that became due."""
        self.now += timedelta(**span)
        for timer in sorted(self.decisions[-1].timers, key=lambda t: t.due_at):
            if timer.due_at <= self.now:
                self.tell(TimerFired(timer.timer_id, timer.name), "counterflow", "ours")
        return self

    def legs(self) -> list[PayLeg]:
        return [e.command for e in self.effects if isinstance(e.command, PayLeg)]

    def paid(self) -> int:
        return self.view.paid_minor

    def shape(self) -> dict[str, object]:
        """What must not depend on the order of the facts: the beliefs, the entitlement, the goods."""
        view = self.view
        return {
            "entitled": view.entitled_minor,
            "components": view.components,
            "units": [(u.unit_id, u.goods, u.disposition, u.grade, u.serial) for u in view.units],
            "lines": [(line.line_ref, line.authorisation) for line in view.lines],
            "beliefs": view.beliefs,
        }
