"""Stripe's refunds and disputes in our words, and back. Pure. An unknown status is still pending; money is exact."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from counterflow.connectors.stripe.manifest import MANIFEST
from counterflow.core.effects import Effect, PayLeg
from counterflow.core.facts import Body, DisputeMoved, Fact, RefundReported
from counterflow.core.ids import fact_id
from counterflow.core.money import Money, MoneyError, exponent
from counterflow.sdk.fields import Fields
from counterflow.sdk.outcomes import Accepted, Done, Malformed, Outcome, Rejected

Doc = Mapping[str, Any]

KEY = "counterflow_key"  # the metadata field by which a look-up finds what we did

# Stripe's status -> (ours, how far it is). The greater number wins, whatever the order of arrival: a refund can fail
# after it succeeded, and never comes back from that.
STATUS: dict[str, tuple[str, int]] = {
    "requires_action": ("requires_action", 1),
    "pending": ("pending", 2),
    "succeeded": ("succeeded", 3),
    "canceled": ("cancelled", 4),
    "failed": ("failed", 5),
}
PENDING = STATUS["pending"]

# An inquiry ("warning") takes no money and stops no refund: it is not a dispute yet.
DISPUTE: dict[str, tuple[str, int] | None] = {
    "warning_needs_response": None,
    "warning_under_review": None,
    "warning_closed": None,
    "prevented": None,
    "needs_response": ("opened", 1),
    "under_review": ("opened", 1),
    "lost": ("lost", 2),
    "appeal_needs_response": ("lost", 2),  # the money is gone until the appeal is won
    "appeal_under_review": ("lost", 2),
    "won": ("won", 3),
}

TENDER = {
    "card": "card",
    "card_present": "card",
    "sepa_debit": "bank",
    "sepa_credit_transfer": "bank",
    "us_bank_transfer": "bank",
    "eu_bank_transfer": "bank",
    "ideal": "bank",
    "bancontact": "bank",
    "eps": "bank",
    "giropay": "bank",
    "p24": "bank",
    "sofort": "bank",
    "klarna": "pay_later",
    "affirm": "pay_later",
    "afterpay_clearpay": "pay_later",
    "paypal": "wallet",
    "alipay": "wallet",
    "wechat_pay": "wallet",
    "amazon_pay": "wallet",
    "revolut_pay": "wallet",
    "cashapp": "wallet",
}

# https://docs.stripe.com/currencies: where Stripe's exponent is not that of ISO 4217.
_EXPONENT = {"ISK": 2, "UGX": 2, "MGA": 0}
_RAILS = ("card", "wallet", "bank", "pay_later")
_LATEST = 2**33  # the year 2242
_PAYMENTS = {"pi": "payment_intent", "ch": "charge", "py": "charge"}


# ---- money -----------------------------------------------------------------------------------------------------------


def to_stripe(minor: int, currency: str) -> int:
    """Our minor units as Stripe counts them: 5 ISK is 500. Raises Rejected for what Stripe cannot express."""
    digits = exponent(currency)
    there = _EXPONENT.get(currency, digits)
    amount, rest = divmod(minor * _power(there), _power(digits))
    if rest or (there == 3 and amount % 10):
        shown = Money(currency, minor)
        raise Rejected(f"Stripe cannot pay {shown}: pay a multiple of its smallest step", code="amount", field="amount")
    return amount


def from_stripe(amount: object, currency: str) -> int:
    """Stripe's amount in our minor units. Raises Malformed for what is no whole amount."""
    try:
        digits = exponent(currency)
    except MoneyError as error:
        raise Malformed(str(error)) from None
    if not isinstance(amount, int) or isinstance(amount, bool):
        raise Malformed(f"an amount is {type(amount).__name__}, a whole number was expected")
    minor, rest = divmod(amount * _power(digits), _power(_EXPONENT.get(currency, digits)))
    if rest:
        raise Malformed(f"{amount} is no whole amount of {currency}")
    return minor


def _power(digits: int) -> int:
    return int(10**digits)


# ---- refunds ---------------------------------------------------------------------------------------------------------


def their_id(ref: str) -> str:
    """The last part of a reference: `stripe-de:payment:pi_1` and `pi_1` are the same payment."""
    return ref.rpartition(":")[2]


def payment_param(ref: str) -> tuple[str, str]:
    """("payment_intent", "pi_1") or ("charge", "ch_1"). Raises Rejected for what is no payment of Stripe's."""
    id_ = their_id(ref)
    name = _PAYMENTS.get(id_.partition("_")[0])
    if name is None:
        message = f"{ref!r} is no Stripe payment (pi_... or ch_...): correct where the shop says it was paid"
        raise Rejected(message, code="payment_ref", field="payment_ref")
    return name, id_


def refund_params(effect: Effect, command: PayLeg) -> dict[str, str]:
    """The form of a refund. Raises Rejected for what can never be paid this way."""
    if command.rail not in _RAILS:
        raise Rejected(f"Stripe has no rail {command.rail!r}: route this leg elsewhere", code="rail", field="rail")
    if command.amount_minor <= 0:
        raise Rejected(
            f"a refund of {command.amount_minor} is none: pay a positive amount", code="amount", field="amount"
        )
    name, id_ = payment_param(command.payment_ref)
    return {
        name: id_,
        "amount": str(to_stripe(command.amount_minor, command.currency)),
        f"metadata[{KEY}]": effect.effect_id,
        "metadata[case]": effect.owner,
        "metadata[leg]": command.leg_id,
    }


