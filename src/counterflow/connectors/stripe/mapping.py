"""Stripe's objects in our words, and back. Pure. What is not known is still pending; money has Stripe's exponents."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from counterflow.connectors.stripe.manifest import MANIFEST
from counterflow.core.effects import Effect, PayLeg, SettlementEntry
from counterflow.core.facts import Body, DisputeMoved, Fact, PayoutReported, RefundReported, RefundSettled
from counterflow.core.ids import fact_id
from counterflow.core.money import Money, MoneyError, exponent
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
    "won": ("won", 2),
    "lost": ("lost", 2),
}

# Balance transaction -> settlement entry; every other type is an adjustment.
ENTRY = {
    "charge": "charge",
    "payment": "charge",
    "refund": "refund",
    "payment_refund": "refund",
    "refund_failure": "refund",
    "payment_failure_refund": "refund",
    "stripe_fee": "fee",
    "tax_fee": "fee",
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
    try:
        status, rank = STATUS.get(refund["status"], PENDING)
        currency = str(refund["currency"]).upper()
        details = refund.get("destination_details") or {}
        kind = str(details.get("type") or "card")
        acquirer_ref = str((details.get(kind) or {}).get("reference") or "")
        payment = refund.get("payment_intent") or refund["charge"]
        return RefundReported(
            refund_ref=f"{connection}:refund:{refund['id']}",
            payment_ref=f"{connection}:payment:{id_of(payment)}",
            amount_minor=from_stripe(refund["amount"], currency),
            currency=currency,
            status=status,
            version=2 * rank + bool(acquirer_ref),  # the bank's reference comes a day later
            key=str((refund.get("metadata") or {}).get(KEY) or ""),
            reason=str(refund.get("failure_reason") or refund.get("pending_reason") or ""),
            tender=TENDER.get(kind, "card"),
            acquirer_ref=acquirer_ref,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise Malformed(f"a refund breaks Stripe's contract: {type(error).__name__} {error}") from None


def refund_facts(connection: str, refund: Doc, seen_at: datetime) -> list[Fact]:
    """`refund` with `balance_transaction` and `failure_balance_transaction` expanded, for the times of both moves."""
    body = refund_body(connection, refund)
    moved = refund.get(
        "failure_balance_transaction" if body.status in ("failed", "cancelled") else "balance_transaction"
    )
    at = max(refund["created"], moved["created"] if isinstance(moved, dict) else 0)
    origin = "ours" if body.key else "psp"
    return [_fact(connection, body, refund["id"], body.version, at, seen_at, _refund_refs(body), origin)]


def _refund_refs(body: RefundReported) -> tuple[str, ...]:
    ours = (f"effect:{body.key}",) if body.key else ()
    return (*ours, body.refund_ref, body.payment_ref)


# ---- disputes --------------------------------------------------------------------------------------------------------


def dispute_facts(connection: str, dispute: Doc, seen_at: datetime) -> list[Fact]:
    """Nothing for an inquiry. A status that we do not know is still open."""
    try:
        phase = DISPUTE.get(dispute["status"], ("opened", 1))
        if phase is None:
            return []
        currency = str(dispute["currency"]).upper()
        payment = id_of(dispute.get("payment_intent") or dispute["charge"])
        body = DisputeMoved(
            dispute_ref=f"{connection}:dispute:{dispute['id']}",
            payment_ref=f"{connection}:payment:{payment}",
            amount_minor=from_stripe(dispute["amount"], currency),
            phase=phase[0],
        )
        moves = [move["created"] for move in dispute.get("balance_transactions") or ()]
        at = max([dispute["created"], *moves]) if phase[0] != "opened" else dispute["created"]
        return [_fact(connection, body, dispute["id"], phase[1], at, seen_at, (body.dispute_ref, body.payment_ref))]
    except (KeyError, TypeError, AttributeError) as error:
        raise Malformed(f"a dispute breaks Stripe's contract: {type(error).__name__} {error}") from None


# ---- payouts ---------------------------------------------------------------------------------------------------------


def payout_facts(connection: str, payout: Doc, transactions: Sequence[Doc], seen_at: datetime) -> list[Fact]:
    """The payout as one fact, and one RefundSettled for each refund in it.

    `transactions` are its balance transactions with `source` expanded; none for a manual payout, whose members Stripe
    does not know: then one adjustment says so. A payout that failed is reported again with a net of nothing; its money
    is an adjustment of a later payout.
    """
    try:
        payout_ref = f"{connection}:payout:{payout['id']}"
        currency = str(payout["currency"]).upper()
        net = from_stripe(payout["amount"], currency)
        members = [txn for txn in transactions if txn["type"] != "payout"]
        entries = [_entry(connection, txn, currency) for txn in members]
        if fees := sum(from_stripe(txn["fee"], currency) for txn in members):
            entries.append(SettlementEntry("fee", payout_ref, -fees))
        if not members:
            entries.append(SettlementEntry("adjustment", payout_ref, net))
        if sum(entry.amount_minor for entry in entries) != net:
            raise Malformed(f"the entries of payout {payout['id']} do not sum up to it: ask Stripe for its report")
        failed = payout["status"] in ("failed", "canceled")
        if failed:
            entries.append(SettlementEntry("adjustment", payout_ref, -net))
        arrives = datetime.fromtimestamp(payout["arrival_date"], UTC).date().isoformat()
        body = PayoutReported(payout_ref, 0 if failed else net, currency, tuple(entries), arrives)
        created = payout["created"]
        facts = [_fact(connection, body, payout["id"], 2 if failed else 1, created, seen_at, (payout_ref,))]
        facts += [
            _settled(connection, payout_ref, txn, currency, created, seen_at) for txn in members if _of_refund(txn)
        ]
        return facts
    except (KeyError, TypeError, AttributeError) as error:
        raise Malformed(f"a payout breaks Stripe's contract: {type(error).__name__} {error}") from None


def _entry(connection: str, txn: Doc, currency: str) -> SettlementEntry:
    kind = ENTRY.get(txn["type"], "adjustment")
    source = txn.get("source")
    id_ = id_of(source) if source else txn["id"]
    if kind == "charge" and isinstance(source, dict):
        id_ = source.get("payment_intent") or id_
    word = {"charge": "payment", "refund": "refund"}.get(kind, "transaction")
    return SettlementEntry(kind, f"{connection}:{word}:{id_}", from_stripe(txn["amount"], currency))


def _of_refund(txn: Doc) -> bool:
    return ENTRY.get(txn["type"]) == "refund" and isinstance(txn.get("source"), dict)


def _settled(connection: str, payout_ref: str, txn: Doc, currency: str, at: int, seen_at: datetime) -> Fact:
    """In the refund's own currency, as the leg has it; positive when money left, negative when it came back."""
    refund = refund_body(connection, txn["source"])
    amount = refund.amount_minor if txn["amount"] < 0 else -refund.amount_minor
    body = RefundSettled(refund.refund_ref, payout_ref, amount, refund.currency, from_stripe(txn["fee"], currency))
    return _fact(connection, body, txn["id"], 0, at, seen_at, _refund_refs(refund))


def id_of(value: str | Doc) -> str:
    """The id of an object that may be expanded."""
    return value if isinstance(value, str) else str(value["id"])


def _fact(
    connection: str,
    body: Body,
    their: str,
    version: int,
    at: int,
    seen_at: datetime,
    refs: tuple[str, ...],
    origin: str = "psp",
) -> Fact:
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
