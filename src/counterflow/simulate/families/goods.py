"""What comes back, and how: alike or not, more or less than was announced, another piece, late, or unannounced."""

from typing import Any

from counterflow.simulate.draft import DAY, Draft
from counterflow.simulate.script import PEOPLE, Condition, Sold

_REASONS = ("UNWANTED", "COLOR", "STYLE", "UNKNOWN", "NOT_AS_DESCRIBED")


def omnichannel(draft: Draft) -> None:
    """Ordered online, asked for in any channel, perhaps handed in at a store, inspected in the warehouse, refunded."""
    draft.channel = draft.rng.choice(("portal", "portal", "admin", "store", "service"))
    draft.currency = draft.rng.choice(("EUR", "EUR", "EUR", "USD", "CHF", "JPY", "BHD"))
    draft.sell(*draft.goods(draft.rng.randint(1, 2)), shipping_minor=draft.rng.choice((0, 0, 500)))
    wanted = [(i, line.quantity) for i, line in enumerate(draft.lines)]
    draft.ask(*wanted, reason=draft.rng.choice(_REASONS))
    if draft.rng.random() < 0.5:
        draft.hand_in(*({"sku": draft.lines[i].sku, "quantity": n} for i, n in wanted))
    draft.come_back(*wanted, grade=draft.rng.choice("AAABCD"))


def partial(draft: Draft) -> None:
    """Some pieces of a line come back in one return, the others later in a second one: together what was paid."""
    [line] = draft.goods(1, most=1)
    quantity = draft.rng.randint(2, 5)
    draft.sell(Sold(line.sku, quantity, line.price_minor, draft.rng.randrange(1, line.price_minor), "Spring sale"))
    first = draft.rng.randint(1, quantity - 1)
    draft.ask((0, first))
    draft.come_back((0, first))
    second = "rma:$second.name"
    draft.ask((0, quantity - first), name="second", when=(Condition("paid"),))
    draft.arrive({"sku": line.sku, "quantity": quantity - first}, name="parcel", case=second)
    draft.inspect("A", receipt="parcel", when=(Condition("received", (quantity - first,)),), case=second)


def grades(draft: Draft) -> None:
    """The pieces of one line are not alike: each grade takes its own way."""
    [line] = draft.goods(1, most=1)
    quantity = draft.rng.randint(2, 5)
    draft.sell(Sold(line.sku, quantity, line.price_minor))
    draft.ask((0, quantity), reason=draft.rng.choice(("UNWANTED", "DEFECTIVE")))
    draft.arrive({"sku": line.sku, "quantity": quantity})
    good = draft.rng.randint(1, quantity - 1)
    draft.inspect("A", quantity=good, when=(Condition("received", (quantity,)),))
    draft.inspect(draft.rng.choice("BCD"), quantity=quantity - good)


def deduction(draft: Draft) -> None:
    """Worn beyond testing: the loss of value by the grade is kept, and nothing more."""
    draft.sell(*draft.goods(1, most=2))
    wanted = [(0, draft.lines[0].quantity)]
    draft.ask(*wanted)
    draft.come_back(*wanted, grade=draft.rng.choice("BCD"), findings=("used_beyond_testing",))


def promotion(draft: Draft) -> None:
    """A promotion that the return breaks: the kept basket is priced again, nobody loses a cent."""
    [line] = draft.goods(1, most=1)
    quantity = draft.rng.choice((3, 3, 4, 5))
    title = draft.rng.choice(("Buy 2 get 1", "3 for 2", "Spring sale"))
    off = line.price_minor if title != "Spring sale" else draft.rng.randrange(1, line.price_minor)
    draft.sell(Sold(line.sku, quantity, line.price_minor, off, title))
    draft.ask((0, back := draft.rng.randint(1, quantity)))
    draft.come_back((0, back))


def kit(draft: Draft) -> None:
    """One component of a set comes back, the other stays: its share of the set's price is refunded."""
    mug, plate = Sold("MUG", 1, draft.price("MUG")), Sold("PLATE", 1, draft.price("PLATE"))
    draft.sell(Sold("TABLEWARE", 1, mug.price_minor + plate.price_minor, parts=(mug, plate)))
    part = draft.rng.choice((mug, plate))
    draft.ask((0, 1), part=part.sku)
    draft.arrive({"sku": part.sku, "quantity": 1})
    draft.inspect("A", when=(Condition("received"),))


