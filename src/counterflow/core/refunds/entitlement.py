"""What the customer is owed for the pieces that come back, component by component, by the sale as it was.

    goods, tax, deposits, ... of each piece     its fixed stretch of what was paid (ruler.py)
  - give-backs, restocking fee, loss of value   of each piece, together never more than the piece
  - promotion benefit no longer earned          of the set of pieces (promotions.py)
  + shipping                                    of the set of pieces (shipping.py)
  +- rounding                                   so that everything sums to what was captured (edge case 9)

What depends on the set is computed for the pieces that are back with and without the new ones, and the difference
is owed. So cases in any order and grouping come to the same sum, and all of it to exactly what was paid.
"""

from collections.abc import Mapping, Sequence

from counterflow.core.money import allocate
from counterflow.core.refunds.promotions import Lost, lost_benefit
from counterflow.core.refunds.ruler import Stretch, Unit, check, split_taxes, units_of
from counterflow.core.refunds.shipping import given_back
from counterflow.core.refunds.terms import Component, Entitlement, GiveBack, ReturnedItem
from counterflow.core.sale import Sale, SoldLine

_PPM = 1_000_000
_Rows = list[Component]


def entitle(
    sale: Sale,
    items: Sequence[ReturnedItem],
    prior: Sequence[ReturnedItem] = (),
    give_backs: Sequence[GiveBack] = (),
    *,
    refunded_minor: int | None = None,
    return_cost_minor: int = 0,
) -> Entitlement:
    """The entitlement for `items`, given the pieces that came back in earlier cases (`prior`) on their own terms.

    `refunded_minor`: what was already paid for this sale outside this case, where it is known; caps the total at
    what all pieces are worth less that sum. Do not include the legs of this case: the entitlement is for all of its
    items, and what its legs have paid is compared with it. `return_cost_minor`: what sending back cost the
    customer, where we owe it (edge case 14).

    Items that are also in `prior` are owed nothing again. Raises ValueError for an unknown line, a piece that was not
    sold, a piece listed twice, or a line that cannot be divided.
    """
    lines = {line.line_ref: line for line in sale.lines}
    reduced = _give_backs_by_line(sale, give_backs) if give_backs else {}
    back: dict[Unit, tuple[str, int]] = {}  # what is back on refundable terms: stance and worth
    seen: set[Unit] = set()
    if prior:
        _piece_rows(lines, prior, reduced, back, seen, [])
    before = dict(back) if prior and sale.promotions else {}
    before_units = set(back) if prior else set()

    rows: _Rows = []
    _piece_rows(lines, items, reduced, back, seen, rows, strict=True)
    if sale.promotions and (back or before):
        _promotion_rows(lines, lost_benefit(sale, lines, before), lost_benefit(sale, lines, back), rows)
    if any(line.component == "shipping" for line in sale.lines):
        _shipping_rows(sale, lines, prior, items, before_units, back, rows)

    total = sum([row[3] for row in rows])
    paid, captured = sale.paid_minor, sale.captured_minor
    unpaid = _unpaid(sale, paid, captured)
    if total < 0 or paid != captured or refunded_minor is not None:
        earlier = entitle(sale, prior, (), give_backs).total_minor if prior else 0
        total = _bounded(sale, rows, total, earlier, refunded_minor, complete=_complete(lines, back))
        payable = max(0, earlier + total - unpaid) - max(0, earlier - unpaid)
    else:
        payable = total
    if return_cost_minor > 0:
        rows.append(Component("", -1, "return_cost", return_cost_minor, "return_cost"))
        total += return_cost_minor
        payable += return_cost_minor
    return Entitlement(sale.currency, tuple(rows), total, payable)


