"""What is Adyen's own: always asynchronous, late failures, many items to a POST, odd decimals, settlement batches."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterflow.connectors.adyen import mapping, settlement
from counterflow.connectors.adyen.conformance import Harness
from counterflow.connectors.adyen.manifest import DISPUTE_TOPICS, REFUND_TOPICS
from counterflow.connectors.adyen.mapping import DISPUTE, RANK, STATUS
from counterflow.connectors.adyen.settlement import batch_facts
from counterflow.connectors.adyen.webhooks import signed_text
from counterflow.core.effects import Effect, PayLeg
from counterflow.core.facts import DisputeMoved, Fact, PayoutReported, RefundReported, RefundSettled
from counterflow.core.money import MoneyError, exponent
from counterflow.sdk.connector import Delivery, Signal
from counterflow.sdk.fields import Fields
from counterflow.sdk.outcomes import Accepted, AuthFailed, Malformed, NotFound, Rejected, UnknownOutcome

NOW = datetime(2026, 3, 1, tzinfo=UTC)
BATCH = """\
Psp Reference,Payment Method,Creation Date,TimeZone,Type,Modification Reference,Gross Currency,Gross Debit (GC),Gross Credit (GC),Net Currency,Net Debit (NC),Net Credit (NC),Commission (NC),Markup (NC),Scheme Fees (NC),Interchange (NC),Modification Merchant Reference,Batch Number
P1,visa,2026-10-02 10:11:12,CET,Settled,C1,EUR,,120.00,EUR,,118.61,,0.19,0.24,0.96,SO1001,7
P2,ideal,2026-10-02 10:11:12,CET,Settled,C2,EUR,,50.00,EUR,,49.70,.30,,,,SO1002,7
P1,visa,2026-10-04 09:00:00,CET,Refunded,R1,EUR,40.00,,EUR,40.10,,0.10,,,,RET-77,7
P1,visa,2026-10-05 09:00:00,CET,RefundedReversed,R1,EUR,,40.00,EUR,,40.00,,,,,RET-77,7
P3,visa,2026-10-05 09:00:00,CET,Chargeback,D1,EUR,10.00,,EUR,25.00,,15.00,,,,,7
,,2026-10-05 02:00:00,CET,Fee,Transaction Fees,,,,EUR,2.21,,,,,,,7
,,2026-10-05 02:00:00,CET,MerchantPayout,TX99887XT batch 7,EUR,,,EUR,141.00,,,,,,,7
"""  # noqa: E501 - a file of Adyen's
SHARED = Path(os.environ.get("COUNTERFLOW_SHARED", Path(__file__).parents[3] / ".." / "shared"))


@pytest.fixture
def adyen() -> Harness:
    return Harness()


async def send(adyen: Harness, effect: Effect) -> Any:
    [outcome] = await adyen.connector.send([effect])
    return outcome


async def heard(adyen: Harness) -> list[Any]:
    """What the notifications of this moment say."""
    found: list[Any] = []
    for delivery in await adyen.told():
        adyen.connector.verify(delivery)
        found += adyen.connector.translate(delivery)
    return found


async def paid(adyen: Harness, **how: Any) -> str:
    return str((await adyen.act("pay", **{"value": 50_00, "currency": "EUR", **how}))["pspReference"])


async def refunded(adyen: Harness, effect: Effect) -> list[RefundReported]:
    """Send, wait a minute, hear."""
    assert isinstance(await send(adyen, effect), Accepted)
    adyen.clock.advance(60)
    return [
        fact.body for fact in await heard(adyen) if isinstance(fact, Fact) and isinstance(fact.body, RefundReported)
    ]


# Paying


async def test_a_refund_is_only_received_and_a_webhook_says_later_that_it_went_through(adyen: Harness) -> None:
    effect = await adyen.sample("PayLeg")
    await heard(adyen)
    outcome = await send(adyen, effect)
    [refund] = adyen.world.all("refunds")
    assert outcome == Accepted(f"here:refund:{refund['pspReference']}", (("status", "pending"),))
    assert await heard(adyen) == [], "nothing is decided yet"
    adyen.clock.advance(60)
    [fact] = await heard(adyen)
    assert isinstance(effect.command, PayLeg)
    payment = effect.command.payment_ref  # as the sale names it
    assert fact.refs == (f"effect:{effect.effect_id}", outcome.ref, f"here:payment:{payment}")
    assert (fact.origin, fact.body.status, fact.body.key) == ("ours", "succeeded", effect.effect_id)
    assert (fact.body.amount_minor, fact.body.currency, fact.body.payment_ref) == (19_90, "EUR", payment)


async def test_too_much_is_received_like_everything_and_fails_later(adyen: Harness) -> None:
    effect = await adyen.sample("PayLeg")
    assert isinstance(effect.command, PayLeg)
    [failed] = await refunded(adyen, replace(effect, command=replace(effect.command, amount_minor=59_71)))
    assert (failed.status, failed.reason) == ("failed", "Insufficient balance on payment")


async def test_what_was_not_captured_cannot_be_refunded(adyen: Harness) -> None:
    effect = await adyen.sample("PayLeg")
    payment = await paid(adyen, captured=False)
    [failed] = await refunded(adyen, replace(effect, command=replace(effect.command, payment_ref=payment)))  # type: ignore[arg-type]
    assert failed.status == "failed" and "captured" in failed.reason


@pytest.mark.parametrize(("act", "status"), [("fail_refund", "failed"), ("reverse_refund", "reversed")])
async def test_a_refund_that_succeeded_fails_later_and_the_failure_wins(adyen: Harness, act: str, status: str) -> None:
    effect = await adyen.sample("PayLeg")
    [succeeded] = await refunded(adyen, effect)
    [refund] = adyen.world.all("refunds")
    adyen.clock.advance(9 * 86_400)
    await adyen.act(act, refund=refund["pspReference"])
    [fact] = await heard(adyen)
    assert (fact.body.status, fact.body.refund_ref, fact.body.key) == (status, succeeded.refund_ref, effect.effect_id)
    assert fact.body.version > succeeded.version, "whichever arrives first"


async def test_a_request_under_way_and_a_lost_answer_are_settled_by_the_same_key(adyen: Harness) -> None:
    effect = await adyen.sample("PayLeg")
    adyen.world.fault("in_flight")
    with pytest.raises(UnknownOutcome, match="in progress"):
        await send(adyen, effect)
    adyen.world.fault("lost_reply", match="refunds")
    with pytest.raises(UnknownOutcome):
        await send(adyen, effect)
    assert isinstance(await send(adyen, effect), Accepted)
    assert len(adyen.world.all("refunds")) == 1


async def test_a_first_answer_that_comes_again_for_other_content_is_not_believed(adyen: Harness) -> None:
    effect = await adyen.sample("PayLeg")
    await send(adyen, effect)
    with pytest.raises(Malformed, match=r"19\.90 EUR .* asked for was 20\.00 EUR"):
        await send(adyen, adyen.altered(effect) or effect)
    assert len(adyen.world.all("refunds")) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"rail": "cash"}, "rail"),
        ({"payment_ref": "here:payment:not a reference"}, "payment_ref"),
        ({"amount_minor": 0}, "amount"),
        ({"currency": "CVE", "amount_minor": 150}, "amount"),  # Adyen has no decimals of it
    ],
)
async def test_what_can_never_be_paid_is_refused_by_name_and_not_sent(
    adyen: Harness, change: dict[str, Any], code: str
) -> None:
    effect = await adyen.sample("PayLeg")
    effect = replace(effect, command=replace(effect.command, **change))
    before = adyen.network.requests
    with pytest.raises(Rejected) as refused:
        await send(adyen, effect)
    assert refused.value.code == code and adyen.network.requests == before


# Money


@given(st.sampled_from(["EUR", "JPY", "KWD", "CLP", "ISK", "CVE", "IDR"]), st.integers(1, 10**9))
def test_every_amount_that_adyen_can_express_comes_back_the_same(currency: str, minor: int) -> None:
    try:
        value = mapping.to_adyen(minor, currency)
    except Rejected:
        assert currency in ("CVE", "IDR") and minor % 100
        return
    assert mapping.from_adyen(Fields({"value": value, "currency": currency})) == (minor, currency)


def test_adyens_own_decimals() -> None:
    """https://docs.adyen.com/development-resources/currency-codes"""
    assert [mapping.to_adyen(700, currency) for currency in ("EUR", "JPY", "ISK", "CLP")] == [700, 700, 70_000, 70_000]
    assert [mapping.to_adyen(700, currency) for currency in ("CVE", "IDR")] == [7, 7]
    for amount in (
        {"value": 150, "currency": "ISK"},
        {"value": 1.5, "currency": "EUR"},
        {"value": "1", "currency": "EUR"},
    ):
        with pytest.raises(Malformed):
            mapping.from_adyen(Fields(amount))
    with pytest.raises(Malformed, match="ISO 4217"):
        mapping.from_adyen(Fields({"value": 1, "currency": "eur"}))


