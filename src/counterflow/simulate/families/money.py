"""How it was paid and how it is paid back: tenders, rails, signatures, and refunds that fail or come early."""

from counterflow.simulate.draft import AUTHORISED, DAY, Draft
from counterflow.simulate.script import PEOPLE, Condition, Sold


def split_tender(draft: Draft) -> None:
    """Paid with a gift card and a card: each gets back what is its own, the card first."""
    goods = draft.goods(2, most=2)
    total = sum(line.paid_minor for line in goods)
    draft.sell(*goods, gift_card_minor=draft.rng.randrange(1, total))
    wanted = [(i, line.quantity) for i, line in enumerate(draft.lines)][: draft.rng.randint(1, 2)]
    draft.ask(*wanted)
    draft.come_back(*wanted)


def store_credit(draft: Draft) -> None:
    """The customer takes store credit instead of money."""
    draft.sell(*draft.goods(1, most=2))
    wanted = [(0, draft.lines[0].quantity)]
    draft.ask(*wanted)
    draft.do("shop", "customer_picks", also={"return": "$return.id"}, remedy="store_credit")
    draft.arrive(
        {"sku": draft.lines[0].sku, "quantity": wanted[0][1]}, when=(Condition("remedy", ("store_credit",)),)
    )  # fmt: skip
    draft.inspect("A", when=(Condition("received", (wanted[0][1],)),))


def chargeback(draft: Draft) -> None:
    """The cardholder disputes while the goods are on their way: nothing is paid before the bank has decided."""
    draft.sell(*draft.goods(1, most=1))
    draft.ask((0, 1))
    draft.do("psp", "open_dispute", AUTHORISED, after=60, payment_intent=f"pi_{draft.number:06d}")
    draft.come_back((0, 1))
    won = draft.rng.random() < 0.5
    draft.do("psp", "close_dispute", after=3 * DAY, payment_intent=f"pi_{draft.number:06d}", won=won)


def fails_after_success(draft: Draft) -> None:
    """The refund comes back days after it had succeeded, and is paid as store credit with the customer's consent."""
    draft.sell(*draft.goods(1, most=2))
    wanted = (0, draft.lines[0].quantity)
    draft.ask(wanted)
    draft.come_back(wanted)
    draft.do(
        "psp", "fail_refund", Condition("paid"), Condition("booked"), after=draft.pause(4), name="failed",
        refund="$case.refund", failure_reason="expired_or_canceled_card",
    )  # fmt: skip
    draft.settle("refund_failed", "pay_store_credit", "the customer agreed to store credit")


def slow_rail(draft: Draft) -> None:
    """Paid by direct debit: a refund is taken, and has gone through days later; nobody says so before."""
    draft.sell(*draft.goods(1, most=2), method="sepa_debit")
    wanted = (0, draft.lines[0].quantity)
    draft.ask(wanted)
    draft.come_back(wanted)


def before_receipt(draft: Draft) -> None:
    """Small sums that do not fit are refunded when asked for; the goods come later, and the books know both."""
    draft.sell(Sold("SOCKS", 1, draft.rng.randrange(500, 1_001)))
    draft.ask((0, 1), reason="SIZE_TOO_LARGE")
    draft.arrive({"sku": "SOCKS", "quantity": 1}, when=(Condition("paid"),))
    draft.inspect("A", when=(Condition("received"),))


def signed(draft: Draft) -> None:
    """A large sum waits for a signature of somebody who had no part in the case."""
    price = draft.rng.randrange(16_700, 39_900)
    draft.sell(Sold("HOODIE", 3, price))
    draft.ask((0, 3))
    draft.come_back((0, 3))
    draft.do(
        PEOPLE, "/approvals/$case.intent/grant", Condition("exception", ("approval_needed",)), after=draft.pause(1),
        role="finance", amount_minor="$case.intent_minor", currency="EUR", reason="checked",
    )  # fmt: skip
