"""Health and figures."""

from tests.api.world import World


async def test_it_lives_and_is_ready(world: World) -> None:
    assert (await world.client.get("/healthz")).json()["status"] == "ok"
    assert (await world.client.get("/readyz")).status_code == 200


async def test_figures_say_what_waits(world: World) -> None:
    await world.returned()
    await world.client.post("/webhooks/shop", content=b"{}", headers={"signature": "bad"})
    text = (await world.get("/metrics", "admin")).text
    assert 'counterflow_inbox_facts{status="ready"} 0.0' in text
    assert 'counterflow_effects{connection="wms",status="planned"}' in text
    assert 'counterflow_circuit{connection="shop"} 0.0' in text
    assert 'counterflow_deliveries_rejected_total{connection="shop",reason="auth_failed"} 1.0' in text
    assert 'counterflow_requests_total{method="POST",route="/cases",status="202"} 1.0' in text
    assert "counterflow_decisions_total" in text and "counterflow_drains 0.0" in text


async def test_a_path_of_nobody_is_no_label(world: World) -> None:
    await world.client.get("/made-up-by-a-caller")
    assert "made-up-by-a-caller" not in (await world.get("/metrics", "admin")).text
