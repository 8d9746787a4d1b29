"""What happens with each inspected unit, and the stock effects that make it so in the ERP and the warehouse.

Level-triggered: the ERP's position of a unit follows from the stock effects issued so far; where it differs from where
the unit should be, the next effect is planned. A corrected disposition is thereby one more move, never an edit.
"""

from counterflow.core.effects import Effect, InstructDisposition, MoveGoods, ReceiveGoods, StockItem
from counterflow.core.facts import Counted, DocumentMoved
from counterflow.core.inventory.locations import RECEIVED_INTO, StockOperation, operation_for
from counterflow.core.policy import Review
from counterflow.core.returns.authorise import ask, inputs_of, row_of
from counterflow.core.returns.states import GOODS_HERE
from counterflow.core.returns.work import Posting, Unit, Work

_BACK = StockOperation(RECEIVED_INTO, "internal_move")


def choose(work: Work, unit: Unit) -> None:
    """Ask the disposition table for an inspected unit; one that is not ours to dispose of waits for a person."""
    line = unit.line
    unit.disposition = unit.disposition_because = ""
    if line is None or line.sold is None or work.policies is None or line.authorisation != "approved":
        return
    if unit.claimed_elsewhere or unit.legal_entity:
        return
    findings = {finding: True for finding in unit.findings if finding in line.inputs}
    inputs = inputs_of(
        work,
        line,
        grade=unit.grade,
        serial_result=unit.serial_result,
        lot_status=unit.lot_status,
        quantity=1,
        amount_minor=line.unit_minor,
        **findings,
    )
    answer = ask(work, "disposition", unit.unit_id, inputs)
    if isinstance(answer, Review):
        work.trouble("disposition_unclear", unit.unit_id, f"the disposition table needs a person: {answer.why}")
        return
    chosen = str(answer.outputs["disposition"])
    unit.disposition_because = row_of(answer)
    if chosen != "hold":
        unit.disposition = chosen
        unit.move("quarantined" if chosen == "quarantine" else "disposition_decided", unit.since)


def stock(work: Work) -> None:
    """Plan receipts, then moves, then instructions; what is posted makes a disposition executed."""
    _adopt_receipts(work)
    _positions(work)
    if work.sale is not None:
        _receive(work)
        _move(work)
    _instruct(work)
    _settle_states(work)


def _positions(work: Work) -> None:
    """Replay the stock effects issued so far: where the ERP has each unit once they are all carried out.

    Also those that were rejected or discarded: a person retries the one, and has seen to the other.
    """
    for effect in work.effects:
        command = effect.command
        if isinstance(command, ReceiveGoods):
            at = command.place, command.location
        elif isinstance(command, MoveGoods):
            at = command.place_to, command.location_to
        else:
            continue
        for unit_id in (unit_id for item in command.items for unit_id in item.unit_ids):
            if (unit := work.units.get(unit_id)) is not None:
                unit.erp_place, unit.erp_location = at


def _adopt_receipts(work: Work) -> None:
    """A stock receipt that a person made in the ERP stands for ours (edge case 87)."""
    receipts = (e.command for e in work.effects if isinstance(e.command, ReceiveGoods))
    booked = {unit_id for receipt in receipts for item in receipt.items for unit_id in item.unit_ids}
    for document_ref, fact in work.foreign.items():
        body = fact.body
        if not isinstance(body, DocumentMoved) or body.posting != "receive_goods" or body.state == "cancelled":
            continue
        free = [u for u in work.units.values() if u.unit_id not in booked and not u.erp_location and _to_book(u)]
        mine: list[Unit] = []
        for piece in body.pieces or (Counted(body.sku, body.quantity),):
            same = (piece.serial, "") if piece.serial else ()  # a serial fits its own unit, or one that has none
            alike = [u for u in free if u not in mine and u.sku == piece.sku and (not same or u.serial in same)]
            mine += alike[: piece.quantity or None]
        if not mine:
            continue
        subject = ",".join(u.unit_id for u in mine)
        posting = Posting(document_ref, "receive_goods", subject, "found_existing", fact.occurred_at)
        posting.document_ref, posting.accounting_on, posting.origin = document_ref, body.accounting_on, "erp_user"
        if body.state != "drafted":
            posting.move("posted", fact.occurred_at)
        work.postings[document_ref] = posting
        work.because.append(f"{document_ref} was booked in the ERP by {body.by or 'a person'}: adopted, no second one")
        for unit in mine:
            unit.erp_place, unit.erp_location = unit.receipt_place, RECEIVED_INTO


def _to_book(unit: Unit) -> bool:
    """Ours, here, and in our books: a third party reports its own stock, another legal entity keeps its own."""
    here = unit.goods in GOODS_HERE and not unit.third_party
    return unit.line is not None and here and not unit.claimed_elsewhere and not unit.legal_entity


def _receive(work: Work) -> None:
    """One stock receipt per counting act, for the units that the ERP does not have yet."""
    assert work.sale is not None
    groups: dict[str, list[Unit]] = {}
    for unit in work.units.values():
        if _to_book(unit) and not unit.erp_location:
            groups.setdefault(unit.receipt_ref, []).append(unit)
    for receipt_ref, units in groups.items():
        first = units[0]
        work.plan(
            ReceiveGoods(
                order_ref=work.sale.sale_ref,
                order_number=work.sale.order_number,
                rma_number=rma(work),
                place=first.receipt_place,
                location=RECEIVED_INTO,
                items=_items(units),
                occurred_at=first.received_at or work.now,
            ),
            f"{receipt_ref}/{first.unit_id}",
            work.setting.routes.erp,
            f"{len(units)} received at {first.receipt_place}: book the stock where it is not for sale",
            scope=f"sale:{work.sale.sale_ref}",
        )
        for unit in units:
            unit.erp_place, unit.erp_location = first.receipt_place, RECEIVED_INTO


