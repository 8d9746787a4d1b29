"""Paying what is owed and not yet under way: intents, their approvals and holds, and the legs on their rails.

The gap between the entitlement and the live legs is the only reason to pay. A leg that somebody else made closes the
gap like one of ours; an unknown leg keeps it open and blocks its payment until a look-up has moved it (D5).
"""

from collections import Counter

from counterflow.core.effects import AllocationRow, PayLeg
from counterflow.core.facts import ApprovalGiven
from counterflow.core.ids import make_id
from counterflow.core.money import Money
from counterflow.core.policy import Review
from counterflow.core.refunds.tenders import PlannedLeg, RouteRule, route
from counterflow.core.returns.authorise import ask, inputs_of
from counterflow.core.returns.states import LEG_DEAD, LEG_PAID
from counterflow.core.returns.work import Intent, Leg, Line, Work

_PERSONS = {"auto": 0, "one": 1, "two": 2}


def pay(work: Work) -> None:
    """Close the gap: propose an intent, get it approved, release it as legs. Overpayment becomes a person's case."""
    if work.sale is None:
        return
    _known_intents(work)
    live = sum(leg.amount_minor for leg in work.legs.values() if leg.state not in LEG_DEAD)
    lost = sum(amount for _, amount, phase in work.disputes.values() if phase == "lost")
    gap = work.entitled_minor - work.offset_minor - live - lost
    if gap < 0:
        _overpaid(work, -gap)
    elif gap > 0:
        _propose(work, gap)


def _known_intents(work: Work) -> None:
    """The intents whose legs were issued, or that others fulfilled, with the state that their legs give."""
    groups: dict[str, list[Leg]] = {}
    for leg in work.legs.values():
        groups.setdefault(leg.intent_id, []).append(leg)
    for intent_id, legs in groups.items():
        alive = [leg for leg in legs if leg.state not in LEG_DEAD]
        paid = [leg for leg in alive if leg.state in LEG_PAID]
        if alive and len(paid) == len(alive):
            state = "fulfilled" if len(alive) == len(legs) else "partly_fulfilled"
        else:
            state = "partly_fulfilled" if paid else "released" if alive else "superseded"
        because = "" if legs[0].origin == "ours" else f"made by {legs[0].origin}, not by us"
        work.intents[intent_id] = Intent(intent_id, sum(leg.amount_minor for leg in legs), state, because=because)


def _propose(work: Work, gap: int) -> None:
    assert work.sale is not None
    intent_id = make_id(
        "ri", work.case_id, "wave", len({e.command.intent_id for e in work.effects if isinstance(e.command, PayLeg)})
    )
    intent = Intent(intent_id, gap, "proposed")
    work.intents[intent_id] = intent
    intent.holds = [f"{name} ({who})" for name, who in work.holds.items()]
    intent.holds += [f"dispute {ref}" for ref, (_, _, phase) in work.disputes.items() if phase == "opened"]
    if any(t.kind in ("serial_mismatch", "amount_mismatch", "wrong_currency") for t in work.troubles):
        intent.holds.append("an exception has to be resolved first")
    if not _approved(work, intent):
        return
    intent.state = "approved"
    if intent.holds:
        intent.state = "held"
        return
    if any(leg.state in ("unknown", "submitting") for leg in work.legs.values()):
        intent.state = "held"
        intent.holds.append("another leg is not known yet")
        return
    if all([_issue(work, intent, n, planned) for n, planned in enumerate(_route(work, gap))]):
        intent.state = "released"


def _approved(work: Work, intent: Intent) -> bool:
    """Ask the approvals table for the case's whole amount, so that splitting does not slip below a limit."""
    assert work.sale is not None
    line = next((line for line in work.lines.values() if line.sold is not None), None)
    before = sum(leg.amount_minor for leg in work.legs.values() if leg.origin == "ours")
    total = max(work.entitled_minor - work.offset_minor, intent.amount_minor)
    if before and work.entitled_minor - work.offset_minor <= before:
        intent.because = "approved before: a leg that failed is paid again on another rail"
        return True
    role, needed = "finance_controller", 1
    if line is not None:
        inputs = {**_inputs(work, line), "amount_minor": total, "currency": work.sale.currency}
        answer = ask(work, "approvals", intent.intent_id, inputs)
        if isinstance(answer, Review):
            intent.because = answer.why
        else:
            needed, role = _PERSONS[str(answer.outputs["persons"])], str(answer.outputs.get("role", "none"))
            intent.because = f"row {answer.hit.row} ({', '.join(answer.hit.because) or 'fallback'})"
    signed: dict[str, bool] = {}
    for fact in work.facts:
        body = fact.body
        if (
            isinstance(body, ApprovalGiven)
            and body.intent_id == intent.intent_id
            and body.amount_minor == intent.amount_minor
        ):
            signed[body.by] = body.granted
    if any(not granted for granted in signed.values()):
        intent.holds.append("refused by " + ", ".join(by for by, granted in signed.items() if not granted))
        work.trouble(
            "approval_refused", intent.intent_id, f"{intent.holds[-1]}: settle it with the customer or ask again"
        )
        return False
    intent.approvals = sorted(signed)
    if len(signed) >= needed:
        return True
    amount = Money(work.sale.currency, intent.amount_minor)
    missing = needed - len(signed)
    work.trouble(
        "approval_needed",
        intent.intent_id,
        f"a refund of {amount} waits for {missing} approval(s) by {role.replace('_', ' ')}: {intent.because}",
        intent.amount_minor,
    )
    return False


