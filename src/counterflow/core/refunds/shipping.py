"""How much of the outbound shipping a set of returned pieces gives back (edge case 14).

Shipping is not spread over pieces: it is given back at the best level that any returned piece's terms name (`none`,
`standard`, `full`). Withdrawal from all delivered goods gives the standard rate back whatever the terms say
(Directive 2011/83/EU, article 13): an express surcharge stays with us. Shipping that is itself listed as returned
(a parcel that never arrived) is given back in full.
"""

from collections.abc import Collection, Iterable

from counterflow.core.refunds.ruler import Unit
from counterflow.core.refunds.terms import ReturnedItem
from counterflow.core.sale import Sale, SoldLine


def given_back(sale: Sale, items: Iterable[ReturnedItem], units: Collection[Unit]) -> dict[str, tuple[int, str]]:
    """line_ref of each shipping line -> (amount with tax, rule), for all refundable `items`, made of `units`."""
    shipping = [line for line in sale.lines if line.component == "shipping"]
    if not shipping:
        return {}
    listed, levels, withdrawn = set(), set(), set()
    refs = {line.line_ref for line in shipping}
    for item in items:
        if item.line_ref in refs:
            listed.add(item.line_ref)
        else:
            levels.add(item.shipping)
            if item.withdrawal:
                withdrawn.add((item.line_ref, item.piece))
    if withdrawn and _all_goods_back(sale, [unit for unit in units if unit[:2] in withdrawn]):
        levels.add("standard")
    standard = sale.standard_shipping_minor
    left = sum(line.paid_minor for line in shipping) if standard is None else max(0, standard)
    amounts: dict[str, tuple[int, str]] = {}
    for line in shipping:
        if line.line_ref in listed or "full" in levels:
            amounts[line.line_ref] = (line.paid_minor, "shipping_full")
        elif "standard" in levels:
            amounts[line.line_ref] = (min(line.paid_minor, left), "shipping_standard")
        left = max(0, left - line.paid_minor)
    return amounts


def _all_goods_back(sale: Sale, units: Collection[Unit]) -> bool:
    """Pieces that were never delivered are cancelled, not returned; of an order with no delivery all have to be."""
    goods = [line for line in sale.lines if line.component == "goods"]
    delivered = any(line.delivered for line in goods)
    return all(_back(line, units) >= (line.delivered if delivered else line.quantity) for line in goods)


def _back(line: SoldLine, units: Collection[Unit]) -> int:
    """Whole pieces; a kit with a part missing is not back."""
    count = sum(unit[0] == line.line_ref for unit in units)
    return count // (sum(part.quantity for part in line.kit) or 1)
