"""Families of stories, and their seeded variety: the same seed and number give the same script, to the cent.

A family is what happens; its draw decides goods, quantities of one to five, prices with odd cents, discounts that do
not divide, tenders, currencies, channels, grades and pauses. What the goods are called and what they cost the retailer
is the estate of the simulated town.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from counterflow.sandbox.estate import CURRENCY, PRODUCTS, RATES
from counterflow.simulate.script import CASE, PEOPLE, Condition, Sold, Step, Story, Tender

EXPONENTS: dict[str, int] = {"EUR": 2, "USD": 2, "CHF": 2, "JPY": 0, "BHD": 3}
COSTS: dict[str, int] = {product["sku"]: product.get("cost", 0) for product in PRODUCTS}
_PLAIN = ("TEE", "HOODIE", "SOCKS", "MUG", "PLATE")
_LIST: dict[str, int] = {product["sku"]: product["price"] for product in PRODUCTS}
_REASONS = ("UNWANTED", "COLOR", "STYLE", "UNKNOWN", "NOT_AS_DESCRIBED")
_WORDS = {"UNWANTED": "changed_mind", "COLOR": "changed_mind", "STYLE": "changed_mind", "UNKNOWN": "none_given"}
_DAY = 24 * 60

AUTHORISED = Condition("authorised")


@dataclass(slots=True)
class Draft:
    """A story that is being written. `end` makes it a Story."""

    number: int
    family: str
    rng: random.Random
    currency: str = CURRENCY
    channel: str = "portal"
    lines: list[Sold] = field(default_factory=list)
    tenders: list[Tender] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    shipping_minor: int = 0

    # ---- drawing -----------------------------------------------------------------------------------------------------

    def price(self, sku: str) -> int:
        """Near the list price, with odd cents (of currencies that have them)."""
        unit: int = 10 ** EXPONENTS[self.currency]
        if self.currency == "JPY":
            return _LIST[sku] * 160 + self.rng.randrange(0, 160)
        near: int = _LIST[sku] * unit * self.rng.randrange(70, 131) // 100 + self.rng.choice((0, 1, 3, 7, 9))
        return near - near % 10 if self.currency == "BHD" else near  # the provider moves no single fils

    def goods(self, count: int = 1, most: int = 3, skus: Sequence[str] = _PLAIN) -> list[Sold]:
        """Different goods, one to `most` pieces of each."""
        return [
            Sold(sku, self.rng.randint(1, most), self.price(sku))
            for sku in self.rng.sample(list(skus), min(count, len(skus)))
        ]

    def pause(self, most_days: int = 3) -> int:
        return self.rng.randrange(30, most_days * _DAY)

    # ---- selling -----------------------------------------------------------------------------------------------------

    def do(
        self,
        system: str,
        act: str,
        *when: Condition,
        after: int = 0,
        name: str = "",
        role: str = "agent",
        case: str = CASE,
        also: Mapping[str, Any] | None = None,
        **args: Any,
    ) -> None:
        """Add a step. `also`: arguments whose names are none of Python's."""
        self.steps.append(Step(system, act, {**args, **(also or {})}, when, after, name, role, case))

    def sell(
        self,
        *lines: Sold,
        gift_card_minor: int = 0,
        shipping_minor: int = 0,
        marketplace: str = "",
        method: str = "card",
    ) -> None:
        """A finished sale: ordered and shipped by the shop, captured by the provider, invoiced and paid in the ERP."""
        self.lines, self.shipping_minor = list(lines), shipping_minor
        total = sum(line.paid_minor for line in lines) + shipping_minor
        rest, payment = total - gift_card_minor, f"pi_{self.number:06d}"
        order: dict[str, Any] = {}
        if marketplace:
            self.tenders = [Tender("marketplace", total)]
            order["marketplace"] = marketplace
        else:
            self.tenders = [Tender("card", rest)] if rest else []
            if (
                self.currency != CURRENCY
            ):  # the provider settles it in the retailer's own currency, as it does by default
                self.do("psp", "set_rate", currency=self.currency.lower(), rate=str(1 / RATES[self.currency]))
            paying = {"currency": self.currency.lower(), "payment_intent": payment, "payment_method": method}
            self.do("psp", "pay", amount_minor=rest, also=paying)
            order["tenders"] = [{"gateway": "stripe", "amount_minor": rest, "payment_id": payment}]
        if gift_card_minor:
            self.tenders.append(Tender("gift_card", gift_card_minor))
            self.do("shop", "issue_gift_card", name="card", amount_minor=gift_card_minor, currency=self.currency)
            order["tenders"].append({"gateway": "gift_card", "amount_minor": gift_card_minor, "gift_card": "$card.id"})
        if shipping_minor:
            order["shipping"] = {"amount_minor": shipping_minor, "tax_rates": _TAXES}
        self.do(
            "shop",
            "place_order",
            name="order",
            lines=[_shop_line(line) for line in lines],
            taxes_included=True,
            presentment_currency=self.currency,
            exchange_rate=str(1 / RATES[self.currency]),
            fulfil=True,
            customer={"email": f"{payment}@example.com", "first_name": "Kim", "last_name": "Example"},
            **order,
        )
        unit = 10 ** EXPONENTS[self.currency]
        paid = [{"journal": "BNK1" if marketplace else "STRIP", "amount": rest / unit, "ref": payment}]
        paid += [{"journal": "GIFT", "amount": gift_card_minor / unit, "ref": "gift card"}] if gift_card_minor else []
        freight = [{"sku": "SHIPPING", "quantity": 1, "price": shipping_minor / unit, "taxes": ["19% incl."]}]
        self.do(
            "odoo",
            "sell",
            name="erp",
            order_ref="$order.name",
            customer={"ref": payment, "name": "Kim Example", "email": f"{payment}@example.com"},
            currency=self.currency,
            lines=[_erp_line(line, unit) for line in lines] + (freight if shipping_minor else []),
            payments=paid,
        )

    def stock(self, sku: str, tracking: str, names: Sequence[str], cost: int, price: int) -> None:
        """Goods of this story alone, each piece or lot with its number, on hand in the ERP."""
        held: dict[str, Any] = {"lots": {"WH/Stock": dict.fromkeys(names, 1 if tracking == "serial" else 50)}}
        product = {"sku": sku, "name": sku, "price": price, "cost": cost, "tracking": tracking, "type": "goods"}
        product |= {
            "taxes": ["19% incl."],
            "invoice_policy": "delivery",
            **(held if names else {"stock": {"WH/Stock": 20}}),
        }
        self.do("odoo", "seed_products", products=[product])

    # ---- returning ---------------------------------------------------------------------------------------------------

    def ask(
        self,
        *wanted: tuple[int, int],
        reason: str = "UNWANTED",
        name: str = "return",
        case: str = CASE,
        when: tuple[Condition, ...] = (),
        part: str = "",
    ) -> None:
        """Ask for pieces of sold lines back, (index of the line, pieces), in the story's channel."""
        after = self.pause(5)
        if self.channel in ("portal", "admin"):
            lines = [
                {"sku": part or self.lines[i].sku, "quantity": quantity, "reason": reason} for i, quantity in wanted
            ]
            act = "request_return" if self.channel == "portal" else "create_return"
            self.do("shop", act, *when, after=after, name=name, case=case, order="$order.name", lines=lines)
            return
        rows = [
            {"line_ref": f"$order.lines.{i}.id.tail", "quantity": quantity, "reason": _WORDS.get(reason, "other")}
            for i, quantity in wanted
        ]
        if self.channel == "store":
            asked: dict[str, Any] = {"order_number": "$order.name"}
            if (
                after % 2
            ):  # others have scanned the number that is printed, perhaps before anybody has told of the order
                asked["order_ref"] = "shop:order:$order.id.tail"
            after = after if after % 3 else 0
            self.do("till-1", "request_return", *when, after=after, name=name, case=case, lines=rows, also=asked)
        else:
            sold = "shop:order:$order.id.tail"
            self.do(PEOPLE, "/cases", *when, after=after, name=name, case=case, sale_ref=sold, lines=rows)

    def hand_in(self, *lines: Mapping[str, Any], announced: bool = True, case: str = CASE) -> None:
        """Over the counter of the store; it goes on to the warehouse for its inspection."""
        when = (AUTHORISED,) if announced else ()
        self.do(
            "till-1", "receive", *when, after=self.pause(), case=case,
            order_number="$order.name", lines=list(lines), cashier="ada",
            also={"rma_number": "$case.rma"} if announced else {},
        )  # fmt: skip

    def arrive(
        self,
        *lines: Mapping[str, Any],
        name: str = "receipt",
        complete: bool = True,
        when: tuple[Condition, ...] = (AUTHORISED,),
        case: str = CASE,
        **more: Any,
    ) -> None:
        """Counted in the warehouse under the case's RMA number."""
        self.do(
            "wms", "receive", *when, after=self.pause(), name=name, case=case,
            rma_number="$case.rma", lines=list(lines), complete=complete, counted_by="bo", **more,
        )  # fmt: skip

    def inspect(
        self,
        grade: str,
        *findings: str,
        line_no: int = 1,
        receipt: str = "receipt",
        when: tuple[Condition, ...] = (),
        case: str = CASE,
        **more: Any,
    ) -> None:
        self.do(
            "wms", "inspect", *when, after=self.rng.randrange(5, 600), case=case,
            receipt_id=f"${receipt}.receipt_id", line_no=line_no, grade=grade,
            findings=[{"code": code, "note": ""} for code in findings], inspected_by="bo", **more,
        )  # fmt: skip

    def settle(self, kind: str, action: str, reason: str, *when: Condition, role: str = "agent") -> None:
        """A person resolves an exception of a kind."""
        waits = (Condition("exception", (kind,)), *when)
        self.do(
            PEOPLE, "/exceptions/$case.exception/resolve", *waits, after=self.rng.randrange(10, _DAY), role=role,
            action=action, reason=reason,
        )  # fmt: skip

    def come_back(self, *wanted: tuple[int, int], grade: str = "A", findings: tuple[str, ...] = ()) -> None:
        """All that was asked for arrives in one parcel and gets one grade."""
        self.arrive(*({"sku": self.lines[i].sku, "quantity": n, **_numbers(self.lines[i])} for i, n in wanted))
        pieces = sum(n for _, n in wanted)
        for line_no in range(1, len(wanted) + 1):
            when = (Condition("received", (pieces,)),) if line_no == 1 else ()
            self.inspect(grade, *findings, line_no=line_no, when=when)

    def end(self) -> Story:
        return Story(
            self.number, self.family, self.channel, self.currency, tuple(self.lines), tuple(self.tenders),
            tuple(self.steps), self.shipping_minor,
        )  # fmt: skip


