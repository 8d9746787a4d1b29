"""Odoo's own tills: their sales and refunds become facts, and what they have booked or paid is not done again."""

from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import permutations

import pytest

from counterflow.core.facts import DocumentMoved, Fact, RefundReported, SaleRecorded
from counterflow.core.returns.case import Case
from counterflow.core.returns.decide import decide
from counterflow.sdk.outcomes import Rejected
from tests.connectors.odoo.lane import CONFIG, Lane, lane
from tests.core.returns.telling import SETTING


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


async def test_a_sale_and_its_refund_name_the_place_whose_warehouse_each_till_sells_from() -> None:
    tills = {"Till 1": "ST1", "Till 2": "WH"}
    places = {**CONFIG["places"], "outlet": {"warehouse": "WH", "locations": {}}}  # the first of a warehouse is meant
    async with lane(points_of_sale=list(tills), places=places) as odoo:
        at = {name: {"till": name, "warehouse": code, "sku": "MUG", "price": 11.9} for name, code in tills.items()}
        sold = await odoo.do("sell_at_till", **at["Till 1"])
        await odoo.do("sell_at_till", **at["Till 2"], refunds=sold["line_id"])
        bodies = [fact.body for fact in await facts(odoo)]
        assert [body.sale.place for body in bodies if isinstance(body, SaleRecorded)] == ["store-1"]
        assert [body.place for body in bodies if isinstance(body, RefundReported)] == ["wh-1"]
        assert [fine for what, fine, _ in await odoo.connector.check() if what.startswith("till ")] == [True, True]


async def test_a_till_that_is_nowhere_or_at_no_place_of_ours_is_told_by_doctor() -> None:
    places = {"wh-1": CONFIG["places"]["wh-1"]}
    async with lane(points_of_sale=["Till 1", "Till 9"], places=places) as odoo:
        await odoo.do("sell_at_till", till="Till 1", warehouse="ST1", sku="MUG", price=11.9)
        [fact] = await facts(odoo)
        assert isinstance(fact.body, SaleRecorded) and fact.body.sale.place == ""
        assert {what: move for what, fine, move in await odoo.connector.check() if not fine} == {
            "till Till 1": "add a place with the warehouse that it sells from",
            "till Till 9": "Odoo has no till of that name",
        }


async def test_what_was_sold_leaves_the_till_and_comes_back_there(odoo: Lane) -> None:
    till = {"till": "Till 1", "warehouse": "ST1", "sku": "CAM", "price": 238.0, "lots": ["CAM-1"]}
    sold = await odoo.do("sell_at_till", **till)
    assert await odoo.stock("CAM", "ST1/Stock") == -1
    await odoo.do("sell_at_till", **till, refunds=sold["line_id"])
    assert await odoo.stock("CAM", "ST1/Stock") == 0
    orders = await odoo.rows("pos.order", [], "picking_ids")
    transfers = [id for order in orders for id in order["picking_ids"]]
    lines = await odoo.rows("stock.move.line", [["picking_id", "in", transfers]], "lot_id")
    assert len(lines) == 2 and all(line["lot_id"] for line in lines)
    assert (
        await odoo.connector.pull("documents", "")
    ).items == ()  # a transfer without a sale order is nobody's return


async def test_a_payment_that_a_session_of_a_till_has_booked_is_not_told_as_one_by_hand(odoo: Lane) -> None:
    await odoo.sale(("MUG", 1))
    [invoice] = await odoo.rows("account.move", [["move_type", "=", "out_invoice"]], "name")
    await odoo.do("manual_credit_note", invoice_id=invoice["id"], pay=True, journal="STRIP")
    [paid] = await odoo.rows("account.payment", [["payment_type", "=", "outbound"]], "name")

    async def told() -> list[str]:
        page = await odoo.connector.pull("documents", "")
        return [
            fact.body.posting for fact in page.items if isinstance(fact, Fact) and isinstance(fact.body, DocumentMoved)
        ]

    assert await told() == ["credit_note", "refund_payment"]
    till = (await odoo.do("open_till", till="Till 1"))["till_id"]
    [session] = await odoo.rows("pos.session", [["config_id", "=", till]], "name")
    await odoo.call("account.payment/write", ids=[paid["id"]], vals={"pos_session_id": session["id"]})
    assert await told() == ["credit_note"]


