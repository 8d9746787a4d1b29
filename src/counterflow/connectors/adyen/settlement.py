"""Adyen's settlement details report (one CSV per batch) in our words. Pure.

Columns are found by name: their order is a setting, and more may be there. Amounts are in major units; every row moves
the balance by net credit - net debit, and with the payout a whole batch sums up to nothing in each currency. A file in
which it does not was cut, and is refused. Source: https://docs.adyen.com/reporting/settlement-reconciliation.
"""

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from itertools import groupby
from operator import itemgetter

from counterflow.connectors.adyen.mapping import RANK, fact_of, key_of, refund_fact, refund_refs, tender_of
from counterflow.core.effects import SettlementEntry
from counterflow.core.facts import Fact, PayoutReported, RefundReported, RefundSettled
from counterflow.core.money import MoneyError, to_minor
from counterflow.sdk.fields import AMOUNT_MOST
from counterflow.sdk.outcomes import Malformed

REPORT = r"settlement_detail_report_batch_(\d{1,9})\.csv"
CURRENCY = "Net Currency"
_FEES = ("Commission (NC)", "Markup (NC)", "Scheme Fees (NC)", "Interchange (NC)")
_NEEDED = (
    "Psp Reference", "Payment Method", "Creation Date", "TimeZone", "Type", "Modification Reference", "Gross Currency",
    "Gross Debit (GC)", "Gross Credit (GC)", CURRENCY, "Net Debit (NC)", "Net Credit (NC)", *_FEES, "Batch Number",
)  # fmt: skip
_OURS = "Modification Merchant Reference"  # a column of the standard report that may be switched off
PAYOUT = "MerchantPayout"
# Type -> settlement entry; every other type is an adjustment.
_ENTRY = {
    "Settled": "charge",
    "Refunded": "refund",
    "RefundedReversed": "refund",
    "Fee": "fee",
    "InvoiceDeduction": "fee",
}
_STATUS = {"Refunded": "succeeded", "RefundedReversed": "reversed"}
# Hours from UTC of the report's abbreviations. One that is not here is read as UTC: it dates a row, and moves no money.
_HOURS = {
    **dict.fromkeys(("UTC", "GMT", "WET"), 0),
    **{"BST": 1, "WEST": 1, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3, "SGT": 8, "HKT": 8, "JST": 9, "BRT": -3},
    **{"EDT": -4, "EST": -5, "CDT": -5, "CST": -6, "MDT": -6, "MST": -7, "PDT": -7, "PST": -8, "AST": -4},
    **{"AEST": 10, "AEDT": 11, "NZST": 12, "NZDT": 13},
}  # fmt: skip

Row = Mapping[str, str]


def name_of(batch: int) -> str:
    return f"settlement_detail_report_batch_{batch}.csv"


def batch_facts(connection: str, batch: int, content: bytes, seen_at: datetime) -> list[Fact]:
    """Of each currency the payout, and of each refund its status and that it is settled. Raises Malformed.

    The same file again gives the same facts; a corrected one another PayoutReported, which counts until it is banked.
    """
    rows = sorted(_rows(content, batch), key=itemgetter(CURRENCY))
    facts: list[Fact] = []
    for currency, of_currency in groupby(rows, key=itemgetter(CURRENCY)):
        facts += _payout(connection, batch, currency, list(of_currency), seen_at)
    return facts


def _payout(connection: str, batch: int, currency: str, rows: list[Row], seen_at: datetime) -> list[Fact]:
    paid, moves = [row for row in rows if row["Type"] == PAYOUT], [row for row in rows if row["Type"] != PAYOUT]
    net = -sum(_net(row) for row in paid)
    if sum(_net(row) for row in rows) != 0:
        message = f"batch {batch} does not sum up to nothing in {currency}: the file was cut, fetch it again"
        raise Malformed(message, field=f"batch {batch}")
    name = re.match(r"[A-Za-z0-9]{6,}", paid[0]["Modification Reference"]) if paid else None
    payout_ref = f"{connection}:payout:{name[0] if name else f'batch-{batch}-{currency}'}"
    entries, facts = [], []
    for row in moves:
        entries.append(_entry(connection, row))
        if row["Type"] in _STATUS:
            facts += _refund(connection, payout_ref, row, seen_at)
    if fees := sum(_fee(row) for row in moves):
        entries.append(SettlementEntry("fee", payout_ref, -fees))
    entries.sort(key=lambda entry: (entry.kind, entry.ref, entry.amount_minor))  # rows come in any order
    at = max(_at(row) for row in paid or rows)
    body = PayoutReported(payout_ref, net, currency, tuple(entries), paid[0]["Creation Date"][:10] if paid else "")
    told = hashlib.sha256(repr((net, entries)).encode()).hexdigest()[:16]
    return [fact_of(connection, body, payout_ref, told, at, seen_at, (payout_ref,)), *facts]


