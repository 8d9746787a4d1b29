"""decide(case, fact, setting) -> Decision: the one function by which a case moves. Pure.

The case is the fold of its facts in canonical order and of the effects it has issued; what is desired follows from the
fold, and what is desired and not issued yet becomes an effect. So facts may come twice, late or in any order.
"""

from bisect import insort
from collections.abc import Mapping
from datetime import datetime

from counterflow.core.effects import PayLeg
from counterflow.core.facts import EffectReported, Fact, SiblingsClaimed, TimerFired
from counterflow.core.money import Money
from counterflow.core.returns import (
    authorise,
    books,
    channel,
    dispose,
    exceptions,
    goods,
    legs,
    owed,
    pay,
    status,
    timers,
)
from counterflow.core.returns.case import (
    Case,
    Change,
    Claims,
    Decision,
    ExchangeView,
    IntentView,
    LegView,
    LineView,
    PostingView,
    Setting,
    UnitView,
    View,
    Waiting,
)
from counterflow.core.returns.gather import gather
from counterflow.core.returns.states import GOODS_ON_THE_WAY, LEG_DEAD, LEG_OPEN, LEG_PAID
from counterflow.core.returns.work import Work

_INNER = (EffectReported, TimerFired, SiblingsClaimed)


def decide(case: Case, fact: Fact, setting: Setting) -> Decision:
    """Add one fact to a case and say what follows.

    A fact that is known changes nothing (`duplicate`). Everything is computed at the instant of the newest fact seen,
    so that the same case always decides the same.
    """
    known = any(fact.fact_id == old.fact_id for old in case.facts)
    facts = case.facts if known else (*case.facts, fact)
    work = fold(Case(case.case_id, facts, case.effects), setting)
    view = _view(work, case.states)
    states = _states(view)
    changes = tuple(
        Change(axis, subject, case.states.get(f"{axis}:{subject}", ""), after)
        for (axis, subject), after in states.items()
        if case.states.get(f"{axis}:{subject}", "") != after
    )
    after = Case(
        case.case_id,
        facts,
        (*case.effects, *work.planned),
        {f"{axis}:{subject}": state for (axis, subject), state in states.items()} | _memory(view),
        tuple(e.exception_id for e in view.exceptions),
    )
    return Decision(
        case=after,
        view=view,
        effects=tuple(work.planned),
        timers=tuple(work.timers) if view.status != "closed" else (),
        changes=changes,
        hits=tuple(work.hits),
        refs=_refs(work),
        claims=_claims(work),
        because=tuple(work.because),
        duplicate=known,
    )


def fold(case: Case, setting: Setting) -> Work:
    """Fold the facts and issued effects of a case, then plan what is missing. The order of passes is the argument:
    what was asked, what is permitted, where the goods are, what is owed, what is paid, what is booked, who is told.
    """
    ordered: list[Fact] = []
    for fact in case.facts:
        insort(ordered, fact, key=lambda f: f.order)
    now = max(fact.seen_at for fact in case.facts)
    work = Work(case.case_id, setting, now, ordered, case.effects, issued_ids={e.effect_id for e in case.effects})
    gather(work)
    authorise.lines(work)
    authorise.authorise(work)
    goods.goods(work)
    dispose.dispose(work)
    legs.legs(work)
    owed.owed(work)
    channel.read_sale(work)
    channel.answer(work)
    dispose.stock(work)
    pay.pay(work)
    channel.replace(work)
    books.books(work)
    channel.milestones(work)
    timers.timers(work)
    exceptions.raise_conditions(work)
    return work


