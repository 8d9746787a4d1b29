"""The goods axis: parcels, receipts, inspections and dispositions, walked in canonical order over the units.

Facts speak of quantities and codes; here they find their units. What finds none becomes a unit of its own and a
trouble for a person: nothing that arrived is refused (edge cases 18, 28-33).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

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
from counterflow.core.returns.states import GOODS_HERE, GOODS_ON_THE_WAY, GOODS_SOFT
from counterflow.core.returns.work import Line, Unit, Work

# What may still be counted at a receipt, the likeliest first.
_CAN_ARRIVE = ("delivered_unreceived", "in_transit", "handed_over", "label_issued", "expected", "not_in_parcel")
_CAN_ARRIVE_LATE = (*_CAN_ARRIVE, "not_expected", "expired", "cancelled", "lost", "denied_goods", "with_third_party")
_RANK = {state: rank for rank, state in enumerate(_CAN_ARRIVE_LATE)}

_STAGES = {
    "label_issued": ("label_issued", "customer"),
    "handed_over": ("handed_over", "carrier"),
    "in_transit": ("in_transit", "carrier"),
    "delivered": ("delivered_unreceived", "carrier"),
    "lost": ("lost", "carrier"),
}


def goods(work: Work) -> None:
    """Move every unit through what happened to it."""
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
            if unit.move(state, fact.occurred_at):
                unit.custodian = custodian
                if unit.handed_over_at is None and body.stage not in ("label_issued", "lost"):
                    unit.handed_over_at = fact.occurred_at


def _received(work: Work, body: ItemsReceived, fact: Fact) -> None:
    touched: set[str] = set()
    for item in body.items:
        for n in range(min(item.quantity, 1000)):
            unit = _expected(work, item, body) or _extra(work, item, body, n, fact)
            touched.add(unit.line.key if unit.line else "")
            _arrive(unit, body, fact)
            unit.lot = item.lot or unit.lot
            if item.serial and unit.line is not None:
                unit.serial = item.serial
    if body.complete and not body.third_party:
        for unit in work.units.values():
            # A parcel that is complete leaves its other announced pieces missing, only for what it held some of.
            if (
                unit.line is not None
                and unit.line.key in touched
                and unit.goods in ("in_transit", "delivered_unreceived")
            ):
                unit.move("not_in_parcel", fact.occurred_at)


def _arrive(unit: Unit, body: ItemsReceived, fact: Fact) -> None:
    state = "with_third_party" if body.third_party else "received"
    if unit.line is None:
        unit.place, unit.custodian, unit.receipt_ref = body.place, body.place, body.receipt_ref
        return
    if unit.goods == "not_expected" and body.third_party:
        unit.move("expected", fact.occurred_at)
    if unit.goods in GOODS_HERE or unit.move(state, fact.occurred_at):
        unit.place, unit.custodian = body.place, "third_party" if body.third_party else body.place
        unit.third_party = body.third_party
        if not unit.receipt_ref:
            unit.receipt_ref, unit.receipt_place, unit.received_at = body.receipt_ref, body.place, fact.occurred_at
        if unit.handed_over_at is None:
            unit.handed_over_at = fact.occurred_at


def _expected(work: Work, item: Counted, body: ItemsReceived) -> Unit | None:
    """The unit that this thing is: serial first, then line, then sku; what is on its way before what was given up.

    A second receipt of a unit that is here already at another place is the same unit travelling on (store to warehouse).
    """
    best: tuple[int, int, str] | None = None
    found: Unit | None = None
    for index, unit in enumerate(work.units.values()):
        if unit.sku != item.sku or unit.line is None:
            continue
        if item.line_ref and unit.line.wanted.line_ref != item.line_ref:
            continue
        if not _serial_fits(unit, item.serial):
            continue
        rank = _RANK.get(unit.goods)
        if rank is None:
            if unit.goods != "received" or unit.place == body.place or unit.receipt_ref == body.receipt_ref:
                continue
            rank = len(_RANK)
        key = (0 if item.serial and unit.expected_serial == item.serial else 1, rank, f"{index:06d}")
        if best is None or key < best:
            best, found = key, unit
    return found


def _serial_fits(unit: Unit, serial: str) -> bool:
    """Whether a thing with this serial can be the unit that was sold (edge cases 11, 18)."""
    sold = unit.line.sold if unit.line is not None else None
    if not serial or sold is None or sold.tracking != "serial" or not sold.serials:
        return True
    if unit.expected_serial:
        return serial == unit.expected_serial
    return serial in sold.serials


def _extra(work: Work, item: Counted, body: ItemsReceived, n: int, fact: Fact) -> Unit:
    """A thing that nobody expected: a piece of the sale that was not announced, too many, or something else."""
    sold = next((s for s in work.sale.lines if s.sku == item.sku), None) if work.sale else None
    mine = [u for u in work.units.values() if u.line is not None and u.sku == item.sku]
    unit_id = f"extra/{body.receipt_ref}/{item.serial or item.sku}#{n}"
    while unit_id in work.units:
        unit_id += "+"
    unit = Unit(unit_id, None, item.sku, -1, fact.occurred_at, serial=item.serial, lot=item.lot)
    unit.goods = "received_unidentified"
    serial_wrong = bool(item.serial and mine and not any(_serial_fits(u, item.serial) for u in mine))
    if serial_wrong:
        unit.serial_result = "mismatch" if item.serial_known else "unknown"
        unit.goods = "wrong_item"
        _serial_trouble(work, unit, mine, sold_to_other=item.sold_to_other)
    elif sold is None:
        unit.goods = "wrong_item" if work.sale is not None else "received_unidentified"
        if work.sale is not None:
            work.trouble(
                "wrong_item",
                unit_id,
                f"{item.sku} arrived at {body.place} and was not sold in {work.sale.order_number or work.sale.sale_ref}: "
                "keep it safe, find its owner, and offer it back",
            )
        else:
            work.trouble(
                "blind_return",
                unit_id,
                f"{item.quantity} x {item.sku} arrived at {body.place} without a sale: attach the order or the customer",
            )
    else:
        work.trouble(
            "over_receipt",
            unit_id,
            f"one {item.sku} more than announced arrived at {body.place}: match it to another order, or offer it back",
            sold.paid_minor // max(sold.quantity, 1),
        )
    work.units[unit_id] = unit
    return unit


def _serial_trouble(work: Work, unit: Unit, mine: list[Unit], *, sold_to_other: bool) -> None:
    expected = ", ".join(sorted({u.expected_serial for u in mine if u.expected_serial})) or "another serial"
    other = " It was sold to another customer: look at that sale too." if sold_to_other else ""
    sold = mine[0].line.sold if mine and mine[0].line else None
    work.trouble(
        "serial_mismatch",
        unit.unit_id,
        f"serial {unit.serial} of {unit.sku} was not sold here, {expected} was.{other} The refund is held: compare photos and "
        "weights, then accept it or send it back",
        sold.paid_minor // max(sold.quantity, 1) if sold else 0,
    )


def _inspected(work: Work, body: ItemInspected, fact: Fact) -> None:
    for _ in range(min(body.quantity, 1000)):
        unit = _to_inspect(work, body)
        if unit is None:
            # Inspected before its receipt was told: the inspection is proof that it is here.
            counted = Counted(
                body.sku, 1, body.serial, body.lot, body.line_ref, "ok", body.sold_to_other, body.serial_known
            )
            receipt = ItemsReceived(body.inspection_ref, body.place, (counted,), complete=False)
            unit = _expected(work, counted, receipt) or _extra(work, counted, receipt, 0, fact)
            _arrive(unit, receipt, fact)
        if unit.line is None:
            unit.grade, unit.findings, unit.inspection_ref = body.grade, body.findings, body.inspection_ref
            continue
        again = unit.goods == "inspected" or unit.goods == "disposition_decided"
        if unit.move("inspected", fact.occurred_at) or again:
            unit.since = fact.occurred_at
            unit.grade, unit.findings, unit.recommended = body.grade, body.findings, body.recommended
            unit.inspection_ref, unit.place, unit.custodian = body.inspection_ref, body.place, body.place
            unit.serial, unit.lot = body.serial or unit.serial, body.lot or unit.lot
            unit.lot_status = body.lot_status
            unit.disposition = unit.disposition_because = ""
            if "empty_box" in body.findings:
                work.trouble(
                    "empty_box",
                    unit.unit_id,
                    f"the parcel for {unit.sku} was empty: compare weights and photos, then claim from the carrier or deny",
                )


def _to_inspect(work: Work, body: ItemInspected) -> Unit | None:
    """The received unit that was inspected: the same inspection again finds the same unit, else one not yet inspected."""
    choices = [
        unit
        for unit in work.units.values()
        if unit.sku == body.sku
        and (not body.line_ref or (unit.line is not None and unit.line.wanted.line_ref == body.line_ref))
        and (not body.serial or not unit.serial or unit.serial == body.serial)
    ]
    fits = [u for u in choices if u.line is None or _serial_fits(u, body.serial)]
    same = [u for u in fits if u.inspection_ref == body.inspection_ref and u.goods in GOODS_HERE]
    fresh = [u for u in fits if u.goods in ("received", "inspecting")]
    later = [u for u in fits if u.goods in ("inspected", "quarantined", "disposition_decided")]
    extra = [u for u in fits if u.goods in ("wrong_item", "received_unidentified") and not u.inspection_ref]
    for group in (same if body.quantity == 1 else [], fresh, extra if not fresh else [], later):
        if group:
            return group[0]
    return None


def _recalled(work: Work, body: LotRecalled, fact: Fact) -> None:
    for unit in work.units.values():
        sold = unit.line.sold if unit.line else None
        if unit.lot == body.lot or (not unit.lot and sold is not None and body.lot in sold.lots):
            unit.lot_status = "recalled"


def _chosen(work: Work, body: DispositionChosen, fact: Fact) -> None:
    for unit_id in body.unit_ids:
        unit = work.units.get(unit_id)
        if unit is not None:
            _decide(unit, body.disposition, f"{body.by} chose it: {body.reason}", fact)


def _decide(unit: Unit, disposition: str, because: str, fact: Fact) -> None:
    if unit.move("disposition_decided", fact.occurred_at) or unit.goods == "disposition_decided":
        unit.since = fact.occurred_at
        unit.disposition, unit.disposition_because, unit.executed_by = disposition, because, ""


def _executed(work: Work, body: DispositionExecuted, fact: Fact) -> None:
    count = body.quantity
    for unit in work.units.values():
        if count == 0:
            return
        if unit.sku != body.sku or (body.serial and unit.serial and unit.serial != body.serial):
            continue
        if body.line_ref and (unit.line is None or unit.line.wanted.line_ref != body.line_ref):
            continue
        if body.reversed:
            if unit.goods == "dispositioned" and unit.disposition == body.disposition:
                unit.move("disposition_reversed", fact.occurred_at)
                unit.disposition, unit.executed_by = "", ""
                count -= 1
        elif unit.third_party and unit.move("dispositioned", fact.occurred_at):
            unit.disposition, unit.executed_by = body.disposition, fact.connection
            unit.disposition_because = f"{fact.connection} holds the goods and did it"
            count -= 1
        elif unit.goods in GOODS_HERE and not unit.executed_by:
            unit.executed_by = fact.connection
            count -= 1


def _waived(work: Work, body: GoodsWaived, fact: Fact) -> None:
    for unit in _of_lines(work, body.line_refs):
        _keep(unit, fact)


def _keep(unit: Unit, fact: Fact) -> None:
    if unit.goods in GOODS_ON_THE_WAY or unit.goods in GOODS_SOFT or unit.goods == "not_in_parcel":
        unit.move("not_expected", fact.occurred_at)
        unit.waived = True


def _marketplace(work: Work, body: MarketplaceRefunded, fact: Fact) -> None:
    for unit in _of_lines(work, body.line_refs):
        if body.returnless:
            _keep(unit, fact)
        elif unit.goods == "not_expected":
            unit.move("expected", fact.occurred_at)


def _missing(work: Work, body: MissingResolved, fact: Fact) -> None:
    target = {"lost": "lost", "denied": "denied_goods", "kept": "not_expected"}.get(body.verdict)
    for unit in _of_lines(work, body.line_refs):
        if target and (unit.goods in GOODS_ON_THE_WAY or unit.goods == "not_in_parcel"):
            unit.move(target, fact.occurred_at)


def _fired(work: Work, body: TimerFired, fact: Fact) -> None:
    if body.name == "authorisation_expiry":
        for unit in work.units.values():
            if unit.goods in ("expected", "label_issued"):
                unit.move("expired", fact.occurred_at)


def _of_lines(work: Work, line_refs: Iterable[str]) -> Iterator[Unit]:
    wanted = set(line_refs)
    for unit in list(work.units.values()):
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