# Notifications


def notification(adyen: Harness, *items: dict[str, Any]) -> Delivery:
    whole = {
        "amount": {"currency": "EUR", "value": 10_00},
        "eventCode": "REFUND",
        "eventDate": "2026-03-01T10:00:00+01:00",
        "merchantAccountCode": "CounterflowEU",
        "merchantReference": "SO1",
        "originalReference": "9913140798220028",
        "paymentMethod": "visa",
        "pspReference": "QFQTPCQ8HXSKGK82",
        "reason": "",
        "success": "true",
    }
    rows = [{"NotificationRequestItem": {**whole, **item}} for item in items]
    return adyen.sign(json.dumps({"live": "false", "notificationItems": rows}).encode())


def says(adyen: Harness, **item: Any) -> list[Any]:
    return list(adyen.connector.translate(notification(adyen, item)))


@pytest.mark.parametrize("event", REFUND_TOPICS)
@pytest.mark.parametrize("success", ["true", "false"])
def test_every_refund_event_has_its_status_and_the_unknown_ones_stay_pending(
    adyen: Harness, event: str, success: str
) -> None:
    found = says(adyen, eventCode=event, success=success)
    if (event, success) == ("VOID_PENDING_REFUND", "false"):
        assert found == []
        return
    [fact] = found
    assert fact.body.status == STATUS.get((event, success), "pending")
    assert fact.body.version == RANK[fact.body.status]
    assert (fact.origin, fact.body.key) == ("psp", ""), "SO1 is no key of ours: a person made it"


