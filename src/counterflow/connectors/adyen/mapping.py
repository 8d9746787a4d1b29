"""Adyen's refunds and disputes in our words, and back. Pure. An unknown status is still pending; money is exact."""

import re
from datetime import datetime
from typing import Any

from counterflow.connectors.adyen.manifest import MANIFEST
from counterflow.core.effects import Effect, PayLeg
from counterflow.core.facts import Body, DisputeMoved, Fact, RefundReported
from counterflow.core.ids import fact_id
from counterflow.core.money import Money, MoneyError, exponent
from counterflow.sdk.fields import Fields
from counterflow.sdk.outcomes import Accepted, Malformed, Outcome, Rejected

# (event, success) -> our status. What is not here says nothing new of a refund, or we do not know it: still pending.
STATUS: dict[tuple[str, str], str] = {
    ("REFUND", "true"): "succeeded",
    ("REFUND", "false"): "failed",
    ("REFUND_WITH_DATA", "true"): "succeeded",
    ("REFUND_WITH_DATA", "false"): "failed",
    ("CANCEL_OR_REFUND", "true"): "succeeded",
    ("CANCEL_OR_REFUND", "false"): "failed",
    ("REFUND_FAILED", "true"): "failed",  # after it had succeeded: the scheme refused it
    ("REFUNDED_REVERSED", "true"): "reversed",  # the money is back with us
    ("POSTPONED_REFUND", "true"): "pending",  # until the payment is captured
    ("POSTPONED_REFUND", "false"): "failed",
    ("VOID_PENDING_REFUND", "true"): "cancelled",
}
# How far it is. The greater number wins, whatever the order of arrival.
RANK = {"pending": 1, "succeeded": 2, "cancelled": 3, "failed": 4, "reversed": 5}

# A request for information takes no money and stops no refund: it is not a dispute yet.
DISPUTE = {
    "NOTIFICATION_OF_CHARGEBACK": "opened",
    "CHARGEBACK": "opened",  # the money is gone, but it can be defended
    "SECOND_CHARGEBACK": "lost",
    "DISPUTE_DEFENSE_PERIOD_ENDED": "lost",
    "CHARGEBACK_REVERSED": "won",
    "ISSUER_RESPONSE_TIMEFRAME_EXPIRED": "won",
    "PREARBITRATION_OPEN": "opened",
    "PREARBITRATION_DECLINED": "opened",  # by us: it goes on
    "PREARBITRATION_WON": "won",
    "PREARBITRATION_ISSUER_WITHDRAWN": "won",
    "PREARBITRATION_LOST": "lost",
    "PREARBITRATION_ACCEPTED": "lost",  # by us
    "SCHEME_ARBITRATION_WON": "won",
    "SCHEME_ARBITRATION_LOST": "lost",
}

# The beginning of Adyen's paymentMethod -> tender; every other one is a card.
_TENDERS = {
    "bank": "ideal sepadirectdebit bankTransfer directEbanking trustly bcmc_mobile eps giropay blik directdebit ach",
    "pay_later": "klarna afterpay clearpay affirm ratepay oney facilypay zip walley atome",
    "wallet": "paypal alipay wechatpay amazonpay cashapp mbway vipps mobilepay swish twint",
    "gift_card": "giftcard givex svs",
}
_TENDER = {prefix: tender for tender, prefixes in _TENDERS.items() for prefix in prefixes.split()}
_RAILS = ("card", "wallet", "bank", "pay_later")

# https://docs.adyen.com/development-resources/currency-codes: where Adyen's exponent is not that of ISO 4217.
_EXPONENT = {"CLP": 2, "CVE": 0, "IDR": 0, "ISK": 2}
_AMOUNT_MOST = 10**12
_OUR_KEY = re.compile(r"ef_[0-9a-z]{26}")  # the reference of a refund that we made is the effect's id


# ---- money -----------------------------------------------------------------------------------------------------------


def to_adyen(minor: int, currency: str) -> int:
    """Our minor units as Adyen counts them: 5 ISK is 500. Raises Rejected for what Adyen cannot express."""
    digits = exponent(currency)
    amount, rest = divmod(minor * 10 ** _EXPONENT.get(currency, digits), 10**digits)
    if rest:
        shown = Money(currency, minor)
        raise Rejected(f"Adyen cannot pay {shown}: pay a multiple of its smallest step", code="amount", field="amount")
    return int(amount)


def from_adyen(amount: Fields) -> tuple[int, str]:
    """(our minor units, currency). Raises Malformed for what is no whole amount of a currency."""
    currency, value = amount.text("currency"), amount.whole("value", -_AMOUNT_MOST, _AMOUNT_MOST)
    try:
        digits = exponent(currency)
    except MoneyError as error:
        raise Malformed(str(error), field="amount.currency") from None
    minor, rest = divmod(value * 10**digits, 10 ** _EXPONENT.get(currency, digits))
    if rest:
        raise Malformed(f"{value} is no whole amount of {currency}", field="amount.value")
    return int(minor), currency


# ---- refunds ---------------------------------------------------------------------------------------------------------


