"""The goods axis: parcels, receipts, inspections and dispositions, walked in canonical order over the units.

Facts speak of quantities and codes; here they find their units (units.py) and move them. What the disposition table
says of an inspected unit is asked at that point of the walk, so that a later recall, choice or reversal finds it
decided.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from counterflow.core.effects import InstructDisposition
from counterflow.core.facts import (
    Counted,
    DispositionChosen,
    DispositionExecuted,
    Fact,
    GoodsWaived,
    ItemInspected,
    ItemsReceived,
    LotRecalled,
    MarketplaceRefunded,
    MissingResolved,
    ParcelMoved,
    TimerFired,
)
from counterflow.core.inventory import policy_word, same_serial
from counterflow.core.returns import units
from counterflow.core.returns.dispose import choose
from counterflow.core.returns.states import GOODS_HERE, GOODS_ON_THE_WAY, GOODS_SOFT
from counterflow.core.returns.units import MOST
from counterflow.core.returns.work import Unit, Work

_STAGES = {
    "label_issued": ("label_issued", "customer"),
    "handed_over": ("handed_over", "carrier"),
    "in_transit": ("in_transit", "carrier"),
    "delivered": ("delivered_unreceived", "carrier"),
    "lost": ("lost", "carrier"),
    "returned_to_sender": ("in_transit", "carrier"),
}
_UNDECIDED = ("inspected", "disposition_decided")
# A carrier has these; a complete receipt that holds some of their line says that the others were not in the parcel.
_IN_PARCEL = ("handed_over", "in_transit", "delivered_unreceived")


def goods(work: Work) -> None:
    """Make the units and move every one through what happened to it."""
    units.make(work)
    for fact in work.facts:
        apply = _APPLY.get(type(fact.body))
        if apply is not None:
            apply(work, fact.body, fact)
    if work.cancelled is not None:
        for unit in work.units.values():
            # The channel may cancel what is already here: the goods axis wins (domain.md 8.10).
            if unit.goods in ("expected", "label_issued", "not_expected") and unit.since <= work.cancelled[1]:
                unit.move("cancelled", work.cancelled[1])


def _parcel(work: Work, body: ParcelMoved, fact: Fact) -> None:
    state, custodian = _STAGES.get(body.stage, ("", ""))
    if not state:
        return
    for unit in _of_lines(work, body.line_refs):
        if unit.goods in GOODS_ON_THE_WAY or unit.goods in GOODS_SOFT:
            if unit.goods == "not_expected":
                unit.move("expected", fact.occurred_at)
            if unit.move(state, fact.occurred_at):
                unit.custodian = custodian
                if unit.handed_over_at is None and body.stage not in ("label_issued", "lost"):
                    unit.handed_over_at = fact.occurred_at


# ---- receipts --------------------------------------------------------------------------------------------------------


def _received(work: Work, body: ItemsReceived, fact: Fact) -> None:
    first, newest = work.receipts[body.receipt_ref]
    if first is fact:  # a correction counts from the moment of the first statement
        _count(work, newest, fact)


def _count(work: Work, body: ItemsReceived, fact: Fact) -> None:
    touched: set[str] = set()
    for item in body.items:
        for n in range(min(item.quantity, MOST)):
            found = units.find(work, item, body.place, body.receipt_ref)
            for unit in found or [_accepted(work, item, body, n, fact)]:
                unit.accepted = unit.accepted or (not found and unit.line is not None)
                touched.add(unit.line.key if unit.line else "")
                _arrive(work, unit, body, fact)
                unit.uncounted = False
                if unit.line is not None:
                    unit.lot = item.lot or unit.lot
                    unit.serial = units.written(unit.line, item.serial) or unit.serial
    if body.complete and not body.third_party:
        for unit in work.units.values():
            # A parcel that is complete leaves its other announced pieces missing, only for what it held some of.
            if unit.line is None or unit.line.key not in touched:
                continue
            if unit.goods in _IN_PARCEL:
                unit.move("not_in_parcel", fact.occurred_at)
            elif body.place == work.setting.routes.inspection_place:  # in a store the customer keeps it in hand
                unit.short_since = unit.short_since or fact.occurred_at


def _accepted(work: Work, item: Counted, body: ItemsReceived, n: int, fact: Fact) -> Unit:
    """An extra thing; if a person has accepted it as one more piece of its line, it is counted there."""
    unit = units.extra(work, item, body.place, body.receipt_ref, n, fact)
    if unit.line is None and work.resolution("over_receipt", unit.unit_id) == "accept":
        line = next((ln for ln in work.lines.values() if ln.sold is not None and ln.sold.sku == unit.sku), None)
        held = {u.piece for u in work.units.values() if u.line is line}
        held |= {piece for ref, piece in work.claimed_by_siblings if line is not None and ref == line.key}
        if line is not None and line.sold is not None:
            unit.piece = next((piece for piece in range(line.sold.quantity) if piece not in held), -1)
            if unit.piece >= 0:
                unit.line = line
    return unit


def _arrive(work: Work, unit: Unit, body: ItemsReceived, fact: Fact) -> None:
    state = "with_third_party" if body.third_party else "received"
    if unit.line is None:
        unit.place, unit.custodian, unit.receipt_ref = body.place, body.place, body.receipt_ref
        return
    if unit.goods == "not_expected" and body.third_party:
        unit.move("expected", fact.occurred_at)
    if unit.goods in GOODS_HERE or unit.move(state, fact.occurred_at):
        unit.place, unit.custodian = body.place, "third_party" if body.third_party else body.place
        unit.third_party, unit.waived = body.third_party, False
        came_home = bool(unit.legal_entity)  # what another legal entity had is booked where we get it
        unit.legal_entity = _foreign_entity(work, body)
        if not unit.receipt_ref or came_home:
            unit.receipt_ref, unit.receipt_place, unit.received_at = body.receipt_ref, body.place, fact.occurred_at
        if unit.handed_over_at is None:
            unit.handed_over_at = fact.occurred_at


def _foreign_entity(work: Work, body: ItemsReceived) -> str:
    """The legal entity that has the goods, if it is another one than where they belong (edge case 40)."""
    routes = work.setting.routes
    here, home = routes.place(body.place), routes.place(routes.inspection_place)
    entity = body.legal_entity or (here.legal_entity if here is not None else "")
    ours = home.legal_entity if home is not None else ""
    return entity if entity and ours and entity != ours else ""


# ---- inspections and dispositions ------------------------------------------------------------------------------------


def _inspected(work: Work, body: ItemInspected, fact: Fact) -> None:
    done: list[Unit] = []
    for n in range(min(body.quantity, MOST)):
        unit = _to_inspect(work, body, done) or _inspected_first(work, body, n, fact)
        done.append(unit)
        unit.grade, unit.findings, unit.inspection_ref = body.grade, body.findings, body.inspection_ref
        if unit.line is not None and (unit.move("inspected", fact.occurred_at) or unit.goods in _UNDECIDED):
            unit.goods, unit.since = "inspected", fact.occurred_at
            unit.place, unit.custodian = body.place, body.place
            unit.serial = units.written(unit.line, body.serial) or unit.serial
            unit.lot = body.lot or unit.lot
            unit.serial_result = _serial_result(work, unit, body)
            _judge_lot(work, unit, body.lot_status)
            choose(work, unit)


def _inspected_first(work: Work, body: ItemInspected, n: int, fact: Fact) -> Unit:
    """Inspected before its receipt was told: the inspection is proof that it is here."""
    item = Counted(
        body.sku,
        1,
        body.serial,
        body.lot,
        body.line_ref,
        sold_to_other=body.sold_to_other,
        serial_known=body.serial_known,
    )
    receipt = ItemsReceived(body.inspection_ref, body.place, (item,), complete=False)
    found = units.find(work, item, body.place, body.inspection_ref)
    unit = found[0] if found else units.extra(work, item, body.place, body.inspection_ref, n, fact)
    _arrive(work, unit, receipt, fact)
    unit.uncounted = unit.line is not None
    return unit


def _to_inspect(work: Work, body: ItemInspected, done: list[Unit]) -> Unit | None:
    """The unit that was inspected: told again, it is the same one; else one that waits, else one to look at again."""
    serial = same_serial(body.serial)
    choices = [
        unit
        for unit in work.units.values()
        if unit.sku == body.sku
        and not any(unit is other for other in done)
        and (not body.line_ref or (unit.line is not None and unit.line.wanted.line_ref == body.line_ref))
        and (not serial or not unit.serial or same_serial(unit.serial) == serial)
    ]
    groups = (
        lambda u: u.inspection_ref == body.inspection_ref,
        lambda u: bool(serial) and same_serial(u.serial) == serial,
        lambda u: u.goods in ("received", "inspecting") and units.fits(u, serial, body.sold_to_other),
        lambda u: u.goods in ("received", "inspecting"),  # counted without its serial, and it is another one
        lambda u: u.line is None and not u.inspection_ref,
        lambda u: u.goods in GOODS_HERE,
    )
    here = [u for u in choices if u.goods in GOODS_HERE or u.line is None]
    return next((u for group in groups for u in here if group(u)), None)


def _serial_result(work: Work, unit: Unit, body: ItemInspected) -> str:
    """The policy's word for the serial that was found; one that cannot be read leaves the identity open (18, 20)."""
    line = unit.line
    if line is None or line.sold is None or line.sold.tracking != "serial" or not line.sold.serials or unit.part_sku:
        return "ok"
    if "accept" in (
        work.resolution("serial_missing", unit.unit_id),
        work.resolution("serial_mismatch", unit.unit_id),
    ):
        return "ok"
    word = policy_word(units.judge(line, same_serial(unit.serial), body.sold_to_other))
    return "ok" if unit.accepted and word == "mismatch" else word