def test_a_pair_that_nobody_knows_is_pending_and_ranks_below_all_others(adyen: Harness) -> None:
    [fact] = says(adyen, eventCode="REFUND_FAILED", success="false")
    assert fact.body.status == "pending" and fact.body.version == min(RANK.values())


@pytest.mark.parametrize("event", DISPUTE_TOPICS)
def test_every_step_of_a_dispute_is_told(adyen: Harness, event: str) -> None:
    [fact] = says(adyen, eventCode=event)
    assert isinstance(fact.body, DisputeMoved)
    assert (fact.body.phase, fact.body.amount_minor, fact.body.payment_ref) == (
        DISPUTE[event],
        10_00,
        "9913140798220028",
    )


def test_a_request_for_information_and_a_cancelled_authorisation_move_no_money(adyen: Harness) -> None:
    assert says(adyen, eventCode="REQUEST_FOR_INFORMATION") == []
    assert says(adyen, eventCode="CANCEL_OR_REFUND", additionalData={"modification.action": "cancel"}) == []
    [fact] = says(adyen, eventCode="CANCEL_OR_REFUND", additionalData={"modification.action": "refund"})
    assert fact.body.status == "succeeded"


def test_another_merchant_account_is_not_ours(adyen: Harness) -> None:
    assert says(adyen, merchantAccountCode="SomebodyElse") == []


def test_several_items_of_one_post_are_all_told(adyen: Harness) -> None:
    delivery = notification(adyen, {}, {"eventCode": "CHARGEBACK", "pspReference": "D2"}, {"eventCode": "CAPTURE"})
    adyen.connector.verify(delivery)
    kinds = [fact.kind for fact in adyen.connector.translate(delivery) if isinstance(fact, Fact)]
    assert kinds == ["RefundReported", "DisputeMoved"]


def test_one_item_with_a_wrong_signature_refuses_the_whole_post(adyen: Harness) -> None:
    message = json.loads(notification(adyen, {}, {"pspReference": "OTHER"}).body)
    for number in range(2):
        forged = json.loads(json.dumps(message))
        forged["notificationItems"][number]["NotificationRequestItem"]["amount"]["value"] = 99_00
        delivery = replace(notification(adyen, {}), body=json.dumps(forged).encode())
        with pytest.raises(AuthFailed, match="not signed"):
            adyen.connector.verify(delivery)


