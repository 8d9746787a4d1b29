"""Which received thing is which sold piece (edge cases 28-30).

Rounds from the surest sign to the weakest: serial; line and sku and lot; line and sku; sku and lot; sku. The result
depends on the set of things alone, never on the order in which equal things arrive; so it is computed anew from all
receipts of a case. Nothing is refused: what fits no slot is `over` (we sold this sku, and all its pieces are here)
or `wrong` (another sku, or a serial that is none of those sold); the sold piece stays `missing`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from counterflow.core.inventory.serials import same_serial


@dataclass(frozen=True, slots=True)
class Slot:
    """A physical piece that is expected back. `part_sku` and `part_piece` name a kit part, as in ReturnedItem."""

    line_ref: str
    piece: int
    sku: str
    serial: str = ""  # recorded at the sale; empty: none
    lot: str = ""
    part_sku: str = ""
    part_piece: int = 0


@dataclass(frozen=True, slots=True)
class Received:
    """Equal things as counted in one receipt. A thing with a serial is counted alone."""

    sku: str
    quantity: int = 1
    serial: str = ""
    lot: str = ""
    line_ref: str = ""  # a hint from the label or the form; not believed against the sku
    receipt_ref: str = ""


@dataclass(frozen=True, slots=True)
class Assignment:
    slot: Slot
    thing: Received  # quantity 1
    finding: str  # ok | serial_missing (a serial was sold, none was read) | lot_differs


@dataclass(frozen=True, slots=True)
class Matching:
    """Every slot is in `assigned` or `missing`; every thing, piece by piece, in `assigned`, `over` or `wrong`."""

    assigned: tuple[Assignment, ...] = ()
    missing: tuple[Slot, ...] = ()
    over: tuple[Received, ...] = ()
    wrong: tuple[Received, ...] = ()


_Key = tuple[str, ...]
# What slot and thing have to share, the surest first.
_ROUNDS: tuple[tuple[Callable[[Slot], _Key], Callable[[Received], _Key]], ...] = (
    (lambda s: (s.sku, s.serial, "serial") if s.serial else (), lambda t: (t.sku, t.serial, "serial")),
    (lambda s: (s.line_ref, s.sku, s.lot, "lot") if s.lot else (), lambda t: (t.line_ref, t.sku, t.lot, "lot")),
    (lambda s: (s.line_ref, s.sku), lambda t: (t.line_ref, t.sku)),
    (lambda s: (s.sku, s.lot, "lot") if s.lot else (), lambda t: (t.sku, t.lot, "lot")),
    (lambda s: (s.sku,), lambda t: (t.sku,)),
)


def match(slots: Iterable[Slot], things: Iterable[Received]) -> Matching:
    """Assign things to slots. Raises ValueError for a thing counted less than once, or several with one serial."""
    free = sorted((replace(slot, serial=same_serial(slot.serial)) for slot in slots), key=_slot_order)
    loose = sorted((one for thing in things for one in _singles(thing)), key=_thing_order)
    skus = {slot.sku for slot in free}
    assigned: list[Assignment] = []
    for slot_key, thing_key in _ROUNDS:
        waiting: dict[_Key, list[Slot]] = {}
        for slot in free:
            if key := slot_key(slot):
                waiting.setdefault(key, []).append(slot)
        rest = []
        for thing in loose:
            slot_found = _fitting(waiting.get(thing_key(thing), []), thing)
            if slot_found is None:
                rest.append(thing)
            else:
                assigned.append(Assignment(slot_found, thing, _finding(slot_found, thing)))
        loose = rest
        taken = {id(assignment.slot) for assignment in assigned}
        free = [slot for slot in free if id(slot) not in taken]
    wrong_serial = {slot.sku for slot in free if slot.serial}
    is_wrong = [thing.sku not in skus or (bool(thing.serial) and thing.sku in wrong_serial) for thing in loose]
    return Matching(
        tuple(sorted(assigned, key=lambda assignment: _slot_order(assignment.slot))),
        tuple(free),
        tuple(thing for thing, wrong in zip(loose, is_wrong, strict=True) if not wrong),
        tuple(thing for thing, wrong in zip(loose, is_wrong, strict=True) if wrong),
    )


def _fitting(candidates: list[Slot], thing: Received) -> Slot | None:
    """Take the first that is free: for a thing with a serial, only its own slot or one that recorded none."""
    for place, slot in enumerate(candidates):
        if not (slot.serial and thing.serial and slot.serial != thing.serial):
            return candidates.pop(place)
    return None


def _finding(slot: Slot, thing: Received) -> str:
    if slot.serial and not thing.serial:
        return "serial_missing"
    return "lot_differs" if slot.lot and thing.lot and slot.lot != thing.lot else "ok"


def _singles(thing: Received) -> list[Received]:
    serial = same_serial(thing.serial)
    if thing.quantity < 1 or (serial and thing.quantity > 1):
        raise ValueError(f"{thing.quantity} of {thing.sku} {serial}: count one at least, and those with serials singly")
    return [replace(thing, quantity=1, serial=serial)] * thing.quantity


def _slot_order(slot: Slot) -> tuple[str, int, str, int, str, str]:
    return slot.line_ref, slot.piece, slot.part_sku, slot.part_piece, slot.serial, slot.lot


def _thing_order(thing: Received) -> tuple[bool, str, str, str, str, str]:
    """Things with a serial first: they fit fewer slots."""
    return not thing.serial, thing.sku, thing.serial, thing.lot, thing.line_ref, thing.receipt_ref
