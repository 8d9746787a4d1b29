"""Whatever the order and grouping of returns: the sums close, per component and per tax code."""

from collections.abc import Callable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from counterflow.core.refunds import Entitlement, GiveBack, ReturnedItem, entitle
from counterflow.core.sale import Discount, KitPart, Payment, Promotion, Sale, SoldLine, Tax
from tests.core.refunds.factory import a_payment, a_sale

CODES = ("DE-19", "DE-7", "ECO")


@st.composite
def lines(draw: st.DrawFn, line_ref: str, component: str = "goods") -> SoldLine:
    quantity = draw(st.integers(1, 4)) if component == "goods" else 1
    paid = draw(st.integers(0, 40) | st.integers(0, 10**7))
    codes = draw(st.lists(st.sampled_from(CODES), max_size=3, unique=True))
    taxes, left = [], paid
    for code in codes:
        taxes.append(Tax(code, draw(st.sampled_from((0, 70_000, 190_000))), draw(st.integers(0, left))))
        left -= taxes[-1].amount_minor
    kit: tuple[KitPart, ...] = ()
    if component == "goods" and draw(st.booleans()):
        weights = draw(st.lists(st.integers(0, 1000), min_size=1, max_size=3))
        kit = tuple(KitPart(f"part{i}", draw(st.integers(1, 3)), weight) for i, weight in enumerate(weights))
    discount = draw(st.integers(0, 5000)) if component == "goods" else 0
    unit = -(-(paid + discount) // quantity)
    discounts = (Discount("P", discount),) if discount else ()
    return SoldLine(
        line_ref, f"sku-{line_ref}", quantity, quantity, unit, paid, tuple(taxes), discounts, component, kit=kit
    )


PROMOTIONS = st.one_of(
    st.builds(
        lambda buy, get: Promotion("P", "buy_x_get_y", buy=buy, get=get, lines=("a", "b")),
        st.integers(1, 3),
        st.integers(1, 2),
    ),
    st.builds(
        lambda threshold, amount: Promotion("P", "threshold_amount", threshold_minor=threshold, amount_minor=amount),
        st.integers(0, 10_000),
        st.integers(0, 5000),
    ),
)


@st.composite
def sales(draw: st.DrawFn) -> Sale:
    sold = [draw(lines("a")), draw(lines("b")), draw(lines("ship", "shipping"))]
    return a_sale(
        *sold,
        currency=draw(st.sampled_from(("EUR", "JPY", "KWD"))),
        promotions=tuple(draw(st.lists(PROMOTIONS, max_size=2))),
        prices_include_tax=draw(st.booleans()),
        standard_shipping=draw(st.none() | st.integers(0, 1000)),
    )


@st.composite
def groups(draw: st.DrawFn, sale: Sale, terms: Callable[[st.DrawFn], dict[str, object]]) -> list[list[ReturnedItem]]:
    """Every piece of the sale once, kits sometimes part by part, in any order and grouping."""
    items: list[ReturnedItem] = []
    for line in sale.lines:
        for piece in range(line.quantity):
            names = [(part.sku, number) for part in line.kit for number in range(part.quantity)]
            whole = not line.kit or draw(st.booleans())
            for sku, number in [("", 0)] if whole else names:
                items.append(ReturnedItem(line.line_ref, piece, sku, number, **terms(draw)))  # type: ignore[arg-type]
    shuffled = draw(st.permutations(items))
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(items) - 1)), max_size=3)))
    bounds = [0, *cuts, len(items)]
    return [list(shuffled[low:high]) for low, high in pairwise(bounds) if low < high]


def in_turn(sale: Sale, parts: list[list[ReturnedItem]], give_backs: tuple[GiveBack, ...] = ()) -> list[Entitlement]:
    """One case after the other, each told what the earlier ones have paid."""
    results: list[Entitlement] = []
    prior: list[ReturnedItem] = []
    for part in parts:
        paid = sum(result.total_minor for result in results)
        results.append(entitle(sale, part, prior, give_backs, refunded_minor=paid))
        prior += part
    return results


def figures(results: list[Entitlement]) -> dict[tuple[str, str, str], int]:
    sums: dict[tuple[str, str, str], int] = {}
    for result in results:
        for row in result.components:
            key = (row.line_ref, row.component, row.tax_code)
            sums[key] = sums.get(key, 0) + row.amount_minor
    return {key: amount for key, amount in sums.items() if amount}


