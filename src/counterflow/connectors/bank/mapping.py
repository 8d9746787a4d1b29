"""A booked line of a bank account in our words. Pure. A booked line never changes, so it is a fact itself."""

from datetime import datetime

from counterflow.connectors.bank.manifest import MANIFEST
from counterflow.core.facts import BankLineBooked, Fact
from counterflow.core.ids import fact_id
from counterflow.core.money import MoneyError, exponent
from counterflow.sdk.fields import AMOUNT_MOST, Fields
from counterflow.sdk.outcomes import Malformed


def line_fact(connection: str, line: object, seen_at: datetime) -> Fact:
    """{id, booked_at, amount_minor, currency, text, end_to_end_ref?} as BankLineBooked. Raises Malformed.

    `amount_minor` is in minor units of ISO 4217, negative for money that left. The end-to-end reference (SEPA) is part
    of the text, because it is what the payer wrote.
    """
    read = Fields(line, "line")
    line_id, booked_at, currency = read.text("id"), read.instant("booked_at"), read.text("currency")
    amount, text = read.amount("amount_minor", least=-AMOUNT_MOST), read.text("text", "")
    reference = read.text("end_to_end_ref", "")
    try:
        exponent(currency)
    except MoneyError as error:
        raise Malformed(f"line.currency: {error}", field="line.currency") from None
    if reference not in text:
        text = f"{text} {reference}".strip()
    bank_ref = f"{connection}:line:{line_id}"
    body = BankLineBooked(bank_ref, amount, currency, text, booked_at.date().isoformat())
    return Fact(
        fact_id(connection, "BankLineBooked", line_id),
        connection,
        booked_at,
        seen_at,
        (bank_ref,),
        body,
        "bank",
        adapter=MANIFEST.version,
    )
