"""What we send and what the simulator answers is what Adyen's published OpenAPI files say; their examples are read."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from counterflow.connectors.adyen import connector
from counterflow.connectors.adyen.manifest import DISPUTE_TOPICS, MANIFEST, REFUND_TOPICS
from counterflow.core.facts import DisputeMoved, RefundReported
from counterflow.sdk.connector import Context
from counterflow.sdk.http import Unlimited
from counterflow.sdk.outcomes import AuthFailed, Rejected, UnknownOutcome
from tests.connectors.adyen.spec import (
    CONTRACT,
    Harness,
    ValidationError,
    Witness,
    check_notification,
    check_refund,
    whole,
)
from tests.counterparts import programs

_TEN = {"value": 1000, "currency": "EUR"}


def test_the_witness_can_say_no() -> None:
    """Else it would prove nothing."""
    good = {"merchantAccount": "A", "amount": {"currency": "EUR", "value": 1}}
    answer = {"status": 422, "errorCode": "167"}
    check_refund(json.dumps(good).encode(), 422, json.dumps(answer).encode())
    bad: list[dict[str, Any]] = [{**good, "amount": {"currency": "EUR", "value": "1"}}, {**good, "metadata": {}}, {}]
    for body in bad:
        with pytest.raises(ValidationError):
            check_refund(json.dumps(body).encode(), 422, json.dumps(answer).encode())
    with pytest.raises(ValidationError):
        check_refund(json.dumps(good).encode(), 201, json.dumps({"pspReference": "X", "status": "done"}).encode())


async def test_every_kind_of_answer_is_as_published() -> None:
    adyen = Harness()
    effect = await adyen.sample("PayLeg")
    await adyen.connector.send([effect])
    over = await adyen.over("PayLeg")
    assert over is not None
    with pytest.raises(Rejected):
        await adyen.connector.send([over])
    adyen.world.fault("in_flight")
    with pytest.raises(UnknownOutcome):
        await adyen.connector.send([await adyen.sample("PayLeg")])
    with pytest.raises(AuthFailed):
        await adyen.connect(api_key="other").send([effect])
    with pytest.raises(AuthFailed):
        await adyen.connect(merchant_account="SomebodyElse").send([effect])
    assert isinstance(adyen.network, Witness)
    assert adyen.network.seen == [201, 422, 422, 401, 403]


async def test_every_notification_that_the_simulator_sends_is_as_published() -> None:
    adyen = Harness()
    payment = (await adyen.act("pay", value=50_00, currency="EUR", reference="SO1"))["pspReference"]
    for event in CONTRACT["events"]:
        await adyen.act("say", event=event, pspReference="QFQTPCQ8HXSKGK82", payment=payment, value=10_00, reason="why")
    refund = await adyen.act("refund_in_customer_area", payment=payment, value=10_00)
    adyen.clock.advance(60)
    await adyen.told()
    await adyen.act("fail_refund", refund=refund["pspReference"])
    opened = await adyen.act("dispute", payment=payment, event="NOTIFICATION_OF_CHARGEBACK")
    await adyen.act("dispute", payment=payment, event="CHARGEBACK", **opened)
    await adyen.act("close_batch")
    bodies = [delivery.body for delivery in await adyen.told()]
    events = {
        row["NotificationRequestItem"]["eventCode"] for body in bodies for row in json.loads(body)["notificationItems"]
    }
    assert {"REFUND_FAILED", "CHARGEBACK", "REPORT_AVAILABLE"} <= events
    for body in bodies:
        check_notification(body)


def test_the_reduced_copy_is_what_adyen_publishes() -> None:
    """Every name and type of it is in the whole files, and nothing that is required there is missing."""
    for space, name in (("checkout", "CheckoutService-v72.json"), ("webhooks", "Webhooks-v1.json")):
        schemas = whole(name)["components"]["schemas"]
        for schema, copy in CONTRACT[space].items():
            told = schemas[schema]
            assert copy.get("required") == told.get("required"), schema
            assert copy.get("properties", {}).keys() == told.get("properties", {}).keys(), schema
            for field, kind in copy.get("properties", {}).items():
                if "type" in kind:
                    assert kind["type"] == told["properties"][field]["type"], f"{schema}.{field}"


def test_every_topic_of_the_manifest_is_one_that_adyen_has() -> None:
    known = {path.removeprefix("/") for path in whole("Webhooks-v1.json")["webhooks"]}
    assert set(MANIFEST.topics) <= known


def test_every_example_that_adyen_publishes_is_read() -> None:
    """Each refund and dispute example gives one fact that says what the example says."""
    found = whole("Webhooks-v1.json")
    adyen = Harness()
    config = connector.Config.model_validate({**adyen.config, "merchant_account": "YOUR_MERCHANT_ACCOUNT"})
    ours = connector.make(config, Context("here", Unlimited(), lambda: datetime.now(UTC)))
    told: dict[str, Any] = {}
    for name, example in found["components"]["examples"].items():
        for row in example["value"].get("notificationItems", ()):
            event = row["NotificationRequestItem"]["eventCode"]
            facts = ours.translate(adyen.sign(json.dumps(example["value"]).encode()))
            if event in (*REFUND_TOPICS, *DISPUTE_TOPICS):
                told[name] = facts
    [refund] = told["post-REFUND-refund"]
    assert isinstance(refund.body, RefundReported)
    assert (refund.body.status, refund.body.amount_minor, refund.body.currency) == ("failed", 10_00, "EUR")
    assert refund.body.payment_ref == "9913140798220028" and "captured" in refund.body.reason
    assert told["post-CANCEL_OR_REFUND-cancel_or_refund"] == [], "a cancelled authorisation moves no money"
    assert len([1 for facts in told.values() if facts and isinstance(facts[0].body, DisputeMoved)]) >= 8


def test_the_published_signature_is_ours() -> None:
    """The example of Adyen's documentation and libraries: the same key, item and signature."""
    item = {
        "pspReference": "7914073381342284",
        "merchantAccountCode": "TestMerchant",
        "merchantReference": "TestPayment-1407325143704",
        "amount": {"value": 1130, "currency": "EUR"},
        "eventCode": "AUTHORISATION",
        "success": "true",
        "additionalData": {"hmacSignature": "coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0="},
    }
    adyen = Harness()
    body = json.dumps({"live": "false", "notificationItems": [{"NotificationRequestItem": item}]}).encode()
    delivery = adyen.sign(body)  # for its header; the item keeps the signature that Adyen published
    signed = json.loads(delivery.body)["notificationItems"][0]["NotificationRequestItem"]["additionalData"]
    assert signed == item["additionalData"], "the simulator signs as Adyen does"
    adyen.connector.verify(delivery)


