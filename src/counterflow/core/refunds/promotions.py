"""What a return takes away of a promotion's benefit, re-priced under the promotion frozen at the sale (edge cases
1, 2, 5).

The benefit lost is a function of the *set* of pieces that are back, never of the order they came in: what a return
changes is the difference of two sets, and once everything is back nothing is lost. Benefit lost = the discount that
sits on the kept pieces - the discount that they would earn alone. It is never more than the returned pieces are
worth. Where the frozen promotion does not reproduce the discount of the sale (a rounding, a rule that we model too
simply), the customer has the benefit.

A policy that apportions the benefit over paid and free pieces does so when the sale is frozen (discount shares on
every line); otherwise the free piece is paid with 0 and gives 0 back.
"""

from collections.abc import Iterable, Mapping

from counterflow.core.money import allocate
from counterflow.core.refunds.ruler import Unit
from counterflow.core.sale import Promotion, Sale, SoldLine

Lost = dict[tuple[str, str, str], int]  # (rule of the row, promotion, line_ref) -> amount with tax
_SCOPE_ALL_GOODS = frozenset(("threshold_percent", "threshold_amount", "free_shipping"))


def lost_benefit(sale: Sale, lines: Mapping[str, SoldLine], back: Mapping[Unit, tuple[str, int]]) -> Lost:
    """Amounts lost for the units that are back. `back`: unit -> its stance and its worth after deductions."""
    lost: Lost = {}
    gone = _whole_pieces(lines, back)
    re_priced = _whole_pieces(lines, (unit for unit, (stance, _) in back.items() if stance == "re_price"))
    budget = sum(worth for stance, worth in back.values() if stance == "re_price")
    denied: set[Unit] = set()
    for promotion in sale.promotions:
        scope = _scope(sale, lines, promotion)
        kept = sum(line.quantity - len(gone.get(line.line_ref, ())) for line in scope)
        if not kept:
            continue  # nobody enjoys a benefit of goods that are all back
        for unit, (stance, worth) in back.items():
            if stance == "deny_partial" and unit not in denied and any(line.line_ref == unit[0] for line in scope):
                denied.add(unit)
                _add(lost, ("deny_partial", promotion.rule, unit[0]), worth)
        if any(line.line_ref in re_priced for line in scope):
            for key, amount in _re_priced(sale, scope, promotion, gone, re_priced, budget):
                _add(lost, key, amount)
                budget -= amount
    return lost


def _re_priced(
    sale: Sale,
    scope: list[SoldLine],
    promotion: Promotion,
    gone: Mapping[str, set[int]],
    re_priced: Mapping[str, set[int]],
    budget: int,
) -> list[tuple[tuple[str, str, str], int]]:
    """Pieces on other terms (`keep_benefit`) count as kept here, so that their return costs nothing."""
    if promotion.kind == "free_shipping":
        still = sum(line.unit_price_minor * (line.quantity - len(re_priced.get(line.line_ref, ()))) for line in scope)
        lost = _under(promotion, scope, still)
        rule, carrying = "free_shipping_lost", [line for line in sale.lines if lost and line.component == "shipping"]
        weights = [_discount(line, promotion.rule) for line in carrying]
        amount = sum(weights)
    else:
        rule, carrying = "re_price", scope
        weights = [_kept_discount(line, promotion.rule, gone) for line in scope]
        granted = sum(_kept_discount(line, promotion.rule, re_priced) for line in scope)
        unexplained = max(0, sum(_discount(line, promotion.rule) for line in scope) - _earned(promotion, scope, {}))
        amount = min(granted - _earned(promotion, scope, re_priced) - unexplained, sum(weights))
    if amount <= 0 or not any(weights):
        return []
    shares = [_with_tax(sale, line, share) for line, share in zip(carrying, allocate(amount, weights), strict=True)]
    if sum(shares) > budget:
        shares = allocate(budget, shares)
    keys = [(rule, promotion.rule, line.line_ref) for line in carrying]
    return [(key, share) for key, share in zip(keys, shares, strict=True) if share]


def _earned(promotion: Promotion, scope: list[SoldLine], without: Mapping[str, set[int]]) -> int:
    """The discount that the pieces earn that are not in `without`, in the terms that prices are displayed in."""
    counts = [line.quantity - len(without.get(line.line_ref, ())) for line in scope]
    if promotion.kind == "buy_x_get_y":  # the cheapest are free
        group = promotion.buy + promotion.get
        prices = sorted(price for line, n in zip(scope, counts, strict=True) for price in [line.unit_price_minor] * n)
        return sum(prices[: len(prices) // group * promotion.get]) if group else 0
    value = sum(line.unit_price_minor * count for line, count in zip(scope, counts, strict=True))
    if not value or value < promotion.threshold_minor:
        return 0
    return (
        promotion.amount_minor if promotion.kind == "threshold_amount" else value * promotion.percent_ppm // 1_000_000
    )


def _under(promotion: Promotion, scope: list[SoldLine], still: int) -> bool:
    """The threshold was reached by the list prices of the sale, and is not by those still there."""
    return still < promotion.threshold_minor <= sum(line.unit_price_minor * line.quantity for line in scope)


def _scope(sale: Sale, lines: Mapping[str, SoldLine], promotion: Promotion) -> list[SoldLine]:
    if promotion.lines:
        return [lines[line_ref] for line_ref in promotion.lines if line_ref in lines]
    goods = [line for line in sale.lines if line.component == "goods"]
    if promotion.kind in _SCOPE_ALL_GOODS:
        return goods
    return [line for line in goods if _discount(line, promotion.rule)]


def _discount(line: SoldLine, rule: str) -> int:
    return sum(discount.amount_minor for discount in line.discounts if discount.rule == rule)


def _kept_discount(line: SoldLine, rule: str, without: Mapping[str, set[int]]) -> int:
    """The discount of the pieces that are not in `without`.

    By index, as a line that costs nothing has no stretches; rounded up where stretches are rounded down, so that
    what was paid for a piece and its discount are its price.
    """
    minus, quantity = -_discount(line, rule), line.quantity
    away = without.get(line.line_ref, ())
    return sum(minus * (piece + 1) // quantity - minus * piece // quantity for piece in away) - minus


def _with_tax(sale: Sale, line: SoldLine, amount: int) -> int:
    if sale.prices_include_tax:
        return amount
    return amount + sum(amount * tax.rate_ppm // 1_000_000 for tax in line.taxes)


def _whole_pieces(lines: Mapping[str, SoldLine], units: Iterable[Unit]) -> dict[str, set[int]]:
    """line_ref -> pieces that are back as a whole: of a kit, every part."""
    counts: dict[tuple[str, int], int] = {}
    for line_ref, piece, _, _ in units:
        counts[line_ref, piece] = counts.get((line_ref, piece), 0) + 1
    whole: dict[str, set[int]] = {}
    for (line_ref, piece), count in counts.items():
        if count >= (sum(part.quantity for part in lines[line_ref].kit) or 1):
            whole.setdefault(line_ref, set()).add(piece)
    return whole


def _add(lost: Lost, key: tuple[str, str, str], amount: int) -> None:
    lost[key] = lost.get(key, 0) + amount
