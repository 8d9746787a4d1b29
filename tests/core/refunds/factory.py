"""Small sales to return things of."""

from datetime import UTC, datetime

from counterflow.core.refunds import ReturnedItem
from counterflow.core.sale import Discount, KitPart, Payment, Promotion, Sale, SoldLine, Tax

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def a_line(
    line_ref: str = "l1",
    paid: int = 1190,
    quantity: int = 1,
    *,
    tax: int | None = None,
    rate: int = 190_000,
    code: str = "DE-19",
    unit: int | None = None,
    discounts: tuple[Discount, ...] = (),
    component: str = "goods",
    kit: tuple[KitPart, ...] = (),
) -> SoldLine:
    """A line with 19 % included, unless told otherwise."""
    amount = paid * rate // (1_000_000 + rate) if tax is None else tax
    return SoldLine(
        line_ref=line_ref,
        sku=f"sku-{line_ref}",
        quantity=quantity,
        delivered=quantity,
        unit_price_minor=paid // quantity if unit is None else unit,
        paid_minor=paid,
        taxes=(Tax(code, rate, amount),),
        discounts=discounts,
        component=component,
        kit=kit,
    )


def a_sale(
    *lines: SoldLine,
    currency: str = "EUR",
    payments: tuple[Payment, ...] | None = None,
    promotions: tuple[Promotion, ...] = (),
    prices_include_tax: bool = True,
    standard_shipping: int | None = None,
) -> Sale:
    """Paid in full by one card, unless told otherwise."""
    whole = sum(line.paid_minor for line in lines)
    return Sale(
        sale_ref="shop:order:1",
        connection="shop",
        channel="web",
        currency=currency,
        ordered_at=NOW,
        lines=lines,
        payments=(a_payment(whole),) if payments is None else payments,
        promotions=promotions,
        prices_include_tax=prices_include_tax,
        standard_shipping_minor=standard_shipping,
    )


def a_payment(captured: int, tender: str = "card", ref: str = "pay-1", **more: object) -> Payment:
    return Payment(ref, tender, captured, **more)  # type: ignore[arg-type]


def pieces(line: SoldLine, *numbers: int, **terms: object) -> list[ReturnedItem]:
    """These pieces of the line; all if none is named."""
    return [ReturnedItem(line.line_ref, n, **terms) for n in numbers or range(line.quantity)]  # type: ignore[arg-type]
