"""The simulated warehouse counts against what was announced, and its units never appear or vanish."""

import json
from collections import Counter
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from counterflow.connectors.warehouse.simulator import LOCATIONS, create_app
from counterflow.sdk.simulator import Clock, World
from counterflow.sdk.simulator.site import secret_of


class House:
    def __init__(self, **config: Any) -> None:
        self.world = World("warehouse", None, Clock(), seed=1)
        app = create_app(self.world, webhook_url="http://counterflow.test/hooks", **config)
        self.http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app),
            base_url="http://wms.test",
            headers={"Authorization": "Bearer wms_simulated"},
        )
        self.heard: list[tuple[dict[str, str], bytes]] = []

        async def receiver(scope: Any, receive: Any, send: Any) -> None:
            body = (await receive())["body"]
            self.heard.append(({k.decode(): v.decode() for k, v in scope["headers"]}, body))
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        self.world.transport = httpx2.ASGITransport(receiver)

    async def act(self, name: str, **payload: Any) -> Any:
        answer = await self.http.post(f"/_sim/do/{name}", json=payload)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, key: str, **body: Any) -> httpx2.Response:
        return await self.http.post(path, json=body, headers={"Idempotency-Key": key})

    async def announce(self, *lines: tuple[str, int], key: str = "ef_1", rma: str = "RMA-1") -> httpx2.Response:
        rows = [{"line_ref": f"L{i}", "sku": sku, "quantity": n} for i, (sku, n) in enumerate(lines, start=1)]
        return await self.post("/announcements", key, rma_number=rma, tracking_number=f"T-{rma}", lines=rows)

    async def said(self) -> list[Any]:
        await self.world.pump()
        return [json.loads(body) for _, body in self.heard]

    def on_hand(self) -> dict[tuple[str, str], int]:
        return {(row["sku"], row["location"]): row["quantity"] for row in self.world.all("stock") if row["quantity"]}


@pytest.fixture
def house() -> House:
    return House(site="leipzig")


def findings(receipt: Any) -> list[tuple[str | None, int, str]]:
    return [(row["sku"], row["quantity"], row["finding"]) for row in receipt["lines"]]


async def test_an_announcement_is_made_once_for_a_key(house: House):
    first, again = await house.announce(("SHIRT", 2)), await house.announce(("SHIRT", 2))
    assert (first.status_code, again.status_code) == (201, 200) and first.json() == again.json()
    assert (await house.announce(("SHIRT", 3))).json()["code"] == "key_reused"
    assert (await house.http.get("/announcements/ef_1")).json()["status"] == "open"
    assert (await house.http.get("/announcements/ef_2")).status_code == 404
    assert len(house.world.all("announcements")) == 1
    for lines in ([], [{"sku": "", "quantity": 1}], [{"sku": "A", "quantity": -1}], [{"sku": "A", "quantity": 1.5}]):
        assert (await house.post("/announcements", "x", rma_number="R", lines=lines)).json()["code"] == "bad_value"


@pytest.mark.parametrize(
    ("counted", "expected"),
    [
        ([("SHIRT", 2), ("MUG", 1)], [("SHIRT", 2, "as_announced"), ("MUG", 1, "as_announced")]),
        (
            [("SHIRT", 3), ("MUG", 1)],
            [("SHIRT", 2, "as_announced"), ("SHIRT", 1, "over"), ("MUG", 1, "as_announced")],
        ),
        ([("SHIRT", 1)], [("SHIRT", 1, "as_announced"), ("SHIRT", 0, "short"), ("MUG", 0, "short")]),
        ([("BRICK", 1)], [("BRICK", 1, "wrong_item"), ("SHIRT", 0, "short"), ("MUG", 0, "short")]),
        ([(None, 1)], [(None, 1, "unknown"), ("SHIRT", 0, "short"), ("MUG", 0, "short")]),
        ([], [("SHIRT", 0, "short"), ("MUG", 0, "short")]),
    ],
)
async def test_the_dock_counts_against_the_announcement(house: House, counted: Any, expected: Any):
    await house.announce(("SHIRT", 2), ("MUG", 1))
    lines = [{"sku": sku, "quantity": quantity} for sku, quantity in counted]
    receipt = await house.act("receive", tracking_number="T-RMA-1", lines=lines)
    assert findings(receipt) == expected
    assert receipt["rma_number"] == "RMA-1" and receipt["announcement_key"] == "ef_1"
    (event,) = await house.said()
    assert event["type"] == "return.received" and findings(event["data"]) == expected


async def test_a_damaged_thing_is_said_to_be_so(house: House):
    await house.announce(("MUG", 1))
    receipt = await house.act("receive", rma_number="RMA-1", lines=[{"sku": "MUG", "quantity": 1, "damaged": True}])
    assert findings(receipt) == [("MUG", 1, "damaged")]