def _judge_lot(work: Work, unit: Unit, told: str) -> None:
    """A recall outweighs what the inspector saw; another lot than delivered is swapped on record (21, 22)."""
    sold = unit.line.sold if unit.line is not None else None
    delivered = sold.lots if sold is not None else ()
    if any(lot in work.recalled for lot in ((unit.lot,) if unit.lot else delivered)):
        unit.lot_status = "recalled"
    elif told in ("recalled", "expired"):
        unit.lot_status = told
    unit.lot_sold = min(delivered) if unit.lot and delivered and unit.lot not in delivered else ""


def _recalled(work: Work, body: LotRecalled, fact: Fact) -> None:
    for unit in work.units.values():
        if unit.line is not None and unit.goods in GOODS_HERE:
            before = unit.lot_status
            _judge_lot(work, unit, before)
            if unit.lot_status != before and unit.goods in _UNDECIDED:
                unit.goods = "inspected"
                choose(work, unit)


def _chosen(work: Work, body: DispositionChosen, fact: Fact) -> None:
    for unit_id in body.unit_ids:
        unit = work.units.get(unit_id)
        if unit is not None:
            _decide(unit, body.disposition, f"{body.by} chose it: {body.reason}", fact)


def _decide(unit: Unit, disposition: str, because: str, fact: Fact) -> None:
    if unit.goods == "disposition_decided" or unit.move("disposition_decided", fact.occurred_at):
        unit.since = fact.occurred_at
        unit.disposition, unit.disposition_because = disposition, because