def _piece_rows(
    lines: Mapping[str, SoldLine],
    items: Sequence[ReturnedItem],
    reduced: Mapping[str, int],
    back: dict[Unit, tuple[str, int]],
    seen: set[Unit],
    rows: _Rows,
    strict: bool = False,
) -> None:
    """Rows that depend on one piece alone. `strict`: the same piece twice among `items` is an error, not a repeat."""
    listed: set[Unit] = set()
    checked: set[str] = set()
    for item in items:
        line = lines.get(item.line_ref)
        if line is None:
            raise ValueError(f"the sale has no line {item.line_ref!r}: fetch the newest version of the order first")
        if item.line_ref not in checked:
            check(line)
            checked.add(item.line_ref)
        units = units_of(line, item.piece, item.part_sku, item.part_piece)
        if strict:
            if not listed.isdisjoint(unit for unit, _ in units):
                raise ValueError(f"piece {item.piece} of line {item.line_ref} is listed twice: list each piece once")
            listed.update(unit for unit, _ in units)
        units = [pair for pair in units if pair[0] not in seen]
        seen.update(unit for unit, _ in units)
        if not units or not item.refundable:
            continue
        gross = 0
        for unit, (low, high) in units:
            gross += high - low
            if line.component != "shipping":
                _stretch_rows(line, unit, low, high, line.component, 1, "kit_split" if unit[2] else "paid_share", rows)
        worth = gross
        if worth and reduced and line.line_ref in reduced:
            worth -= _give_back_rows(line, units, reduced[line.line_ref], rows)
        if not item.seller_fault and (item.restocking_fee_ppm or item.restocking_fee_minor):
            fee = min(worth, gross * item.restocking_fee_ppm // _PPM + max(0, item.restocking_fee_minor))
            if fee > 0:
                rows.append(Component(line.line_ref, item.piece, "fee", -fee, "restocking_fee", part=item.part_sku))
                worth -= fee
        if item.value_loss_ppm and (loss := min(worth, gross * item.value_loss_ppm // _PPM)) > 0:
            rows.append(Component(line.line_ref, item.piece, "value_loss", -loss, "value_loss", part=item.part_sku))
            worth -= loss
        for place, (unit, _) in enumerate(units):
            back[unit] = (item.promotion, 0 if place else worth)


def _stretch_rows(
    line: SoldLine, unit: Unit, low: int, high: int, component: str, sign: int, rule: str, rows: _Rows
) -> None:
    net, taxes = split_taxes(line, low, high)
    line_ref, piece, part, _ = unit
    rows.append(Component(line_ref, piece, component, sign * net, rule, "", "", part))
    for code, tax in taxes:
        rows.append(Component(line_ref, piece, "tax", sign * tax, rule, code, component, part))


def _give_back_rows(line: SoldLine, units: list[tuple[Unit, Stretch]], reduced: int, rows: _Rows) -> int:
    """The line's give-back is laid over its ruler, so that each piece carries its part of it with its tax."""
    whole, sum_minor = line.paid_minor, 0
    for unit, (low, high) in units:
        start, end = reduced * low // whole, reduced * high // whole
        if end > start:
            _stretch_rows(line, unit, start, end, "discount_given_back", -1, "give_back", rows)
            sum_minor += end - start
    return sum_minor


def _give_backs_by_line(sale: Sale, give_backs: Sequence[GiveBack]) -> dict[str, int]:
    """line_ref -> what was given back for it, at most what was paid."""
    reduced: dict[str, int] = {}
    goods = [line for line in sale.lines if line.component == "goods"]
    for give_back in give_backs:
        if give_back.amount_minor < 0:
            raise ValueError(
                f"give-back {give_back.rule} is {give_back.amount_minor}: send the amount given as positive"
            )
        if give_back.line_ref:
            reduced[give_back.line_ref] = reduced.get(give_back.line_ref, 0) + give_back.amount_minor
        elif goods:
            for line, share in zip(goods, allocate(give_back.amount_minor, [x.paid_minor for x in goods]), strict=True):
                reduced[line.line_ref] = reduced.get(line.line_ref, 0) + share
    return {
        line.line_ref: min(line.paid_minor, reduced[line.line_ref]) for line in sale.lines if reduced.get(line.line_ref)
    }


def _promotion_rows(lines: Mapping[str, SoldLine], old: Lost, new: Lost, rows: _Rows) -> None:
    for key in sorted(old.keys() | new.keys()):
        rule, _, line_ref = key
        before, after = old.get(key, 0), new.get(key, 0)
        if before == after:
            continue
        component = "fee" if rule == "free_shipping_lost" else "discount_given_back"
        rates = [(tax.code, tax.rate_ppm) for tax in lines[line_ref].taxes]
        whole, net = _PPM + sum(rate for _, rate in rates), before - after
        taxes = [(code, before * rate // whole - after * rate // whole) for code, rate in rates]
        net -= sum(tax for _, tax in taxes)
        rows.append(Component(line_ref, -1, component, net, rule))
        rows.extend(Component(line_ref, -1, "tax", tax, rule, code, component) for code, tax in taxes)


def _shipping_rows(
    sale: Sale,
    lines: Mapping[str, SoldLine],
    prior: Sequence[ReturnedItem],
    items: Sequence[ReturnedItem],
    before: set[Unit],
    back: Mapping[Unit, tuple[str, int]],
    rows: _Rows,
) -> None:
    earlier = [item for item in prior if item.refundable]
    old = given_back(sale, earlier, before) if earlier else {}
    new = given_back(sale, [*earlier, *(item for item in items if item.refundable)], back)
    for line_ref, (amount, rule) in new.items():
        start = old.get(line_ref, (0, ""))[0]
        if amount > start:
            _stretch_rows(lines[line_ref], (line_ref, 0, "", 0), start, amount, "shipping", 1, rule, rows)


def _unpaid(sale: Sale, paid: int, captured: int) -> int:
    """What the customer still owes; a difference within one minor unit per line and tax is rounding, not debt."""
    return paid - captured if paid - captured > _tolerance(sale) else 0


def _tolerance(sale: Sale) -> int:
    return sum(1 + len(line.taxes) for line in sale.lines)


def _bounded(sale: Sale, rows: _Rows, total: int, earlier: int, refunded_minor: int | None, *, complete: bool) -> int:
    """Append what keeps the total within zero and what was paid, and return it."""
    paid, captured = sale.paid_minor, sale.captured_minor
    if total < 0:
        rows.append(Component("", -1, "discount_given_back", -total, "not_below_zero"))
        total = 0
    if abs(captured - paid) <= _tolerance(sale):
        cent = min(0, captured - earlier - total)
        if captured > paid and complete and earlier + total == paid:
            cent = captured - paid
        if cent and total + cent >= 0:
            rows.append(Component("", -1, "rounding", cent, "rounding"))
            total += cent
    if refunded_minor is not None and (over := min(total, refunded_minor - earlier)) > 0:
        rows.append(Component("", -1, "discount_given_back", -over, "refunded_before"))
        total -= over
    return total


def _complete(lines: Mapping[str, SoldLine], back: Mapping[Unit, tuple[str, int]]) -> bool:
    """Everything is back; shipping is judged by its amount (the sum has to come to what was paid)."""
    needed = sum(
        line.quantity * (sum(part.quantity for part in line.kit) or 1)
        for line in lines.values()
        if line.component != "shipping"
    )
    return sum(lines[unit[0]].component != "shipping" for unit in back) >= needed
