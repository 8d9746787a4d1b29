"""The simulated till counts, pays, refuses, repeats and goes offline as its page says."""

import asyncio
import json
from typing import Any

import httpx2
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from counterflow.connectors.pos.simulator import create_app
from counterflow.sdk.simulator import Clock, World
from counterflow.sdk.simulator.site import RETRY_SECONDS, secret_of

SECRET = secret_of("pos simulated")


class Store:
    def __init__(self, **config: Any) -> None:
        self.world = World("till 7", None, Clock(), seed=3)
        app = create_app(self.world, webhook_url="http://counterflow.test/hooks", **config)
        self.http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app),
            base_url="http://till.test",
            headers={"Authorization": "Bearer pos_simulated"},
        )
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.status = 204

        async def receiver(scope: Any, receive: Any, send: Any) -> None:
            body = (await receive())["body"]
            self.heard.append(({k.decode(): v.decode() for k, v in scope["headers"]}, body))
            await send({"type": "http.response.start", "status": self.status, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        self.world.transport = httpx2.ASGITransport(receiver)

    async def act(self, name: str, **payload: Any) -> Any:
        answer = await self.http.post(f"/_sim/do/{name}", json=payload)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refund(self, key: str = "rl_1", **more: Any) -> httpx2.Response:
        body = {"method": "cash", "amount_minor": 20_00, "currency": "EUR", "order_number": "#1001", **more}
        return await self.http.post("/refunds", json=body, headers={"Idempotency-Key": key})

    async def events(self) -> list[Any]:
        await self.world.pump()
        return [json.loads(body) for _, body in self.heard]


@pytest.fixture
def store() -> Store:
    return Store(store="berlin", till="till-7")


async def test_goods_over_the_counter_become_a_signed_event(store: Store):
    receipt = await store.act(
        "receive", rma_number="RMA-1", cashier="Łucja 🛍", lines=[{"sku": "SHIRT", "quantity": 1, "serial": "SN1"}]
    )
    inspection = await store.act("inspect", receipt_id=receipt["receipt_id"], grade="B", findings=[{"code": "worn"}])
    received, inspected = await store.events()
    assert received["type"] == "return.received" and received["data"]["store"] == "berlin"
    assert received["data"]["lines"][0]["serial"] == "SN1" and received["data"]["order_number"] is None
    assert inspected["data"]["inspection_id"] == inspection["inspection_id"] and inspected["data"]["sku"] == "SHIRT"
    headers, body = store.heard[0]
    assert Webhook(SECRET).verify(body, headers)["data"]["cashier"] == "Łucja 🛍"
    assert headers["webhook-id"] == received["id"]
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body.replace(b"SN1", b"SN2"), headers)


async def test_a_cash_refund_is_paid_once_for_a_key(store: Store):
    first = await store.refund()
    again = await store.refund()
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json() and first.json()["status"] == "paid"
    assert again.headers["idempotent-replayed"] == "true"
    other = await store.refund(amount_minor=21_00)
    assert other.status_code == 422 and other.json()["code"] == "key_reused"
    assert await store.act("count_drawer") == {"EUR": 1000_00 - 20_00}
    assert [event["type"] for event in await store.events()] == ["refund.paid"]
    found = (await store.http.get("/refunds", params={"key": "rl_1"})).json()["refunds"]
    assert [row["refund_id"] for row in found] == [first.json()["refund_id"]]
    assert (await store.http.get("/refunds", params={"key": "rl_2"})).json() == {"refunds": []}


async def test_two_requests_with_one_key_at_once_pay_once(store: Store):
    answers = await asyncio.gather(*(store.refund() for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"in_flight"}
    assert len(store.world.all("refunds")) == 1


async def test_over_refunds_and_empty_drawers_are_refused_and_leave_the_key_free(store: Store):
    sale = await store.act(
        "sell", lines=[{"sku": "MUG", "quantity": 2, "unit_price_minor": 15_00}], order_number="#1001"
    )
    assert (await store.refund("a")).status_code == 201
    refused = await store.refund("b")
    assert refused.status_code == 422 and refused.json()["code"] == "over_refund"
    assert (await store.refund("b", amount_minor=10_00)).status_code == 201
    assert (await store.refund("c", sale_id=sale["sale_id"], order_number=None, amount_minor=1)).json()[
        "code"
    ] == "over_refund"
    limited = await store.refund("d", order_number="#2", limit_minor=19_99)
    assert limited.json()["code"] == "over_refund"
    short = await store.refund("e", order_number="#3", amount_minor=10_000_00)
    assert short.json()["code"] == "drawer_short"
    wrong = await store.refund("f", sale_id=sale["sale_id"], currency="USD")
    assert wrong.json()["code"] == "wrong_currency"
    for bad in (
        {"amount_minor": 0},
        {"amount_minor": -5},
        {"amount_minor": "20"},
        {"amount_minor": True},
        {"method": "gold"},
    ):
        assert (await store.refund("g", **bad)).json()["code"] == "bad_value"


async def test_a_cashier_may_hand_over_refuse_or_fail(store: Store):
    store = Store(cashier_hands_over=True)
    waiting = (await store.refund("a")).json()
    assert waiting["status"] == "waiting" and await store.events() == []
    await store.act("pay_out", refund_id=waiting["refund_id"], cashier="Ada")
    other = (await store.refund("b", order_number="#2")).json()
    await store.act("refuse_refund", refund_id=other["refund_id"], reason="no identity card")
    card = (await store.refund("c", order_number="#3", method="card")).json()
    await store.act("pay_out", refund_id=card["refund_id"])
    await store.act("fail_refund", refund_id=card["refund_id"], reason="card closed")
    kinds = [(event["type"], event["data"]["key"]) for event in await store.events()]
    assert kinds == [("refund.paid", "a"), ("refund.failed", "b"), ("refund.paid", "c"), ("refund.failed", "c")]
    assert await store.act("count_drawer") == {"EUR": 1000_00 - 20_00}
    shown = (await store.http.get(f"/refunds/{card['refund_id']}")).json()
    assert (shown["status"], shown["reason"]) == ("failed", "card closed")
    assert (await store.http.get("/refunds/RF-999999")).status_code == 404


async def test_a_cashier_refunds_without_asking_us(store: Store):
    await store.act("refund_by_hand", method="cash", amount_minor=5_00, currency="EUR", order_number="#1001")
    (event,) = await store.events()
    assert event["type"] == "refund.paid" and event["data"]["key"] is None


async def test_an_offline_till_comes_back_in_a_burst_with_its_own_times():
    store = Store(skew_seconds=-90.0, reconnect_duplicates=0.5)
    await store.act("go_offline")
    times = []
    for n in range(6):
        receipt = await store.act("receive", lines=[{"sku": f"S{n}", "quantity": 1}], order_number=f"#{n}")
        times.append(receipt["occurred_at"])
        store.world.clock.advance(600)
    assert await store.events() == []
    down = await store.refund()
    assert down.status_code == 503 and down.json()["code"] == "offline" and down.headers["retry-after"]
    back = await store.act("go_online")
    events = await store.events()
    assert back["held"] == 6 and back["sent"] == len(events) > 6, "some are sent twice"
    assert len({event["id"] for event in events}) == 6
    assert {event["timestamp"] for event in events} == set(times)
    assert [event["sequence"] for event in events] != sorted(event["sequence"] for event in events)
    assert (await store.refund()).status_code == 201


async def test_the_sweep_finds_what_a_lost_webhook_hid(store: Store):
    store.world.fault("lose_webhook", match="return.received")
    await store.act("receive", lines=[{"sku": "SHIRT", "quantity": 1}])
    await store.act("sell", lines=[{"sku": "MUG", "quantity": 1, "unit_price_minor": 5_00}])
    assert [event["type"] for event in await store.events()] == ["sale.recorded"]
    page = (await store.http.get("/events", params={"limit": 1})).json()
    assert page["more"] and page["events"][0]["type"] == "return.received"
    rest = (await store.http.get("/events", params={"after": page["next"]})).json()
    assert [event["type"] for event in rest["events"]] == ["sale.recorded"] and not rest["more"]
    assert (await store.http.get("/events", params={"after": rest["next"]})).json()["events"] == []
    assert (await store.http.get("/events", params={"after": "x"})).status_code == 400


async def test_retries_keep_the_id_sign_anew_and_end_within_a_day(store: Store):
    store.status = 500
    await store.act("receive", lines=[{"sku": "SHIRT", "quantity": 1}])
    while (due := store.world.next_due()) is not None:
        store.world.clock.advance(max(0.0, (due - store.world.clock.now()).total_seconds()) + 0.01)
        await store.world.pump()
    assert len(store.heard) == 1 + len(RETRY_SECONDS) and sum(RETRY_SECONDS) < 86_400
    assert len({headers["webhook-id"] for headers, _ in store.heard}) == 1
    assert len({headers["webhook-timestamp"] for headers, _ in store.heard}) == len(store.heard)


async def test_holds_reach_the_cashier(store: Store):
    body = {"serial": "SN9", "message": "stolen: call the manager"}
    held = await store.http.post("/holds", json=body, headers={"Idempotency-Key": "h1"})
    assert held.status_code == 201
    receipt = await store.act("receive", lines=[{"sku": "PHONE", "quantity": 1, "serial": "SN9"}])
    assert receipt["holds"] == ["stolen: call the manager"]
    assert (await store.http.post("/holds", json={}, headers={"Idempotency-Key": "h2"})).status_code == 422


async def test_the_door_is_locked_and_bodies_are_checked(store: Store):
    for call in (
        store.http.get("/events", headers={"Authorization": "Bearer no"}),
        store.http.get("/refunds", headers={"Authorization": ""}),
    ):
        assert (await call).status_code == 401
    assert (await store.http.post("/refunds", json={})).json()["code"] == "key_missing"
    for body in (b"{", b"[]", b'"x"'):
        answer = await store.http.post("/refunds", content=body, headers={"Idempotency-Key": "k"})
        assert answer.status_code == 400 and answer.json()["code"] == "not_json"
    store.world.fault("lost_reply", match="POST /refunds")
    with pytest.raises(httpx2.ReadError):
        await store.refund()
    assert (await store.refund()).status_code == 200, "it had been paid"
    store.world.fault("rate_limited")
    assert (await store.refund("z")).headers["retry-after"] == "3"
