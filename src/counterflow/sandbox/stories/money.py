"""Stories about the money: providers that fail, people who are faster, marketplaces that pay for us."""

from counterflow.sandbox.stage import Stage
from counterflow.sandbox.stories.acts import arrive, ask, come_back, inspect


async def before_receipt(stage: Stage) -> None:
    """Socks of nine euros: refunded when asked for, the goods come later, and the books know both."""
    bought = await stage.buy({"sku": "SOCKS", "quantity": 1, "price": 900})
    case = await ask(stage, "before_receipt", bought, "SOCKS", reason="SIZE_TOO_SMALL")
    view = await stage.see(case, "the refund", lambda v: v.paid_minor == 900)
    assert all(unit.goods not in ("received", "inspected") for unit in view.units)
    await come_back(stage, case, "SOCKS")
    await stage.reaches(case, "closed")


async def refunded_by_hand(stage: Stage) -> None:
    """An agent refunds in the provider's dashboard while the goods are on their way: attached, not paid again."""
    bought = await stage.buy({"sku": "TEE", "quantity": 1, "price": 2000})
    case = await ask(stage, "refunded_by_hand", bought, "TEE")
    await stage.act("psp", "refund_in_dashboard", payment_intent=bought.payment, amount_minor=2000)
    await stage.see(case, "the refund by hand", lambda v: any(leg.origin == "psp" for leg in v.legs))
    await come_back(stage, case, "TEE")
    view = await stage.reaches(case, "closed")
    assert [leg.origin for leg in view.legs] == ["psp"], view.legs


async def provider_down(stage: Stage) -> None:
    """The provider is down for an hour: the intent is kept, the books do not run ahead, it is paid once."""
    bought = await stage.buy({"sku": "HOODIE", "quantity": 1, "price": 5000})
    case = await ask(stage, "provider_down", bought, "HOODIE")
    receipt = await arrive(stage, case, {"sku": "HOODIE", "quantity": 1})
    await stage.goods(case, "received")
    await stage.fault("psp", "down", times=-1, match=rf"^POST /v1/refunds$[^\0]*{bought.payment}", seconds=3600)
    await inspect(stage, receipt, "A")
    view = await stage.see(case, "the intent", lambda v: bool(v.intents))
    assert not any(p.kind == "credit_note" for p in view.postings), view.postings
    view = await stage.reaches(case, "closed")
    assert view.paid_minor == 5000 and len(view.legs) == 1, view.legs
    assert stage.killing or "unknown" in await stage.outcomes(case, "PayLeg")  # it was down indeed


async def timeout_after_success(stage: Stage) -> None:
    """The provider paid and its answer was lost: looked up, not paid again."""
    bought = await stage.buy({"sku": "PLATE", "quantity": 1, "price": 1500})
    case = await ask(stage, "timeout_after_success", bought, "PLATE")
    await stage.fault("psp", "lost_reply", match=rf"^POST /v1/refunds$[^\0]*{bought.payment}")
    await come_back(stage, case, "PLATE")
    view = await stage.reaches(case, "closed")
    assert view.paid_minor == 1500 and len(view.legs) == 1, view.legs
    await stage.looked_up(case, "PayLeg")


async def fails_after_success(stage: Stage) -> None:
    """The customer's card had expired: the refund comes back after it had succeeded, and is paid as store credit."""
    bought = await stage.buy({"sku": "MUG", "quantity": 1, "price": 1000})
    case = await ask(stage, "fails_after_success", bought, "MUG")
    await come_back(stage, case, "MUG")
    view = await stage.see(
        case,
        "the refund and its payment in the books",
        lambda v: v.paid_minor == 1000 and any(p.kind == "refund_payment" and p.document_ref for p in v.postings),
    )
    refund = next(leg.refund_ref for leg in view.legs).rpartition(":")[2]
    await stage.act("psp", "fail_refund", refund=refund, failure_reason="expired_or_canceled_card")
    await stage.resolve(case, "refund_failed", "pay_store_credit", "the customer agreed to store credit")
    view = await stage.reaches(case, "closed")
    assert view.paid_minor == 1000, view.paid_minor
    assert sorted(leg.rail for leg in view.legs) == ["card", "store_credit"], view.legs


async def marketplace(stage: Stage) -> None:
    """A marketplace refunds its customer on our behalf: booked as theirs, nothing is paid by us."""
    bought = await stage.buy({"sku": "MUG", "quantity": 1, "price": 1000}, marketplace="bazaar")
    await stage.act(
        "shop",
        "marketplace_refund",
        order=bought.number,
        lines=[{"sku": "MUG", "quantity": 1}],
        reason="customer changed their mind",
    )
    case = await stage.case_of("marketplace", f"order:{bought.number}")
    await stage.see(case, "the marketplace's refund", lambda v: any(leg.rail == "marketplace" for leg in v.legs))
    await come_back(stage, case, "MUG")
    view = await stage.reaches(case, "closed")
    assert all(leg.origin != "ours" for leg in view.legs), view.legs
