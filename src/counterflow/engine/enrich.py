"""What the stored sales know of a serial, added to the facts that count or inspect it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from counterflow.core.facts import Counted, Fact, ItemInspected, ItemsReceived
from counterflow.store.xref import Target

Targets = Mapping[str, Sequence[Target]]


def serial_refs(fact: Fact) -> Iterable[str]:
    """References to look up before `enrich`."""
    match fact.body:
        case ItemsReceived():
            return [f"serial:{item.serial}" for item in fact.body.items if item.serial]
        case ItemInspected():
            return [f"serial:{fact.body.serial}"] if fact.body.serial else []
        case _:
            return []


def enrich(fact: Fact, targets: Targets, sale_ref: str) -> Fact:
    """The fact with `serial_known` and `sold_to_other` for a case over `sale_ref`; the same if nothing changes."""
    match fact.body:
        case ItemsReceived() as body if any(item.serial for item in body.items):
            items = tuple(_counted(item, targets, sale_ref) for item in body.items)
            return fact if items == body.items else replace(fact, body=replace(body, items=items))
        case ItemInspected() as body if body.serial:
            known, other = look_up(body.serial, targets, sale_ref)
            return replace(fact, body=replace(body, serial_known=known, sold_to_other=other))
        case _:
            return fact


def look_up(serial: str, targets: Targets, sale_ref: str) -> tuple[bool, bool]:
    """(anybody knows it, it was sold and not in this sale)."""
    found = targets.get(f"serial:{serial}", ())
    sold_in = {target.target for target in found if target.kind == "sale"}
    return bool(found), bool(sold_in) and sale_ref not in sold_in


def _counted(item: Counted, targets: Targets, sale_ref: str) -> Counted:
    if not item.serial:
        return item
    known, other = look_up(item.serial, targets, sale_ref)
    return replace(item, serial_known=known, sold_to_other=other)
