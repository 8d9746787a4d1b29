"""Refund legs that the shop pays through its own payment provider.

Medusa keeps no keys: the same request is a second refund, as long as the payment has money. Our key is in the refund's
note, and every send looks there first. An error is no proof either: with an order change open in the admin, Medusa
pays and then answers 400, so that after every "no" the payment is read again.
"""

from decimal import Decimal
from typing import Any

from counterflow.connectors.medusa.client import Client
from counterflow.connectors.medusa.feeds import last, mapped
from counterflow.connectors.medusa.manifest import Config
from counterflow.connectors.medusa.mapping import key_in, note_for
from counterflow.connectors.medusa.sale import exact, rounded, stated
from counterflow.core.effects import Effect, PayLeg
from counterflow.core.money import Money, MoneyError, to_major
from counterflow.sdk.outcomes import Conflict, Done, Malformed, NotFound, Rejected, UnknownOutcome

Json = dict[str, Any]
FIELDS = "id,currency_code,provider_id,*captures,*refunds"
NOT_OURS = ("gift_card", "store_credit", "cash", "marketplace")


async def pay(client: Client, config: Config, effect: Effect, command: PayLeg) -> Done:
    """Raises Rejected for a rail or payment that the shop does not have, Malformed when another amount was paid."""
    if command.amount_minor <= 0:
        raise Rejected(f"{command.amount_minor} is no amount to refund: it has to be more than 0", code="amount")
    if command.rail in NOT_OURS:
        raise Rejected(f"the shop does not pay by {command.rail}: route it elsewhere", code="rail")
    payment = await _payment(client, config, command)
    if found := mapped(payment["id"], lambda: _made(payment, effect, command)):
        return found
    left = mapped(payment["id"], lambda: _sum(payment["captures"], command) - _sum(payment["refunds"], command))
    if command.amount_minor > left:  # Medusa lets a cent more pass
        raise Rejected(f"{Money(command.currency, left)} are left of the payment", code="over_refund", field="amount")
    try:
        amount = float(to_major(command.amount_minor, command.currency))
    except MoneyError as error:
        raise Rejected(str(error), code="currency", field="currency") from None
    note = note_for(effect.effect_id, command.reason)
    try:
        answer = await client.post(f"/admin/payments/{payment['id']}/refund", amount=amount, note=note)
    except (Rejected, Conflict, NotFound):
        if found := await find(client, config, effect, command):
            return found
        raise
    found = _made({"refunds": [], **(answer.get("payment") or {})}, effect, command)
    if found is None:
        raise UnknownOutcome(f"the shop answered without the refund of {effect.effect_id}")
    return found


async def find(client: Client, config: Config, effect: Effect, command: PayLeg) -> Done | None:
    """By our key in the notes of the payment's refunds. Raises UnknownOutcome for two."""
    return _made(await _payment(client, config, command), effect, command)


async def _payment(client: Client, config: Config, command: PayLeg) -> Json:
    payment: Json = await client.get(f"/admin/payments/{last(command.payment_ref)}", "payment", fields=FIELDS)
    if payment["provider_id"] in config.gateways:
        other = config.gateways[payment["provider_id"]]
        raise Rejected(f"{payment['provider_id']} is refunded by {other}: route it there", code="gateway")
    if payment["currency_code"].upper() != command.currency:
        raise Rejected(
            f"the payment is in {payment['currency_code'].upper()}, not in {command.currency}", code="currency"
        )
    return payment


def _sum(rows: list[Json], command: PayLeg) -> int:
    return rounded(sum((exact(row, "amount") for row in rows), Decimal(0)), command.currency)


def _made(payment: Json, effect: Effect, command: PayLeg) -> Done | None:
    rows = [row for row in payment["refunds"] if key_in(row["note"]) == effect.effect_id]
    if not rows:
        return None
    if len(rows) > 1:
        ids = ", ".join(row["id"] for row in rows)
        raise UnknownOutcome(f"it was refunded {len(rows)} times ({ids}): take all but one back", code="twice")
    paid = mapped(rows[0]["id"], lambda: stated(rows[0], "amount", command.currency))
    if paid != command.amount_minor:
        raise Malformed(
            f"{rows[0]['id']} is {Money(command.currency, paid)}, {Money(command.currency, command.amount_minor)} was "
            "asked for: compare both before paying more"
        )
    return Done(rows[0]["id"])