def _view(work: Work, memory: Mapping[str, str]) -> View:
    """Freeze the work. `memory`: what the last decision remembered, for instants that must not move."""
    sale = work.sale
    found = exceptions.views(work, {k.removeprefix("raised:"): v for k, v in memory.items() if k.startswith("raised:")})
    kinds = tuple(e.kind for e in found)
    state = status.status(work, kinds)
    legs_live = [leg for leg in work.legs.values() if leg.state not in LEG_DEAD]
    withdrawn = work.withdrawal_at
    return View(
        case_id=work.case_id,
        kind=work.kind,
        status=state,
        opened_at=work.opened_at or work.now,
        updated_at=work.now,
        currency=sale.currency if sale else "",
        sale_ref=sale.sale_ref if sale else (work.request.sale_ref if work.request else ""),
        root_sale_ref=sale.root if sale else (work.request.sale_ref if work.request else ""),
        order_number=sale.order_number if sale else "",
        return_ref=work.request.return_ref if work.request else "",
        rma_number=dispose.rma(work),
        channel=sale.channel if sale else "",
        connection=work.request_connection or (sale.connection if sale else ""),
        customer_ref=sale.customer_ref if sale else "",
        policy_version=work.policies.version if work.policies else "",
        attention=any(e.severity == "high" for e in found),
        resolved_at=_kept(memory, "at:resolved", work.now) if state in ("resolved", "closed") else None,
        closed_at=_kept(memory, "at:closed", work.now) if state == "closed" else None,
        refund_due_on=(withdrawn + timers.REFUND_DUE).date().isoformat() if withdrawn else "",
        entitled_minor=work.entitled_minor,
        paid_minor=sum(leg.amount_minor for leg in legs_live if leg.state in LEG_PAID),
        pending_minor=sum(leg.amount_minor for leg in legs_live if leg.state in LEG_OPEN),
        lines=tuple(
            LineView(
                line.wanted.line_ref,
                line.sold.sku if line.sold else "",
                line.wanted.quantity,
                line.wanted.reason,
                line.wanted.remedy,
                line.wanted.stated_condition,
                line.authorisation,
                line.because,
                status.line_money(work, line),
                line.wanted.part_sku,
                line.sold.title if line.sold else "",
            )
            for line in work.lines.values()
        ),
        units=tuple(
            UnitView(
                u.unit_id,
                u.line.wanted.line_ref if u.line else "",
                u.piece,
                u.sku,
                u.goods,
                u.since,
                u.place,
                u.custodian,
                u.grade,
                u.serial,
                u.lot,
                u.disposition,
                u.disposition_because,
                u.line.wanted.part_sku if u.line else "",
            )
            for u in work.units.values()
        ),
        components=work.components,
        intents=tuple(
            IntentView(i.intent_id, i.amount_minor, i.state, tuple(i.approvals), tuple(i.holds), i.because)
            for i in work.intents.values()
        ),
        legs=tuple(
            LegView(
                leg.leg_id,
                leg.intent_id,
                leg.rail,
                leg.payment_ref,
                leg.amount_minor,
                leg.state,
                leg.origin,
                leg.since,
                leg.connection,
                leg.effect_id,
                leg.refund_ref,
                leg.payout_ref,
                leg.bank_ref,
                leg.acquirer_ref,
                leg.reason,
                leg.allocation,
            )
            for leg in work.legs.values()
        ),
        postings=tuple(
            PostingView(
                p.posting_id,
                p.kind,
                p.subject,
                p.state,
                p.since,
                p.amount_minor,
                p.document_ref,
                p.document_name,
                p.accounting_on,
                p.effect_id,
                p.origin,
            )
            for p in work.postings.values()
        ),
        exchange=_exchange(work),
        exceptions=found,
        waiting=tuple(_waiting(work, state)),
        beliefs=tuple(work.beliefs[name] for name in sorted(work.beliefs)),
        linked=tuple(work.linked),
    )


def _exchange(work: Work) -> ExchangeView | None:
    if not work.exchange_state:
        return None
    ref = next(reversed(work.replacement), "") if work.replacement else ""
    total = work.replacement[ref][2] if ref else work.offset_minor + work.customer_pays_minor
    return ExchangeView(
        ref,
        work.exchange_state,
        total,
        work.offset_minor,
        work.customer_pays_minor,
        work.entitled_minor - work.offset_minor,
    )


def _waiting(work: Work, state: str) -> list[Waiting]:
    """What the case waits for and since when, in sentences; empty when it is closed."""
    if state == "closed":
        return []
    out: list[Waiting] = []
    for unit in work.units.values():
        if unit.goods in GOODS_ON_THE_WAY:
            out.append(Waiting(f"{unit.sku} to arrive ({unit.goods.replace('_', ' ')})", unit.since, unit.custodian))
        elif unit.goods == "received":
            out.append(Waiting(f"{unit.sku} to be inspected", unit.since, unit.place))
    for effect in work.all_effects():
        told = work.state_of(effect.effect_id)
        if told in ("planned", "submitted", "unknown", "accepted"):
            reports = work.outcomes.get(effect.effect_id)
            since = reports[-1][1] if reports else effect.decided_at
            words = {
                "unknown": "whose outcome is unknown and is being looked up",
                "accepted": "which was accepted",
            }.get(told, "")
            if not (isinstance(effect.command, PayLeg) and told == "accepted"):
                out.append(
                    Waiting(f"{effect.connection} to carry out {effect.kind} {words}".strip(), since, effect.connection)
                )
    for leg in work.legs.values():
        amount = Money(work.sale.currency, leg.amount_minor) if work.sale else leg.amount_minor
        if leg.state == "accepted":
            out.append(Waiting(f"{leg.connection} to confirm the refund of {amount}", leg.since, leg.connection))
        elif leg.state == "succeeded":
            out.append(Waiting(f"a payout with the refund of {amount}", leg.since, leg.connection))
        elif leg.state == "settled" and leg.payout_ref and not leg.bank_ref:
            out.append(
                Waiting(f"the bank line of payout {leg.payout_ref}", leg.since, work.setting.routes.bank or "bank")
            )
    for intent in work.intents.values():
        if intent.holds:
            out.append(Waiting(f"the refund is held: {', '.join(intent.holds)}", work.now, "a person"))
    return out