async def test_a_second_parcel_brings_the_rest(house: House):
    await house.announce(("SHIRT", 3))
    first = await house.act("receive", rma_number="RMA-1", lines=[{"sku": "SHIRT", "quantity": 1}], complete=False)
    assert findings(first) == [("SHIRT", 1, "as_announced")]
    last = await house.act("receive", rma_number="RMA-1", lines=[{"sku": "SHIRT", "quantity": 1}])
    assert findings(last) == [("SHIRT", 1, "as_announced"), ("SHIRT", 0, "short")]
    assert last["lines"][1]["missing_quantity"] == 1 and last["lines"][1]["expected_quantity"] == 3
    late = await house.act("receive", rma_number="RMA-1", lines=[{"sku": "SHIRT", "quantity": 2}])
    assert findings(late) == [("SHIRT", 1, "as_announced"), ("SHIRT", 1, "over")]


async def test_a_blind_parcel_is_counted_all_the_same(house: House):
    receipt = await house.act(
        "receive", lines=[{"sku": "SHIRT", "quantity": 1, "serial": "SN7", "lot": "L1"}], parcel_condition="damaged",
        weight_grams=480, photos=2,
    )  # fmt: skip
    assert findings(receipt) == [("SHIRT", 1, "unannounced")] and receipt["rma_number"] is None
    assert len(set(receipt["photos"])) == 2 and all(len(photo) == 64 for photo in receipt["photos"])
    assert house.on_hand() == {("SHIRT", "returns"): 1}


async def test_an_inspection_may_supersede_another(house: House):
    receipt = await house.act("receive", lines=[{"sku": "PHONE", "quantity": 1, "serial": "SN1"}])
    first = await house.act("inspect", receipt_id=receipt["receipt_id"], grade="A", recommended_disposition="restock")
    second = await house.act(
        "inspect", receipt_id=receipt["receipt_id"], grade="D", serial="SN2", supersedes=first["inspection_id"],
        findings=[{"code": "serial_mismatch", "note": "label says SN2"}], photos=1,
    )  # fmt: skip
    said = (await house.said())[-1]["data"]
    assert (said["grade"], said["serial"], said["supersedes"]) == ("D", "SN2", first["inspection_id"])
    assert second["site"] == "leipzig"
    assert (await house.http.post("/_sim/do/inspect", json={"receipt_id": "R-9", "grade": "A"})).status_code == 404
    bad = await house.http.post("/_sim/do/inspect", json={"receipt_id": receipt["receipt_id"], "grade": "E"})
    assert bad.status_code == 400 and "A, B, C, D" in bad.text


async def test_a_disposition_is_instructed_once_and_executed_by_the_clock(house: House):
    await house.act("receive", lines=[{"sku": "SHIRT", "quantity": 2}])
    line = {"sku": "SHIRT", "quantity": 1, "line_ref": "L1"}
    first = await house.post("/instructions", "ef_7", disposition="restock", rma_number="RMA-1", lines=[line])
    again = await house.post("/instructions", "ef_7", disposition="restock", rma_number="RMA-1", lines=[line])
    assert (first.status_code, again.status_code) == (201, 200)
    assert house.on_hand() == {("SHIRT", "returns"): 1, ("SHIRT", "in_work"): 1}
    assert (await house.http.get("/instructions/ef_7")).json()["status"] == "accepted"
    house.world.clock.advance(61)
    assert (await house.http.get("/instructions/ef_7")).json()["status"] == "executed"
    event = (await house.said())[-1]
    assert event["type"] == "disposition.executed"
    assert event["data"]["key"] == "ef_7" and event["data"]["to_location"] == "sellable"
    refused = await house.post("/instructions", "ef_8", disposition="scrap", lines=[{**line, "quantity": 2}])
    assert refused.status_code == 422 and refused.json()["code"] == "not_on_hand"
    assert (await house.post("/instructions", "ef_8", disposition="eat", lines=[line])).json()["code"] == "bad_value"
    corrected = await house.post(  # edge case 42
        "/instructions", "ef_9", disposition="refurbish", lines=[{**line, "from_location": "sellable"}]
    )
    assert corrected.status_code == 201
    await house.act("execute", key="ef_9", executed_by="Ada")
    house.world.clock.advance(3600)
    await house.act("execute", key="ef_9")
    assert house.on_hand() == {("SHIRT", "returns"): 1, ("SHIRT", "refurbishment"): 1}
    assert len(house.world.all("executions")) == 2


async def test_a_refused_instruction_moves_nothing(house: House):
    await house.act("receive", lines=[{"sku": "SHIRT", "quantity": 1}])
    lines = [{"sku": "SHIRT", "quantity": 1}, {"sku": "MUG", "quantity": 1}]
    refused = await house.post("/instructions", "k", disposition="restock", lines=lines)
    assert refused.json()["code"] == "not_on_hand" and house.on_hand() == {("SHIRT", "returns"): 1}


