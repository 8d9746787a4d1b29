"""What a point of the proof works with: sales made by a person, effects sent by the connector, and the truth.

The truth is the difference between two states of Odoo (pieces per place, value of goods, balance per account, documents
left open), read by the person. A point says beforehand what that difference has to be, from its own numbers.
"""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from counterflow.connectors.odoo.connector import OdooConnector
from counterflow.connectors.odoo.live.company import GOODS, Company
from counterflow.connectors.odoo.live.person import Person, Row
from counterflow.connectors.odoo.live.wire import Crash, Wire
from counterflow.connectors.odoo.manifest import Config
from counterflow.core.effects import (
    Command,
    CreditLine,
    Effect,
    MoveGoods,
    PostCreditNote,
    PostRefundPayment,
    ReceiveGoods,
    StockItem,
)
from counterflow.core.ids import make_id
from counterflow.core.sale import Tax
from counterflow.sdk.connector import Context
from counterflow.sdk.http import Unlimited
from counterflow.sdk.outcomes import ConnectorError, Done, Outcome, Rejected

CONNECTION = "erp"
State = Mapping[str, int]
Function = Callable[["Proof"], Awaitable[str | None]]
TRIES = 8
# what may not be left lying around: model -> domain of what is open
_OPEN: dict[str, list[Any]] = {
    "account.move": [["state", "=", "draft"]],
    "account.payment": [["state", "=", "draft"]],
    "stock.picking": [["state", "not in", ["done", "cancel"]]],
    "stock.scrap": [["state", "=", "draft"]],
    "repair.order": [["state", "not in", ["done", "cancel"]]],
    "sale.order": [["state", "in", ["draft", "sent"]]],
}


@dataclass(frozen=True, slots=True)
class Point:
    """One flow. `about` is its first docstring line."""

    group: str
    function: Function

    @property
    def name(self) -> str:
        return f"{self.group}: {self.about}"

    @property
    def about(self) -> str:
        return (self.function.__doc__ or self.function.__name__).strip().splitlines()[0].rstrip(".")


POINTS: list[Point] = []


def point(group: str) -> Callable[[Function], Function]:
    """Add a point to the proof."""

    def add(function: Function) -> Function:
        POINTS.append(Point(group, function))
        return function

    return add


class Failed(AssertionError):
    """Odoo holds something else than the story says."""


@dataclass(frozen=True)
class Sale:
    """A sale as a person entered it."""

    number: str
    rma: str
    order: int
    name: str
    partner: int
    deliveries: tuple[int, ...]
    invoices: tuple[int, ...]
    payments: tuple[int, ...] = ()
    charge: str = ""

    @property
    def ref(self) -> str:
        return f"shop:order:{self.number}"