def _inputs(work: Work, line: Line) -> dict[str, object]:
    return inputs_of(work, line, work.requested_at or work.opened_at or work.now)


def _route(work: Work, gap: int) -> tuple[PlannedLeg, ...]:
    """Spread the gap over the tenders, by what is left of each component after the legs that live."""
    sale = work.sale
    assert sale is not None
    refunded: Counter[str] = Counter(work.refunded_by_siblings)
    covered: Counter[tuple[str, str]] = Counter()
    for leg in work.legs.values():
        if leg.state not in LEG_DEAD:
            refunded[leg.payment_ref] += leg.amount_minor
            for row in leg.allocation:
                covered[row.line_ref, row.component] += row.amount_minor
    rows: Counter[tuple[str, str]] = Counter()
    for component in work.components:
        rows[component.line_ref, component.component] += component.amount_minor
    rows.subtract(covered)
    left = [AllocationRow(ref, component, amount) for (ref, component), amount in sorted(rows.items()) if amount]
    blocked = {leg.payment_ref: leg.reason or "it failed before" for leg in work.legs.values() if leg.state in LEG_DEAD}
    remedies = {line.wanted.remedy for line in work.lines.values() if line.authorisation == "approved"}
    return route(
        gap,
        left,
        sale.payments,
        refunded,
        now=work.now,
        rule=RouteRule(
            remedy="store_credit" if remedies == {"store_credit"} else "refund",
            gift=sale.gift,
            alternatives=(work.alternative_rail,) if work.alternative_rail else (),
        ),
        lost={payment: amount for payment, amount, phase in work.disputes.values() if phase == "lost"},
        disputed=[payment for payment, _, phase in work.disputes.values() if phase == "opened"],
        blocked=blocked,
    )


def _issue(work: Work, intent: Intent, n: int, leg: PlannedLeg) -> bool:
    """Issue one leg, or say why nobody can pay it; whether it is on its way."""
    sale = work.sale
    assert sale is not None
    if leg.state == "held":
        intent.holds.append(leg.reason)
        return False
    connection = _payer(work, leg)
    if leg.state == "unroutable" or not connection:
        amount = Money(sale.currency, leg.amount_minor)
        why = leg.reason or f"no connection pays by {leg.rail}"
        work.trouble(
            "refund_unroutable",
            f"{intent.intent_id}/{n}",
            f"{amount} cannot go back by itself: {why}. Ask the customer for another way, then resolve with pay_store_credit "
            "or pay_bank",
            leg.amount_minor,
        )
        return False
    leg_id = make_id("rl", work.case_id, intent.intent_id, n)
    effect = work.plan(
        PayLeg(
            leg_id=leg_id,
            intent_id=intent.intent_id,
            rail=leg.rail,
            payment_ref=leg.payment_ref,
            order_ref=sale.sale_ref,
            return_ref=work.request.return_ref if work.request is not None else "",
            amount_minor=leg.amount_minor,
            currency=sale.currency,
            allocation=leg.allocation,
            reason=next((line.wanted.reason for line in work.lines.values()), ""),
            customer_ref=sale.customer_ref,
        ),
        leg_id,
        connection,
        f"refund {Money(sale.currency, leg.amount_minor)} by {leg.rail}: {intent.because or 'owed'}",
        scope=f"payment:{leg.payment_ref}",
    )
    if effect is not None:
        work.legs[leg_id] = Leg(
            leg_id,
            intent.intent_id,
            leg.rail,
            leg.payment_ref,
            leg.amount_minor,
            "submitting",
            work.now,
            connection=connection,
            effect_id=effect.effect_id,
            allocation=leg.allocation,
        )
    return True


def _payer(work: Work, leg: PlannedLeg) -> str:
    """The connection that pays on this rail: the payment's own provider, the shop for credit, the till for cash."""
    assert work.sale is not None
    routes = work.setting.routes
    if leg.rail in ("gift_card", "store_credit"):
        return work.sale.connection
    if leg.rail == "cash":
        return routes.cash
    if leg.rail == "bank":
        return routes.bank
    return leg.connection or routes.payments.get(work.sale.connection, "")


def _overpaid(work: Work, amount: int) -> None:
    """More went out than is owed. If others paid beside us it is a double refund, else the entitlement has shrunk."""
    assert work.sale is not None
    paid = [leg for leg in work.legs.values() if leg.state not in LEG_DEAD]
    ours = [leg for leg in paid if leg.origin == "ours"]
    others = [leg for leg in paid if leg.origin != "ours"]
    if others and not ours and all(leg.rail == "marketplace" for leg in others):
        return  # it pays by its own rules, often before the goods (edge cases 71, 77); the goods axis goes on
    if ours and others:
        kind = "double_refund"
        text = "was paid twice, by us and by " + " and ".join(sorted({leg.origin for leg in others}))
        move = "cancel what is still pending, else recover it: offset, ask the customer, or write it off"
    elif others and not work.entitled_minor:
        kind, text = "unattributed_refund", f"was refunded by {others[0].origin} and nothing is owed here yet"
        move = "open or find the return that it belongs to, or accept it as goodwill"
    else:
        kind, text = "overpaid", "was paid more than is owed now"
        move = "accept it as goodwill, or ask the customer for it"
    work.trouble(kind, f"{kind}/{amount}", f"{Money(work.sale.currency, amount)} {text}: {move}", amount)