async def test_nothing_is_decided_to_be_done_for_a_refund_at_a_till_whatever_is_heard_first(odoo: Lane) -> None:
    till = {"till": "Till 1", "warehouse": "ST1", "sku": "MUG", "price": 11.9, "net": 10.0}
    sold = await odoo.do("sell_at_till", **till)
    await odoo.do("sell_at_till", **till, refunds=sold["line_id"])
    setting = replace(SETTING, routes=replace(SETTING.routes, cash="odoo"))
    told = await facts(odoo)
    assert len(told) == 4
    heard = decide(decide(Case("rc_1"), told[0], setting).case, told[1], setting)
    assert heard.view.beliefs[-1].says.endswith("of 11.90 USD succeeded at store-1")
    for order in permutations(told):
        case = Case("rc_1")
        for fact in order:
            decision = decide(case, fact, setting)
            case = decision.case
        assert {effect.kind for effect in case.effects} <= {"ReadSale"}  # where the sale was not the first
        view = decision.view
        [leg] = view.legs
        assert (leg.amount_minor, leg.state, leg.origin) == (11_90, "settled", "store")
        assert {(each.kind, each.state, each.origin) for each in view.postings} == {
            ("credit_note", "settled", "erp_user"),
            ("refund_payment", "settled", "erp_user"),
        }
        assert [each.kind for each in view.exceptions] == ["unattributed_refund"]  # nobody has asked for it


async def test_a_refund_in_two_tenders_has_a_credit_note_for_each(odoo: Lane) -> None:
    sold = await odoo.do("sell_at_till", till="Till 1", sku="MUG", price=11.9)
    await odoo.do("sell_at_till", till="Till 1", sku="TEE", price=1.0, method="Card")  # makes the second tender
    [order, *_] = await odoo.rows("pos.order", [["id", "=", sold["order_id"]]], "session_id")
    [line, *_] = await odoo.rows("pos.order.line", [["id", "=", sold["line_id"]]], "product_id")
    cash, card = (row["id"] for row in await odoo.rows("pos.payment.method", [], "name"))
    back = {"qty": -1.0, "price_subtotal": -11.9, "price_subtotal_incl": -11.9, "refunded_orderline_id": line["id"]}
    refund = {
        "uuid": "two",
        "name": "Order 2",
        "session_id": order["session_id"],
        "amount_total": -11.9,
        "lines": [[0, 0, {**back, "product_id": line["product_id"]}]],
        "payment_ids": [
            [0, 0, {"amount": amount, "payment_method_id": id}] for id, amount in ((cash, -10.0), (card, -1.9))
        ],
    }
    await odoo.call("pos.order/sync_from_ui", orders=[refund])
    bodies = [fact.body for fact in await facts(odoo) if fact.refs[0] == f"odoo:order:{sold['order_id']}"]
    assert [(b.tender, b.amount_minor) for b in bodies if isinstance(b, RefundReported)] == [
        ("cash", 10_00),
        ("card", 1_90),
    ]
    notes = [b for b in bodies if isinstance(b, DocumentMoved) and b.posting == "credit_note"]
    assert [note.amount_minor for note in notes] == [10_00, 1_90] and len({note.document_ref for note in notes}) == 2


async def test_the_front_end_is_refused_and_answered_as_by_the_real_one(odoo: Lane) -> None:
    sold = await odoo.do("sell_at_till", till="Till 1", sku="MUG", price=11.9)
    [order] = await odoo.rows("pos.order", [], "uuid", "session_id", "config_id")
    [mug] = await odoo.rows("product.product", [["default_code", "=", "MUG"]], "name")
    line = {"product_id": mug["id"], "qty": -1.0, "price_subtotal": -11.9, "price_subtotal_incl": -11.9}
    back = {
        "uuid": "second",
        "name": "Order 2",
        "session_id": order["session_id"],
        "amount_total": -11.9,
        "lines": [[0, 0, line | {"refunded_orderline_id": sold["line_id"]}]],
        "payment_ids": [],
    }
    method = (await odoo.rows("pos.payment.method", [], "name"))[0]["id"]
    with pytest.raises(Rejected, match="is not fully paid"):
        await odoo.call("pos.order/sync_from_ui", orders=[back])
    back["payment_ids"] = [[0, 0, {"amount": -11.9, "payment_method_id": method}]]
    answer = await odoo.call("pos.order/sync_from_ui", orders=[back])
    assert [row["uuid"] for row in answer["pos.order"]] == [order["uuid"], "second"]
    assert answer["pos.order"][1]["name"] == f"{answer['pos.order'][0]['name']} REFUND"
    again = await odoo.call("pos.order/sync_from_ui", orders=[back])
    assert again["pos.order"][1]["id"] == answer["pos.order"][1]["id"]
    with pytest.raises(Rejected, match="already opened"):
        await odoo.call("pos.session/create", vals_list=[{"config_id": order["config_id"]}])
    await odoo.call("pos.session/close_session_from_ui", ids=[order["session_id"]])
    with pytest.raises(Rejected, match="No open session available"):
        await odoo.call("pos.order/sync_from_ui", orders=[back | {"uuid": "third"}])