class Proof:
    """One database, its company, the connector on a wire that can break."""

    def __init__(self, person: Person, company: Company, wire: Wire, access: Mapping[str, Any]) -> None:
        self.person, self.company, self.wire = person, company, wire
        self.config = Config.model_validate({**company.config(), **access})
        self.connector = self.connect()
        self.sales = self.effects = 0
        self.serials = [name for name in company.lots if name.startswith("S")]
        self.floor = 0  # entries up to here were there before us
        self._roles = {id: role for role, id in company.accounts.items()}
        self._goods = {id: name for name, id in company.products.items()}
        self._places = {id: role for role, id in company.places.items()}

    def connect(self, **secrets: str) -> OdooConnector:
        """The connector as a process of its own would have it."""
        changed = {name: SecretStr(value) for name, value in secrets.items()}
        return OdooConnector(
            self.config.model_copy(update=changed),
            Context(CONNECTION, Unlimited(), lambda: datetime.now(UTC), self.wire),
        )

    @property
    def major(self) -> int:
        return self.person.major

    # ---- what a person does ------------------------------------------------------------------------------------------

    async def sale(
        self,
        *lines: tuple[str, int],
        deliver: bool = True,
        invoice: bool = True,
        pay: bool = True,
        lots: Sequence[str] = (),
        pricelist: int = 0,
        prices: Mapping[str, float] | None = None,
        when: str = "",
    ) -> Sale:
        """Ordered, shipped, invoiced and paid through the provider, as far as asked."""
        self.sales += 1
        number = f"#{self.company.run}-{self.sales}"
        call, company = self.person.call, self.company
        partner = await self.person.make("res.partner", {"name": f"Customer {number}"})
        rows = []
        for good, pieces in lines:
            price = (prices or {}).get(good, GOODS[good].price / 100)
            rows.append([0, 0, {"product_id": company.products[good], "product_uom_qty": pieces, "price_unit": price}])
        values = {
            "partner_id": partner,
            "client_order_ref": number,
            "pricelist_id": pricelist or company.pricelist,
            "order_line": rows,
        }
        order = await self.person.make("sale.order", values)
        await call("sale.order", "action_confirm", [order])
        row = await self.person.row("sale.order", order, "name", "picking_ids")
        sale = Sale(
            number,
            f"RMA-{self.sales}",
            order,
            row["name"],
            partner,
            tuple(row["picking_ids"]),
            (),
            charge=f"ch{number}",
        )
        if lots:
            await self._ship_lots(sale.deliveries, lots)
        if deliver and sale.deliveries:
            await self.validate(*sale.deliveries)
        return await self.invoice(sale, pay=pay, when=when) if invoice else sale

    async def validate(self, *pickings: int) -> None:
        if await self.person.call("stock.picking", "button_validate", list(pickings)) is not True:
            raise Failed(f"the transfers {pickings} were not validated: is there enough on hand?")

    async def _ship_lots(self, pickings: Sequence[int], lots: Sequence[str]) -> None:
        lines = await self.person.rows("stock.move.line", [["picking_id", "in", list(pickings)]], "lot_id")
        wanted = [self.company.lots[lot] for lot in lots]
        for line, lot in zip((line for line in lines if line["lot_id"]), wanted, strict=True):
            if line["lot_id"] != lot:
                await self.person.write("stock.move.line", line["id"], lot_id=lot)

    async def invoice(self, sale: Sale, pay: bool = True, when: str = "") -> Sale:
        """Invoice what is to invoice, and take the money."""
        call = self.person.call
        values = {"advance_payment_method": "delivered", "sale_order_ids": [[6, 0, [sale.order]]]}
        wizard = await self.person.make("sale.advance.payment.inv", values)
        await call("sale.advance.payment.inv", "create_invoices", [wizard])
        order = await self.person.row("sale.order", sale.order, "invoice_ids")
        new = sorted(set(order["invoice_ids"]) - set(sale.invoices))
        for id in new if when else ():
            await self.person.write("account.move", id, invoice_date=when)
        await call("account.move", "action_post", new)
        sale = replace(sale, invoices=(*sale.invoices, *new))
        if not pay:
            return sale
        payments = [await self.pay([id], sale.charge, when=when) for id in new]
        return replace(sale, payments=(*sale.payments, *payments))

    async def pay(
        self, moves: Sequence[int], memo: str, journal: str = "CFPSP", amount: int = 0, when: str = ""
    ) -> int:
        """Register a payment of entries; its id."""
        context = {"active_model": "account.move", "active_ids": list(moves)}
        values: dict[str, Any] = {"journal_id": self.company.journals[journal], "communication": memo}
        if amount:
            values["amount"] = amount / 100
        if when:
            values["payment_date"] = when
        wizard = await self.person.make("account.payment.register", values, context)
        await self.person.call("account.payment.register", "action_create_payments", [wizard], context=context)
        found = await self.person.rows("account.payment", [["memo", "=", memo]])
        return int(found[-1]["id"])

    # ---- what the connector does -------------------------------------------------------------------------------------

    def effect(self, command: Command, because: str = "") -> Effect:
        self.effects += 1
        key = make_id("ef", self.company.run, str(self.effects))
        return Effect(key, "rc_proof", CONNECTION, command, datetime.now(UTC), "sale:proof", because)

    def item(self, good: str, pieces: int = 1, serial: str = "", lot: str = "", line: str = "l1") -> StockItem:
        company = self.company
        return StockItem(
            company.sku(good), pieces, line, company.lot(serial) if serial else "", company.lot(lot) if lot else ""
        )

    def receive(self, sale: Sale, *items: StockItem, place: str = "wh-1", at: datetime | None = None) -> Effect:
        when = at or datetime.now(UTC)
        return self.effect(ReceiveGoods(sale.ref, sale.number, sale.rma, place, "returns", tuple(items), when))

    def move(
        self,
        sale: Sale,
        *items: StockItem,
        disposition: str = "restock",
        operation: str = "internal_move",
        to: str = "sellable",
        source: tuple[str, str] = ("wh-1", "returns"),
        place: str = "wh-1",
    ) -> Effect:
        command = MoveGoods(
            sale.ref,
            sale.number,
            sale.rma,
            operation,
            disposition,
            *source,
            place,
            to,
            tuple(items),
            "",
            datetime.now(UTC),
        )
        return self.effect(command, f"{disposition}: grade A by policy row 7")

    def line(
        self, good: str, pieces: int, amount: int, tax: int = -1, component: str = "goods", line: str = "l1"
    ) -> CreditLine:
        """A credited line; its tax is 19 % inside the amount unless the channel says otherwise."""
        tax = inside(amount) if tax == -1 else tax
        return CreditLine(
            line, self.company.sku(good), component, pieces, amount, (Tax("DE-19", 190_000, tax),), good.title()
        )

    def credit(self, sale: Sale, *lines: CreditLine, at: datetime | None = None, **more: Any) -> Effect:
        self.effects += 1
        intent = make_id("ri", self.company.run, str(self.effects))
        currency = more.pop("currency", self.company.currency)
        command = PostCreditNote(
            sale.ref,
            sale.number,
            intent,
            sale.rma,
            currency,
            sum(line.amount_minor for line in lines),
            tuple(lines),
            "too small",
            at or datetime.now(UTC),
            **more,
        )
        return self.effect(command)

    def refund(self, sale: Sale, note: str, amount: int, rail: str = "card", provider: str = "psp") -> Effect:
        self.effects += 1
        leg = make_id("rl", self.company.run, str(self.effects))
        ref = f"{provider}:refund:re_{self.company.run}_{self.effects}"
        currency = self.company.currency
        now = datetime.now(UTC)
        return self.effect(PostRefundPayment(leg, note, sale.charge, ref, rail, provider, amount, currency, now))

    async def send(self, effect: Effect, connector: OdooConnector | None = None) -> Outcome:
        [outcome] = await (connector or self.connector).send([effect])
        return outcome

    async def done(self, effect: Effect) -> Done:
        """Send it, undisturbed; it has to be done."""
        outcome = await self.send(effect)
        if not isinstance(outcome, Done):
            raise Failed(f"{effect.kind} gave {outcome!r}")
        return outcome

    async def rejected(self, effect: Effect, code: str) -> None:
        """Send it; it has to be refused with this code."""
        outcome = await self.send(effect)
        if not isinstance(outcome, Rejected) or outcome.code != code:
            raise Failed(f"{effect.kind} gave {outcome!r}, expected a rejection with the code {code}")

    async def carried_out(self, effect: Effect) -> Done:
        """Send it as the engine does: what is unknown is looked up, what is not there is sent again."""
        unknown, connector = False, self.connector
        outcome: Outcome | None = None
        for _ in range(TRIES):
            if unknown:
                await self.wire.settled()
                outcome = await _looked_up(connector, effect)
                if isinstance(outcome, Done):
                    return outcome
                if outcome is not None:
                    continue
            try:
                outcome = await self.send(effect, connector)
            except Crash:
                unknown, connector = True, self.connect()  # another process
                continue
            if isinstance(outcome, Done):
                return outcome
            word = outcome.word if isinstance(outcome, ConnectorError) else ""
            if word not in ("unknown", "malformed", "transient", "rate_limited", "auth_failed"):
                break
            unknown = word in ("unknown", "malformed")
        raise Failed(f"{effect.kind} is still not done: {outcome!r}")

    # ---- what is so in Odoo ------------------------------------------------------------------------------------------

    async def state(self) -> State:
        """Pieces and value of our goods, balances, open documents."""
        rows, found = self.person.rows, Counter[str]()
        mine = [["product_id", "in", list(self.company.products.values())]]
        for quant in await rows("stock.quant", mine, "product_id", "location_id", "quantity"):
            place = self._places.get(quant["location_id"])
            if place is not None:
                found[f"{self._goods[quant['product_id']]} in {place}"] += round(quant["quantity"])
        kept = [id for id, name in self._goods.items() if not GOODS[name].parts]  # a kit has no stock of its own
        for product in await rows("product.product", [["id", "in", kept]], "total_value"):
            found[f"{self._goods[product['id']]} value"] = round(product["total_value"] * 100)
        domain = [["parent_state", "=", "posted"], ["id", ">", self.floor]]
        for line in await rows("account.move.line", domain, "account_id", "balance"):
            found[f"account {await self._role(line['account_id'])}"] += round(line["balance"] * 100)
        for model, domain in _OPEN.items():
            found[f"open {model}"] = await self.person.call(model, "search_count", domain=domain)
        return found

    async def _role(self, account: int) -> str:
        if account not in self._roles:
            row = await self.person.row("account.account", account, "code", "account_type")
            self._roles[account] = "receivable" if row["account_type"] == "asset_receivable" else row["code"]
        return self._roles[account]

    @asynccontextmanager
    async def leaves(self, *expected: Mapping[str, int]) -> AsyncIterator[None]:
        """What is done inside changes Odoo by exactly this much, and by nothing else."""
        before = await self.state()
        yield
        after = await self.state()
        wanted = total(*expected)
        found = {name: after[name] - before[name] for name in {*after, *before} if after[name] != before[name]}
        if found != wanted:
            keys = sorted({*found, *wanted})
            wrong = [
                f"{key}: {found.get(key, 0)} instead of {wanted.get(key, 0)}"
                for key in keys
                if found.get(key, 0) != wanted.get(key, 0)
            ]
            raise Failed("; ".join(wrong))

    # the parts of an expectation: what each step leaves in quantities, values and accounts

    def goods(self, good: str, pieces: int, start: str, end: str, cost: int = -1) -> State:
        """So many pieces from place to place, valued where one side is ours and the other is not."""
        cost = GOODS[good].cost if cost < 0 else cost
        inside = [place not in ("customers", "vendor", "scrap") for place in (start, end)]
        value = pieces * cost * (inside[1] - inside[0])
        entry: State = {}
        if value and self.major < 19:  # an entry for each move: against what was delivered, received or lost
            other = {"customers": "stock_out", "vendor": "stock_in"}.get(start if not inside[0] else end, "loss")
            entry = {"account stock": value, f"account {other}": -value}
        elif value and "scrap" in (start, end):
            entry = {"account stock": value, "account loss": -value}
        return total({f"{good} in {start}": -pieces}, {f"{good} in {end}": pieces}, {f"{good} value": value}, entry)

    def cost_back(self, cost: int) -> State:
        """The cost of what is credited, out of the expense again."""
        return {"account cogs": -cost, f"account {'stock' if self.major >= 19 else 'stock_out'}": cost}

    def note(self, amount: int, tax: int = -1, paid: bool = False, by: str = "clearing") -> State:
        """A credit note over an amount with its tax, and its payment."""
        tax = inside(amount) if tax == -1 else tax
        owed = {"account income": amount - tax, "account tax": tax, "account receivable": -amount}
        return total(owed, self.payment(amount, by)) if paid else owed

    def payment(self, amount: int, by: str = "clearing") -> State:
        return {"account receivable": amount, f"account {by}": -amount}

    async def ids(self, done: Done, model: str) -> list[int]:
        """The documents of a reference, which has to be of this model."""
        named, *ids = done.ref.rpartition(":")[2].split(",")
        same(named, model, "the reference names")
        return [int(id) for id in ids]

    async def document(self, done: Done, model: str, *fields: str) -> Row:
        [id] = await self.ids(done, model)
        return await self.person.row(model, id, *fields)

    async def said(self, model: str, id: int, words: str) -> int:
        """How many chatter lines of a document hold these words."""
        domain = [["model", "=", model], ["res_id", "=", id]]
        return sum(words in str(row["body"]) for row in await self.person.rows("mail.message", domain, "body"))

    async def lines_of(self, sale: Sale) -> list[tuple[int, int, int]]:
        """(ordered, delivered, invoiced) per order line."""
        fields = ("product_uom_qty", "qty_delivered", "qty_invoiced")
        rows = await self.person.rows("sale.order.line", [["order_id", "=", sale.order]], *fields)
        return [(round(row[fields[0]]), round(row[fields[1]]), round(row[fields[2]])) for row in rows]


async def _looked_up(connector: OdooConnector, effect: Effect) -> Outcome | None:
    try:
        return await connector.find(effect)
    except ConnectorError as error:
        return error


def inside(amount: int) -> int:
    """The tax of 19 % inside an amount, minor units, half away from zero."""
    sign = -1 if amount < 0 else 1
    net = (2 * abs(amount) * 100 + 119) // (2 * 119)
    return sign * (abs(amount) - net)


def total(*parts: Mapping[str, int]) -> dict[str, int]:
    """Changes added up, without those that cancel out."""
    found = Counter[str]()
    for part in parts:
        for name, value in part.items():
            found[name] += value
    return {name: value for name, value in found.items() if value}


def same(found: Any, wanted: Any, what: str) -> None:
    """Equal, or the point fails."""
    if found != wanted:
        raise Failed(f"{what} {found!r}, expected {wanted!r}")
