"""A booked line of a bank account in our words. Pure. A booked line never changes, so it is a fact itself."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from counterflow.connectors.bank.manifest import MANIFEST
from counterflow.core.facts import BankLineBooked, Fact
from counterflow.core.ids import fact_id
from counterflow.core.money import MoneyError, exponent
from counterflow.sdk.outcomes import Malformed


def line_fact(connection: str, line: Mapping[str, Any], seen_at: datetime) -> Fact:
    """{id, booked_at, amount_minor, currency, text, end_to_end_ref?} as BankLineBooked. Raises Malformed.

    `amount_minor` is in minor units of ISO 4217, negative for money that left. The end-to-end reference (SEPA) is part
    of the text, because it is what the payer wrote.
    """
    try:
        line_id, booked_at = line["id"], datetime.fromisoformat(line["booked_at"])
        amount, currency, text = line["amount_minor"], line["currency"], str(line["text"])
        exponent(currency)
        if not isinstance(line_id, str) or not line_id or isinstance(amount, bool) or not isinstance(amount, int):
            raise TypeError("id is text, amount_minor a whole number")
        if booked_at.utcoffset() is None:
            raise ValueError("booked_at has no offset")
    except (KeyError, TypeError, ValueError, MoneyError) as error:
        raise Malformed(f"a bank line breaks the feed's contract: {error}") from None
    reference = str(line.get("end_to_end_ref") or "")
    if reference and reference not in text:
        text = f"{text} {reference}"
    booked_at = booked_at.astimezone(UTC)
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
