"""The physical things of a case: one unit for each piece that is expected, and which of them a scanned thing is.

What fits no unit becomes an extra one, with a trouble for a person: nothing that arrived is refused (edge cases 18-20,
28-33).
"""

from collections.abc import Iterator

from counterflow.core.facts import Counted, Fact
from counterflow.core.inventory import explode, policy_word, same_serial, serial_word
from counterflow.core.returns.states import GOODS_HERE
from counterflow.core.returns.work import Line, Unit, Work
from counterflow.core.sale import SoldLine

# What may still be counted at a receipt, the likeliest first.
_CAN_ARRIVE = (
    *("delivered_unreceived", "in_transit", "handed_over", "label_issued", "expected", "not_in_parcel"),
    *("not_expected", "expired", "cancelled", "lost", "denied_goods", "with_third_party"),
)
_RANK = {state: rank for rank, state in enumerate(_CAN_ARRIVE)}
MOST = 1000  # pieces of one line that one message may speak of; a larger number is a mistake


def make(work: Work) -> None:
    """One unit per piece asked for, or per part of a kit. Pieces that another case holds are left to it (19, 59)."""
    for line in work.lines.values():
        at = line.decided_at or work.now
        for n, (piece, part_sku, part, tag) in enumerate(_pieces(work, line)):
            sold = line.sold
            sku = part_sku or (sold.sku if sold is not None else "")
            unit = Unit(f"{line.key}#{n}{tag}", line, sku, piece, at, part_sku=part_sku, part=part)
            if n < len(line.wanted.serials):
                unit.expected_serial = line.wanted.serials[n]
            unit.claimed_elsewhere = _claimed(work, line, piece, part)
            if line.authorisation == "approved":
                if _nothing_comes(line):
                    unit.waived = True
                else:
                    unit.move("expected", at)
            work.units[unit.unit_id] = unit


def _pieces(work: Work, line: Line) -> Iterator[tuple[int, str, int, str]]:
    """(piece, part sku, part piece, tag of its unit id) for everything asked back on a line; piece -1: none is left."""
    wanted, sold = line.wanted, line.sold
    taken = {u.piece for u in work.units.values() if u.line and u.line.wanted.line_ref == wanted.line_ref}
    for n in range(min(wanted.quantity, MOST)):
        if wanted.part_sku:
            each = _each(sold, wanted.part_sku)
            yield n // each, wanted.part_sku, n % each, ""
            continue
        piece = _piece(work, line, n, taken)
        taken.add(piece)
        if sold is None or not sold.kit or piece < 0:
            yield piece, "", 0, ""
        else:
            for need in explode(sold, piece):
                yield piece, need.part_sku, need.part_piece, f"/{need.part_sku}.{need.part_piece}"


def _piece(work: Work, line: Line, n: int, taken: set[int]) -> int:
    """Which sold piece the n-th is: by serial, else the first that nobody ever claimed, else one set free; or -1."""
    sold, ref = line.sold, line.wanted.line_ref
    if sold is None:
        return n
    known = [same_serial(serial) for serial in sold.serials[: sold.quantity]]
    if n < len(line.wanted.serials) and (serial := same_serial(line.wanted.serials[n])) in known:
        piece = known.index(serial)
        return piece if piece not in taken and (ref, piece) not in work.claimed_by_siblings else -1
    for claimed in (work.ever_claimed, work.claimed_by_siblings):
        for piece in range(sold.quantity):
            if piece not in taken and (ref, piece) not in claimed:
                return piece
    return -1


def _each(sold: SoldLine | None, part_sku: str) -> int:
    return next((part.quantity for part in sold.kit if part.sku == part_sku), 1) if sold is not None else 1


def claim_of(unit: Unit) -> tuple[str, int]:
    """What a unit holds of its sale: the line and the piece; the parts of a kit are counted through."""
    assert unit.line is not None
    if unit.line.wanted.part_sku:
        return unit.line.key, unit.piece * _each(unit.line.sold, unit.part_sku) + unit.part
    return unit.line.key, unit.piece


def _claimed(work: Work, line: Line, piece: int, part: int) -> str:
    """The case that holds this piece, if it is another one."""
    if line.sold is None:
        return ""
    if piece < 0:
        others = (case for (ref, _), case in work.claimed_by_siblings.items() if ref == line.wanted.line_ref)
        return next(others, "nothing left")
    if not line.wanted.part_sku:
        return work.claimed_by_siblings.get((line.key, piece), "")
    n = piece * _each(line.sold, line.wanted.part_sku) + part
    whole = work.claimed_by_siblings.get((line.wanted.line_ref, piece), "")
    return work.claimed_by_siblings.get((line.key, n), whole)


def _nothing_comes(line: Line) -> bool:
    """What never arrived or is digital cannot come back; a delivery claim is paid without it."""
    return line.wanted.reason == "not_received" or "digital" in line.flags


# ---- which unit a scanned thing is -----------------------------------------------------------------------------------


