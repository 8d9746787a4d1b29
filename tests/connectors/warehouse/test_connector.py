"""What a warehouse says becomes facts, and what it is told is done once; format: docs/connectors/warehouse.md."""

import json
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from counterflow.connectors.warehouse.conformance import Harness as House
from counterflow.connectors.warehouse.simulator import create_app
from counterflow.core.effects import AnnounceReturn, ExpectedItem, InstructDisposition, PayLeg
from counterflow.core.facts import Counted, DispositionExecuted, Fact, ItemInspected, ItemsReceived, ParcelMoved
from counterflow.sdk.outcomes import Accepted, Done, Malformed, NotFound, Rejected, Transient

AT = "2026-03-01T10:30:00+01:00"


@pytest.fixture
def house() -> House:
    return House()


async def heard(house: House) -> list[Fact]:
    found = [fact for delivery in await house.told() for fact in house.connector.translate(delivery)]
    return [item for item in found if isinstance(item, Fact)]


def told(house: House, kind: str, data: dict[str, Any], /, **config: Any) -> list[Fact]:
    body = json.dumps({"id": "evt_1", "type": kind, "timestamp": AT, "data": data}).encode()
    connector = house.connect(**config) if config else house.connector
    return [fact for fact in connector.translate(house.sign(body)) if isinstance(fact, Fact)]


async def announce(house: House, *items: ExpectedItem) -> str:
    """The key of an announcement."""
    effect = house.effect(AnnounceReturn("RMA-1", "#1001", items))
    (done,) = await house.connector.send([effect])
    assert done == Done(f"here:announcement:{effect.effect_id}") == await house.connector.find(effect)
    return effect.effect_id


RECEIVED: dict[str, Any] = {"receipt_id": "R-1", "site": "wh-1", "lines": [{"sku": "TEE", "quantity": 1}]}
INSPECTED: dict[str, Any] = {
    "inspection_id": "I-1", "receipt_id": "R-1", "site": "wh-1", "sku": "TEE", "quantity": 1, "grade": "A",
}  # fmt: skip
SCANNED: dict[str, Any] = {"scan_id": "SC-1", "tracking_number": "T-1", "status": "in_transit"}


# ---- events ----------------------------------------------------------------------------------------------------------


async def test_a_receipt_says_what_is_there_and_not_what_is_missing(house: House):
    key = await announce(house, ExpectedItem("L1", "TEE", 2), ExpectedItem("L2", "MUG", 1))
    await house.act(
        "receive",
        rma_number="RMA-1",
        tracking_number="T-1",
        lines=[
            {"sku": "MUG", "quantity": 2, "damaged": True},
            {"sku": "PAN", "quantity": 1, "serial": "P1", "lot": "LOT-A"},
            {"barcode": "4006381333931", "quantity": 1},
            {"description": "a red thing", "quantity": 1},
        ],
    )
    (fact,) = await heard(house)
    assert isinstance(fact.body, ItemsReceived) and fact.body.complete
    assert fact.body.place == "warehouse-1" and fact.body.receipt_ref == "here:receipt:R-000001"
    assert fact.body.items == (
        Counted("MUG", 1, line_ref="L2", condition="damaged_parcel"),
        Counted("MUG", 1, line_ref="L2", condition="damaged_parcel"),
        Counted("PAN", 1, "P1", "LOT-A"),
        Counted("4006381333931", 1),
        Counted("unknown", 1),
    ), "nothing of the two T-shirts, which are short"
    assert fact.refs == (f"effect:{key}", "rma:RMA-1", "here:receipt:R-000001", "tracking:T-1", "serial:P1")
    assert fact.origin == "warehouse"


async def test_an_empty_parcel_is_a_receipt_of_nothing(house: House):
    await announce(house, ExpectedItem("L1", "TEE", 1))
    await house.act("receive", rma_number="RMA-1", parcel_condition="empty", lines=[])
    (fact,) = await heard(house)
    assert isinstance(fact.body, ItemsReceived) and fact.body.items == () and fact.body.complete


def test_a_damaged_parcel_damages_all_that_is_in_it(house: House):
    (fact,) = told(house, "return.received", {**RECEIVED, "parcel_condition": "damaged", "complete": False})
    assert isinstance(fact.body, ItemsReceived)
    assert fact.body.items[0].condition == "damaged_parcel" and not fact.body.complete