def test_the_password_is_needed_beside_the_signature(adyen: Harness) -> None:
    """The reason and the date are not signed."""
    delivery = notification(adyen, {})
    for headers in ({}, {"authorization": ("Basic d3Jvbmc6d3Jvbmc=",)}, {"authorization": ("Bearer x",)}):
        with pytest.raises(AuthFailed, match="user and password"):
            adyen.connector.verify(replace(delivery, headers=headers))


def test_no_two_items_share_a_signature_by_moving_a_colon(adyen: Harness) -> None:
    """Nothing is escaped in what is signed: a:b + c and a + b:c would be one."""
    for name in ("pspReference", "originalReference", "merchantAccountCode", "eventCode", "success"):
        with pytest.raises(AuthFailed, match="colon"):
            adyen.connector.verify(notification(adyen, {name: "a:b"}))
    adyen.connector.verify(notification(adyen, {"merchantReference": "a:b"}))


def test_the_old_key_is_taken_beside_the_new_one_while_it_is_changed(adyen: Harness) -> None:
    new = "00" * 32
    both = adyen.connect(webhook_hmac_key=new, webhook_hmac_key_before=adyen.config["webhook_hmac_key"])
    both.verify(notification(adyen, {}))
    with pytest.raises(AuthFailed):
        adyen.connect(webhook_hmac_key=new).verify(notification(adyen, {}))


@pytest.mark.parametrize(
    "item",
    [
        {"success": True},  # it is a text, and always was
        {"success": "maybe"},
        {"amount": {"currency": "EUR", "value": 10.5}},
        {"eventDate": "yesterday"},
        {"pspReference": None},
        {"amount": None},
    ],
)
def test_drift_is_malformed_and_nothing_is_half_told(adyen: Harness, item: dict[str, Any]) -> None:
    """It gets in, for Adyen has signed it: a refused POST would hold up all that comes behind it."""
    delivery = notification(adyen, {}, item)
    adyen.connector.verify(delivery)
    assert adyen.connector.identify(delivery)
    with pytest.raises(Malformed):
        adyen.connector.translate(delivery)


async def test_items_that_were_held_go_out_together_and_a_repeat_says_the_same(adyen: Harness) -> None:
    await adyen.act("hold")
    payment = await paid(adyen)
    refunds = [await adyen.act("refund_in_customer_area", payment=payment, value=10_00) for _ in range(3)]
    adyen.clock.advance(60)
    assert await adyen.told() == []
    await adyen.act("release")
    adyen.receiver_status = 503
    [first] = await adyen.told()
    adyen.receiver_status = 202
    adyen.clock.advance(9)
    [again] = await adyen.told()
    assert adyen.connector.identify(first) == adyen.connector.identify(again)
    told = [fact.body.refund_ref for fact in adyen.connector.translate(again) if isinstance(fact, Fact)]  # type: ignore[union-attr]
    assert told == [f"here:refund:{refund['pspReference']}" for refund in refunds]


def test_a_report_is_asked_for_by_its_number_and_never_at_the_address_of_the_notification(adyen: Harness) -> None:
    report = {"eventCode": "REPORT_AVAILABLE", "reason": "https://evil.example/x", "originalReference": None}
    [signal] = says(adyen, **report, pspReference="settlement_detail_report_batch_7.csv")
    assert signal == Signal("payouts", "here:batch:7", ("here:batch:7",))
    assert says(adyen, **report, pspReference="../settlement_detail_report_batch_7.csv") == []
    assert says(adyen, **report, pspReference="dispute_report_2026_03_01.csv") == []


# Settlement


async def batch(adyen: Harness) -> list[Fact]:
    return list(await adyen.connector.fetch("payouts", "here:batch:1"))


async def test_a_batch_tells_its_payout_to_the_cent_and_each_refund_by_the_words_of_the_webhook(adyen: Harness) -> None:
    effect = await adyen.sample("PayLeg")
    by_webhook = await refunded(adyen, effect)
    closed = await adyen.act("close_batch")
    payout, reported, settled = await batch(adyen)
    assert isinstance(payout.body, PayoutReported)
    assert payout.refs == (f"here:payout:{closed['payouts'][0]}",)
    # 59.70 paid, 0.11 markup and 0.47 interchange kept, 19.90 refunded
    assert payout.body.net_minor == 59_70 - 58 - 19_90 == sum(entry.amount_minor for entry in payout.body.entries)
    assert [(entry.kind, entry.amount_minor) for entry in payout.body.entries] == [
        ("charge", 59_70),
        ("fee", -58),
        ("refund", -19_90),
    ]
    assert reported.body == by_webhook[0]
    assert isinstance(settled.body, RefundSettled)
    assert (settled.body.amount_minor, settled.body.payout_ref) == (19_90, payout.refs[0])
    assert settled.refs[0] == f"effect:{effect.effect_id}"


