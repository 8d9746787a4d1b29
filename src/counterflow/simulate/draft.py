"""A story that is being written: drawing goods and prices, and the steps of which most stories are made.

The retailer's own systems get the same sale: each line as the shop takes it, and as the ERP does. What the goods are
called and what they cost the retailer is the estate of the simulated town.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from counterflow.sandbox.estate import CURRENCY, PRODUCTS, RATES
from counterflow.simulate.script import CASE, PEOPLE, Condition, Sold, Step, Story, Tender

EXPONENTS: dict[str, int] = {"EUR": 2, "USD": 2, "CHF": 2, "JPY": 0, "BHD": 3}
DAY = 24 * 60  # in minutes, as steps count
AUTHORISED = Condition("authorised")

_PLAIN = ("TEE", "HOODIE", "SOCKS", "MUG", "PLATE")
_LIST: dict[str, int] = {product["sku"]: product["price"] for product in PRODUCTS}
_WORDS = {"UNWANTED": "changed_mind", "COLOR": "changed_mind", "STYLE": "changed_mind", "UNKNOWN": "none_given"}


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
        return self.rng.randrange(30, most_days * DAY)

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

    def scan(self, status: str) -> None:
        """The carrier says where the parcel of the case is."""
        self.do(
            "wms", "scan", AUTHORISED, after=self.pause(1), name="scan", rma_number="$case.rma", status=status,
            tracking_number=f"1Z{self.number:06d}", carrier="post",
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
            PEOPLE, "/exceptions/$case.exception/resolve", *waits, after=self.rng.randrange(10, DAY), role=role,
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