@settings(max_examples=20, deadline=None)
@given(
    parcels=st.lists(st.lists(st.tuples(st.sampled_from(["A", "B"]), st.integers(1, 3)), max_size=3), max_size=4),
    orders=st.lists(
        st.tuples(st.sampled_from(["A", "B"]), st.integers(1, 4), st.sampled_from(sorted(LOCATIONS))), max_size=6
    ),
)
async def test_units_in_are_units_somewhere(parcels: Any, orders: Any):
    house = House(execute_seconds=None)
    arrived: Counter[str] = Counter()
    for parcel in parcels:
        await house.act("receive", lines=[{"sku": sku, "quantity": n} for sku, n in parcel])
        for sku, n in parcel:
            arrived[sku] += n
    for i, (sku, n, disposition) in enumerate(orders):
        answer = await house.post(
            "/instructions", f"k{i}", disposition=disposition, lines=[{"sku": sku, "quantity": n}]
        )
        if answer.status_code == 201 and i % 2:
            await house.act("execute", key=f"k{i}")
    somewhere: Counter[str] = Counter()
    for (sku, _), quantity in house.on_hand().items():
        assert quantity > 0
        somewhere[sku] += quantity
    assert somewhere == arrived


async def test_scans_counts_and_signatures(house: House):
    await house.act("scan", tracking_number="T1", status="delivered", weight_grams=500, place="Leipzig")
    await house.act("stock", sku="SHIRT", quantity=4)
    await house.act("count")
    scanned, counted = await house.said()
    assert scanned["type"] == "parcel.scanned" and scanned["data"]["status"] == "delivered"
    assert counted["data"]["counts"] == [{"sku": "SHIRT", "lot": None, "location": "sellable", "quantity": 4}]
    assert (await house.http.get("/stock")).json()["stock"] == counted["data"]["counts"]
    headers, body = house.heard[0]
    assert Webhook(secret_of("warehouse simulated")).verify(body, headers)["id"] == headers["webhook-id"]
    assert (
        await house.http.post("/_sim/do/scan", json={"tracking_number": "T1", "status": "lost?"})
    ).status_code == 400


async def test_the_sweep_pages_receipts_with_their_inspections(house: House):
    for n in range(5):
        receipt = await house.act("receive", lines=[{"sku": f"S{n}", "quantity": 1}])
    await house.act("inspect", receipt_id=receipt["receipt_id"], grade="A")
    start = house.world.clock.now().isoformat()
    house.world.clock.advance(60)
    await house.act("receive", lines=[{"sku": "LATE", "quantity": 1}], occurred_at="2020-01-01T00:00:00+00:00")
    seen, cursor = [], "0"
    while cursor is not None:
        page = (await house.http.get("/receipts", params={"cursor": cursor, "limit": 2})).json()
        seen += page["receipts"]
        cursor = page["next_cursor"]
    assert len(seen) == 6 and [len(row["inspections"]) for row in seen] == [0, 0, 0, 0, 1, 0]
    late = (await house.http.get("/receipts", params={"since": start})).json()["receipts"]
    assert [row["lines"][0]["sku"] for row in late] == ["LATE"], "since goes by our arrival, not by the device clock"
    assert (await house.http.get("/receipts", params={"since": "yesterday"})).status_code == 400


async def test_an_announcement_can_be_cancelled_until_goods_are_here(house: House):
    await house.announce(("SHIRT", 1))
    assert (await house.http.post("/announcements/ef_1/cancel")).json()["status"] == "cancelled"
    await house.announce(("SHIRT", 1), key="ef_2", rma="RMA-2")
    await house.act("receive", rma_number="RMA-2", lines=[{"sku": "SHIRT", "quantity": 1}])
    assert (await house.http.post("/announcements/ef_2/cancel")).status_code == 409


async def test_an_offline_warehouse_takes_instructions_and_reports_later(house: House):
    await house.act("receive", lines=[{"sku": "SHIRT", "quantity": 1}])
    await house.act("go_offline")
    line = {"sku": "SHIRT", "quantity": 1}
    assert (await house.post("/instructions", "k", disposition="scrap", lines=[line])).status_code == 201
    house.world.clock.advance(61)
    assert [event["type"] for event in await house.said()] == ["return.received"]
    await house.act("go_online")
    assert {event["type"] for event in (await house.said())[1:]} == {"disposition.executed"}


async def test_a_lost_answer_is_found_by_its_key(house: House):
    house.world.fault("lost_reply", match="POST /announcements")
    with pytest.raises(httpx2.ReadError):
        await house.announce(("SHIRT", 1))
    assert (await house.http.get("/announcements/ef_1")).status_code == 200
    house.world.fault("lost_request", match="POST /announcements")
    with pytest.raises(httpx2.ReadError):
        await house.announce(("SHIRT", 1), key="ef_2")
    assert (await house.http.get("/announcements/ef_2")).status_code == 404
    assert (await house.http.get("/receipts", headers={"Authorization": "Bearer x"})).status_code == 401
