"""What a till says becomes facts, and what it is asked to do is done once; format: docs/connectors/pos.md."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from counterflow.connectors.pos.conformance import Harness as Till
from counterflow.connectors.pos.simulator import create_app
from counterflow.core.effects import AnswerReturn, CreateReplacement, PayLeg, ReadSale, UnitResult, UpdateChannel
from counterflow.core.facts import (
    Counted,
    Fact,
    ItemInspected,
    ItemsReceived,
    RefundReported,
    RequestedLine,
    ReturnRequested,
    SaleRecorded,
)
from counterflow.core.sale import Payment, SoldLine
from counterflow.sdk.connector import Signal
from counterflow.sdk.outcomes import Accepted, Done, Malformed, NotFound, Rejected, Transient

AT = "2026-03-01T10:30:00+01:00"


@pytest.fixture
def till() -> Till:
    return Till()


async def heard(till: Till) -> list[Fact]:
    """The facts of everything that the till has sent."""
    found = [fact for delivery in await till.told() for fact in till.connector.translate(delivery)]
    assert not any(isinstance(item, Signal) for item in found)
    return found  # type: ignore[return-value]


def told(till: Till, kind: str, data: dict[str, Any], connector: Any = None, /, **event: Any) -> list[Fact]:
    """The facts of one event as somebody's till writes it."""
    body = {"id": "evt_1", "type": kind, "sequence": 4, "timestamp": AT, "data": data, **event}
    facts = (connector or till.connector).translate(till.sign(json.dumps(body).encode()))
    return list(facts)


RECEIVED: dict[str, Any] = {
    "receipt_id": "R-1",
    "store": "store-1",
    "lines": [{"sku": "TEE", "quantity": 1}],
}
REFUND: dict[str, Any] = {"refund_id": "RF-1", "method": "cash", "amount_minor": 500, "currency": "EUR"}


# ---- events ----------------------------------------------------------------------------------------------------------


async def test_goods_over_the_counter(till: Till):
    receipt = await till.act(
        "receive",
        order_number="#1001",
        rma_number="RMA-9",
        lines=[
            {"sku": "CAM", "quantity": 1, "serial": "CAM-0001"},
            {"barcode": "4006381333931", "quantity": 2, "lot": "LOT-A", "line_ref": "L2", "condition": "damaged"},
        ],
    )
    (fact,) = await heard(till)
    assert fact.refs == (
        "rma:RMA-9",
        "order:#1001",
        f"here:receipt:{receipt['receipt_id']}",
        "serial:CAM-0001",
    )
    assert fact.origin == "store" and fact.body == ItemsReceived(
        f"here:receipt:{receipt['receipt_id']}",
        "store-1",
        (
            Counted("CAM", 1, "CAM-0001"),
            Counted("4006381333931", 2, "", "LOT-A", "L2", "damaged_parcel"),
        ),
        complete=False,
    )


async def test_an_inspection_at_the_counter_finds_its_receipt(till: Till):
    receipt = await till.act("receive", order_number="#1001", lines=[{"sku": "TEE", "quantity": 1}])
    first = await till.act(
        "inspect",
        receipt_id=receipt["receipt_id"],
        grade="C",
        findings=[{"code": "worn", "note": "smells"}, {"code": "lot_expired"}, {"code": "stained"}],
        inspected_by="ada",
    )
    await till.act("inspect", receipt_id=receipt["receipt_id"], grade="B", supersedes=first["inspection_id"])
    _, seen, again = await heard(till)
    ref = f"here:inspection:{first['inspection_id']}"
    assert seen.refs == (f"here:receipt:{receipt['receipt_id']}",)
    assert seen.body == ItemInspected(
        ref,
        "store-1",
        "TEE",
        "C",
        findings=("used_beyond_testing", "lot_expired", "stained"),
        lot_status="expired",
        inspector="ada",
    )
    assert isinstance(again.body, ItemInspected) and (again.body.inspection_ref, again.body.grade) == (ref, "B")
    assert again.fact_id != seen.fact_id


