"""What happens with each inspected unit, and the stock effects that make it so in the ERP and the warehouse.

Level-triggered: the ERP's position of a unit follows from the stock effects issued so far; where it differs from where
the unit should be, the next effect is planned. A corrected disposition is thereby one more move, never an edit.
"""

from counterflow.core.effects import InstructDisposition, MoveGoods, ReceiveGoods, StockItem
from counterflow.core.inventory.locations import OPERATIONS
from counterflow.core.policy import Review
from counterflow.core.returns.authorise import ask, inputs_of
from counterflow.core.returns.states import GOODS_HERE
from counterflow.core.returns.work import Unit, Work


def dispose(work: Work) -> None:
    """Ask the disposition table for what is inspected and undecided; a recalled lot or a wrong thing is locked away."""
    for unit in work.units.values():
        if unit.goods != "inspected" or unit.line is None or unit.line.sold is None or work.policies is None:
            continue
        inputs = inputs_of(work, unit.line, work.requested_at or work.opened_at or work.now)
        inputs.update(grade=unit.grade, serial_result=unit.serial_result, lot_status=unit.lot_status, quantity=1)
        inputs["amount_minor"] = unit.line.sold.paid_minor // max(unit.line.sold.quantity, 1)
        inputs.update({finding: True for finding in unit.findings if finding in inputs})
        answer = ask(work, "disposition", unit.unit_id, inputs)
        if isinstance(answer, Review):
            work.trouble("disposition_unclear", unit.unit_id, f"the disposition table needs a person: {answer.why}")
            continue
        chosen = str(answer.outputs["disposition"])
        unit.disposition_because = f"row {answer.hit.row} ({', '.join(answer.hit.because) or 'fallback'})"
        if chosen == "hold":
            work.trouble(
                "disposition_hold", unit.unit_id, f"{unit.sku} is on hold by {unit.disposition_because}: choose one"
            )
            continue
        unit.disposition = chosen
        unit.move("quarantined" if chosen == "quarantine" else "disposition_decided", unit.since)


def stock(work: Work) -> None:
    """Plan receipts, then moves, then instructions; read the ERP's position and the executed dispositions from outcomes."""
    _positions(work)
    _receive(work)
    _move(work)
    _settle_states(work)


def _positions(work: Work) -> None:
    """Replay the stock effects issued so far: where the ERP has each unit once they are all carried out."""
    for effect in work.effects:
        command = effect.command
        if work.state_of(effect.effect_id) in ("rejected", "discarded"):
            continue
        if isinstance(command, ReceiveGoods):
            for item in command.items:
                for unit_id in item.unit_ids:
                    if (unit := work.units.get(unit_id)) is not None:
                        unit.erp_place, unit.erp_location = command.place, command.location
        elif isinstance(command, MoveGoods):
            for item in command.items:
                for unit_id in item.unit_ids:
                    if (unit := work.units.get(unit_id)) is not None:
                        unit.erp_place, unit.erp_location = command.place_to, command.location_to


def _receive(work: Work) -> None:
    """One stock receipt per counting act, for the units that the ERP does not have yet."""
    if work.sale is None:
        return
    groups: dict[str, list[Unit]] = {}
    for unit in work.units.values():
        ours = unit.line is not None and not unit.third_party and unit.goods in GOODS_HERE
        if ours and not unit.erp_location and not unit.claimed_elsewhere:
            groups.setdefault(unit.receipt_ref, []).append(unit)
    for receipt_ref, units in groups.items():
        first = units[0]
        work.plan(
            ReceiveGoods(
                order_ref=work.sale.sale_ref,
                order_number=work.sale.order_number,
                rma_number=rma(work),
                place=first.receipt_place,
                location="returns",
                items=_items(units),
                occurred_at=first.received_at or work.now,
            ),
            f"{receipt_ref}/{first.unit_id}",
            work.setting.routes.erp,
            f"{len(units)} received at {first.receipt_place}: book the stock where it is not for sale",
            scope=f"sale:{work.sale.sale_ref}",
        )
        for unit in units:
            unit.erp_place, unit.erp_location = first.receipt_place, "returns"


