"""Asking for a return over HTTP, and reading what became of it."""

from tests.api.world import World


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
