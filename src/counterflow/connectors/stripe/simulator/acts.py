"""What customers, cardholders, banks and colleagues do at Stripe: `POST /_sim/do/<act>`."""

import re
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from functools import partial

from counterflow.connectors.stripe.simulator import payments, payouts, refunds
from counterflow.connectors.stripe.simulator.account import Account, shown
from counterflow.sdk.simulator import Doc


def register(account: Account) -> None:
    """The acts of one account, and what its agenda does."""
    world = account.world
    world.on("payout_run", lambda planned: void(payouts.run(account)))
    world.on("payout_arrival", lambda planned: payouts.arrive(account, planned))
    world.on("refund_follow_up", lambda planned: refunds.follow_up(account, planned))
    for act in (
        payments.pay,
        payments.open_dispute,
        payments.answer_dispute,
        payments.close_dispute,
        refund_in_dashboard,
        complete_refund,
        fail_refund,
        make_payout,
        fail_payout,
        lose_next_webhook,
        set_rate,
    ):
        world.act(act.__name__)(partial(act, account))


def void(_: object) -> None:
    """An agenda handler gives nothing back."""


def refund_in_dashboard(account: Account, wanted: Doc) -> Doc:
    """{charge | payment_intent, amount_minor?, reason?}: a person refunds by hand, and no metadata tells of us."""
    charge = payments.charge_of(account, wanted)
    order: Doc = {"charge": charge["id"], "reason": wanted.get("reason", "requested_by_customer")}
    if "amount_minor" in wanted:
        order["amount"] = int(wanted["amount_minor"])
        if order["amount"] <= 0:
            raise ValueError("amount_minor is a positive integer")
    return shown(refunds.create(account, order, account.nobody))


def complete_refund(account: Account, wanted: Doc) -> Doc:
    """{refund}: a pending refund, or one that waits for the customer, goes through."""
    return shown(refunds.succeed(account, account.need(wanted["refund"])))


def fail_refund(account: Account, wanted: Doc) -> Doc:
    """{refund, failure_reason?, after_seconds?}: it fails now, or so many seconds from now."""
    refund = account.need(wanted["refund"])
    reason = str(wanted.get("failure_reason", "expired_or_canceled_card"))
    if reason not in refunds.FAILURE_REASONS:
        raise ValueError(f"failure_reason is one of {', '.join(refunds.FAILURE_REASONS)}")
    if after := float(wanted.get("after_seconds", 0)):
        planned = {"refund": refund["id"], "what": "fail", "failure_reason": reason}
        account.world.at(account.world.now() + timedelta(seconds=after), "refund_follow_up", planned)
        return shown(refund)
    return shown(refunds.fail(account, refund, reason))


def make_payout(account: Account, wanted: Doc) -> Doc:
    """{currency?, manual?, pending_too?}: pay out now, not at midnight; `pending_too`: even what is not available."""
    currency = wanted.get("currency")
    made = payouts.run(
        account,
        currency=currency.lower() if currency else None,
        manual=bool(wanted.get("manual", False)),
        pending_too=bool(wanted.get("pending_too", False)),
    )
    return {"payouts": [shown(payout) for payout in made]}


def fail_payout(account: Account, wanted: Doc) -> Doc:
    """{payout, failure_code?}: the bank returns the money, also after `paid`."""
    return shown(
        payouts.fail(account, account.need(wanted["payout"]), str(wanted.get("failure_code", "account_closed")))
    )


def lose_next_webhook(account: Account, wanted: Doc) -> Doc:
    """{type?}: the next event (of that type) is taken by an endpoint that then drops it: Stripe thinks it delivered."""
    account.world.fault("lose_webhook", match=re.escape(str(wanted.get("type", ""))))
    return {}


def set_rate(account: Account, wanted: Doc) -> Doc:
    """{currency, rate}: from now on that currency settles in the account's own, at this rate (a decimal string)."""
    try:
        rate = Decimal(str(wanted["rate"]))
    except InvalidOperation:
        raise ValueError("rate is a decimal number, as a string") from None
    if rate <= 0:
        raise ValueError("rate is positive")
    rates = (account.world.get("_settings", "rates") or {}) | {str(wanted["currency"]).lower(): str(rate)}
    account.world.put("_settings", "rates", rates)
    return rates
