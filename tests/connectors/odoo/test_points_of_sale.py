"""Odoo's own tills: their sales and refunds become facts, and what they have booked or paid is not done again."""

from collections.abc import AsyncIterator

import pytest

from counterflow.core.facts import DocumentMoved, Fact, RefundReported, SaleRecorded
from tests.connectors.odoo.lane import Lane, lane


@pytest.fixture
async def odoo() -> AsyncIterator[Lane]:
    async with lane(points_of_sale=["Till 1"]) as found:
        yield found


async def facts(odoo: Lane) -> list[Fact]:
    page = await odoo.connector.pull("points_of_sale", "")
    assert not page.more
    return [item for item in page.items if isinstance(item, Fact)]


async def test_a_sale_is_told_with_lines_taxes_serials_and_payments(odoo: Lane) -> None:
    sold = await odoo.do(
        "sell_at_till", till="Till 1", sku="CAM", price=238.0, net=200.0, method="Card", lots=["CAM-1"]
    )
    [fact] = await facts(odoo)
    assert isinstance(fact.body, SaleRecorded)
    sale = fact.body.sale
    assert (sale.sale_ref, sale.order_number, sale.channel) == (
        f"odoo:order:{sold['order_id']}",
        sold["number"],
        "store",
    )
    [line] = sale.lines
    assert (line.sku, line.quantity, line.paid_minor, line.serials) == ("CAM", 1, 238_00, ("CAM-1",))
    assert [(tax.code, tax.rate_ppm, tax.amount_minor) for tax in line.taxes] == [("19% incl.", 190_000, 38_00)]
    assert [(payment.tender, payment.captured_minor) for payment in sale.payments] == [("card", 238_00)]
    assert fact.refs == (sale.sale_ref, f"order:{sold['number']}")


async def test_a_cash_refund_is_told_with_what_stands_for_its_books(odoo: Lane) -> None:
    sold = await odoo.do("sell_at_till", till="Till 1", sku="MUG", price=11.9, net=10.0)
    back = await odoo.do("sell_at_till", till="Till 1", sku="MUG", price=11.9, net=10.0, refunds=sold["line_id"])
    told = {type(fact.body).__name__ + getattr(fact.body, "posting", ""): fact for fact in await facts(odoo)}
    assert set(told) == {"SaleRecorded", "RefundReported", "DocumentMovedcredit_note", "DocumentMovedrefund_payment"}
    refund = told["RefundReported"].body
    assert isinstance(refund, RefundReported)
    assert (refund.amount_minor, refund.status, refund.tender) == (11_90, "succeeded", "cash")
    assert refund.payment_ref == f"odoo:payment:{sold['order_id']}/cash"
    assert refund.line_refs == (str(sold["line_id"]),)
    for name in ("credit_note", "refund_payment"):
        document = told[f"DocumentMoved{name}"].body
        assert isinstance(document, DocumentMoved)
        assert (document.state, document.amount_minor, document.key) == ("posted", 11_90, "")
    for fact in told.values():
        assert fact.refs[0] == f"odoo:order:{sold['order_id']}"
    assert f"odoo:refund:{back['payment_id']}" in told["RefundReported"].refs


async def test_other_tills_are_left_alone_and_none_is_read_unasked(odoo: Lane) -> None:
    await odoo.do("sell_at_till", till="Till 2", sku="MUG", price=11.9)
    assert await facts(odoo) == []
    async with lane() as quiet:
        await quiet.do("sell_at_till", till="Till 1", sku="MUG", price=11.9)
        before = await quiet.calls()
        assert (await quiet.connector.pull("points_of_sale", "")).items == ()
        assert await quiet.calls() == before
