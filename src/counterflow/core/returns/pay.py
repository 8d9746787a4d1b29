"""Paying what is owed and not yet under way: intents, their approvals and holds, and the legs on their rails.

The gap between the entitlement and the live legs is the only reason to pay. A leg that somebody else made closes the
gap like one of ours; an unknown leg keeps it closed and blocks any sibling until a look-up has moved it (D5).
"""

from collections import Counter

from counterflow.core.effects import AllocationRow, PayLeg
from counterflow.core.ids import make_id
from counterflow.core.money import Money
from counterflow.core.refunds.tenders import PlannedLeg, RouteRule, route
from counterflow.core.returns.approve import approved
from counterflow.core.returns.legs import issued
from counterflow.core.returns.owed import rows_of
from counterflow.core.returns.states import LEG_DEAD, LEG_PAID
from counterflow.core.returns.work import Intent, Leg, Work

# While one of these is open nothing more is paid on the case.
HOLDS = ("serial_mismatch", "empty_box", "amount_mismatch", "wrong_currency")
_ACCEPTED = ("accept", "write_off")


def pay(work: Work) -> None:
    """Close the gap: propose an intent, get it approved, release it as legs. Overpayment becomes a person's case."""
    if work.sale is None:
        return
    _known_intents(work)
    live = sum(leg.amount_minor for leg in work.legs.values() if leg.state not in LEG_DEAD)
    gap = work.entitled_minor - work.offset_minor - live
    if gap < 0:
        _overpaid(work, -gap)
    elif gap > 0:
        _propose(work, gap)


def _known_intents(work: Work) -> None:
    """The intents whose legs were issued, or that others fulfilled, with the state that their legs give."""
    sent = ((e.command.intent_id, e.because) for e in work.all_effects() if isinstance(e.command, PayLeg))
    whys = {intent_id: because.partition(": ")[2] for intent_id, because in sent}
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
        amount = sum(leg.amount_minor for leg in legs)
        because = whys.get(intent_id, f"made by {legs[0].origin}, not by us")
        signed = sorted({a.by for a in work.signed if a.granted and a.intent_id == intent_id})
        work.intents[intent_id] = Intent(intent_id, amount, state, signed, because=because)


def _propose(work: Work, gap: int) -> None:
    """Ask for the approval of the next wave and release it; what no rail carries now is a wave of its own."""
    waves = {e.command.intent_id for e in work.all_effects() if isinstance(e.command, PayLeg)}
    intent = Intent(make_id("ri", work.case_id, "wave", len(waves)), gap, "proposed")
    work.intents[intent.intent_id] = intent
    intent.holds = [f"{name} ({who})" for name, who in work.holds.items()]
    if work.is_open(*HOLDS):
        intent.holds.append("an exception has to be resolved first")
    if not approved(work, intent, waves):
        return
    if any(leg.state in ("unknown", "submitting") for leg in work.legs.values()):
        intent.holds.append("another leg is not known yet")
    intent.state = "held" if intent.holds else "approved"
    if intent.holds:
        return
    legs = _route(work, gap)
    sent = sum(_issue(work, intent, n, leg) for n, leg in enumerate(legs))
    if sent:
        work.legs = dict(sorted(work.legs.items(), key=lambda each: each[1].origin != "ours"))
        work.intents.clear()
        _known_intents(work)
    if 0 < sent < gap:
        _propose(work, gap - sent)
    elif not sent:
        _stuck(work, intent, legs)


def _stuck(work: Work, intent: Intent, legs: tuple[PlannedLeg, ...]) -> None:
    """Say why nothing can be paid: it waits for a dispute, or nobody can pay it this way."""
    assert work.sale is not None
    for n, leg in enumerate(legs):
        if leg.state == "held":
            intent.holds.append(leg.reason)
            intent.state = "held"
            continue
        why = (leg.reason or f"no connection pays by {leg.rail}").replace("_", " ")
        work.trouble(
            "refund_unroutable",
            f"{intent.intent_id}/{n}",
            f"{Money(work.sale.currency, leg.amount_minor)} cannot go back by itself: {why}. Ask the customer for "
            "another way, then resolve with pay_store_credit or pay_bank",
            leg.amount_minor,
        )


