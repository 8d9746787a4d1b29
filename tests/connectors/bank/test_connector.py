"""Bank lines as facts: exact amounts both ways, the payer's reference kept, broken lines refused."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from counterflow.connectors.bank.conformance import Harness
from counterflow.connectors.bank.mapping import line_fact
from counterflow.core.facts import BankLineBooked
from counterflow.sdk.outcomes import Malformed

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
LINE = {
    "id": "bl_1",
    "booked_at": "2026-03-02T00:30:00+01:00",
    "amount_minor": 117_95,
    "currency": "EUR",
    "text": "STRIPE 000",
    "end_to_end_ref": "po_1",
}


def body(**changes: Any) -> BankLineBooked:
    fact = line_fact("bank-de", {**LINE, **changes}, NOW)
    assert isinstance(fact.body, BankLineBooked)
    return fact.body


def test_a_line_is_a_fact_with_the_payers_reference_in_its_text() -> None:
    assert body() == BankLineBooked("bank-de:line:bl_1", 117_95, "EUR", "STRIPE 000 po_1", "2026-03-01")
    assert body(text="STRIPE po_1").text == "STRIPE po_1"
    assert body(end_to_end_ref=None).text == "STRIPE 000"


@pytest.mark.parametrize(("amount", "currency"), [(-5, "EUR"), (500, "JPY"), (12_345, "KWD"), (0, "EUR")])
def test_amounts_are_minor_units_of_their_currency_and_may_be_negative(amount: int, currency: str) -> None:
    told = body(amount_minor=amount, currency=currency)
    assert (told.amount_minor, told.currency) == (amount, currency)


@pytest.mark.parametrize(
    "change",
    [
        {"id": None},
        {"id": 7},
        {"amount_minor": 1.5},
        {"amount_minor": "100"},
        {"amount_minor": True},
        {"currency": "eur"},
        {"currency": "EURO"},
        {"booked_at": "2026-03-02"},
        {"booked_at": 5},
    ],
)
def test_a_line_that_breaks_the_contract_is_malformed(change: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        body(**change)


async def test_webhook_and_feed_tell_the_same_fact() -> None:
    bank = Harness()
    await bank.happen("lines")
    [delivery] = await bank.told()
    page = await bank.connector.pull("lines", "")
    pushed = bank.connector.translate(delivery)
    assert [item.fact_id for item in pushed if not hasattr(item, "feed")] == [
        item.fact_id for item in page.items if not hasattr(item, "feed")
    ]
    assert timedelta(0) <= bank.clock.now() - delivery.received_at < timedelta(minutes=1)
