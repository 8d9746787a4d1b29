"""Acme's JSON in our words. Pure. Amounts are minor units of ISO 4217 at Acme too."""

from datetime import datetime

from counterflow.core.effects import PayLeg, SettlementEntry
from counterflow.core.facts import Body, Fact, PayoutReported, RefundReported, RefundSettled
from counterflow.core.ids import fact_id
from counterflow.core.money import Money
from counterflow.sdk.fields import Fields
from counterflow.sdk.outcomes import Accepted, Done, Malformed, Outcome, Rejected
from counterflow_acme.manifest import MANIFEST

AMOUNT = 10**12

# Acme's state -> (ours, version): later states win, whatever the order of arrival. An unknown one is still pending.
STATES = {"new": ("pending", 1), "sent": ("succeeded", 2), "bounced": ("failed", 3)}


def refund_body(connection: str, refund: Fields) -> RefundReported:
    status, version = STATES.get(refund.text("state"), ("pending", 1))
    return RefundReported(
        refund_ref=f"{connection}:refund:{refund.text('id')}",
        payment_ref=refund.text("payment"),
        amount_minor=refund.amount("amount"),
        currency=refund.text("currency"),
        status=status,
        version=version,
        key=refund.text("reference", ""),
        tender="pay_later",
    )


def refund_outcome(connection: str, refund: Fields, command: PayLeg) -> Outcome:
    """What a refund says of our command. Raises Malformed if it is not what we asked for."""
    body = refund_body(connection, refund)
    asked = (command.amount_minor, command.currency, command.payment_ref)
    if (body.amount_minor, body.currency, body.payment_ref) != asked:
        shown = f"{Money(body.currency, body.amount_minor)} of {body.payment_ref}"
        raise Malformed(f"{body.refund_ref} is {shown}, asked for was another: compare both before paying more")
    if body.status == "failed":
        return Rejected(f"{body.refund_ref} bounced: pay another way", code="bounced")
    return (Done if body.status == "succeeded" else Accepted)(body.refund_ref, (("status", body.status),))


def refund_facts(connection: str, refund: Fields, seen_at: datetime) -> list[Fact]:
    body = refund_body(connection, refund)
    ours = (f"effect:{body.key}",) if body.key else ()
    refs = (*ours, body.refund_ref, f"{connection}:payment:{body.payment_ref}")
    at = refund.instant("changed_at")
    return [_fact(connection, body, refund.text("id"), body.version, at, seen_at, refs, "ours" if body.key else "psp")]


def payout_facts(connection: str, payout: Fields, seen_at: datetime) -> list[Fact]:
    """The payout, and one RefundSettled for each refund in it."""
    id_, currency, at = payout.text("id"), payout.text("currency"), payout.instant("sent_at")
    ref = f"{connection}:payout:{id_}"
    rows = [(row.text("id"), row.amount("amount")) for row in payout.rows("refunds")]
    entries = [SettlementEntry("refund", f"{connection}:refund:{refund}", -amount) for refund, amount in rows]
    entries.append(SettlementEntry("charge", ref, payout.whole("sales", 0, AMOUNT)))
    net = sum(entry.amount_minor for entry in entries)
    if net != payout.whole("net", -AMOUNT, AMOUNT):
        raise Malformed(f"the entries of {ref} do not sum up to its net: ask Acme for its statement")
    whole = PayoutReported(ref, net, currency, tuple(entries), payout.text("arrives_on"))
    settled = [RefundSettled(f"{connection}:refund:{refund}", ref, amount, currency) for refund, amount in rows]
    return [_fact(connection, whole, id_, 1, at, seen_at, (ref,))] + [
        _fact(connection, body, f"{id_}/{body.refund_ref}", 1, at, seen_at, (body.refund_ref,)) for body in settled
    ]


def _fact(
    connection: str,
    body: Body,
    their: str,
    version: int,
    at: datetime,
    seen_at: datetime,
    refs: tuple[str, ...],
    origin: str = "psp",
) -> Fact:
    id_ = fact_id(connection, type(body).__name__, their, version)
    return Fact(id_, connection, at, seen_at, refs, body, origin, adapter=MANIFEST.version)
