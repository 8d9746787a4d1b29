"""The bank: lines come days later, once per payout, and are told by signed webhooks that may get lost."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2
import pytest
from standardwebhooks import Webhook

from counterflow.connectors.bank.simulator import create_app
from counterflow.sdk.simulator import Clock, World

SECRET = "whsec_Y291bnRlcmZsb3ctYmFuay1mZWVkLXNlY3JldA=="
PAYOUT = {"payout_ref": "po_1", "amount_minor": 117_95, "currency": "eur", "text": "STRIPE 000 po_1"}


@pytest.fixture
def world() -> World:
    return World("bank", None, Clock())


@pytest.fixture
async def bank(world: World) -> AsyncIterator[httpx2.AsyncClient]:
    app = create_app(world, webhook_url="http://here.test/bank", webhook_secret=SECRET)
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app),
        base_url="http://bank.test",
        headers={"Authorization": "Bearer bank_test_counterflow"},
    ) as client:
        yield client


async def test_a_payout_is_booked_once_a_day_or_two_later(bank: httpx2.AsyncClient, world: World) -> None:
    for _ in range(2):
        assert (await bank.post("/_sim/do/credit", json=PAYOUT)).json()["currency"] == "EUR"
    assert (await bank.get("/lines")).json() == {"lines": [], "next": None}
    sent = world.now()
    world.clock.advance(2 * 86_400)
    [line] = (await bank.get("/lines")).json()["lines"]
    assert (line["amount_minor"], line["currency"], line["end_to_end_ref"]) == (117_95, "EUR", "po_1")
    assert "po_1" in line["text"]
    day_after = (sent + timedelta(days=1)).isoformat()
    assert (await bank.get("/lines", params={"since": day_after})).json()["lines"] == [line]
    long_after = (sent + timedelta(days=3)).isoformat()
    assert (await bank.get("/lines", params={"since": long_after})).json()["lines"] == []


async def test_the_webhook_carries_the_line_and_the_signature_of_the_scheme(
    bank: httpx2.AsyncClient, world: World
) -> None:
    sent: list[httpx2.Request] = []

    def take(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        return httpx2.Response(503 if len(sent) == 1 else 202)

    world.transport = httpx2.MockTransport(take)
    await bank.post("/_sim/do/credit", json=PAYOUT | {"after_seconds": 0})
    await bank.post("/_sim/pump")
    assert Webhook(SECRET).verify(sent[0].content, dict(sent[0].headers))["data"]["end_to_end_ref"] == "po_1"
    assert (await bank.post("/_sim/pump")).json()["delivered"] == 0
    world.clock.advance(6)
    assert (await bank.post("/_sim/pump")).json()["delivered"] == 1
    first, second = sent
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    assert json.loads(second.content) == json.loads(first.content)


async def test_pages_go_on_after_the_last_line_seen(bank: httpx2.AsyncClient) -> None:
    for number in range(130):
        await bank.post("/_sim/do/credit", json=PAYOUT | {"payout_ref": f"po_{number}", "after_seconds": 0})
    first = (await bank.get("/lines")).json()
    rest = (await bank.get("/lines", params={"after": first["next"]})).json()
    refs = [line["end_to_end_ref"] for line in first["lines"] + rest["lines"]]
    assert refs == [f"po_{number}" for number in range(130)] and rest["next"] is None


async def test_what_the_bank_refuses(bank: httpx2.AsyncClient) -> None:
    assert (await bank.get("/lines", headers={"Authorization": "Bearer other"})).status_code == 401
    assert (await bank.get("/lines", params={"since": "2026-10-01"})).status_code == 400
    assert (await bank.post("/_sim/do/credit", json=PAYOUT | {"amount_minor": 0})).status_code == 400
    assert (await bank.post("/_sim/do/credit", json={})).status_code == 400
