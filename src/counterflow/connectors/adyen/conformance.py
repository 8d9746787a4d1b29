"""The kit's view of Adyen: payments to refund, batches that close, and what the simulated account has really done."""

import json
from dataclasses import replace
from typing import ClassVar

from starlette.applications import Starlette

from counterflow.connectors.adyen import connector
from counterflow.connectors.adyen.mapping import to_adyen
from counterflow.connectors.adyen.settlement import name_of
from counterflow.connectors.adyen.simulator import (
    API_KEY,
    HMAC_KEY,
    MERCHANT,
    REPORT_LOGIN,
    WEBHOOK_LOGIN,
    basic,
    create_app,
)
from counterflow.connectors.adyen.simulator.account import DECIDED_AFTER, sign
from counterflow.core.effects import AllocationRow, Effect, PayLeg
from counterflow.core.ids import make_id
from counterflow.sdk import testing
from counterflow.sdk.connector import Delivery, Maker
from counterflow.sdk.simulator import Doc, World
from counterflow.sdk.testing.harness import File


class Harness(testing.Harness):
    maker: ClassVar[Maker] = connector
    config = {
        "merchant_account": MERCHANT,
        "api_key": API_KEY,
        "base_url": "http://checkout.test",
        "webhook_hmac_key": HMAC_KEY,
        "webhook_user": WEBHOOK_LOGIN[0],
        "webhook_password": WEBHOOK_LOGIN[1],
        "reports_url": "http://reports.test",
        "report_user": REPORT_LOGIN[0],
        "report_password": REPORT_LOGIN[1],
        "page_size": 2,
    }
    writes = {"PayLeg": r"^POST /v72/payments/\{psp\}/refunds$"}
    currencies = {"EUR": 19_90, "JPY": 500, "KWD": 12_345, "CLP": 4_990, "ISK": 700}
    signs_time = False  # the signature covers eight fields, none of them a time

    def simulator(self, world: World, webhook_url: str) -> Starlette:
        return create_app(world, webhook_url=webhook_url)

    async def sample(self, kind: str, currency: str = "EUR", amount_minor: int = 19_90) -> Effect:
        payment = await self.act("pay", value=to_adyen(amount_minor * 3, currency), currency=currency)
        return self._leg(payment["pspReference"], amount_minor, currency)

    async def over(self, kind: str) -> Effect | None:
        """Too much is received at first, like everything; a payment that does not exist is refused."""
        return self._leg("QFQTPCQ8HXSKGK82", 10_00, "EUR")

    async def applied(self, effect: Effect) -> int:
        return len(self._refunds(effect))

    async def amount(self, effect: Effect) -> tuple[int, str] | None:
        [refund] = self._refunds(effect)
        whole = {"CLP": 100, "ISK": 100}.get(refund["currency"], 1)  # two decimals at Adyen, none in ISO 4217
        return refund["value"] // whole, refund["currency"]

    async def happen(self, feed: str) -> str:
        payment = (await self.act("pay", value=50_00, currency="EUR"))["pspReference"]
        refund = await self.act("refund_in_customer_area", payment=payment, value=10_00)
        self.clock.advance(DECIDED_AFTER.total_seconds())
        [payout] = (await self.act("close_batch"))["payouts"]
        return str(refund["pspReference"] if feed == "refunds" else payout)

    async def file(self, feed: str) -> File | None:
        await self.happen(feed)
        body = self._report(1)
        await self.act("correct_batch", batch=1)
        corrected = self._report(1)
        await self.replace_file("here:batch:1", body)
        return File("here:batch:1", body, corrected=corrected)

    async def replace_file(self, name: str, body: bytes) -> None:
        report = name_of(int(name.rpartition(":")[2]))
        self.world.put("reports", report, {"name": report, "content": body.decode("latin-1")})

    def _report(self, batch: int) -> bytes:
        report = self.world.get("reports", name_of(batch))
        assert report is not None
        return str(report["content"]).encode("latin-1")

    async def ripen(self) -> None:
        self.clock.advance(DECIDED_AFTER.total_seconds())
        await self.act("close_batch")

    def tampered(self, delivery: Delivery) -> list[Delivery]:
        """Every field that the signature covers, one by one."""
        return [replace(delivery, body=json.dumps(body).encode()) for body in _changed(json.loads(delivery.body))]

    def sign(self, body: bytes) -> Delivery:
        """Whatever has items is signed; what has none cannot be."""
        try:
            message = json.loads(body)
            for row in message["notificationItems"]:
                item = row["NotificationRequestItem"]
                signature = sign(bytes.fromhex(HMAC_KEY), item)
                item["additionalData"] = {**item.get("additionalData", {}), "hmacSignature": signature}
            body = json.dumps(message).encode()
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            pass
        return self.delivery_of({"Authorization": basic(WEBHOOK_LOGIN)}, body)

    def unknown_topic(self) -> bytes:
        item = {"amount": {"currency": "EUR", "value": 1}, "eventCode": "THING_HAPPENED", "success": "true"}
        item |= {"merchantAccountCode": MERCHANT, "merchantReference": "", "pspReference": "QFQTPCQ8HXSKGK82"}
        item["eventDate"] = "2026-03-01T10:00:00+01:00"
        return json.dumps({"live": "false", "notificationItems": [{"NotificationRequestItem": item}]}).encode()

    def missing(self, feed: str) -> str | None:
        return "here:batch:999"

    def _leg(self, payment: str, amount_minor: int, currency: str) -> Effect:
        rows = (AllocationRow("line-1", "goods", amount_minor),)
        leg, intent = make_id("rl", payment), make_id("ri", payment)
        command = PayLeg(leg, intent, "card", payment, "shop:order:1", "shop:return:1", amount_minor, currency, rows)
        return self.effect(command)

    def _refunds(self, effect: Effect) -> list[Doc]:
        return [doc for doc in self.world.all("refunds") if doc["reference"] == effect.effect_id]


def _changed(message: Doc) -> list[Doc]:
    changes: list[Doc] = []
    others = {"success": "false", "eventCode": "REFUND_FAILED"}
    fields = ("pspReference", "originalReference", "merchantAccountCode", "merchantReference", "eventCode", "success")
    for name in (*fields, "value", "currency"):
        copy = json.loads(json.dumps(message))
        item = copy["notificationItems"][0]["NotificationRequestItem"]
        if name == "value":
            item["amount"]["value"] += 1
        elif name == "currency":
            item["amount"]["currency"] = "USD"
        else:
            item[name] = others.get(name, f"{item.get(name, '')}X")
        changes.append(copy)
    return changes
