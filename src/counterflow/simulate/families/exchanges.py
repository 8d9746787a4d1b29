"""Another thing instead of money: as dear, cheaper, dearer and paid for or not, or not to be had."""

from counterflow.simulate.draft import Draft
from counterflow.simulate.script import PEOPLE, Condition, Sold


def _exchange(draft: Draft, sku: str, price: int, today: int) -> None:
    """The replacement is a thing of its own, so that the shop's catalogue has it at today's price."""
    wanted = f"SWAP-{draft.number:05d}"
    draft.stock(wanted, "none", (), 9, 20)
    draft.sell(Sold(sku, 1, price))
    draft.ask((0, 1), reason="SIZE_TOO_SMALL")
    draft.do(
        "shop", "customer_picks", also={"return": "$return.id"},
        remedy="exchange", sku=wanted, quantity=1, unit_price_minor=today,
    )  # fmt: skip
    draft.arrive({"sku": draft.lines[0].sku, "quantity": 1}, when=(Condition("remedy", ("exchange",)),))
    draft.inspect("A", when=(Condition("received"),))


def _send_replacement(draft: Draft) -> None:
    draft.do(
        "shop", "fulfil", Condition("replacement"), after=draft.pause(1),
        order="$case.replacement", tracking={"company": "Post", "number": f"T{draft.number}"},
    )  # fmt: skip
    draft.do("shop", "deliver", after=draft.pause(2), order="$case.replacement")


def exchange_even(draft: Draft) -> None:
    """Another size at the same price: nothing is paid either way."""
    price = draft.price("TEE")
    _exchange(draft, "TEE", price, price)
    _send_replacement(draft)


def exchange_down(draft: Draft) -> None:
    """Something cheaper: the difference goes back to the card."""
    price = draft.price("HOODIE")
    _exchange(draft, "HOODIE", price, price - draft.rng.randrange(1, price // 2))
    _send_replacement(draft)


def exchange_up(draft: Draft) -> None:
    """Something dearer: it is sent once the customer has paid the difference."""
    price, more, payment = draft.price("TEE"), draft.rng.randrange(100, 3_000), f"pi_{draft.number:06d}_up"
    _exchange(draft, "TEE", price, price + more)
    draft.do(
        "psp", "pay", Condition("exchange", ("awaiting_payment",)), after=draft.pause(2),
        amount_minor=more, currency="eur", payment_intent=payment,
    )  # fmt: skip
    paid = {"payment_ref": payment, "amount_minor": more, "currency": "EUR"}
    draft.do(PEOPLE, "/cases/$case.id/payments", also=paid)
    _send_replacement(draft)


def exchange_unpaid(draft: Draft) -> None:
    """Something dearer that the customer never pays for: after two weeks the entitlement goes back as money."""
    price = draft.price("TEE")
    _exchange(draft, "TEE", price, price + draft.rng.randrange(100, 3_000))


def replacement_out_of_stock(draft: Draft) -> None:
    """The replacement cannot be had: the whole entitlement goes back as money."""
    price = draft.price("TEE")
    _exchange(draft, "TEE", price, price)
    draft.do(
        "shop", "cancel_order", Condition("replacement"), after=draft.pause(1),
        order="$case.replacement", reason="INVENTORY",
    )  # fmt: skip
