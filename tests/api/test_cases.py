"""Asking for a return over HTTP, reading what became of it, cancelling it and writing notes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from counterflow.core.facts import RefundReported
from counterflow.core.ids import email_ref
from tests.api.world import START, World, a_sale


async def test_a_return_asked_for_becomes_a_case_that_can_be_read(world: World) -> None:
    case_id = await world.returned()
    shown = (await world.get(f"/cases/{case_id}")).json()
    assert shown["order_number"] == "#5001"
    assert shown["lines"][0]["authorisation"] == "approved"
    listed = (await world.get("/cases")).json()
    assert [row["case_id"] for row in listed["items"]] == [case_id]
    entries = (await world.get(f"/cases/{case_id}/timeline")).json()["items"]
    assert {"ReturnRequested", "SaleRecorded"} <= {entry["kind"] for entry in entries}
    assert any(entry["by"] == "console:the-agent" for entry in entries)
    assert any(hit["table"] == "eligibility" for entry in entries for hit in entry["policy"])


async def test_a_return_by_the_number_that_people_read(world: World) -> None:
    await world.sold()
    answer = await world.post("/cases", {"order_number": "5001", "lines": [{"line_ref": "L1", "quantity": 1}]})
    assert answer.status_code == 202
    await world.settle()
    assert (await world.get(f"/cases/{answer.json()['case_id']}")).json()["sale_ref"] == "shop:order:5001"


async def test_a_number_of_two_sales_has_to_be_said_otherwise(world: World) -> None:
    await world.sold()
    await world.sold(a_sale(connection="shop-2"))
    answer = await world.post("/cases", {"order_number": "#5001", "lines": [{"line_ref": "L1", "quantity": 1}]})
    assert answer.status_code == 409
    assert "shop-2:order:5001" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("line", "where"),
    [
        ({"line_ref": "L9", "quantity": 1}, "body.lines.0.line_ref"),
        ({"line_ref": "L1", "quantity": 3}, "body.lines.0.quantity"),
        ({"line_ref": "L1", "quantity": 1, "part_sku": "LID"}, "body.lines.0.part_sku"),
        ({"line_ref": "L1", "quantity": -1}, "body.lines.0.quantity"),
        ({"line_ref": "L1", "quantity": 10**30}, "body.lines.0.quantity"),
        ({"line_ref": "L1", "quantity": 1.5}, "body.lines.0.quantity"),
        ({"line_ref": "L1", "quantity": 1, "reason": "because"}, "body.lines.0.reason"),
        ({"line_ref": "L1\u0000", "quantity": 1}, "body.lines.0.line_ref"),
        ({"line_ref": "L1", "quantity": 1, "price": 5}, "body.lines.0.price"),
        ({"line_ref": "L1", "quantity": 1, "replacement_unit_minor": -5}, "body.lines.0.replacement_unit_minor"),
    ],
)
async def test_what_cannot_be_is_named_and_nothing_is_written(
    world: World, line: dict[str, object], where: str
) -> None:
    await world.sold(a_sale(quantity=2))
    answer = await world.post("/cases", {"sale_ref": "shop:order:5001", "lines": [line]})
    assert answer.status_code == 422
    assert where in [error["where"] for error in answer.json()["errors"]]
    await world.settle()
    assert (await world.get("/cases")).json()["items"] == []


@pytest.mark.parametrize(
    "query", ["#5001", "5001", "TEE", "tee", "pi_5001", "shop:order:5001", "sn-1", "re_77", " #5001 "]
)
async def test_anything_printed_on_it_finds_the_case(world: World, query: str) -> None:
    case_id = await world.returned()
    item = {"sku": "TEE", "quantity": 1, "serial": "SN-1"}
    counted = await world.post("/receipts", {"case_id": case_id, "place": "wh-1", "items": [item]}, "warehouse")
    assert counted.status_code == 202
    await world.tell(case_id, RefundReported("re_77", "pi_5001", 2000, "EUR", "succeeded"))
    async with world.pool.connection() as conn:
        for name in ("psp", "odoo"):
            world.services.accounts[name] = world.services.accounts["shop"]  # type: ignore[index]
        await conn.execute("SELECT 1")
    found = (await world.get("/cases/find", params={"q": query})).json()["items"]
    assert [row["case_id"] for row in found] == [case_id]


async def test_a_customers_address_finds_all_their_cases_and_joins_none(world: World) -> None:
    kim = email_ref("kim@example.com")
    first = await world.returned(replace(a_sale("5001"), email_ref=kim))
    second = await world.returned(replace(a_sale("5002"), email_ref=kim))
    await world.returned(a_sale("5003"))
    for query in ("kim@example.com", " Kim@Example.COM "):
        found = (await world.get("/cases/find", params={"q": query})).json()["items"]
        assert {row["case_id"] for row in found} == {first, second}
    assert (await world.get("/cases/find", params={"q": "kim@example.org"})).json()["items"] == []


async def test_an_rma_and_a_case_id_find_the_case(world: World) -> None:
    case_id = await world.returned()
    rma = (await world.get(f"/cases/{case_id}")).json()["rma_number"]
    assert rma
    for query in (rma, case_id, rma.lower()):
        found = (await world.get("/cases/find", params={"q": query})).json()["items"]
        assert [row["case_id"] for row in found] == [case_id], query


async def test_pages_follow_each_other_without_gap_or_repeat(world: World) -> None:
    made = set()
    for number in range(5):
        world.now = START + timedelta(minutes=number // 2)  # some changed at the same instant
        made.add(await world.returned(a_sale(str(6000 + number))))
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await world.get("/cases", params={"limit": 2, "cursor": cursor})).json()
        seen += [row["case_id"] for row in page["items"]]
        cursor = page["next"]
        if not cursor:
            break
    assert len(seen) == 5 and set(seen) == made


async def test_a_cursor_of_somebody_else_is_refused(world: World) -> None:
    assert (await world.get("/cases", params={"cursor": "bm9uc2Vuc2U="})).status_code == 422


async def test_filters_choose(world: World) -> None:
    case_id = await world.returned()
    status = (await world.get(f"/cases/{case_id}")).json()["status"]
    assert (await world.get("/cases", params={"status": status})).json()["items"]
    assert not (await world.get("/cases", params={"status": "closed"})).json()["items"]
    assert not (await world.get("/cases", params={"channel": "shop-2"})).json()["items"]
    assert not (await world.get("/cases", params={"attention": True})).json()["items"]
    assert not (await world.get("/cases", params={"opened_since": "2026-12-01T00:00:00Z"})).json()["items"]


async def test_a_case_is_cancelled_once(world: World) -> None:
    case_id = await world.returned()
    reason = {"reason": "changed their mind"}
    assert (await world.post(f"/cases/{case_id}/cancel", reason)).status_code == 202
    await world.settle()
    assert (await world.get(f"/cases/{case_id}")).json()["status"] == "cancelled"
    again = await world.post(f"/cases/{case_id}/cancel", reason)
    assert again.status_code == 409 and "cancelled" in again.json()["detail"]


async def test_a_note_is_in_the_timeline_and_not_in_the_log(world: World) -> None:
    case_id = await world.returned()
    answer = await world.post(f"/cases/{case_id}/notes", {"text": "called twice\nangry"})
    assert answer.status_code == 201
    await world.settle()
    entries = (await world.get(f"/cases/{case_id}/timeline")).json()["items"]
    assert [entry["summary"] for entry in entries if entry["kind"] == "NoteAdded"] == ["called twice\nangry"]
    async with world.pool.connection() as conn:
        found = await conn.execute("SELECT count(*) FROM log WHERE body LIKE %s", ("%angry%",))
        assert await found.fetchone() == (0,)


async def test_a_case_in_sentences(world: World) -> None:
    case_id = await world.returned()
    sentences = (await world.get(f"/cases/{case_id}/explain")).json()["sentences"]
    assert any("#5001" in sentence for sentence in sentences)


async def test_beliefs_say_what_is_on_its_way(world: World) -> None:
    case_id = await world.returned()
    believed = (await world.get(f"/cases/{case_id}/beliefs")).json()["items"]
    assert any(each["on_its_way"] for each in believed)


async def test_unknown_cases_are_404_everywhere(world: World) -> None:
    nobody = "rc_" + "0" * 26
    for path in ("", "/timeline", "/explain", "/beliefs", "/lines", "/receipts", "/inspections", "/dispositions"):
        answer = await world.get(f"/cases/{nobody}{path}")
        assert answer.status_code == 404, path
        assert answer.headers["content-type"] == "application/problem+json"