def refund_outcome(connection: str, refund: Doc, command: PayLeg) -> Outcome:
    """What the refund says of our command. Raises Malformed when it is not the refund that we asked for."""
    body = refund_body(connection, refund)
    name, id_ = payment_param(command.payment_ref)
    asked = (command.amount_minor, command.currency, id_)
    if asked != (body.amount_minor, body.currency, refund.get(name)):
        raise Malformed(
            f"refund {refund['id']} is {Money(body.currency, body.amount_minor)} of {refund.get(name)}, asked for was "
            f"{Money(command.currency, command.amount_minor)} of {id_}: compare both before anything else is paid"
        )
    if body.status in ("failed", "cancelled"):
        why = body.reason or body.status
        return Rejected(f"refund {refund['id']} {body.status}: {why}. Pay another way", code=why)
    values = [("status", body.status)]
    values += [("acquirer_ref", body.acquirer_ref)] if body.acquirer_ref else []
    values += [("reason", body.reason)] if body.reason else []
    return (Done if body.status == "succeeded" else Accepted)(body.refund_ref, tuple(values))


def refund_body(connection: str, refund: Doc) -> RefundReported:
    """Raises Malformed for what is no refund."""
    read = Fields(refund, "refund")
    status, rank = STATUS.get(read.text("status"), PENDING)
    currency = read.text("currency").upper()
    kind, acquirer_ref = "card", ""
    if read.has("destination_details"):
        details = read.inner("destination_details")
        kind = details.text("type", kind)
        acquirer_ref = details.inner(kind).text("reference", "") if details.has(kind) else ""
    return RefundReported(
        refund_ref=f"{connection}:refund:{read.text('id')}",
        payment_ref=payment_of(refund),
        amount_minor=from_stripe(refund.get("amount"), currency),
        currency=currency,
        status=status,
        version=2 * rank + bool(acquirer_ref),  # the bank's reference comes a day later
        key=read.inner("metadata").text(KEY, "") if read.has("metadata") else "",
        reason=read.text("failure_reason", "") or read.text("pending_reason", ""),
        tender=TENDER.get(kind, "card"),
        acquirer_ref=acquirer_ref,
    )


def refund_facts(connection: str, refund: Doc, seen_at: datetime) -> list[Fact]:
    """`refund` with `balance_transaction` and `failure_balance_transaction` expanded, for the times of both moves."""
    body = refund_body(connection, refund)
    dead = body.status in ("failed", "cancelled")
    moved = refund.get("failure_balance_transaction" if dead else "balance_transaction")
    at = max(created(refund), created(moved) if isinstance(moved, dict) else 0)
    origin = "ours" if body.key else "psp"
    refs = refund_refs(connection, refund, body)
    return [fact_of(connection, body, refund["id"], body.version, at, seen_at, refs, origin)]


def refund_refs(connection: str, refund: Doc, body: RefundReported) -> tuple[str, ...]:
    """Our effect first, where the refund carries our key."""
    ours = (f"effect:{body.key}",) if body.key else ()
    return (*ours, body.refund_ref, *payment_refs(connection, refund))


# ---- disputes --------------------------------------------------------------------------------------------------------


def dispute_facts(connection: str, dispute: Doc, seen_at: datetime) -> list[Fact]:
    """Nothing for an inquiry. A status that we do not know is still open."""
    read = Fields(dispute, "dispute")
    phase = DISPUTE.get(read.text("status"), ("opened", 1))
    if phase is None:
        return []
    body = DisputeMoved(
        dispute_ref=f"{connection}:dispute:{read.text('id')}",
        payment_ref=payment_of(dispute),
        amount_minor=from_stripe(dispute.get("amount"), read.text("currency").upper()),
        phase=phase[0],
    )
    moves = [created(move) for move in read.items("balance_transactions")] if phase[0] != "opened" else []
    at = max([created(dispute), *moves])
    refs = (body.dispute_ref, *payment_refs(connection, dispute))
    return [fact_of(connection, body, dispute["id"], phase[1], at, seen_at, refs)]


# ---- what all objects have -------------------------------------------------------------------------------------------


def id_of(value: object) -> str:
    """The id of an object that may be expanded. Raises Malformed."""
    return value if isinstance(value, str) and value else Fields(value, "object").text("id")


def payment_of(thing: Doc) -> str:
    """The payment intent that it belongs to, or the charge where there is none: what a sale calls its payment."""
    return id_of(thing.get("payment_intent") or thing.get("charge"))


def payment_refs(connection: str, thing: Doc) -> tuple[str, ...]:
    """Payment intent and charge: a shop knows the one or the other."""
    ids = [id_of(thing[name]) for name in ("payment_intent", "charge") if thing.get(name)]
    return tuple(f"{connection}:payment:{id_}" for id_ in ids)


def created(thing: object) -> int:
    """Unix seconds."""
    return Fields(thing, "object").whole("created", 0, _LATEST)


def fact_of(
    connection: str,
    body: Body,
    their: str,
    version: int,
    at: int,
    seen_at: datetime,
    refs: tuple[str, ...],
    origin: str = "psp",
) -> Fact:
    """The envelope of one body, from Stripe's id and time (Unix seconds) of what it tells."""
    return Fact(
        fact_id(connection, type(body).__name__, their, version),
        connection,
        datetime.fromtimestamp(at, UTC),
        seen_at,
        refs,
        body,
        origin,
        adapter=MANIFEST.version,
    )