def what_was_paid(sale: Sale) -> dict[tuple[str, str, str], int]:
    paid: dict[tuple[str, str, str], int] = {}
    for line in sale.lines:
        paid[line.line_ref, line.component, ""] = line.paid_minor - sum(tax.amount_minor for tax in line.taxes)
        for tax in line.taxes:
            paid[line.line_ref, "tax", tax.code] = tax.amount_minor
    return {key: amount for key, amount in paid.items() if amount}


@given(st.data())
def test_any_partition_and_order_sums_to_what_was_paid_per_component_and_tax_code(data: st.DataObject) -> None:
    sale = data.draw(sales())
    parts = data.draw(groups(sale, lambda draw: {}))
    results = in_turn(sale, parts)
    assert figures(results) == what_was_paid(sale)
    assert sum(result.total_minor for result in results) == sale.captured_minor
    alone = [entitle(sale, part) for part in parts]  # shares are fixed by piece: nothing has to be known of the others
    assert figures(alone) == what_was_paid(sale)
    assert all(row.amount_minor >= 0 for result in alone for row in result.components)


@given(st.data(), st.sampled_from(("re_price", "deny_partial")))
def test_a_promotion_withholds_on_the_way_and_closes_at_the_end(data: st.DataObject, stance: str) -> None:
    sale = data.draw(sales())
    results = in_turn(sale, data.draw(groups(sale, lambda draw: {"promotion": stance})))
    assert sum(result.total_minor for result in results) == sale.captured_minor


def any_terms(draw: st.DrawFn) -> dict[str, object]:
    return {
        "seller_fault": draw(st.booleans()),
        "withdrawal": draw(st.booleans()),
        "refundable": draw(st.booleans()),
        "restocking_fee_ppm": draw(st.integers(0, 2_000_000)),
        "restocking_fee_minor": draw(st.integers(0, 500)),
        "value_loss_ppm": draw(st.integers(0, 2_000_000)),
        "shipping": draw(st.sampled_from(("none", "standard", "full"))),
        "promotion": draw(st.sampled_from(("keep_benefit", "re_price", "deny_partial"))),
    }


@given(st.data(), st.integers(-3, 3) | st.integers(-(10**6), 10**6))
def test_on_any_terms_never_negative_never_above_paid_and_the_rows_sum_to_the_total(
    data: st.DataObject, captured_more: int
) -> None:
    sale = data.draw(sales())
    captured = max(0, sale.paid_minor + captured_more)
    sale = a_sale(*sale.lines, payments=(a_payment(captured),), promotions=sale.promotions)
    parts = data.draw(groups(sale, any_terms))
    gifts = tuple(
        data.draw(st.lists(st.builds(GiveBack, st.integers(0, 10**4), st.sampled_from(("", "a"))), max_size=2))
    )
    results = in_turn(sale, parts, gifts)
    for result in results:
        assert result.total_minor == sum(row.amount_minor for row in result.components) >= 0
        assert 0 <= result.payable_minor <= result.total_minor
    assert sum(result.payable_minor for result in results) <= captured
    assert sum(result.total_minor for result in results) <= max(sale.paid_minor, min(captured, sale.paid_minor + 12))


@given(st.data())
def test_the_order_of_items_and_of_earlier_items_does_not_matter(data: st.DataObject) -> None:
    sale = data.draw(sales())
    parts = data.draw(groups(sale, any_terms))
    items, prior = parts[-1], [item for part in parts[:-1] for item in part]
    one = entitle(sale, items, prior)
    other = entitle(sale, data.draw(st.permutations(items)), data.draw(st.permutations(prior)))
    assert (one.total_minor, one.payable_minor, figures([one])) == (
        other.total_minor,
        other.payable_minor,
        figures([other]),
    )


@given(st.data(), st.integers(-3, 3))
def test_document_rounding_always_ends_at_what_was_captured(data: st.DataObject, cents: int) -> None:
    plain = data.draw(sales())
    captured = plain.paid_minor + cents
    if captured < 0 or abs(cents) > sum(1 + len(line.taxes) for line in plain.lines):
        captured = plain.paid_minor
    sale = a_sale(*plain.lines, payments=(Payment("p", "card", captured),))
    results = in_turn(sale, data.draw(groups(sale, lambda draw: {})))
    assert sum(result.total_minor for result in results) == captured
    assert sum(result.payable_minor for result in results) == captured
    rounding = sum(result.by_component.get("rounding", 0) for result in results)
    assert rounding == captured - sale.paid_minor