def _executed(work: Work, body: DispositionExecuted, fact: Fact) -> None:
    """Somebody who holds the goods did it. What they did is the truth, also where we had decided otherwise.

    The instruction that the fact answers names its unit; else a unit that was told this comes first, before one of
    which it is news.
    """
    told = {
        (e.command.unit_id, e.command.disposition): e.effect_id
        for e in work.effects
        if isinstance(e.command, InstructDisposition) and e.decided_at < fact.seen_at
    }
    answered = {unit_id for (unit_id, _), effect in told.items() if f"effect:{effect}" in fact.refs}
    units = [u for u in work.units.values() if (u.unit_id in answered if answered else _executes(u, body))]
    units.sort(key=lambda u: (u.unit_id, body.disposition) not in told)
    count = body.quantity
    for unit in units:
        if count == 0:
            return
        if body.reversed:
            done = unit.goods in ("disposition_decided", "dispositioned") and unit.disposition == body.disposition
            if not done or not unit.move("disposition_reversed", fact.occurred_at):
                continue
            unit.disposition, unit.disposition_because = "", f"{fact.connection} undid {body.disposition}"
        elif unit.third_party:
            if not unit.move("dispositioned", fact.occurred_at):
                continue
            unit.disposition = body.disposition
            unit.disposition_because = f"{fact.connection} holds the goods and did it"
        elif (unit.unit_id, body.disposition) in told:
            pass  # what we had told them, be it late: a newer decision stands
        elif unit.goods not in GOODS_HERE:
            continue
        elif unit.goods in ("inspected", "quarantined", "disposition_decided") and unit.disposition != body.disposition:
            decided = unit.disposition or "nothing"
            _decide(unit, body.disposition, f"{fact.connection} did it, {decided} was decided", fact)
        count -= 1


