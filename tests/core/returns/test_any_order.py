"""Facts in any order, with repeats, give the same beliefs, entitlement and goods (D8); random stories keep all sums."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from counterflow.core.facts import (
    AuthorisationGiven,
    CustomerPaid,
    DispositionExecuted,
    DisputeMoved,
    Fact,
    GoodwillGranted,
    LotRecalled,
    MarketplaceRefunded,
    MissingResolved,
    RefundReported,
    ReturnCancelled,
    SaleRecorded,
    SiblingsClaimed,
)
from counterflow.core.returns.case import Case
from counterflow.core.returns.decide import decide
from counterflow.core.sale import Discount, Payment, Promotion, Sale
from tests.core.returns.telling import SETTING, Story, line, sale, wanted


def a_sale() -> Sale:
    tees = line("L1", "TEE", 5001, 3, discounts=(Discount("B2G1", 999),), unit_price_minor=2000)
    phone = line("L2", "PHONE", 40000, 2, tracking="serial", serials=("S1", "S2"), category="electronics")
    milk = line("L3", "MILK", 777, 1, tracking="lot", lots=("A",))
    paid = (Payment("pi_1", "card", 45000, "psp"), Payment("gc_1", "gift_card", 778))
    rules = (Promotion("B2G1", "buy_x_get_y", buy=2, get=1),)
    return sale(tees, phone, milk, payments=paid, promotions=rules)


def a_story() -> list[Fact]:
    """Facts of the outside world only: nothing that answers an effect of ours."""
    story = Story(a_sale())
    story.request(wanted("L1", 2), wanted("L2", 1), wanted("L3"))
    story.parcel("handed_over").parcel("in_transit").parcel("delivered")
    story.receive("TEE", 3).receive("PHONE", serial="S2").receive("PHONE", serial="S9").receive("MILK", lot="B")
    story.inspect("TEE", "A").inspect("TEE", "B", findings=("used_beyond_testing",)).inspect("PHONE", serial="S2")
    story.tell(LotRecalled("B", "recall"), "quality", "person")
    story.inspect("MILK", lot="B")
    story.refunded_by("psp", 300, "re_1").refunded_by("psp", 300, "re_1", "failed", version=2)
    story.document("credit_note", amount_minor=17, currency="EUR", by="mia")
    story.tell(SaleRecorded(replace(a_sale(), version=1)))
    return story.told


FACTS = a_story()


@settings(max_examples=30, deadline=None)
@given(st.permutations(FACTS), st.lists(st.sampled_from(FACTS), max_size=5))
def test_d8_any_order_with_repeats_gives_the_same_shape(order: list[Fact], again: list[Fact]) -> None:
    straight, shuffled = Story.__new__(Story).begin(a_sale()), Story.__new__(Story).begin(a_sale())
    for fact in FACTS:
        straight.hear(fact)
    for fact in [*order, *again]:
        shuffled.hear(fact)
    assert shuffled.shape() == straight.shape()


_LINES = (wanted("L1", 2), wanted("L2", 1), wanted("L3"), wanted("L1", 1, remedy="exchange"), wanted("L1", 5))


class AnyStory(RuleBasedStateMachine):
    """A retailer's year in one case: everything that can be told, in an order that nobody wrote down."""

    @initialize()
    def start(self) -> None:
        self.story = Story(a_sale())

    @rule(wanted_line=st.sampled_from(_LINES), version=st.integers(0, 2))
    def ask(self, wanted_line, version: int) -> None:
        self.story.request(wanted_line, version=version)

    @rule(
        sku=st.sampled_from(["TEE", "PHONE", "MILK", "BRICK"]),
        quantity=st.integers(1, 3),
        serial=st.sampled_from(["", "S1", "S2", "S9"]),
        place=st.sampled_from(["wh-1", "store-1"]),
    )
    def receive(self, sku: str, quantity: int, serial: str, place: str) -> None:
        quantity, serial = (1, serial) if sku == "PHONE" else (quantity, "")
        self.story.receive(sku, quantity, place, serial=serial)

    @rule(
        sku=st.sampled_from(["TEE", "PHONE", "MILK"]),
        grade=st.sampled_from("ABCD"),
        serial=st.sampled_from(["", "S1", "S9"]),
        findings=st.sampled_from([(), ("used_beyond_testing",), ("empty_box",), ("seal_broken",)]),
    )
    def inspect(self, sku: str, grade: str, serial: str, findings: tuple[str, ...]) -> None:
        self.story.inspect(sku, grade, serial=serial if sku == "PHONE" else "", findings=findings)

    @rule(stage=st.sampled_from(["label_issued", "handed_over", "in_transit", "delivered", "lost"]))
    def parcel(self, stage: str) -> None:
        self.story.parcel(stage)

    @rule(
        body=st.sampled_from(
            [
                ReturnCancelled("shop"),
                AuthorisationGiven("approve", "kim", "goodwill"),
                AuthorisationGiven("decline", "kim", "abuse"),
                LotRecalled("A", "recall"),
                MissingResolved("denied", "kim", "searched"),
                MissingResolved("lost", "kim", "searched"),
                GoodwillGranted(700, "kim", "late"),
                CustomerPaid("pi_2", 900, "EUR"),
                DisputeMoved("dp_1", "pi_1", 5000, "opened"),
                DisputeMoved("dp_1", "pi_1", 5000, "lost"),
                DisputeMoved("dp_1", "pi_1", 5000, "won"),
                MarketplaceRefunded("mr_1", 1200, "EUR"),
                SiblingsClaimed((("L1", 0, "rc_other"), ("L2", 1, "rc_other")), (("pi_1", 100),)),
                SiblingsClaimed(),
                DispositionExecuted("scrap", "TEE"),
                DispositionExecuted("restock", "TEE", reversed=True),
            ]
        )
    )
    def tell(self, body) -> None:
        self.story.tell(body, "console:kim", "person")

    @rule(
        amount=st.sampled_from([300, 1667, 5001]),
        ref=st.sampled_from(["re_a", "re_b"]),
        status=st.sampled_from(["pending", "succeeded", "failed"]),
        version=st.integers(0, 3),
    )
    def refund_by_others(self, amount: int, ref: str, status: str, version: int) -> None:
        self.story.tell(RefundReported(ref, "pi_1", amount, "EUR", status, version), "psp", "psp")

    @precondition(lambda self: self.story.view.legs)
    @rule(data=st.data(), status=st.sampled_from(["pending", "succeeded", "failed", "reversed"]))
    def provider(self, data: st.DataObject, status: str) -> None:
        leg = data.draw(st.sampled_from(self.story.view.legs))
        body = RefundReported(
            leg.refund_ref or "re_own", leg.payment_ref, leg.amount_minor, "EUR", status, 9, key=leg.effect_id
        )
        self.story.tell(body, leg.connection, "psp")

    @precondition(lambda self: any(e.effect_id not in self.story.answered for e in self.story.effects))
    @rule(
        data=st.data(),
        outcome=st.sampled_from(
            ["done", "done", "accepted", "unknown", "rejected", "not_found", "parked", "discarded"]
        ),
    )
    def outcome(self, data: st.DataObject, outcome: str) -> None:
        open_ = [e for e in self.story.effects if e.effect_id not in self.story.answered]
        effect = data.draw(st.sampled_from(open_))
        if outcome in ("done", "rejected", "discarded"):
            self.story.answered.add(effect.effect_id)
        self.story.outcome(effect, outcome, f"{effect.kind}/{effect.effect_id}")

    @rule()
    def all_goes_well(self) -> None:
        self.story.settle()

    @rule(days=st.sampled_from([1, 5, 15, 40]))
    def wait(self, days: int) -> None:
        self.story.wait(days=days)

    @precondition(lambda self: self.story.view.exceptions)
    @rule(data=st.data(), action=st.sampled_from(["resolve", "accept", "write_off", "pay_store_credit", "refund"]))
    def person(self, data: st.DataObject, action: str) -> None:
        kind = data.draw(st.sampled_from(self.story.exceptions()))
        self.story.resolve(kind, action)

    @invariant()
    def effects_are_few(self) -> None:
        """No fact makes the case ask for the same thing again and again."""
        if hasattr(self, "story"):
            assert len(self.story.effects) <= 12 * len(self.story.told)

    def teardown(self) -> None:
        """Folding the log from nothing gives what deciding fact by fact gave."""
        if hasattr(self, "story"):
            case = Case("rc_test")
            for fact in self.story.told:
                case = decide(case, fact, SETTING).case
            assert case.states == self.story.case.states
            assert case.effects == self.story.case.effects


AnyStory.TestCase.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
TestAnyStory = AnyStory.TestCase
