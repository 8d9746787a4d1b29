"""Somebody else acts on the same return: a marketplace, the shop, an accountant, a till, an agent at the provider."""

from counterflow.simulate.draft import AUTHORISED, Draft
from counterflow.simulate.script import Condition


def marketplace(draft: Draft) -> None:
    """A marketplace refunds its customer on our behalf: booked as theirs, nothing is paid by us."""
    draft.channel = "marketplace"
    draft.sell(*draft.goods(1, most=2), marketplace="bazaar")
    line = draft.lines[0]
    draft.do(
        "shop", "marketplace_refund", after=draft.pause(),
        order="$order.name", lines=[{"sku": line.sku, "quantity": line.quantity}], reason="customer changed their mind",
    )  # fmt: skip
    draft.arrive({"sku": line.sku, "quantity": line.quantity}, when=(Condition("observed", ("marketplace",)),))
    draft.inspect("A", when=(Condition("received", (line.quantity,)),))


def cancel_after_receipt(draft: Draft) -> None:
    """The shop cancels a return whose goods are here: the goods win, the customer is paid, a person re-opens it."""
    draft.sell(*draft.goods(1, most=2))
    line = draft.lines[0]
    draft.ask((0, line.quantity))
    draft.arrive({"sku": line.sku, "quantity": line.quantity})
    draft.do("shop", "cancel_return", Condition("received", (line.quantity,)), after=20, also={"return": "$return.id"})
    draft.inspect("A", when=(Condition("exception", ("cancelled_after_receipt",)),))
    draft.settle("cancelled_after_receipt", "resolve", "a new return was opened in the shop", Condition("paid"))


def credited_by_hand(draft: Draft) -> None:
    """An accountant has credited the invoice by hand: our credit note is that one, there is no second."""
    draft.sell(*draft.goods(1, most=2))
    wanted = (0, draft.lines[0].quantity)
    draft.ask(wanted)
    draft.do(
        "odoo", "manual_credit_note", AUTHORISED, after=draft.pause(), invoice_id="$erp.invoice_id", reason="Goodwill"
    )
    known = Condition("exception", ("foreign_document",))  # the note stands for no refund yet
    draft.arrive({"sku": draft.lines[0].sku, "quantity": wanted[1]}, when=(known,))
    draft.inspect("A", when=(Condition("received", (wanted[1],)),))


def two_channels(draft: Draft) -> None:
    """The same goods are asked back in the portal and handed in at a till: one refund."""
    draft.sell(*draft.goods(1, most=2))
    line = draft.lines[0]
    draft.ask((0, line.quantity))
    draft.hand_in({"sku": line.sku, "quantity": line.quantity}, announced=False)
    draft.come_back((0, line.quantity))


def refunded_by_hand(draft: Draft) -> None:
    """An agent refunds in the provider's dashboard while the goods are on their way: attached, not paid again."""
    draft.sell(*draft.goods(1, most=2))
    wanted = (0, draft.lines[0].quantity)
    draft.ask(wanted)
    draft.do(
        "psp", "refund_in_dashboard", AUTHORISED, after=draft.pause(1),
        payment_intent=f"pi_{draft.number:06d}", amount_minor=draft.lines[0].paid_minor,
    )  # fmt: skip
    draft.arrive(
        {"sku": draft.lines[0].sku, "quantity": wanted[1]}, when=(AUTHORISED, Condition("observed", ("psp",)))
    )  # fmt: skip
    draft.inspect("A", when=(Condition("received", (wanted[1],)),))
