"""Messages to customers: signed for the receiver, the same bytes at each attempt, written once."""

import json
from dataclasses import replace

import httpx2
import pytest
from standardwebhooks import Webhook

from counterflow.connectors.notify.conformance import SECRET, Harness
from counterflow.core.effects import Effect
from counterflow.sdk.outcomes import AuthFailed, NotFound, Rejected


@pytest.fixture
def notify() -> Harness:
    return Harness()


async def sent(notify: Harness, effect: Effect, status: int = 202) -> httpx2.Request:
    requests: list[httpx2.Request] = []

    def take(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        return httpx2.Response(status)

    await notify.connect(network=httpx2.MockTransport(take)).send([effect])
    [request] = requests
    return request


async def test_the_message_is_signed_as_receivers_verify_it(notify: Harness) -> None:
    effect = await notify.sample("NotifyCustomer", "KWD", 12_340)
    request = await sent(notify, effect)
    assert str(request.url) == "http://mailbox.test/messages"
    message = Webhook(SECRET).verify(request.content, dict(request.headers))
    assert request.headers["webhook-id"] == effect.effect_id
    assert message["type"] == "customer.notify"
    assert message["data"] == {
        "key": effect.effect_id,
        "case": effect.owner,
        "template": "refund_sent",
        "customer_ref": "shop:customer:1",
        "order_number": "#1001",
        "amount_minor": 12_340,
        "currency": "KWD",
        "amount": "12.340",
    }


async def test_a_message_without_money_names_no_amount(notify: Harness) -> None:
    effect = await notify.sample("NotifyCustomer")
    effect = replace(effect, command=replace(effect.command, amount_minor=0, currency=""))  # type: ignore[arg-type]
    assert "amount" not in json.loads((await sent(notify, effect)).content)["data"]


async def test_each_attempt_has_the_same_bytes_and_the_customer_is_written_to_once(notify: Harness) -> None:
    effect = await notify.sample("NotifyCustomer")
    first = await sent(notify, effect)
    notify.clock.advance(600)
    second = await sent(notify, effect)
    assert first.content == second.content
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    for _ in range(3):
        await notify.connector.send([effect])
    [kept] = notify.world.all("messages")
    assert (kept["id"], kept["copies"]) == (effect.effect_id, 3)


async def test_what_the_receiver_answers_has_its_word(notify: Harness) -> None:
    effect = await notify.sample("NotifyCustomer")
    for status, word in ((400, Rejected), (401, AuthFailed), (410, NotFound)):
        with pytest.raises(word):
            await sent(notify, effect, status)
    with pytest.raises(AuthFailed, match="signature is wrong"):
        await notify.connect(signing_secret="whsec_b3RoZXI=").send([effect])
    with pytest.raises(AuthFailed, match="too old"):
        await notify.connect(skew_seconds=-900).send([effect])
    assert notify.world.all("messages") == []


async def test_what_is_no_message_is_refused_by_the_mailbox(notify: Harness) -> None:
    effect = await notify.sample("NotifyCustomer")
    broken = replace(effect, command=replace(effect.command, customer_ref=None))  # type: ignore[arg-type]
    with pytest.raises(Rejected, match="this is no message"):
        await notify.connector.send([broken])


async def test_doctor_says_what_is_wrong_with_the_secret(notify: Harness) -> None:
    assert [fine for _, fine, _ in await notify.connector.check()] == [True]
    other = notify.connect(signing_secret="whsec_b3RoZXI=")
    [(_, fine, what_to_do)] = await other.check()
    assert not fine and "credentials" in what_to_do
    assert notify.world.all("messages") == []