_TAXES = [{"title": "DE-19", "rate": 0.19}]


def _numbers(line: Sold) -> dict[str, Any]:
    return {**({"serial": line.serials[0]} if line.serials else {}), **({"lot": line.lot} if line.lot else {})}


def _shop_line(line: Sold) -> dict[str, Any]:
    made: dict[str, Any] = {"sku": line.sku, "quantity": line.quantity, "unit_price_minor": line.price_minor}
    made["tax_rates"] = _TAXES
    if line.discount_minor:
        made["discounts"] = [{"title": line.promotion or "promotion", "amount_minor": line.discount_minor}]
    if line.serials or line.lot:
        made["attributes"] = {key: value for key, value in _numbers(line).items() if value}
    if line.parts:
        made["components"] = [_shop_line(part) for part in line.parts]
    return made


def _erp_line(line: Sold, unit: int) -> dict[str, Any]:
    full = line.quantity * line.price_minor
    percent = round(100 * line.discount_minor / full, 6) if full else 0.0
    made = {"sku": line.sku, "quantity": line.quantity, "price": line.price_minor / unit, "discount": percent}
    lots = [*line.serials, *([line.lot] if line.lot else [])]
    return {**made, "taxes": ["19% incl."], **({"lots": lots} if lots else {})}


# ---- the families ----------------------------------------------------------------------------------------------------


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
    draft.do(
        "wms", "scan", AUTHORISED, after=draft.pause(1), rma_number="$case.rma", status="handed_over",
        tracking_number=f"1Z{draft.number:06d}", carrier="post",
    )  # fmt: skip
    draft.arrive({"sku": line.sku, "quantity": came}, when=(Condition("goods", ("handed_over", quantity)),))
    draft.inspect("A", when=(Condition("received", (came,)),))
    verdict = draft.rng.choice(("kept", "lost"))
    draft.do(
        PEOPLE, "/cases/$case.id/missing", Condition("paid"), Condition("exception", ("missing_goods",)),
        after=draft.pause(), verdict=verdict, reason="what the search found",
    )  # fmt: skip


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


