"""The kit's view of Odoo: sales that can be returned, and what the simulated database has really booked."""

from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar

from starlette.applications import Starlette

from counterflow.connectors.odoo import connector
from counterflow.connectors.odoo.manifest import TOPICS
from counterflow.connectors.odoo.session import theirs
from counterflow.connectors.odoo.simulator import create_app
from counterflow.core.effects import (
    CreditLine,
    Effect,
    MoveGoods,
    PostCreditNote,
    PostRefundPayment,
    PostReplacement,
    PostSettlement,
    ReadSale,
    ReceiveGoods,
    ReplacementLine,
    ReverseRefundPayment,
    SettlementEntry,
    StockItem,
)
from counterflow.core.money import exponent, to_major
from counterflow.sdk import testing
from counterflow.sdk.connector import Delivery, Maker
from counterflow.sdk.outcomes import Done
from counterflow.sdk.simulator import World
from counterflow.sdk.testing import CONNECTION

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
TEE = StockItem("TEE", 1, "l1")


class Harness(testing.Harness):
    maker: ClassVar[Maker] = connector
    version: ClassVar[str] = "19.0"
    config = {
        "base_url": "http://odoo.test",
        "database": "odoo",
        "login": "integration",
        "api_key": "odoo-integration-key",
        "places": {
            "wh-1": {
                "warehouse": "WH",
                "locations": {"returns": "WH/Quarantine", "sellable": "WH/Stock", "scrap": "Write-off"},
            }
        },
        "journals": {"psp": "STRIP"},
        "bank_journal": "BNK1",
        "clearing_accounts": {"psp": "101450"},
        "fees_account": "620100",
        "page_size": 2,
        "webhook_secret": "odoo-webhook-secret",
        "points_of_sale": ["Till 1"],
    }
    signs_body = signs_time = resends = False  # a password in the rule's URL is all that Odoo can show
    writes = {
        "ReceiveGoods": "stock.picking/button_validate",
        "MoveGoods": "(stock.picking/button_validate|stock.scrap/action_validate)",
        "PostCreditNote": "account.move/action_post",
        "PostRefundPayment": "account.payment/action_post",
        "ReverseRefundPayment": "account.payment/action_post",
        "PostReplacement": "sale.order/action_confirm",
        "PostSettlement": "account.bank.statement.line/load",
    }
    currencies = {"EUR": 19_90, "JPY": 500, "BHD": 12_340}

    def simulator(self, world: World, webhook_url: str) -> Starlette:
        app = create_app(world, database="odoo", version=self.version)
        tee = {"sku": "TEE", "price": 20, "cost": 8, "stock": {"WH/Stock": 1000}, "taxes": ["19% incl."]}
        with world.tx():
            world.acts["seed_company"]({"currency": "EUR", "provider": {"name": "Provider", "code": "STRIP"}})
            world.acts["seed_products"]({"products": [tee]})
            world.acts["open_till"]({"till": "Till 1"})
            for model in TOPICS:
                url = webhook_url.replace("://", f"://odoo:{self.config['webhook_secret']}@")
                world.acts["add_rule"]({"model": model, "url": url})
        return app

    def sign(self, body: bytes) -> Delivery:
        shown = b64encode(f"odoo:{self.config['webhook_secret']}".encode()).decode()
        return self.delivery_of({"Authorization": f"Basic {shown}"}, body)

    def unknown_topic(self) -> bytes:
        return b'{"_action": "Tell(#1)", "_id": 7, "_model": "res.partner", "write_date": "2026-11-20 12:00:00"}'

    async def sample(self, kind: str, currency: str = "EUR", amount_minor: int = 19_90) -> Effect:
        """One sale each, so that what an effect did can be told by its return number."""
        if kind == "ReadSale":
            sold = await self.act("sell_at_till", till="Till 1", sku="TEE", price=19.90, net=16.72)
            return self.effect(ReadSale(f"{CONNECTION}:order:{sold['order_id']}"))
        if kind == "PostSettlement":
            currency, amount_minor = "EUR", 19_90  # the bank journal's
        number = await self._sale(currency, amount_minor)
        order, rma = f"#{number}", f"RMA-{number}"
        ref = f"shop:order:{number}"
        if kind == "ReceiveGoods":
            return self.effect(ReceiveGoods(ref, order, rma, "wh-1", "returns", (TEE,), AT), number)
        if kind == "MoveGoods":
            await self._done(self.effect(ReceiveGoods(ref, order, rma, "wh-1", "returns", (TEE,), AT), number))
            operation, target = [("scrap_entry", "scrap"), ("internal_move", "sellable")][number % 2]
            ends = ("wh-1", "returns", "wh-1", target)
            return self.effect(MoveGoods(ref, order, rma, operation, target, *ends, (TEE,), "", AT), number)
        if kind == "PostReplacement":
            wanted = ReplacementLine("TEE", 1, amount_minor, "l1")
            return self.effect(PostReplacement(ref, order, f"{ref}-x", rma, currency, (wanted,), AT), number)
        if kind == "PostSettlement":
            entries = (SettlementEntry("charge", order, amount_minor), SettlementEntry("fee", "fee", -90))
            net = amount_minor - 90
            return self.effect(PostSettlement(f"po_{number}", "psp", "bank", "EUR", net, entries, "2026-11-20"), number)
        line = CreditLine("l1", "TEE", "goods", 1, amount_minor, (), "Plain tee")
        note = PostCreditNote(ref, order, f"ri_{number}", rma, currency, amount_minor, (line,), "too small", AT)
        if kind == "PostCreditNote":
            return self.effect(note, number)
        posted = await self._done(self.effect(note, number))
        leg, paid = f"rl_{number}", f"re_{number}"
        payment = PostRefundPayment(leg, posted.ref, order, paid, "card", "psp", amount_minor, currency, AT)
        if kind == "PostRefundPayment":
            return self.effect(payment, number)
        booked = await self._done(self.effect(payment, number))
        return self.effect(ReverseRefundPayment(leg, booked.ref, amount_minor, currency, "account closed", AT), number)

    async def over(self, kind: str) -> Effect | None:
        effect = await self.sample(kind)
        command: Any = effect.command
        match kind:
            case "ReceiveGoods" | "MoveGoods":
                return replace(effect, command=replace(command, items=(replace(TEE, quantity=10_000),)))
            case "PostRefundPayment":
                return replace(effect, command=replace(command, amount_minor=command.amount_minor + 1))
            case "PostCreditNote":
                return replace(effect, command=replace(command, order_number="#nobody"))
        return None

    async def applied(self, effect: Effect) -> int:
        command: Any = effect.command
        match effect.kind:
            case "ReceiveGoods":
                return self._moved(command.rma_number, "customer")
            case "MoveGoods":
                scraps = {
                    row["id"] for row in self._rows("stock.scrap") if row["origin"].startswith(f"{command.rma_number} ")
                }
                scrapped = [
                    row for row in self._rows("stock.move") if row.get("scrap_id") in scraps and row["state"] == "done"
                ]
                return len(scrapped) + self._moved(command.rma_number, "internal")
            case "PostCreditNote":
                return len(self._having("account.move", "posted", ref=f"{command.rma_number} {command.intent_id}"))
            case "PostRefundPayment":
                memo = theirs(command.refund_ref)
                return len(self._having("account.payment", "in_process", memo=memo, payment_type="outbound"))
            case "ReverseRefundPayment":
                memo = command.leg_id.replace("rl_", "re_")
                return len(self._having("account.payment", "in_process", memo=memo, payment_type="inbound"))
            case "PostReplacement":
                return len(self._having("sale.order", "sale", client_order_ref=command.replacement_ref))
        return len(self._having("account.bank.statement.line", "", payment_ref=f"Payout {theirs(command.payout_ref)}"))

    async def amount(self, effect: Effect) -> tuple[int, str] | None:
        command: Any = effect.command
        if effect.kind == "PostCreditNote":
            ref = f"{command.rma_number} {command.intent_id}"
            [note] = self._having("account.move", "posted", ref=ref)
            [booked] = [
                (line["amount_currency"], line["currency_id"])
                for line in self._rows("account.move.line")
                if line["move_id"] == note["id"] and line["display_type"] == "payment_term"
            ]
        elif effect.kind in ("PostRefundPayment", "ReverseRefundPayment"):
            paid = [row for row in self._rows("account.payment") if command.leg_id[3:] in str(row.get("memo"))]
            booked = (paid[-1]["amount"], paid[-1]["currency_id"])
        else:
            return None
        currency = next(row["name"] for row in self._rows("res.currency") if row["id"] == booked[1])
        return round(abs(booked[0]) * 10 ** exponent(currency)), currency

    async def happen(self, feed: str) -> str:
        if feed == "points_of_sale":
            sold = await self.act("sell_at_till", till="Till 1", sku="TEE", price=19.90, net=16.72)
            return f"order:{sold['order_id']}"
        await self._sale("EUR", 19_90)
        invoice = [row for row in self._rows("account.move") if row["move_type"] == "out_invoice"][-1]
        note = await self.act("manual_credit_note", invoice_id=invoice["id"])
        return f"account.move,{note['id']}"

    def missing(self, feed: str) -> str | None:
        return (
            f"{CONNECTION}:order:999999" if feed == "points_of_sale" else f"{CONNECTION}:document:account.move,999999"
        )

    # ---- the sale --------------------------------------------------------------------------------------------------

    async def _sale(self, currency: str, amount_minor: int) -> int:
        number = self.world.next_id("_sales")
        line = {"sku": "TEE", "quantity": 1, "price": to_major(amount_minor, currency)}
        customer = {"ref": "c1", "name": "Ada"}
        payments = [{"journal": "STRIP", "ref": f"#{number}"}]
        await self.act(
            "sell", order_ref=f"#{number}", customer=customer, lines=[line], currency=currency, payments=payments
        )
        return number

    async def _done(self, effect: Effect) -> Done:
        (outcome,) = await self.connector.send([effect])
        assert isinstance(outcome, Done), outcome
        return outcome

    def _rows(self, model: str) -> list[dict[str, Any]]:
        return self.world.all(model)

    def _having(self, model: str, state: str, **values: Any) -> list[dict[str, Any]]:
        return [
            row
            for row in self._rows(model)
            if all(row.get(name) == value for name, value in values.items()) and state in ("", row.get("state"))
        ]

    def _moved(self, rma: str, usage: str) -> int:
        """Done moves, from locations of this usage, of the transfers of one return."""
        places = {row["id"] for row in self._rows("stock.location") if row["usage"] == usage}
        transfers = {
            row["id"]
            for row in self._rows("stock.picking")
            if row["location_id"] in places and f"{rma} " in f"{row['origin']} ".replace("]", " ")
        }
        return sum(row.get("picking_id") in transfers and row["state"] == "done" for row in self._rows("stock.move"))