async def test_a_return_that_starts_at_the_till(till: Till):
    line = {"line_ref": "L1", "quantity": 1, "reason": "does_not_fit", "remedy": "exchange", "serial": "S1"}
    asked = await till.act("request_return", order_ref="shop:order:77", order_number="#1001", lines=[line])
    await till.act("request_return", sale_id="S-000001", authorised=True, lines=[{"line_ref": "L1", "quantity": 2}])
    first, second = await heard(till)
    assert first.refs == (f"here:return:{asked['return_id']}", "order:#1001", "serial:S1")
    assert first.body == ReturnRequested(
        f"here:return:{asked['return_id']}",
        "shop:order:77",
        (RequestedLine("L1", 1, "does_not_fit", "unknown", "exchange", ("S1",)),),
        version=1,
    )
    body = second.body
    assert isinstance(body, ReturnRequested) and body.authorised_by_channel and body.sale_ref == "here:order:S-000001"


def test_the_goods_of_a_return_find_it(till: Till):
    (fact,) = told(till, "return.received", {**RECEIVED, "return_id": "RR-1", "order_number": "#1"})
    assert fact.refs == ("here:return:RR-1", "order:#1", "here:receipt:R-1")


async def test_an_order_of_a_known_shop_can_be_read_by_its_number(till: Till):
    pos = till.connect(shop="shop")
    (received,) = told(till, "return.received", {**RECEIVED, "order_number": "#1001"}, pos)
    assert received.refs[-1] == "shop:order:#1001"
    lines = [{"line_ref": "L1", "quantity": 1}]
    (asked,) = told(till, "return.requested", {"return_id": "RR", "order_number": "#1", "lines": lines}, pos)
    assert isinstance(asked.body, ReturnRequested) and asked.body.sale_ref == "shop:order:#1"


def test_a_store_may_have_another_name_with_us(till: Till):
    pos = till.connect(places={"Berlin Mitte": "store-1"})
    for name, place in (("Berlin Mitte", "store-1"), ("Ulm", "Ulm")):
        (fact,) = told(till, "return.received", {**RECEIVED, "store": name}, pos)
        assert isinstance(fact.body, ItemsReceived) and fact.body.place == place
        (fact,) = told(till, "refund.paid", {**REFUND, "store": name}, pos)
        assert isinstance(fact.body, RefundReported) and fact.body.place == place
        (fact,) = told(till, "sale.recorded", {"sale_id": "S-1", "currency": "EUR", "lines": [], "store": name}, pos)
        assert isinstance(fact.body, SaleRecorded) and fact.body.sale.place == place


async def test_a_cashier_pays_on_his_own_and_a_card_refund_comes_back(till: Till):
    sale = await till.sell("EUR", 19_90)
    paid = await till.act(
        "refund_by_hand", method="card", amount_minor=5_00, currency="EUR", sale_id=sale["sale_id"], cashier="ada"
    )
    await till.act("fail_refund", refund_id=paid["refund_id"], reason="card closed")
    _, first, second = await heard(till)
    ref, order = f"here:refund:{paid['refund_id']}", f"here:order:{sale['sale_id']}"
    payment = f"here:payment:{sale['sale_id']}/card"
    success = RefundReported(
        ref, payment, 5_00, "EUR", "succeeded", 2, tender="card", acquirer_ref="CARD-000001", place="store-1"
    )
    assert first.body == success
    assert first.refs == (ref, order) and first.origin == "store"
    assert second.body == replace(success, status="failed", version=3, reason="card closed")


async def test_our_own_refund_is_told_with_our_key_and_another_programs_key_is_none(till: Till):
    effect = await till.sample("PayLeg")
    (done,) = await till.connector.send([effect])
    fact = (await heard(till))[-1]
    assert isinstance(done, Done) and isinstance(fact.body, RefundReported)
    assert (fact.body.key, fact.origin, fact.refs[0]) == (effect.effect_id, "ours", f"effect:{effect.effect_id}")
    assert done.ref == fact.body.refund_ref in fact.refs
    (other,) = told(till, "refund.paid", {**REFUND, "key": "till-4711", "order_number": "#1"})
    assert isinstance(other.body, RefundReported)
    assert (other.body.key, other.body.payment_ref, other.origin) == ("", "cash", "store")