def _move(work: Work) -> None:
    """Carry out decided dispositions: one move per receipt and target, after the receipt."""
    if work.sale is None:
        return
    groups: dict[tuple[str, str, str, str], list[Unit]] = {}
    for unit in work.units.values():
        operation = OPERATIONS.get(unit.disposition)
        if unit.goods not in ("disposition_decided", "quarantined") or operation is None or not unit.erp_location:
            continue
        if (unit.erp_place, unit.erp_location) != (unit.place, operation.location_class):
            groups.setdefault((unit.erp_place, unit.erp_location, unit.place, unit.disposition), []).append(unit)
    for (place, location, place_to, disposition), units in groups.items():
        operation = OPERATIONS[disposition]
        before = [e for e in work.all_effects() if _touches(e.command, units)]
        subject = "/".join([disposition, *(u.unit_id for u in units), str(len(before))])
        effect = work.plan(
            MoveGoods(
                order_ref=work.sale.sale_ref,
                order_number=work.sale.order_number,
                rma_number=rma(work),
                operation=operation.operation,
                disposition=disposition,
                place_from=place,
                location_from=location,
                place_to=place_to,
                location_to=operation.location_class,
                items=_items(units),
                receipt_ref=next((e.effect_id for e in before if isinstance(e.command, ReceiveGoods)), ""),
                occurred_at=units[0].since,
            ),
            subject,
            work.setting.routes.erp,
            f"{disposition} {len(units)} x {units[0].sku}: {units[0].disposition_because}",
            scope=f"sale:{work.sale.sale_ref}",
            after=tuple(e.effect_id for e in before),
        )
        for unit in units:
            unit.erp_place, unit.erp_location = place_to, operation.location_class
        target = work.setting.routes.place(place_to)
        if effect is not None and target is not None and target.connection:
            for unit in units:
                work.plan(
                    InstructDisposition(
                        rma_number=rma(work),
                        sku=unit.sku,
                        quantity=1,
                        disposition=disposition,
                        reason=unit.disposition_because,
                        serial=unit.serial,
                        line_ref=unit.line.wanted.line_ref if unit.line else "",
                        place=place_to,
                    ),
                    f"{unit.unit_id}/{disposition}/{len(before)}",
                    target.connection,
                    f"tell {place_to} to {disposition} {unit.sku}",
                )


def _settle_states(work: Work) -> None:
    """A disposition is executed when the ERP has posted its move (and it is not a hold)."""
    for effect in work.effects:
        if not isinstance(effect.command, MoveGoods):
            continue
        report = work.done(effect.effect_id)
        if report is None:
            continue
        for item in effect.command.items:
            for unit_id in item.unit_ids:
                unit = work.units.get(unit_id)
                if unit is None or unit.disposition != effect.command.disposition:
                    continue
                at_target = (unit.erp_place, unit.erp_location) == (effect.command.place_to, effect.command.location_to)
                if at_target and unit.goods == "disposition_decided":
                    unit.move("dispositioned", report[1])


def _touches(command: object, units: list[Unit]) -> bool:
    ids = {unit.unit_id for unit in units}
    return isinstance(command, ReceiveGoods | MoveGoods) and any(
        ids.intersection(item.unit_ids) for item in command.items
    )


def _items(units: list[Unit]) -> tuple[StockItem, ...]:
    """Units as stock items: equal pieces together, serials apart."""
    items: dict[tuple[str, str, str, str], list[str]] = {}
    for unit in units:
        ref = unit.line.wanted.line_ref if unit.line else ""
        items.setdefault((unit.sku, ref, unit.serial, unit.lot), []).append(unit.unit_id)
    return tuple(
        StockItem(sku, len(ids), ref, serial, lot, tuple(ids)) for (sku, ref, serial, lot), ids in items.items()
    )


def rma(work: Work) -> str:
    """The number by which people find the case: the channel's RMA, else the tail of our id."""
    given = work.request.rma_number if work.request is not None else ""
    return given or f"RMA-{work.case_id[-8:].upper()}"
