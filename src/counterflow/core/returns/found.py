"""By what a case is found, and what it holds of its sale."""

from counterflow.core.facts import EffectReported, SiblingsClaimed, TimerFired
from counterflow.core.returns.case import Claims
from counterflow.core.returns.dispose import rma
from counterflow.core.returns.states import LEG_DEAD
from counterflow.core.returns.units import claim_of
from counterflow.core.returns.work import Work

_INNER = (EffectReported, TimerFired, SiblingsClaimed)
_GIVEN_UP = ("cancelled", "expired", "denied_goods")


def refs_of(work: Work) -> tuple[str, ...]:
    """Everything by which people and later facts find this case."""
    refs = [f"case:{work.case_id}"]
    for fact in work.facts:
        if not isinstance(fact.body, _INNER):
            refs += fact.refs
    if work.sale is not None:
        refs += [work.sale.sale_ref, f"order:{work.sale.order_number}"]
        refs += [f"{p.connection or work.sale.connection}:payment:{p.payment_ref}" for p in work.sale.payments]
        refs += [f"sku:{line.sold.sku}" for line in work.lines.values() if line.sold is not None]
    refs.append(f"rma:{rma(work)}")
    for unit in work.units.values():
        if unit.serial:
            refs.append(f"serial:{unit.serial}")
    for effect in work.all_effects():
        refs.append(f"effect:{effect.effect_id}")
    for leg in work.legs.values():
        if leg.refund_ref:  # some connectors give the bare id, some the whole reference
            refs.append(leg.refund_ref if ":refund:" in leg.refund_ref else f"{leg.connection}:refund:{leg.refund_ref}")
    for posting in work.postings.values():
        if posting.document_ref:
            document, *ids = posting.document_ref.split(",")  # several documents of one effect share a reference
            refs += [f"{document},{each}" for each in ids] or [document]
            refs.append(f"document:{posting.document_name}")
    refs.append(work.channel_return)
    for ref in work.replacement:
        refs.append(ref)
    return tuple(dict.fromkeys(ref for ref in refs if ref and not ref.endswith(":")))


def claims_of(work: Work) -> Claims:
    """The pieces and refunds that this case holds of its sale, for its siblings to see."""
    pieces = {
        claim_of(u)
        for u in work.units.values()
        if u.line is not None
        and u.piece >= 0
        and not u.claimed_elsewhere
        and u.line.authorisation != "declined"
        and u.goods not in _GIVEN_UP
    }
    refunded: dict[str, int] = {}
    for leg in work.legs.values():
        if leg.state not in LEG_DEAD:
            refunded[leg.payment_ref] = refunded.get(leg.payment_ref, 0) + leg.amount_minor
    observed = tuple(sorted(leg.refund_ref for leg in work.legs.values() if leg.origin != "ours" and leg.refund_ref))
    return Claims(tuple(sorted(pieces)), tuple(sorted(refunded.items())), observed)