def chargeback(draft: Draft) -> None:
    """The cardholder disputes while the goods are on their way: nothing is paid before the bank has decided."""
    draft.sell(*draft.goods(1, most=1))
    draft.ask((0, 1))
    draft.do("psp", "open_dispute", AUTHORISED, after=60, payment_intent=f"pi_{draft.number:06d}")
    draft.come_back((0, 1))
    won = draft.rng.random() < 0.5
    draft.do("psp", "close_dispute", after=3 * _DAY, payment_intent=f"pi_{draft.number:06d}", won=won)


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


def late_warehouse(draft: Draft) -> None:
    """Handed in at a store; the dock tells of it two weeks later, with the date of that day."""
    draft.sell(*draft.goods(1, most=2))
    line = draft.lines[0]
    draft.ask((0, line.quantity))
    draft.hand_in({"sku": line.sku, "quantity": line.quantity})
    draft.do(
        "wms", "receive", Condition("received", (line.quantity,)), after=14 * _DAY, name="receipt",
        rma_number="$case.rma", lines=[{"sku": line.sku, "quantity": line.quantity}], counted_by="bo",
    )  # fmt: skip
    draft.inspect("A")


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


def before_receipt(draft: Draft) -> None:
    """Small sums that do not fit are refunded when asked for; the goods come later, and the books know both."""
    draft.sell(Sold("SOCKS", 1, draft.rng.randrange(500, 1_001)))
    draft.ask((0, 1), reason="SIZE_TOO_LARGE")
    draft.arrive({"sku": "SOCKS", "quantity": 1}, when=(Condition("paid"),))
    draft.inspect("A", when=(Condition("received"),))


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


FAMILIES: Mapping[str, Callable[[Draft], None]] = {
    family.__name__: family
    for family in (
        omnichannel,
        partial,
        grades,
        deduction,
        promotion,
        kit,
        serial_mismatch,
        recalled_lot,
        blind_return,
        over_receipt,
        under_receipt,
        exchange_even,
        exchange_down,
        exchange_up,
        exchange_unpaid,
        replacement_out_of_stock,
        split_tender,
        store_credit,
        marketplace,
        chargeback,
        fails_after_success,
        slow_rail,
        late_warehouse,
        cancel_after_receipt,
        credited_by_hand,
        two_channels,
        before_receipt,
        refunded_by_hand,
        signed,
    )
}


def write(seed: int, number: int, family: str = "") -> Story:
    """The story of this seed and number; of any family unless one is named. Raises KeyError for an unknown family."""
    rng = random.Random(f"{seed}:{number}")
    chosen = rng.choice(list(FAMILIES))
    draft = Draft(number, family or chosen, rng)
    FAMILIES[draft.family](draft)
    return draft.end()


def write_all(seed: int, count: int) -> tuple[Story, ...]:
    """`count` stories over one world, numbered from 1."""
    return tuple(write(seed, number) for number in range(1, count + 1))