def find(work: Work, item: Counted, place: str, receipt_ref: str, *, any_serial: bool = False) -> list[Unit]:
    """The unit that this thing is, or all parts of a kit that was scanned as a whole; empty if it is none of ours.

    Serial first, then what was inspected before its receipt was told (the clocks of two devices differ), then what is
    on its way before what was given up. A second receipt of a unit that is here already, at
    another place, is the same unit travelling on (store to warehouse).
    """
    serial = same_serial(item.serial)
    holder = _holder(work, serial)
    if holder is not None and not any_serial:
        return [holder] if holder.uncounted or _travels(holder, place, receipt_ref) else []
    best: tuple[int, int, int] | None = None
    found: Unit | None = None
    for index, unit in enumerate(work.units.values()):
        line = unit.line
        if line is None or (item.line_ref and line.wanted.line_ref != item.line_ref):
            continue
        as_kit = bool(unit.part_sku) and line.sold is not None and item.sku == line.sold.sku
        if unit.sku != item.sku and not as_kit:
            continue
        if not any_serial and not fits(unit, serial, item.sold_to_other):
            continue
        rank = -1 if unit.uncounted else _RANK.get(unit.goods)
        if rank is None:
            if not _travels(unit, place, receipt_ref):
                continue
            rank = len(_RANK)
        key = (0 if serial and same_serial(unit.expected_serial) == serial else 1, rank, index)
        if best is None or key < best:
            best, found = key, unit
    if found is None:
        return []
    if found.part_sku and found.sku != item.sku:
        mates = (u for u in work.units.values() if u.line is found.line and u.piece == found.piece)
        return [u for u in mates if u.goods in _RANK]
    return [found]


def _holder(work: Work, serial: str) -> Unit | None:
    """The unit that is here with this serial."""
    if not serial:
        return None
    return next((u for u in work.units.values() if u.goods in GOODS_HERE and same_serial(u.serial) == serial), None)


def written(line: Line | None, serial: str) -> str:
    """A serial as the sale recorded it, so that other systems find it again; else as it was scanned."""
    sold = line.sold.serials if line is not None and line.sold is not None else ()
    plain = same_serial(serial)
    return next((each for each in sold if same_serial(each) == plain), serial)


def _travels(unit: Unit, place: str, receipt_ref: str) -> bool:
    return unit.goods == "received" and unit.place != place and unit.receipt_ref != receipt_ref


def fits(unit: Unit, serial: str, sold_to_other: bool = False) -> bool:
    """Whether a thing with this serial (as `same_serial` gives it) can be the unit that was sold."""
    if not serial:
        return True
    if unit.expected_serial:
        return serial == same_serial(unit.expected_serial)
    return judge(unit.line, serial, sold_to_other) == "ok"


def judge(line: Line | None, serial: str, sold_to_other: bool = False) -> str:
    """What a serial says against those that were sold; ok where the sale recorded none to compare with."""
    sold = line.sold.serials if line is not None and line.sold is not None and not line.wanted.part_sku else ()
    if not sold and not sold_to_other:
        return "ok"
    return serial_word(serial, sold, sold_to_other)


# ---- what is none of ours --------------------------------------------------------------------------------------------


def extra(work: Work, item: Counted, place: str, receipt_ref: str, n: int, fact: Fact) -> Unit:
    """A thing that nobody expected: the wrong one, one too many, or something of which we know no sale."""
    serial = same_serial(item.serial)
    unit_id = f"extra/{receipt_ref}/{item.serial or item.sku}#{n}"
    while unit_id in work.units:
        unit_id += "+"
    unit = Unit(unit_id, None, item.sku, -1, fact.occurred_at, serial=item.serial, lot=item.lot)
    unit.goods = "received_unidentified"
    mine = [u for u in work.units.values() if u.line is not None and u.sku == item.sku]
    again = _holder(work, serial) is not None
    if serial and mine and (again or not any(fits(u, serial, item.sold_to_other) for u in mine)):
        unit.goods = "wrong_item"
        expected = _expected_again(work, unit, item, mine, again)
        if expected is not None:
            return expected
    elif work.sale is None:
        work.trouble(
            "blind_return",
            unit_id,
            f"{item.quantity} x {item.sku} arrived at {place} without a sale: attach the order or the customer",
        )
    elif (sold := next((s for s in work.sale.lines if s.sku == item.sku), None)) is not None:
        work.trouble(
            "over_receipt",
            unit_id,
            f"one {item.sku} more than announced arrived at {place}: match it to another order, or offer it back",
            sold.paid_minor // max(sold.quantity, 1),
        )
    else:
        unit.goods = "wrong_item"
        work.trouble(
            "wrong_item",
            unit_id,
            f"{item.sku} arrived at {place} and was not sold in {work.sale.order_number or work.sale.sale_ref}: "
            "keep it safe, find its owner, and offer it back",
        )
    work.units[unit_id] = unit
    return unit


def _expected_again(work: Work, unit: Unit, item: Counted, mine: list[Unit], again: bool) -> Unit | None:
    """Raise the mismatch; once a person has accepted the thing, it stands for the piece that was sold."""
    word = judge(mine[0].line, same_serial(unit.serial), item.sold_to_other)
    unit.serial_result = "already_returned" if again else policy_word(word)
    if not again and work.resolution("serial_mismatch", unit.unit_id) == "accept":
        expected = [u for u in mine if u.goods in _RANK]
        if expected:
            return expected[0]
    known = ", ".join(sorted({u.expected_serial for u in mine if u.expected_serial})) or "another serial"
    what = f"serial {unit.serial} of {unit.sku} was not sold here, {known} was."
    if again:
        what = f"serial {unit.serial} of {unit.sku} has been counted before: it cannot come back twice."
    elif word == "sold_to_other":
        what += " It was sold to another customer: look at that sale too."
    work.trouble(
        "serial_mismatch",
        unit.unit_id,
        f"{what} The refund is held: compare photos and weights, then accept it or send it back",
        mine[0].line.unit_minor if mine[0].line is not None else 0,
    )
    return None