async def test_inspections_and_what_supersedes_them(house: House):
    await announce(house, ExpectedItem("L1", "CAM", 1))
    receipt = await house.act(
        "receive", rma_number="RMA-1", lines=[{"sku": "CAM", "quantity": 1, "serial": "CAM-0001", "lot": "LOT-B"}]
    )
    findings = [{"code": code, "note": ""} for code in ("missing_parts", "data_wiped", "lot_recalled", "scratched")]
    first = await house.act(
        "inspect",
        receipt_id=receipt["receipt_id"],
        grade="B",
        findings=findings,
        recommended_disposition="quarantine",
        inspected_by="bo",
    )
    house.clock.advance(60)
    await house.act("inspect", receipt_id=receipt["receipt_id"], grade="D", supersedes=first["inspection_id"])
    _, seen, again = await heard(house)
    ref = f"here:inspection:{first['inspection_id']}"
    assert seen.refs == (f"here:receipt:{receipt['receipt_id']}", "serial:CAM-0001")
    assert seen.body == ItemInspected(
        ref,
        "warehouse-1",
        "CAM",
        "B",
        serial="CAM-0001",
        lot="LOT-B",
        line_ref="L1",
        findings=("incomplete", "wiped", "lot_recalled", "scratched"),
        recommended="quarantine",
        lot_status="recalled",
        inspector="bo",
    )
    assert isinstance(again.body, ItemInspected) and (again.body.inspection_ref, again.body.grade) == (ref, "D")
    assert again.occurred_at > seen.occurred_at


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({}, "ok"),
        ({"findings": [{"code": "expired"}]}, "expired"),
        ({"findings": [{"code": "expired"}, {"code": "recalled"}]}, "recalled"),
        ({"lot_status": "expired"}, "expired"),
    ],
)
def test_what_is_wrong_with_a_lot(house: House, data: dict[str, Any], expected: str):
    (fact,) = told(house, "return.inspected", {**INSPECTED, **data})
    assert isinstance(fact.body, ItemInspected) and fact.body.lot_status == expected


@pytest.mark.parametrize(
    ("data", "stage"),
    [
        ({}, "in_transit"),
        ({"status": "delivered"}, "delivered"),
        ({"status": "exception", "reason": "lost"}, "lost"),
        ({"status": "exception", "reason": "returned_to_sender"}, "returned_to_sender"),
        ({"status": "exception", "reason": "nobody was at home"}, None),
        ({"status": "held_by_customs"}, None),
    ],
)
def test_scans_of_a_parcel(house: House, data: dict[str, Any], stage: str | None):
    facts = told(house, "parcel.scanned", {**SCANNED, "rma_number": "RMA-1", **data})
    assert [fact.body for fact in facts] == ([ParcelMoved(stage, "T-1")] if stage else [])
    assert all(fact.refs == ("rma:RMA-1", "tracking:T-1") and fact.origin == "carrier" for fact in facts)


async def test_stock_counts_are_kept_and_tell_nothing(house: House):
    await house.act("stock", sku="TEE", quantity=3)
    await house.act("count")
    (delivery,) = await house.told()
    house.connector.verify(delivery)
    assert house.connector.translate(delivery) == []


def test_a_site_may_have_another_name_with_us(house: House):
    (fact,) = told(house, "return.inspected", {**INSPECTED, "site": "LEJ1"}, places={"LEJ1": "wh-1"})
    assert isinstance(fact.body, ItemInspected) and fact.body.place == "wh-1"


_LINE = {"sku": "TEE", "quantity": 1}


@pytest.mark.parametrize(
    ("kind", "data", "field"),
    [
        ("return.received", {**RECEIVED, "lines": [{**_LINE, "quantity": -1}]}, "data.lines[0].quantity"),
        ("return.received", {**RECEIVED, "lines": [_LINE, {**_LINE, "quantity": 100_001}]}, "data.lines[1].quantity"),
        ("return.received", {**RECEIVED, "lines": [{**_LINE, "quantity": 2, "serial": "S"}]}, "data.lines[0].quantity"),
        ("return.received", {**RECEIVED, "site": None}, "data.site"),
        ("return.inspected", {**INSPECTED, "quantity": 0}, "data.quantity"),
        ("return.inspected", {**INSPECTED, "grade": "fine"}, "data.grade"),
        ("return.inspected", {**INSPECTED, "findings": ["worn"]}, "data.findings[0]"),
        ("return.inspected", {**INSPECTED, "recommended_disposition": "upcycle"}, "data.recommended_disposition"),
        ("return.inspected", {**INSPECTED, "lot_status": "strange"}, "data.lot_status"),
        (
            "disposition.executed",
            {"site": "wh-1", "sku": "TEE", "quantity": 1, "disposition": "burn"},
            "data.disposition",
        ),
        ("parcel.scanned", {**SCANNED, "tracking_number": None}, "data.tracking_number"),
    ],
)
def test_what_breaks_the_form_names_its_field(house: House, kind: str, data: dict[str, Any], field: str):
    with pytest.raises(Malformed) as caught:
        told(house, kind, data)
    assert caught.value.field == field and field in caught.value.message