async def test_a_sale_at_the_counter(till: Till):
    sale = await till.act(
        "sell",
        lines=[
            {"sku": "CAM", "quantity": 1, "unit_price_minor": 399_00, "serial": "CAM-0001"},
            {"sku": "MUG", "quantity": 2, "unit_price_minor": 10_00},
        ],
        tenders=[
            {"method": "card", "amount_minor": 400_00, "reference": "T1"},
            {"method": "cash", "amount_minor": 20_00, "reference": None},
            {"method": "cash", "amount_minor": -1_00, "reference": None},
        ],
    )
    (fact,) = await heard(till)
    assert isinstance(fact.body, SaleRecorded)
    got, id_ = fact.body.sale, sale["sale_id"]
    assert (got.sale_ref, got.channel, got.order_number, got.version) == (f"here:order:{id_}", "store", id_, 1)
    assert got.ordered_at == got.delivered_at == fact.occurred_at
    assert got.lines == (
        SoldLine(f"{id_}/1", "CAM", 1, 1, 399_00, 399_00, tracking="serial", serials=("CAM-0001",)),
        SoldLine(f"{id_}/2", "MUG", 2, 2, 10_00, 20_00),
    )
    assert got.payments == (
        Payment(f"here:payment:{id_}/card", "card", 400_00, "here"),
        Payment(f"here:payment:{id_}/cash", "cash", 19_00, "here"),
    )
    (read,) = await till.connector.send([till.effect(ReadSale(got.sale_ref))])
    assert isinstance(read, Done) and isinstance(read.facts[0].body, SaleRecorded)
    assert replace(read.facts[0].body.sale, version=1) == got
    with pytest.raises(NotFound):
        await till.connector.send([till.effect(ReadSale("here:order:S-999999"))])


# ---- time and identity -----------------------------------------------------------------------------------------------


def test_time_is_the_devices_unless_it_cannot_be(till: Till):
    now = till.clock.now()
    for said, expected in (
        (AT, datetime(2026, 3, 1, 9, 30, tzinfo=UTC)),
        ((now + timedelta(hours=3)).isoformat(), None),  # ahead of us: when we heard of it
        ("1970-01-01T00:00:12Z", None),  # a clock that was never set
    ):
        (fact,) = told(till, "return.received", {**RECEIVED, "occurred_at": said})
        assert fact.occurred_at == (expected or fact.seen_at)
    (fact,) = told(till, "return.received", RECEIVED)
    assert fact.occurred_at == datetime(2026, 3, 1, 9, 30, tzinfo=UTC), "without one, the event's own time"


async def test_webhook_and_sweep_tell_the_same_facts_and_an_outage_loses_none(till: Till):
    await till.act("go_offline")
    for n in range(5):
        await till.act("receive", order_number=f"#{n}", lines=[{"sku": "TEE", "quantity": 1}])
        till.clock.advance(60)
    await till.act("go_online")
    by_webhook = {fact.fact_id: fact.body for fact in await heard(till)}
    by_sweep: dict[str, Any] = {}
    cursor, more = "", True
    while more:
        page = await till.connector.pull("receipts", cursor)
        by_sweep |= {fact.fact_id: fact.body for fact in page.items if isinstance(fact, Fact)}
        cursor, more = page.cursor, page.more
    assert by_webhook == by_sweep and len(by_sweep) == 5