async def test_a_refund_that_came_back_is_settled_negative(adyen: Harness) -> None:
    await refunded(adyen, await adyen.sample("PayLeg"))
    [refund] = adyen.world.all("refunds")
    await adyen.act("reverse_refund", refund=refund["pspReference"])
    await adyen.act("close_batch")
    settled = [fact.body for fact in await batch(adyen) if isinstance(fact.body, RefundSettled)]
    assert [body.amount_minor for body in settled] == [19_90, -19_90]


async def test_each_currency_of_a_batch_is_a_payout_of_its_own(adyen: Harness) -> None:
    for currency in ("EUR", "JPY", "KWD"):
        await paid(adyen, currency=currency)
    closed = await adyen.act("close_batch")
    payouts = [fact.body for fact in await batch(adyen) if isinstance(fact.body, PayoutReported)]
    assert [(body.currency, body.net_minor) for body in payouts] == [("EUR", 49_50), ("JPY", 49_50), ("KWD", 49_50)]
    assert [body.payout_ref for body in payouts] == [f"here:payout:{name}" for name in closed["payouts"]]


async def test_what_is_owed_is_carried_into_the_next_batch(adyen: Harness) -> None:
    payment = await paid(adyen)
    await adyen.act("close_batch")
    await adyen.act("refund_in_customer_area", payment=payment, value=50_00)
    adyen.clock.advance(60)
    assert (await adyen.act("close_batch"))["payouts"] == []
    [payout, *_] = await adyen.connector.fetch("payouts", "here:batch:2")
    assert isinstance(payout.body, PayoutReported) and payout.body.net_minor == 0
    await paid(adyen, value=90_00)
    await adyen.act("close_batch")
    [payout, *_] = await adyen.connector.fetch("payouts", "here:batch:3")
    assert isinstance(payout.body, PayoutReported)
    assert ("adjustment", -50_00) in [(entry.kind, entry.amount_minor) for entry in payout.body.entries]


async def test_a_corrected_batch_is_told_of_again_and_its_payout_anew(adyen: Harness) -> None:
    await paid(adyen)
    await adyen.act("close_batch")
    [first] = await batch(adyen)
    signals = [item for item in await heard(adyen) if isinstance(item, Signal)]
    await adyen.act("correct_batch", batch=1)
    adyen.clock.advance(1)
    assert [item for item in await heard(adyen) if isinstance(item, Signal)] == signals
    [second] = await batch(adyen)
    assert isinstance(first.body, PayoutReported) and isinstance(second.body, PayoutReported)
    assert second.fact_id != first.fact_id and second.refs == first.refs
    assert second.body.net_minor == first.body.net_minor - 1


async def test_a_file_that_was_cut_or_is_not_the_batch_is_refused_by_name(adyen: Harness) -> None:
    await adyen.act("pay", value=50_00, currency="EUR")
    adyen.world.fault("cut")
    await adyen.act("close_batch")
    with pytest.raises(Malformed, match="columns, the head"):
        await batch(adyen)
    report = (await adyen.file("refunds")) or pytest.fail("no file")
    lines = report.body.splitlines(keepends=True)
    with pytest.raises(Malformed, match="does not sum up to nothing in EUR"):
        batch_facts("here", 1, b"".join(lines[:-1]), NOW)  # cut at the end of a line
    with pytest.raises(Malformed, match="is of batch"):
        batch_facts("here", 8, report.body, NOW)


async def test_a_missing_batch_is_an_alarm_and_not_the_end(adyen: Harness) -> None:
    for _ in range(3):
        await adyen.happen("payouts")
    adyen.world.delete("reports", "settlement_detail_report_batch_2.csv")
    with pytest.raises(Malformed, match=r"batch_2\.csv is missing and the next one is there"):
        await adyen.connector.pull("payouts", "2")
    page = await adyen.connector.pull("payouts", "3")
    assert page.items and (page.cursor, page.more) == ("4", False)


