"""Payouts and bank lines, from reported to posted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row

from counterflow.store.rows import columns


@dataclass(frozen=True, slots=True)
class PayoutRow:
    """A payout as reported, and how far it is found."""

    payout_ref: str
    payout_id: str  # po_
    connection: str
    currency: str
    net_minor: int
    entries: str  # JSON of SettlementEntry
    arrives_on: str
    status: str = "reported"  # reported | differs | banked | posted
    bank_ref: str = ""
    looks: int = 0  # how often it was matched again with what the ERP has got since


@dataclass(frozen=True, slots=True)
class BankLineRow:
    """A bank line, and the payout that it was found to be."""

    bank_ref: str
    connection: str
    amount_minor: int
    currency: str
    line_text: str
    booked_on: str
    payout_ref: str = ""


async def keep_payouts(conn: AsyncConnection, rows: Sequence[PayoutRow]) -> None:
    """Store what providers report; a corrected report counts until the money was found."""
    for row in rows:
        await conn.execute(
            """
            INSERT INTO payouts AS p (payout_ref, payout_id, connection, currency, net_minor, entries, arrives_on)
            VALUES (%s, %s, %s, %s, %s, %s, %s)
            ON CONFLICT (payout_ref) DO UPDATE SET net_minor = excluded.net_minor, entries = excluded.entries,
                arrives_on = excluded.arrives_on, currency = excluded.currency
            WHERE p.status IN ('reported', 'differs')
            """,
            (row.payout_ref, row.payout_id, row.connection, row.currency, row.net_minor, row.entries, row.arrives_on),
        )


async def keep_lines(conn: AsyncConnection, rows: Sequence[BankLineRow]) -> None:
    """Store bank lines; one that is known stays as it is."""
    await conn.execute(
        "INSERT INTO bank_lines (bank_ref, connection, amount_minor, currency, line_text, booked_on) "
        "SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::text[], %s::text[], %s::text[]) "
        "ON CONFLICT DO NOTHING",
        columns([(r.bank_ref, r.connection, r.amount_minor, r.currency, r.line_text, r.booked_on) for r in rows]),
    )


async def open_payouts(conn: AsyncConnection) -> list[PayoutRow]:
    """Those whose money was not found."""
    async with conn.cursor(row_factory=class_row(PayoutRow)) as cursor:
        await cursor.execute(
            f"SELECT {_PAYOUT} FROM payouts WHERE status IN ('reported', 'differs') ORDER BY payout_ref"
        )
        return await cursor.fetchall()


async def late(conn: AsyncConnection, arrived_before: str, told_as: str) -> list[PayoutRow]:
    """Those that should have been on the bank before this date, and of which no exception `told_as` was raised."""
    async with conn.cursor(row_factory=class_row(PayoutRow)) as cursor:
        await cursor.execute(
            f"SELECT {_PAYOUT} FROM payouts p WHERE status = 'reported' AND arrives_on <> '' AND arrives_on < %s "
            "AND NOT EXISTS (SELECT 1 FROM exceptions e WHERE e.kind = %s AND e.subject = p.payout_ref)",
            (arrived_before, told_as),
        )
        return await cursor.fetchall()


async def open_lines(conn: AsyncConnection) -> list[BankLineRow]:
    """Those that are no known payout."""
    async with conn.cursor(row_factory=class_row(BankLineRow)) as cursor:
        await cursor.execute("SELECT * FROM bank_lines WHERE payout_ref = '' ORDER BY bank_ref")
        return await cursor.fetchall()


async def by_id(conn: AsyncConnection, payout_id: str) -> PayoutRow | None:
    """One by our id, or None."""
    async with conn.cursor(row_factory=class_row(PayoutRow)) as cursor:
        await cursor.execute(f"SELECT {_PAYOUT} FROM payouts WHERE payout_id = %s", (payout_id,))
        return await cursor.fetchone()


async def pair(conn: AsyncConnection, payout_ref: str, bank_ref: str) -> None:
    """This line is the money of that payout."""
    await conn.execute(
        "UPDATE payouts SET status = 'banked', bank_ref = %s WHERE payout_ref = %s", (bank_ref, payout_ref)
    )
    await conn.execute("UPDATE bank_lines SET payout_ref = %s WHERE bank_ref = %s", (payout_ref, bank_ref))


async def set_status(conn: AsyncConnection, payout_ref: str, status: str) -> None:
    """How far a payout is."""
    await conn.execute("UPDATE payouts SET status = %s WHERE payout_ref = %s", (status, payout_ref))


async def posted(conn: AsyncConnection, payout_ref: str, unmatched_minor: int, look_at: datetime | None) -> None:
    """It is posted; so much of it is open on the clearing account, and is looked at again at `look_at`."""
    await conn.execute(
        "UPDATE payouts SET status = 'posted', unmatched_minor = %s, look_at = %s WHERE payout_ref = %s",
        (unmatched_minor, look_at, payout_ref),
    )


async def due(conn: AsyncConnection, now: datetime) -> list[PayoutRow]:
    """Those to be looked at again; whoever asks has them, nobody else."""
    async with conn.cursor(row_factory=class_row(PayoutRow)) as cursor:
        await cursor.execute(
            f"UPDATE payouts SET looks = looks + 1, look_at = NULL WHERE look_at <= %s RETURNING {_PAYOUT}", (now,)
        )
        return sorted(await cursor.fetchall(), key=lambda row: row.payout_ref)


_PAYOUT = "payout_ref, payout_id, connection, currency, net_minor, entries, arrives_on, status, bank_ref, looks"