def serial_mismatch(draft: Draft) -> None:
    """Another piece comes back than was sold: nothing is paid until the right one is here."""
    sku, right = f"CAM-{draft.number:05d}", f"S{draft.number:05d}"
    price = 39_900 - draft.rng.randrange(0, 5_000)
    draft.stock(sku, "serial", [right, f"T{draft.number:05d}"], 210, 399)
    draft.sell(Sold(sku, 1, price, serials=(right,)))
    draft.ask((0, 1))
    draft.arrive({"sku": sku, "quantity": 1, "serial": draft.rng.choice((f"X{right}", f"T{draft.number:05d}"))})
    draft.settle("serial_mismatch", "send_back", "sent back to the customer")
    draft.arrive({"sku": sku, "quantity": 1, "serial": right}, name="again", when=())
    draft.inspect("A", receipt="again", when=(Condition("received", (2,)),))


def recalled_lot(draft: Draft) -> None:
    """A recalled lot: locked away, refunded all the same, then destroyed by the quality team."""
    sku, lot = f"CREAM-{draft.number:05d}", f"L{draft.number:05d}"
    draft.stock(sku, "lot", [lot], 7, 25)
    draft.sell(Sold(sku, draft.rng.randint(1, 3), 2_500 - draft.rng.randrange(0, 700), lot=lot))
    pieces = draft.lines[0].quantity
    draft.ask((0, pieces))
    draft.come_back((0, pieces), findings=("lot_recalled",))
    draft.do(
        PEOPLE, "/cases/$case.id/dispositions", Condition("goods", ("quarantined", pieces)), after=draft.pause(2),
        unit_ids="$case.units", disposition="scrap", reason="the recall says to destroy",
    )  # fmt: skip


def blind_return(draft: Draft) -> None:
    """Goods that nobody announced, with the order's number: received, attributed, judged, refunded."""
    draft.channel = "blind"
    draft.sell(*draft.goods(1, most=2))
    line = draft.lines[0]
    draft.hand_in({"sku": line.sku, "quantity": line.quantity}, announced=False)
    draft.come_back((0, line.quantity), grade=draft.rng.choice("ABD"))


def over_receipt(draft: Draft) -> None:
    """More arrives than was announced: what is too much is kept safe for a person, the rest is refunded."""
    draft.sell(*draft.goods(1, most=2))
    line, over = draft.lines[0], draft.rng.randint(1, 2)
    draft.ask((0, line.quantity))
    draft.arrive({"sku": line.sku, "quantity": line.quantity + over})
    draft.inspect("A", quantity=line.quantity, when=(Condition("exception", ("over_receipt",)),))
    for n in range(over):
        draft.settle("over_receipt", "send_back", "offered back to the customer", Condition("paid", (n + 1,)))


def under_receipt(draft: Draft) -> None:
    """Less arrives than was announced: it is paid at once, the rest is searched for and found to be kept."""
    [line] = draft.goods(1, most=1)
    quantity = draft.rng.randint(2, 4)
    draft.sell(Sold(line.sku, quantity, line.price_minor))
    came = draft.rng.randint(1, quantity - 1)
    draft.ask((0, quantity))
    draft.scan("handed_over")
    draft.arrive({"sku": line.sku, "quantity": came}, when=(Condition("goods", ("handed_over", quantity)),))
    draft.inspect("A", when=(Condition("received", (came,)),))
    verdict = draft.rng.choice(("kept", "lost"))
    draft.do(
        PEOPLE, "/cases/$case.id/missing", Condition("paid"), Condition("exception", ("missing_goods",)),
        after=draft.pause(), verdict=verdict, reason="what the search found",
    )  # fmt: skip


def counted_meanwhile(draft: Draft) -> None:
    """A stock count finds what came and was not entered yet; once it is, the ERP has it twice until somebody counts."""
    sku = f"SHELF-{draft.number:05d}"
    draft.stock(sku, "none", (), 12, 40)
    pieces = draft.rng.randint(1, 3)
    draft.sell(Sold(sku, pieces, 4_000 - draft.rng.randrange(0, 900)))
    draft.ask((0, pieces))
    draft.scan("delivered")
    counted: dict[str, Any] = {"sku": sku, "location": "WH/Quarantine", "quantity": pieces}
    draft.do("odoo", "count", after=DAY, **counted)
    draft.arrive({"sku": sku, "quantity": pieces}, occurred_at="$scan.occurred_at")
    draft.do("odoo", "count", Condition("exception", ("counted_meanwhile",)), after=draft.pause(1), **counted)
    draft.settle("counted_meanwhile", "resolve", "counted again")
    draft.inspect("A")


def late_warehouse(draft: Draft) -> None:
    """Handed in at a store; the dock tells of it two weeks later, with the date of that day."""
    draft.sell(*draft.goods(1, most=2))
    line = draft.lines[0]
    draft.ask((0, line.quantity))
    draft.hand_in({"sku": line.sku, "quantity": line.quantity})
    draft.do(
        "wms", "receive", Condition("received", (line.quantity,)), after=14 * DAY, name="receipt",
        rma_number="$case.rma", lines=[{"sku": line.sku, "quantity": line.quantity}], counted_by="bo",
    )  # fmt: skip
    draft.inspect("A")