def payment_of(command: PayLeg) -> str:
    """Adyen's reference of the payment. Raises Rejected for what can never be paid this way."""
    if command.rail not in _RAILS:
        raise Rejected(f"Adyen has no rail {command.rail!r}: route this leg elsewhere", code="rail", field="rail")
    if command.amount_minor <= 0:
        message = f"a refund of {command.amount_minor} is none: pay a positive amount"
        raise Rejected(message, code="amount", field="amount")
    payment = command.payment_ref.rpartition(":")[2]
    if not re.fullmatch(r"[A-Za-z0-9]{8,40}", payment):
        message = (
            f"{command.payment_ref!r} is no Adyen payment (a pspReference): correct where the shop says it was paid"
        )
        raise Rejected(message, code="payment_ref", field="payment_ref")
    return payment


def refund_request(effect: Effect, command: PayLeg) -> dict[str, Any]:
    """The body, but for the merchant account."""
    value = to_adyen(command.amount_minor, command.currency)
    return {"amount": {"currency": command.currency, "value": value}, "reference": effect.effect_id}


def refund_outcome(connection: str, answer: object, effect: Effect, command: PayLeg) -> Outcome:
    """Always accepted: how it ends comes by webhook. Raises Malformed when it is not the refund that we asked for."""
    read = Fields(answer, "refund")
    amount, currency = from_adyen(read.inner("amount"))
    told = (amount, currency, read.text("paymentPspReference"), read.text("reference", effect.effect_id))
    if told != (command.amount_minor, command.currency, payment_of(command), effect.effect_id):
        raise Malformed(
            f"Adyen answers with a refund of {Money(currency, amount)} of {told[2]} under {told[3]}, asked for was "
            f"{Money(command.currency, command.amount_minor)} of {payment_of(command)} under {effect.effect_id}: "
            "compare both before anything else is paid"
        )
    return Accepted(f"{connection}:refund:{read.text('pspReference')}", (("status", "pending"),))


def refund_facts(connection: str, item: Fields, seen_at: datetime) -> list[Fact]:
    """What one notification says of a refund; nothing where it says nothing new."""
    event, success = item.text("eventCode"), item.word("success", ("true", "false"))
    more = item.inner("additionalData") if item.has("additionalData") else Fields({})
    if event == "CANCEL_OR_REFUND" and more.text("modification.action", "refund") == "cancel":
        return []  # the payment had not been captured: no money moves
    if (event, success) == ("VOID_PENDING_REFUND", "false"):
        return []
    status = STATUS.get((event, success), "pending")
    amount, currency = from_adyen(item.inner("amount"))
    body = RefundReported(
        refund_ref=f"{connection}:refund:{item.text('pspReference')}",
        payment_ref=item.text("originalReference", ""),
        amount_minor=amount,
        currency=currency,
        status=status,
        version=RANK[status],
        key=key_of(item.text("merchantReference", "")),
        reason="" if status == "succeeded" else item.text("reason", ""),
        tender=tender_of(item.text("paymentMethod", "")),
        acquirer_ref=more.text("arn", ""),
    )
    return [refund_fact(connection, body, item.instant("eventDate"), seen_at)]


def refund_fact(connection: str, body: RefundReported, at: datetime, seen_at: datetime) -> Fact:
    """The same for a webhook and for a line of a report: one status of one refund is one fact."""
    their = body.refund_ref.rpartition(":")[2]
    return fact_of(connection, body, their, body.version, at, seen_at, refund_refs(connection, body))


def refund_refs(connection: str, body: RefundReported) -> tuple[str, ...]:
    """Our effect first, where the refund carries our key."""
    ours = (f"effect:{body.key}",) if body.key else ()
    payment = (f"{connection}:payment:{body.payment_ref}",) if body.payment_ref else ()
    return (*ours, body.refund_ref, *payment)


def key_of(reference: str) -> str:
    """Our key, if a merchant reference is one."""
    return reference if _OUR_KEY.fullmatch(reference) else ""


def tender_of(method: str) -> str:
    return next((tender for prefix, tender in _TENDER.items() if method.startswith(prefix)), "card")


# ---- disputes --------------------------------------------------------------------------------------------------------


def dispute_facts(connection: str, item: Fields, seen_at: datetime) -> list[Fact]:
    """One step of a dispute; all its steps have one pspReference."""
    event, dispute, payment = item.text("eventCode"), item.text("pspReference"), item.text("originalReference", "")
    amount, _ = from_adyen(item.inner("amount"))
    body = DisputeMoved(f"{connection}:dispute:{dispute}", payment, amount, DISPUTE[event])
    refs = (body.dispute_ref, *((f"{connection}:payment:{payment}",) if payment else ()))
    return [fact_of(connection, body, dispute, event, item.instant("eventDate"), seen_at, refs)]


def fact_of(
    connection: str, body: Body, their: str, version: int | str, at: datetime, seen_at: datetime, refs: tuple[str, ...]
) -> Fact:
    """The envelope of one body."""
    origin = "ours" if refs[0].startswith("effect:") else "psp"
    id_ = fact_id(connection, type(body).__name__, their, version)
    return Fact(id_, connection, at, seen_at, refs, body, origin, adapter=MANIFEST.version)
