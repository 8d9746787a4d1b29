"""Policies over HTTP."""

from counterflow.policies import default, default_text
from tests.api.world import World


async def test_the_version_that_counts(world: World) -> None:
    [version] = (await world.get("/policies")).json()["items"]
    assert version["in_force"] and version["version"] == default().version
    shown = await world.get(f"/policies/{version['version']}")
    assert shown.json() == version
    assert (await world.get("/policies/pv_" + "0" * 26)).status_code == 404


async def test_a_draft_is_checked_and_its_golden_cases_run(world: World) -> None:
    assert (await world.post("/policies/check", {"toml": default_text()})).json()["holds"]
    assert (await world.post("/policies/test", {"toml": default_text()})).json() == {
        "holds": True,
        "version": default().version,
        "findings": [],
    }
    broken = default_text().replace('then.decision = "approve"', 'then.decision = "aprove"', 1)
    answer = (await world.post("/policies/check", {"toml": broken})).json()
    assert not answer["holds"] and answer["version"] == ""
    assert answer["findings"][0]["line"] > 0 and answer["findings"][0]["next_move"]
    assert not (await world.post("/policies/check", {"toml": "= nonsense"})).json()["holds"]


async def test_a_table_answers_and_the_law_stands_below_it(world: World) -> None:
    inputs = {"grade": "A", "category": "general", "remedy": "refund", "reason": "changed_mind", "lot_status": "ok"}
    question = {"table": "disposition", "inputs": {**inputs, "serial_result": "ok"}}
    answer = (await world.post("/policies/explain", question)).json()
    assert answer["outputs"] == {"disposition": "restock"} and answer["row"] and not answer["needs_review"]
    review = (await world.post("/policies/explain", {"table": "disposition", "inputs": {}})).json()
    assert review["needs_review"] and "supply it" in review["sentence"]
    assert (await world.post("/policies/explain", {"table": "weather", "inputs": {}})).status_code == 422
    other = {"table": "disposition", "inputs": {}, "version": "pv_other"}
    assert (await world.post("/policies/explain", other)).status_code == 404