def _executes(unit: Unit, body: DispositionExecuted) -> bool:
    """Whether what was done may have been done with this unit, by what the fact says of it."""
    other = body.serial and unit.serial and same_serial(unit.serial) != same_serial(body.serial)
    line_ref = unit.line.wanted.line_ref if unit.line is not None else ""
    return unit.sku == body.sku and not other and body.line_ref in ("", line_ref)


# ---- what will not come ----------------------------------------------------------------------------------------------


def _waived(work: Work, body: GoodsWaived, fact: Fact) -> None:
    for unit in _of_lines(work, body.line_refs):
        _keep(unit, fact)


def _keep(unit: Unit, fact: Fact) -> None:
    if unit.goods in GOODS_ON_THE_WAY or unit.goods in GOODS_SOFT or unit.goods == "not_in_parcel":
        unit.waived = unit.move("not_expected", fact.occurred_at)


def _marketplace(work: Work, body: MarketplaceRefunded, fact: Fact) -> None:
    for unit in _of_lines(work, body.line_refs):
        if body.returnless:
            _keep(unit, fact)
        elif unit.goods == "not_expected":
            unit.move("expected", fact.occurred_at)


def _missing(work: Work, body: MissingResolved, fact: Fact) -> None:
    target = {"lost": "lost", "denied": "denied_goods", "kept": "not_expected"}.get(body.verdict)
    for unit in _of_lines(work, body.line_refs):
        missing = unit.goods in GOODS_ON_THE_WAY or unit.goods in ("not_in_parcel", "lost")
        if target and (missing or ("empty_box" in unit.findings and body.verdict == "denied")):
            unit.move(target, fact.occurred_at)


def _fired(work: Work, body: TimerFired, fact: Fact) -> None:
    if body.name == "authorisation_expiry":
        for unit in work.units.values():
            if unit.goods in ("expected", "label_issued"):
                unit.move("expired", fact.occurred_at)


def _of_lines(work: Work, line_refs: Iterable[str]) -> Iterator[Unit]:
    wanted = set(line_refs)
    for unit in work.units.values():
        if unit.line is not None and (not wanted or unit.line.wanted.line_ref in wanted):
            yield unit


_APPLY: dict[type, Callable[[Work, Any, Fact], None]] = {
    ParcelMoved: _parcel,
    ItemsReceived: _received,
    ItemInspected: _inspected,
    LotRecalled: _recalled,
    DispositionChosen: _chosen,
    DispositionExecuted: _executed,
    GoodsWaived: _waived,
    MarketplaceRefunded: _marketplace,
    MissingResolved: _missing,
    TimerFired: _fired,
}