def _states(view: View) -> dict[tuple[str, str], str]:
    states = {("status", "case"): view.status}
    states |= {("authorisation", f"{line.line_ref}:{line.part_sku}"): line.authorisation for line in view.lines}
    states |= {("money", f"{line.line_ref}:{line.part_sku}"): line.money for line in view.lines}
    states |= {("goods", unit.unit_id): unit.goods for unit in view.units}
    states |= {("disposition", unit.unit_id): unit.disposition for unit in view.units if unit.disposition}
    states |= {("intent", intent.intent_id): intent.state for intent in view.intents}
    states |= {("leg", leg.leg_id): leg.state for leg in view.legs}
    states |= {("books", posting.posting_id): posting.state for posting in view.postings}
    if view.exchange is not None:
        states[("exchange", "case")] = view.exchange.state
    return states


def _refs(work: Work) -> tuple[str, ...]:
    """Everything by which people and later facts find this case."""
    refs = [f"case:{work.case_id}"]
    for fact in work.facts:
        if not isinstance(fact.body, _INNER):
            refs += fact.refs
    if work.sale is not None:
        refs += [work.sale.sale_ref, f"order:{work.sale.order_number}"]
        refs += [f"{p.connection or work.sale.connection}:payment:{p.payment_ref}" for p in work.sale.payments]
        refs += [f"sku:{line.sold.sku}" for line in work.lines.values() if line.sold is not None]
    refs.append(f"rma:{dispose.rma(work)}")
    for unit in work.units.values():
        if unit.serial:
            refs.append(f"serial:{unit.serial}")
    for effect in work.all_effects():
        refs.append(f"effect:{effect.effect_id}")
    for leg in work.legs.values():
        if leg.refund_ref:
            refs.append(f"{leg.connection}:refund:{leg.refund_ref}")
    for posting in work.postings.values():
        if posting.document_ref:
            refs.append(f"{work.setting.routes.erp}:document:{posting.document_ref}")
            refs.append(f"document:{posting.document_name}")
    for ref in work.replacement:
        refs.append(ref)
    return tuple(dict.fromkeys(ref for ref in refs if ref and not ref.endswith(":")))


def _claims(work: Work) -> Claims:
    pieces = tuple(
        sorted(
            (u.line.key, u.piece)
            for u in work.units.values()
            if u.line is not None
            and u.piece >= 0
            and not u.claimed_elsewhere
            and u.line.authorisation != "declined"
            and u.goods not in ("cancelled", "expired", "denied_goods")
        )
    )
    refunded: dict[str, int] = {}
    for leg in work.legs.values():
        if leg.state not in LEG_DEAD:
            refunded[leg.payment_ref] = refunded.get(leg.payment_ref, 0) + leg.amount_minor
    observed = tuple(sorted(leg.refund_ref for leg in work.legs.values() if leg.origin != "ours" and leg.refund_ref))
    return Claims(pieces, tuple(sorted(refunded.items())), observed)


def _kept(memory: Mapping[str, str], key: str, now: datetime) -> datetime:
    return datetime.fromisoformat(memory[key]) if key in memory else now


def _memory(view: View) -> dict[str, str]:
    """Instants that the next decision keeps: when it became resolved or closed, when each exception was raised."""
    kept = {f"raised:{e.exception_id}": e.raised_at.isoformat() for e in view.exceptions}
    if view.resolved_at is not None:
        kept["at:resolved"] = view.resolved_at.isoformat()
    if view.closed_at is not None:
        kept["at:closed"] = view.closed_at.isoformat()
    return kept
