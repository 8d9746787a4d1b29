"""The frozen read model of a case, from the scratch pad of one decision."""

from collections.abc import Mapping
from datetime import datetime

from counterflow.core.effects import PayLeg
from counterflow.core.money import Money
from counterflow.core.returns import dispose, exceptions, status, timers
from counterflow.core.returns.case import (
    ExchangeView,
    IntentView,
    LegView,
    LineView,
    PostingView,
    UnitView,
    View,
    Waiting,
)
from counterflow.core.returns.states import GOODS_ON_THE_WAY, LEG_DEAD, LEG_OPEN, LEG_PAID
from counterflow.core.returns.work import Work


def freeze(work: Work, memory: Mapping[str, str]) -> View:
    """Freeze the work. `memory`: what the last decision remembered, for instants that must not move."""
    sale = work.sale
    found = exceptions.views(work, {k.removeprefix("raised:"): v for k, v in memory.items() if k.startswith("raised:")})
    kinds = tuple(e.kind for e in found)
    state = status.status(work, kinds)
    legs_live = [leg for leg in work.legs.values() if leg.state not in LEG_DEAD]
    due_on = timers.legal_due_on(work)
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
        refund_due_on=due_on.isoformat() if due_on is not None else "",
        entitled_minor=work.entitled_minor,
        paid_minor=sum(leg.amount_minor for leg in legs_live if leg.state in LEG_PAID),
        pending_minor=sum(leg.amount_minor for leg in legs_live if leg.state in LEG_OPEN),
        unpaid_minor=work.unpaid_minor,
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
                u.part_sku,
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
            for p in sorted(work.postings.values(), key=lambda p: not p.effect_id)  # adopted ones last
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
    total = (work.replacement[ref][2] if ref else 0) or work.offset_minor + work.customer_pays_minor
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


def _kept(memory: Mapping[str, str], key: str, now: datetime) -> datetime:
    return datetime.fromisoformat(memory[key]) if key in memory else now