def _refund(connection: str, payout_ref: str, row: Row, seen_at: datetime) -> list[Fact]:
    """Its status, and that it is settled: in its own currency, negative when it came back."""
    status, currency = _STATUS[row["Type"]], row["Gross Currency"]
    gross = _minor(row, "Gross Credit (GC)", currency) - _minor(row, "Gross Debit (GC)", currency)
    body = RefundReported(
        refund_ref=f"{connection}:refund:{row['Modification Reference']}",
        payment_ref=row["Psp Reference"],
        amount_minor=abs(gross),
        currency=currency,
        status=status,
        version=RANK[status],
        key=key_of(row.get(_OURS, "")),
        tender=tender_of(row["Payment Method"]),
    )
    settled = RefundSettled(body.refund_ref, payout_ref, -gross, currency, _fee(row))
    their, refs = f"{row['Modification Reference']}/{row['Type']}", refund_refs(connection, body)
    return [
        refund_fact(connection, body, _at(row), seen_at),
        fact_of(connection, settled, their, f"{payout_ref}/{-gross}", _at(row), seen_at, refs),
    ]


def _entry(connection: str, row: Row) -> SettlementEntry:
    """What a row moves without its fees, which are one entry of the whole payout."""
    kind = _ENTRY.get(row["Type"], "adjustment")
    word, column = {"charge": ("payment", "Psp Reference"), "refund": ("refund", "Modification Reference")}.get(
        kind, ("transaction", "Modification Reference")
    )
    return SettlementEntry(kind, f"{connection}:{word}:{row[column] or row['Type']}", _net(row) + _fee(row))


def _net(row: Row) -> int:
    return _minor(row, "Net Credit (NC)", row[CURRENCY]) - _minor(row, "Net Debit (NC)", row[CURRENCY])


def _fee(row: Row) -> int:
    """Commission, or interchange, scheme fees and markup: what is kept of this row, in the currency of the payout."""
    return sum(_minor(row, column, row[CURRENCY]) for column in _FEES)


def _minor(row: Row, column: str, currency: str) -> int:
    text = re.sub(r"^(-?)\.", r"\g<1>0.", row[column]) or "0"  # real files have ".11"
    try:
        minor = to_minor(text, currency)
    except MoneyError as error:
        raise Malformed(f"{column}: {error}", field=column) from None
    if abs(minor) > AMOUNT_MOST:
        raise Malformed(f"{column}: {text} is larger than any amount", field=column)
    return minor


def _at(row: Row) -> datetime:
    zone = timezone(timedelta(hours=_HOURS.get(row["TimeZone"], 0)))
    try:
        return datetime.fromisoformat(row["Creation Date"]).replace(tzinfo=zone).astimezone(UTC)
    except ValueError:
        raise Malformed(f"Creation Date is {row['Creation Date']!r}, expected is 2026-03-01 09:30:00") from None


def _rows(content: bytes, batch: int) -> Iterable[Row]:
    try:
        lines = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise Malformed(f"the report is no CSV: {error}. Choose the format CSV for it in the Customer Area") from None
    head = lines[0] if lines else []
    if missing := [column for column in _NEEDED if column not in head]:
        raise Malformed(f"the report has no column {', '.join(missing)}: add it to the report in the Customer Area")
    for number, line in enumerate(lines[1:], start=2):
        if not line:
            continue
        if len(line) != len(head):
            message = f"line {number} has {len(line)} columns, the head {len(head)}: the file was cut, fetch it again"
            raise Malformed(message, field=f"line {number}")
        row = dict(zip(head, line, strict=True))
        if row["Batch Number"] != str(batch):
            raise Malformed(f"line {number} is of batch {row['Batch Number']!r}, asked for was {batch}")
        yield row
