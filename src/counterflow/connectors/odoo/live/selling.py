"""What a person does before anything comes back: orders, ships, invoices and takes the money."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from counterflow.connectors.odoo.live.company import GOODS, Company
from counterflow.connectors.odoo.live.person import Person
from counterflow.connectors.odoo.live.point import Failed


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


class Selling:
    """The sales of one company; `sales` counts them."""

    def __init__(self, person: Person, company: Company) -> None:
        self.person, self.company = person, company
        self.sales = 0

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
