"""What a point of the proof works with: sales made by a person, effects sent by the connector, and the truth.

The truth is the difference between two states of Odoo (pieces per place, value of goods, balance per account, documents
left open), read by the person. A point says beforehand what that difference has to be, from its own numbers.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from counterflow.connectors.odoo.connector import OdooConnector
from counterflow.connectors.odoo.live.company import GOODS, Company
from counterflow.connectors.odoo.live.person import Person, Row
from counterflow.connectors.odoo.live.point import Failed, inside, same, total
from counterflow.connectors.odoo.live.selling import Sale, Selling
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


class Proof(Selling):
    """One database, its company, the connector on a wire that can break."""

    def __init__(self, person: Person, company: Company, wire: Wire, access: Mapping[str, Any]) -> None:
        super().__init__(person, company)
        self.wire = wire
        self.config = Config.model_validate({**company.config(), **access})
        self.connector = self.connect()
        self.effects = 0
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