def test_adyens_own_library_agrees_on_every_signature() -> None:
    adyen = Harness()
    with programs.Script(Path(__file__).parent / "official.py", adyen.config["webhook_hmac_key"]) as official:
        for reference in ("", "SO-1", "a:b", "Zoë 😀", 'quote"s'):
            item = {"pspReference": "QFQTPCQ8HXSKGK82", "originalReference": "9913140798220028", "eventCode": "REFUND"}
            item |= {"merchantAccountCode": "CounterflowEU", "merchantReference": reference, "success": "true"}
            message = {"notificationItems": [{"NotificationRequestItem": item | {"amount": _TEN}}]}
            delivery = adyen.sign(json.dumps(message).encode())
            adyen.connector.verify(delivery)
            assert official("is_valid", json.loads(delivery.body)) is True
            forged = json.loads(delivery.body.replace(b"1000", b"9000"))
            assert official("is_valid", forged) is False


async def test_the_witness_sees_the_wire() -> None:
    adyen = Harness()
    assert isinstance(adyen.network, Witness)
    async with httpx2.AsyncClient(transport=adyen.network, base_url="http://checkout.test") as http:
        with pytest.raises(ValidationError):
            await http.post("/v72/payments/QFQTPCQ8HXSKGK82/refunds", json={"amount": 1})