def _target(unit: Unit) -> StockOperation | None:
    """Where the unit has to be in stock; None where it may stay."""
    if unit.goods == "disposition_reversed":
        return _BACK
    if unit.goods not in ("disposition_decided", "quarantined") or not unit.disposition:
        return None
    flags = unit.line.flags if unit.line is not None else ()
    return operation_for(unit.disposition, (*flags, *unit.findings))


def _move(work: Work) -> None:
    """Carry out decided dispositions: one move per receipt and target, after the receipt."""
    groups: dict[tuple[str, str, str, str, StockOperation], list[Unit]] = {}
    for unit in work.units.values():
        target = _target(unit)
        if target is None or not unit.erp_location:
            continue
        if (unit.erp_place, unit.erp_location) != (unit.place, target.location_class):
            key = (unit.erp_place, unit.erp_location, unit.place, unit.disposition, target)
            groups.setdefault(key, []).append(unit)
    for (place, location, place_to, disposition, target), units in groups.items():
        _plan_move(work, units, place, location, place_to, disposition, target)


def _plan_move(
    work: Work,
    units: list[Unit],
    place: str,
    location: str,
    place_to: str,
    disposition: str,
    target: StockOperation,
) -> None:
    assert work.sale is not None
    before = [e for e in work.all_effects() if _touches(e, units)]
    last = before[-1] if before else None
    because = f"{disposition or 'back'} {len(units)} x {units[0].sku}: {units[0].disposition_because}"
    work.plan(
        MoveGoods(
            order_ref=work.sale.sale_ref,
            order_number=work.sale.order_number,
            rma_number=rma(work),
            operation=target.operation,
            disposition=disposition,
            place_from=place,
            location_from=location,
            place_to=place_to,
            location_to=target.location_class,
            items=_items(units),
            receipt_ref=next((e.effect_id for e in before if isinstance(e.command, ReceiveGoods)), ""),
            occurred_at=units[0].since,
            reverses=last.effect_id if target is _BACK and last is not None else "",
        ),
        "/".join([disposition, *(u.unit_id for u in units), str(len(before))]),
        work.setting.routes.erp,
        because,
        scope=f"sale:{work.sale.sale_ref}",
        after=tuple(e.effect_id for e in before),
    )
    for unit in units:
        unit.erp_place, unit.erp_location = place_to, target.location_class


def _instruct(work: Work) -> None:
    """Tell the place that has a unit what to do with it, each time that it changes; also for what is in no book."""
    for unit in work.units.values():
        place = work.setting.routes.place(unit.place) if unit.disposition and not unit.third_party else None
        if place is None or not place.connection or unit.goods not in ("disposition_decided", "quarantined"):
            continue
        sent = (e.command for e in work.effects if isinstance(e.command, InstructDisposition))
        told = [command for command in sent if command.unit_id == unit.unit_id]
        if told and told[-1].disposition == unit.disposition:
            continue
        work.plan(
            InstructDisposition(
                rma_number=rma(work),
                sku=unit.sku,
                quantity=1,
                disposition=unit.disposition,
                reason=unit.disposition_because,
                serial=unit.serial,
                line_ref=unit.line.wanted.line_ref if unit.line else "",
                place=unit.place,
                unit_id=unit.unit_id,
                lot=unit.lot,
            ),
            f"{unit.unit_id}/{unit.disposition}/{len(told)}",
            place.connection,
            f"tell {unit.place} to {unit.disposition} {unit.sku}",
        )


def _settle_states(work: Work) -> None:
    """A disposition is executed when the ERP has posted its move, or the place did it with what is not in our books."""
    for effect in work.effects:
        command = effect.command
        if isinstance(command, InstructDisposition):
            unit = work.units.get(command.unit_id)
            ends = unit is not None and unit.line is None and unit.disposition == command.disposition
            if ends and unit is not None and (report := work.done(effect.effect_id)) is not None:
                unit.move("dispositioned", report[1])
        elif isinstance(command, MoveGoods) and (report := work.done(effect.effect_id)) is not None:
            for unit in (work.units[i] for item in command.items for i in item.unit_ids if i in work.units):
                at_target = (unit.erp_place, unit.erp_location) == (command.place_to, command.location_to)
                if at_target and unit.disposition == command.disposition and unit.goods == "disposition_decided":
                    unit.move("dispositioned", max(report[1], unit.since))


def _touches(effect: Effect, units: list[Unit]) -> bool:
    command = effect.command
    if not isinstance(command, ReceiveGoods | MoveGoods):
        return False
    ids = {unit.unit_id for unit in units}
    return any(ids.intersection(item.unit_ids) for item in command.items)


def _items(units: list[Unit]) -> tuple[StockItem, ...]:
    """Units as stock items: equal pieces together, serials apart."""
    items: dict[tuple[str, str, str, str, str], list[str]] = {}
    for unit in units:
        ref = unit.line.wanted.line_ref if unit.line else ""
        items.setdefault((unit.sku, ref, unit.serial, unit.lot, unit.lot_sold), []).append(unit.unit_id)
    return tuple(
        StockItem(sku, len(ids), ref, serial, lot, tuple(ids), sold)
        for (sku, ref, serial, lot, sold), ids in items.items()
    )


def rma(work: Work) -> str:
    """The number by which people find the case: the channel's RMA, else the tail of our id."""
    given = work.request.rma_number if work.request is not None else ""
    return given or f"RMA-{work.case_id[-8:].upper()}"