async def test_an_event_that_breaks_the_form_stops_no_other(till: Till):
    good = {"id": "e1", "type": "return.received", "timestamp": AT, "data": RECEIVED}
    bad = {"id": "e2", "type": "return.received", "timestamp": AT, "data": {**RECEIVED, "lines": [{"quantity": -1}]}}
    for event in (bad, good):
        till.world.put("events", str(event["id"]), event)
    page = await till.connector.pull("receipts", "")
    signal, fact = page.items
    assert isinstance(signal, Signal) and isinstance(fact, Fact)
    with pytest.raises(Malformed, match="quantity"):
        await till.connector.fetch(signal.feed, signal.ref)
    till.world.put("events", "e2", good | {"id": "e2"})
    (mended,) = await till.connector.fetch(signal.feed, signal.ref)
    assert mended.kind == "ItemsReceived"
    for ref in ("9@", "x@", "@", "1", "-1@"):
        with pytest.raises(NotFound):
            await till.connector.fetch("receipts", ref)


# ---- what breaks the form --------------------------------------------------------------------------------------------

_LINE = {"sku": "TEE", "quantity": 1}


@pytest.mark.parametrize(
    ("kind", "data", "field"),
    [
        *(
            ("return.received", {**RECEIVED, "lines": [{**_LINE, "quantity": quantity}]}, "data.lines[0].quantity")
            for quantity in (-1, 0, 1.0, "1", True, 100_001, 10**30, None)
        ),
        ("return.received", {**RECEIVED, "lines": [{**_LINE, "quantity": 2, "serial": "S"}]}, "data.lines[0].quantity"),
        ("return.received", {**RECEIVED, "lines": "TEE"}, "data.lines"),
        ("return.received", {**RECEIVED, "lines": [_LINE] * 1001}, "data.lines"),
        ("return.received", {**RECEIVED, "lines": [7]}, "data.lines[0]"),
        ("return.received", {**RECEIVED, "receipt_id": ""}, "data.receipt_id"),
        ("return.received", {**RECEIVED, "receipt_id": "R\x00"}, "data.receipt_id"),
        ("return.received", {**RECEIVED, "store": None}, "data.store"),
        ("return.received", {**RECEIVED, "store": "x" * 501}, "data.store"),
        ("return.received", {**RECEIVED, "occurred_at": "2026-03-01T09:30:00"}, "data.occurred_at"),
        ("return.received", {**RECEIVED, "occurred_at": "yesterday"}, "data.occurred_at"),
        ("return.received", {**RECEIVED, "occurred_at": 7}, "data.occurred_at"),
        ("return.received", {**RECEIVED, "complete": "yes"}, "data.complete"),
        ("return.inspected", {"inspection_id": "I", "store": "s", "sku": "T", "grade": "E"}, "data.grade"),
        ("return.requested", {"return_id": "RR-1", "lines": []}, "data.lines"),
        ("return.requested", {"return_id": "R", "lines": [{"line_ref": "1", **_LINE}], "zone": "+99:99"}, "data.zone"),
        ("refund.paid", {**REFUND, "amount_minor": -500}, "data.amount_minor"),
        ("refund.paid", {**REFUND, "amount_minor": 5.5}, "data.amount_minor"),
        ("refund.paid", {**REFUND, "amount_minor": 10**13}, "data.amount_minor"),
        ("refund.paid", {**REFUND, "currency": "euro"}, "data.currency"),
        ("refund.failed", {**REFUND, "method": "gold"}, "data.method"),
        ("sale.recorded", {"sale_id": "S", "currency": "EUR", "lines": [{"sku": "T"}]}, "data.lines[0].quantity"),
    ],
)
def test_what_breaks_the_form_names_its_field(till: Till, kind: str, data: dict[str, Any], field: str):
    with pytest.raises(Malformed) as caught:
        told(till, kind, data)
    assert caught.value.field == field and field in caught.value.message


@pytest.mark.parametrize("event", [{"id": None}, {"type": 7}, {"timestamp": None}, {"data": []}, {"sequence": -1}])
def test_an_envelope_that_is_broken_is_malformed(till: Till, event: dict[str, Any]):
    with pytest.raises(Malformed):
        told(till, "return.received", RECEIVED, **event)


def test_an_unknown_type_gives_nothing(till: Till):
    assert told(till, "drawer.counted", {}) == []


