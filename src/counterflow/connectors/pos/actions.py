"""What we ask a till to do: hand out money, show a message, tell a sale again."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from counterflow.connectors.pos.client import PosClient
from counterflow.connectors.pos.mapping import TENDERS, Translation, currency_of
from counterflow.core.effects import AnswerReturn, Effect, PayLeg, ReadSale, UpdateChannel
from counterflow.core.money import Money
from counterflow.sdk.fields import Fields
from counterflow.sdk.outcomes import Accepted, Done, Malformed, NotFound, Outcome, Rejected


class Actions:
    def __init__(
        self, client: PosClient, connection: str, translation: Translation, now: Callable[[], datetime]
    ) -> None:
        self._client, self._connection, self._translation, self._now = client, connection, translation, now

    async def send(self, effect: Effect) -> Outcome:
        """One command, once for its effect id. Raises the eight words."""
        match effect.command:
            case PayLeg() as leg:
                return self._paid(leg, await self._client.refund(effect.effect_id, refund_body(self._connection, leg)))
            case ReadSale(order_ref):
                return await self._read(order_ref)
            case AnswerReturn() | UpdateChannel() as message:
                hold = await self._client.hold(effect.effect_id, hold_body(self._connection, message))
                return Done(f"{self._connection}:hold:{hold.text('hold_id')}")
        raise Rejected(f"a till cannot do {effect.kind}: route it to another connection", code="command")

    async def find(self, effect: Effect) -> Outcome | None:
        """What became of it, by its key."""
        match effect.command:
            case PayLeg() as leg:
                return next((self._paid(leg, row) for row in await self._client.refunds_of(effect.effect_id)), None)
            case AnswerReturn() | UpdateChannel():
                for row in await self._client.holds_of(effect.effect_id):
                    return Done(f"{self._connection}:hold:{row.text('hold_id')}")
                return None
        return await self.send(effect)

    async def _read(self, order_ref: str) -> Outcome:
        sale = await self._client.sale(own_sale(self._connection, order_ref))
        if sale is None:
            raise NotFound(f"the till does not know the sale {order_ref}: attach the right one by hand")
        return Done(order_ref, facts=(self._translation.read_sale(self._connection, sale, self._now()),))

    def _paid(self, leg: PayLeg, refund: Fields) -> Outcome:
        """What the till's refund says of our leg. Money that a cashier still has to hand over is only accepted."""
        asked = Money(leg.currency, leg.amount_minor)
        told = Money(currency_of(refund), refund.amount("amount_minor"))
        refund_id, status = refund.text("refund_id"), refund.text("status")
        if told != asked:
            raise Malformed(f"refund {refund_id} is {told}, {asked} was asked for: count the drawer and compare")
        ref = f"{self._connection}:refund:{refund_id}"
        if status in ("refused", "failed"):
            reason = refund.text("reason", status)
            return Rejected(f"refund {refund_id} was {status}: {reason}. Pay another way", code=status)
        if status != "paid":
            return Accepted(ref, (("status", "pending"),))
        reference = refund.text("reference", "")
        return Done(ref, (("status", "succeeded"), *((("acquirer_ref", reference),) if reference else ())))


def refund_body(connection: str, leg: PayLeg) -> dict[str, Any]:
    """The request for a refund. Raises Rejected for what a till can never pay."""
    if leg.rail not in TENDERS:
        raise Rejected(f"a till pays cash or card, not {leg.rail}: route this leg elsewhere", code="rail", field="rail")
    if leg.amount_minor <= 0:
        raise Rejected(f"a refund of {leg.amount_minor} is none: pay a positive amount", code="amount", field="amount")
    return {
        "method": leg.rail,
        "amount_minor": leg.amount_minor,
        "currency": leg.currency,
        "sale_id": own_sale(connection, leg.order_ref) or None,
        "note": f"{leg.return_ref or leg.order_ref} {leg.reason}".strip()[:200],
    }


def hold_body(connection: str, message: AnswerReturn | UpdateChannel) -> dict[str, Any]:
    """What the cashier reads, and at the scan of what."""
    match message:
        case AnswerReturn():
            text = f"{message.decision} the return: {message.reason}"
            return {"rma_number": message.rma_number or message.return_ref, "message": text[:400]}
        case UpdateChannel():
            amount = f" {Money(message.currency, message.amount_minor)}" if message.amount_minor else ""
            goods = "".join(f", {row.quantity} x {row.sku} {row.disposition}" for row in message.results)
            subject = own_sale(connection, message.order_ref) or message.order_ref
            return {"order_number": subject, "message": f"return {message.milestone}{amount}{goods}"[:400]}


def own_sale(connection: str, order_ref: str) -> str:
    """The till's id of a sale made here; empty for a sale of another channel."""
    prefix = f"{connection}:order:"
    return order_ref.removeprefix(prefix) if order_ref.startswith(prefix) else ""