# ---- commands --------------------------------------------------------------------------------------------------------


async def test_an_announcement_has_a_line_for_each_serial(house: House):
    key = await announce(
        house,
        ExpectedItem("L1", "CAM", 3, serials=("C1", "C2")),
        ExpectedItem("L2", "CREAM", 1, lots=("LOT-A",)),
        ExpectedItem("L3", "CREAM", 1, lots=("LOT-A", "LOT-B")),
    )
    (kept,) = house.world.all("announcements")
    assert (kept["key"], kept["rma_number"]) == (key, "RMA-1")
    assert [(row["line_ref"], row["quantity"], row["serial"], row["lot"]) for row in kept["lines"]] == [
        ("L1", 1, "C1", None),
        ("L1", 1, "C2", None),
        ("L1", 1, None, None),
        ("L2", 1, None, "LOT-A"),
        ("L3", 1, None, None),
    ]


async def test_an_instruction_is_accepted_until_it_is_executed_and_its_event_finds_the_case(house: House):
    effect = await house.sample("InstructDisposition")
    assert isinstance(effect.command, InstructDisposition)
    assert await house.connector.send([effect]) == [Accepted("here:instruction:IN-000001")]
    assert await house.connector.find(effect) == Accepted("here:instruction:IN-000001")
    house.clock.advance(61)
    facts = await heard(house)
    assert await house.connector.find(effect) == Done("here:instruction:IN-000001")
    fact = facts[-1]
    assert fact.refs == (f"effect:{effect.effect_id}", f"rma:{effect.command.rma_number}")
    assert fact.body == DispositionExecuted("restock", effect.command.sku, 1, place="warehouse-1")


async def test_a_second_thought_moves_the_goods_from_where_they_lie(house: House):
    await house.act("receive", rma_number="RMA-1", lines=[{"sku": "CREAM", "quantity": 1, "lot": "LOT-B"}])
    quarantine, scrap = (
        house.effect(InstructDisposition("RMA-1", "CREAM", 1, word, "recalled")) for word in ("quarantine", "scrap")
    )
    await house.connector.send([quarantine])
    with pytest.raises(Transient, match="earlier instruction"):
        await house.connector.send([scrap])
    house.clock.advance(61)
    await house.world.pump()
    await house.connector.send([scrap])
    house.clock.advance(61)
    await house.world.pump()
    left = {(row["location"], row["lot"]): row["quantity"] for row in house.world.all("stock") if row["quantity"]}
    assert left == {("scrap", "LOT-B"): 1}


async def test_an_instruction_that_the_floor_refuses_goes_to_a_person(house: House):
    effect = await house.sample("InstructDisposition")
    for status in ("refused", "cancelled"):
        answer = {"instruction_id": "IN-1", "status": status, "reason": "it leaks"}
        wire = httpx2.MockTransport(lambda request, answer=answer: httpx2.Response(200, json=answer))
        found = await house.connect(network=wire).find(effect)
        assert isinstance(found, Rejected) and found.code == status and "it leaks" in found.message


async def test_only_the_sites_own_not_found_means_that_it_did_not_happen(house: House):
    effect = await house.sample("AnnounceReturn")
    assert await house.connector.find(effect) is None
    wire = httpx2.MockTransport(lambda request: httpx2.Response(404, text="<h1>no such host</h1>"))
    with pytest.raises(NotFound):
        await house.connect(network=wire).find(effect)


async def test_what_a_warehouse_cannot_do_is_rejected(house: House):
    effect = await house.sample("AnnounceReturn")
    leg = PayLeg("rl_1", "ri_1", "cash", "p", "o", "", 1, "EUR", ())
    for call in (
        house.connector.send([replace(effect, command=leg)]),
        house.connector.find(replace(effect, command=leg)),
    ):
        with pytest.raises(Rejected, match="route it"):
            await call


async def test_the_simulated_warehouse_serves_a_path_of_its_own():
    """Several systems behind one host: the address may have a path."""
    from starlette.applications import Starlette
    from starlette.routing import Mount

    class Behind(House):
        def simulator(self, world: Any, webhook_url: str) -> Any:
            app = create_app(world, token=str(self.config["token"]), secret=str(self.config["webhook_secret"]))
            return Starlette(routes=[Mount("/wms/v1", app=app)])

    connector = Behind().connect(base_url="https://host.test/wms/v1/")
    assert await connector.check() == [("it answers and takes our token", True, "")]
    ((_, fine, what_to_do),) = await Behind().connect(base_url="https://host.test").check()
    assert not fine and what_to_do