async def test_a_refund_has_no_address_of_its_own(adyen: Harness) -> None:
    with pytest.raises(NotFound, match="webhooks and the settlement report"):
        await adyen.connector.fetch("refunds", "here:refund:QFQTPCQ8HXSKGK82")


def shared(name: str) -> bytes:
    path = SHARED / "data" / "settlement" / "adyen" / name
    if not path.is_file():
        pytest.skip(f"set COUNTERFLOW_SHARED to the folder that holds data/settlement/adyen/{name}")
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "number", "ref", "net", "kinds"),
    [
        ("sample_made_up.csv", 41, "TX99887XT", 78_51, ["charge", "fee", "refund"]),
        ("donation.csv", 2, "TX2342222277XT", 76, ["charge", "fee"]),
        ("batch_238.csv", 238, "batch-238-USD", 0, ["adjustment", "adjustment", "fee"]),
    ],
)
def test_whole_batches_of_real_form_sum_up(name: str, number: int, ref: str, net: int, kinds: list[str]) -> None:
    bodies = [fact.body for fact in batch_facts("here", number, shared(name), NOW)]
    [payout] = [body for body in bodies if isinstance(body, PayoutReported)]
    assert sum(entry.amount_minor for entry in payout.entries) == payout.net_minor == net
    assert (payout.payout_ref, [entry.kind for entry in payout.entries]) == (f"here:payout:{ref}", kinds)
    settled = [
        (body.refund_ref, body.amount_minor, body.fee_minor) for body in bodies if isinstance(body, RefundSettled)
    ]
    assert settled == ([("here:refund:8836XYZ0000000R7", 40_00, 10)] if number == 41 else [])


@pytest.mark.parametrize(
    ("name", "number"),
    [("chargeback.csv", 3), ("chargeback_reversed.csv", 3), ("refund.csv", 3), ("invoice_deduction.csv", 1136)],
)
def test_real_lines_that_were_cut_out_of_a_batch_are_not_taken_for_it(name: str, number: int) -> None:
    with pytest.raises(Malformed, match="does not sum up to nothing in USD"):
        batch_facts("here", number, shared(name), NOW)


@given(st.data())
def test_rows_in_any_order_and_columns_in_any_order_tell_the_same(data: st.DataObject) -> None:
    lines = [line.split(",") for line in BATCH.splitlines()]
    told = batch_facts("here", 7, BATCH.encode(), NOW)
    rows = data.draw(st.permutations(lines[1:]))
    columns = data.draw(st.permutations(range(len(lines[0]))))
    turned = "\n".join(",".join(row[column] for column in columns) for row in [lines[0], *rows])
    again = batch_facts("here", 7, turned.encode(), NOW)
    assert {fact.fact_id: fact.body for fact in told} == {fact.fact_id: fact.body for fact in again}


_REFERENCE = st.text("AB:1", max_size=4)


@given(
    st.lists(st.tuples(*[_REFERENCE] * 4, st.integers(0, 99), st.sampled_from(["EUR", "USD"])), min_size=2, max_size=2)
)
def test_two_items_share_a_signature_only_if_they_say_the_same(items: list[Any]) -> None:
    names = ("pspReference", "originalReference", "merchantAccountCode", "merchantReference")
    signed = []
    for *texts, value, currency in items:
        item = {**dict(zip(names, texts, strict=True)), "amount": {"value": value, "currency": currency}}
        try:
            signed.append(signed_text({**item, "eventCode": "REFUND", "success": "true"}))
        except AuthFailed:
            return
    assert (signed[0] == signed[1]) == (items[0] == items[1])


@given(st.binary(max_size=300))
def test_whatever_a_file_holds_is_facts_or_malformed(content: bytes) -> None:
    try:
        batch_facts("here", 1, content, NOW)
    except Malformed:
        return


@pytest.mark.parametrize(("text", "minor"), [("", 0), (".11", 11), ("-.11", -11), ("0", 0), ("1234.50", 1234_50)])
def test_amounts_are_read_as_real_files_write_them(text: str, minor: int) -> None:
    assert settlement._minor({"Net Debit (NC)": text}, "Net Debit (NC)", "EUR") == minor


def test_a_currency_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(MoneyError):
        exponent("EURO")