def _route(work: Work, gap: int) -> tuple[PlannedLeg, ...]:
    """Spread the gap over the tenders, by what is left of each component after the legs that live."""
    sale = work.sale
    assert sale is not None
    refunded: Counter[str] = Counter(work.refunded_by_siblings)
    rows = rows_of(work)
    for leg in work.legs.values():
        if leg.state not in LEG_DEAD:
            refunded[leg.payment_ref] += leg.amount_minor
            for row in leg.allocation:
                rows[row.line_ref, row.component] -= row.amount_minor
    left = [AllocationRow(ref, component, amount) for (ref, component), amount in sorted(rows.items()) if amount]
    remedies = {line.wanted.remedy for line in work.lines.values() if line.authorisation == "approved"}
    blocked = _blocked(work)
    return route(
        gap,
        left,
        (*sale.payments, *work.paid_in.values()),
        refunded,
        now=work.now,
        rule=RouteRule(
            remedy="store_credit" if remedies == {"store_credit"} else "refund",
            gift=sale.gift,
            alternatives=_alternatives(work),
        ),
        disputed=[d.payment_ref for d in map(work.dispute_phase, work.disputes) if d.phase == "opened"],
        blocked=blocked,
    )


def _blocked(work: Work) -> dict[str, str]:
    """Payments whose own rail is closed: a leg of ours came back or was refused, or cash and no till is near."""
    blocked = {
        leg.payment_ref: leg.reason or "it failed before"
        for leg in work.legs.values()
        if leg.state in LEG_DEAD and leg.origin == "ours"
    }
    routes = work.setting.routes
    places = (routes.place(u.receipt_place) for u in work.units.values() if u.payable)
    at_till = any(place is not None and place.connection == routes.cash for place in places)
    for payment in work.sale.payments if work.sale is not None else ():
        if payment.tender == "cash" and not at_till:
            blocked.setdefault(payment.payment_ref, "it was paid in cash and the goods came back elsewhere")
    return blocked


def _alternatives(work: Work) -> tuple[str, ...]:
    """The rail that a person chose, until a leg on it has died too: then the person is asked again."""
    if work.alternative is None:
        return ()
    rail, chosen_at = work.alternative
    tried = any(
        leg.state in LEG_DEAD and leg.rail == rail and leg.since >= chosen_at
        for leg in work.legs.values()
        if leg.origin == "ours"
    )
    return () if tried else (rail,)


def _issue(work: Work, intent: Intent, n: int, leg: PlannedLeg) -> int:
    """Issue one leg; its amount if it is on its way, else 0."""
    sale = work.sale
    assert sale is not None
    connection = _payer(work, leg) if leg.state == "planned" else ""
    if not connection:
        return 0
    leg_id = make_id("rl", work.case_id, intent.intent_id, n)
    effect = work.plan(
        PayLeg(
            leg_id=leg_id,
            intent_id=intent.intent_id,
            rail=leg.rail,
            payment_ref=leg.payment_ref,
            order_ref=sale.sale_ref,
            return_ref=work.channel_return,
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
    assert effect is not None and isinstance(effect.command, PayLeg)  # a new wave has new keys
    work.legs[leg_id] = issued(effect, effect.command)
    return leg.amount_minor


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
    """More went out than is owed. If others paid beside us it is a double refund, else the entitlement has shrunk.

    What a person accepts or writes off becomes a row of what is owed: if the goods come after all, it is gone again.
    """
    assert work.sale is not None
    paid = [leg for leg in work.legs.values() if leg.state not in LEG_DEAD]
    ours = [leg for leg in paid if leg.origin == "ours"]
    others = [leg for leg in paid if leg.origin != "ours"]
    if others and not ours and all(leg.rail == "marketplace" for leg in others):
        return  # it pays by its own rules, often before the goods (edge cases 71, 77); the goods axis goes on
    if ours and others and amount >= min(leg.amount_minor for leg in others):
        kind = "double_refund"
        text = "was paid twice, by us and by " + " and ".join(sorted({leg.origin for leg in others}))
        move = "cancel what is still pending, else recover it: offset, ask the customer, or write it off"
    elif others and not work.entitled_minor:
        kind, text = "unattributed_refund", f"was refunded by {others[0].origin} and nothing is owed here yet"
        move = "open or find the return that it belongs to, or accept it as goodwill"
    else:
        kind, text = "overpaid", "was paid more than is owed now"
        move = "accept it as goodwill, or ask the customer for it"
    subject = f"{kind}/{amount}"
    action = work.resolution(kind, subject)
    if action in _ACCEPTED:
        work.owe("goodwill" if action == "accept" else "write_off", amount, f"{kind.replace('_', ' ')}, {action}ed")
        return
    if kind == "double_refund" and action != "resolve":
        work.doubled_minor = amount
    work.trouble(kind, subject, f"{Money(work.sale.currency, amount)} {text}: {move}", amount)
