"""decide(case, fact, setting) -> Decision: the one function by which a case moves. Pure.

The case is the fold of its facts in canonical order and of the effects it has issued; what is desired follows from the
fold, and what is desired and not issued yet becomes an effect. So facts may come twice, late or in any order.
"""

from counterflow.core.facts import Fact
from counterflow.core.returns import (
    authorise,
    books,
    channel,
    conditions,
    dispose,
    goods,
    legs,
    owed,
    pay,
    timers,
)
from counterflow.core.returns.case import Case, Change, Decision, Setting, View
from counterflow.core.returns.found import claims_of, refs_of
from counterflow.core.returns.gather import gather
from counterflow.core.returns.view import freeze
from counterflow.core.returns.work import Work


def decide(case: Case, fact: Fact, setting: Setting) -> Decision:
    """Add one fact to a case and say what follows.

    A fact that is known changes nothing (`duplicate`). Everything is computed at the instant of the newest fact seen,
    so that the same case always decides the same.
    """
    known = any(fact.fact_id == old.fact_id for old in case.facts)
    facts = case.facts if known else (*case.facts, fact)
    work = fold(Case(case.case_id, facts, case.effects), setting)
    view = freeze(work, case.states)
    states, before = _states(view), case.states
    changes = tuple(
        Change(*_axis_of(key), before.get(key, ""), after)
        for key, after in states.items()
        if before.get(key, "") != after
    )
    after = Case(
        case.case_id,
        facts,
        (*case.effects, *work.planned),
        states | _memory(view),
        tuple(e.exception_id for e in view.exceptions),
    )
    return Decision(
        case=after,
        view=view,
        effects=tuple(work.planned),
        timers=tuple(work.timers) if view.status != "closed" else (),
        changes=changes,
        hits=tuple(work.hits),
        refs=refs_of(work),
        claims=claims_of(work),
        because=tuple(work.because),
        duplicate=known,
    )


def fold(case: Case, setting: Setting) -> Work:
    """Fold the facts and issued effects of a case, then plan what is missing. The order of passes is the argument:
    what was asked, what is permitted, where the goods are, what is owed, what is paid, what is booked, who is told.
    """
    ordered = sorted(case.facts, key=Fact.order.__get__)
    now = max(fact.seen_at for fact in case.facts)
    work = Work(case.case_id, setting, now, ordered, case.effects, issued_ids={e.effect_id for e in case.effects})
    gather(work)
    authorise.lines(work)
    authorise.authorise(work)
    goods.goods(work)
    legs.legs(work)
    owed.owed(work)
    channel.read_sale(work)
    channel.answer(work)
    channel.open_there(work)
    dispose.stock(work)
    pay.pay(work)
    channel.replace(work)
    books.books(work)
    channel.milestones(work)
    timers.timers(work)
    conditions.raise_conditions(work)
    return work


def _states(view: View) -> dict[str, str]:
    """The state ("axis:subject" -> state) of everything in the case that has one."""
    states = {"status:case": view.status}
    for line in view.lines:
        key = f"{line.line_ref}:{line.part_sku}"
        states[f"authorisation:{key}"] = line.authorisation
        states[f"money:{key}"] = line.money
    for unit in view.units:
        states[f"goods:{unit.unit_id}"] = unit.goods
        if unit.disposition:
            states[f"disposition:{unit.unit_id}"] = unit.disposition
    states |= {f"intent:{intent.intent_id}": intent.state for intent in view.intents}
    states |= {f"leg:{leg.leg_id}": leg.state for leg in view.legs}
    states |= {f"books:{posting.posting_id}": posting.state for posting in view.postings}
    if view.exchange is not None:
        states["exchange:case"] = view.exchange.state
    return states


def _axis_of(key: str) -> tuple[str, str]:
    axis, _, subject = key.partition(":")
    return axis, subject


def _memory(view: View) -> dict[str, str]:
    """Instants that the next decision keeps: when it became resolved or closed, when each exception was raised."""
    kept = {f"raised:{e.exception_id}": e.raised_at.isoformat() for e in view.exceptions}
    if view.resolved_at is not None:
        kept["at:resolved"] = view.resolved_at.isoformat()
    if view.closed_at is not None:
        kept["at:closed"] = view.closed_at.isoformat()
    return kept