# ---- commands --------------------------------------------------------------------------------------------------------


async def test_money_that_a_cashier_hands_over_is_accepted_until_he_has():
    class Counter(Till):
        def simulator(self, world: Any, webhook_url: str) -> Any:
            return create_app(
                world,
                token="pos_conformance_token",
                secret=str(self.config["webhook_secret"]),
                webhook_url=webhook_url,
                cashier_hands_over=True,
            )

    till = Counter()
    paid, refused = await till.sample("PayLeg"), await till.sample("PayLeg")
    outcomes = await till.connector.send([paid, refused])
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert isinstance(await till.connector.find(paid), Accepted)
    first, second = (row["refund_id"] for row in till.world.all("refunds"))
    await till.act("pay_out", refund_id=first)
    await till.act("refuse_refund", refund_id=second, reason="no identity card")
    found = await till.connector.find(paid)
    assert found == Done(f"here:refund:{first}", (("status", "succeeded"), ("acquirer_ref", "CASH-000001")))
    gone = await till.connector.find(refused)
    assert isinstance(gone, Rejected) and gone.code == "refused" and "no identity card" in gone.message


async def test_refusals_keep_the_tills_code(till: Till):
    effect = await till.sample("PayLeg")
    assert isinstance(effect.command, PayLeg)
    till.world.put("drawers", "EUR", {"currency": "EUR", "amount_minor": 1})
    with pytest.raises(Rejected) as caught:
        await till.connector.send([effect])
    assert caught.value.code == "drawer_short"
    gift = replace(effect, command=replace(effect.command, rail="gift_card"))
    with pytest.raises(Rejected, match="cash or card"):
        await till.connector.send([gift])
    with pytest.raises(Rejected, match="route it"):
        await till.connector.send([till.effect(CreateReplacement("here:order:1", "", (), "EUR", 0))])
    till.world.fault("in_flight", match="POST /refunds")
    with pytest.raises(Transient):
        await till.connector.send([effect])


async def test_a_refund_of_another_amount_is_an_alarm(till: Till):
    effect = await till.sample("PayLeg")
    answer = {**REFUND, "status": "paid", "amount_minor": 19_91}
    wire = httpx2.MockTransport(lambda request: httpx2.Response(201, json=answer))
    with pytest.raises(Malformed, match=r"19\.91 EUR, 19\.90 EUR was asked"):
        await till.connect(network=wire).send([effect])


async def test_cashiers_read_our_answers_when_they_scan(till: Till):
    sale = await till.sell("EUR", 19_90)
    answer = AnswerReturn("here:return:RR-1", "decline", "after 30 days", "RMA-1")
    update = UpdateChannel(
        f"here:order:{sale['sale_id']}", "", "refunded", (UnitResult("L1", "TEE", 1, "restock"),), 19_90, "EUR"
    )
    await till.connector.send([till.effect(answer)])
    await till.connector.send([till.effect(update)])
    lines = [{"sku": "TEE", "quantity": 1}]
    seen = await till.act("receive", rma_number="RMA-1", lines=lines)
    assert seen["holds"] == ["decline the return: after 30 days"]
    seen = await till.act("receive", order_number=sale["sale_id"], lines=lines)
    assert seen["holds"] == ["return refunded 19.90 EUR, 1 x TEE restock"]


def test_a_bad_secret_or_address_is_refused_with_the_configuration(till: Till):
    bads: tuple[dict[str, Any], ...] = (
        {"webhook_secret": "whsec_"},
        {"webhook_secret": "whsec_é"},
        {"base_url": "till.example.com"},
    )
    for bad in bads:
        with pytest.raises(ValueError):
            till.connect(**bad)


def test_the_secret_before_is_taken_while_it_is_changed(till: Till):
    delivery = till.sign(b"{}")
    new = "whsec_bmV3IHNlY3JldCBvZiB0aGUgdGlsbA=="
    till.connect(webhook_secret=new, webhook_secret_before=till.config["webhook_secret"]).verify(delivery)
