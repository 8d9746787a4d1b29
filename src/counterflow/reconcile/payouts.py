"""Payouts meet their bank lines: equal to the cent, the cases are told and the settlement is posted; else a person is.

The drain of the payouts' shard calls these in its transaction (`handlers`), so a payout and its line cannot miss each
other. A case is told by the reference of its refund: a fact about a refund that no case knows yet waits for it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from psycopg import AsyncConnection

from counterflow.core.effects import Effect, PostSettlement, SettlementEntry
from counterflow.core.facts import (
    OURSELVES,
    BankLineBooked,
    EffectReported,
    Fact,
    PayoutBanked,
    PayoutReported,
    SettlementPosted,
)
from counterflow.core.ids import effect_id, fact_id, make_id
from counterflow.core.reconciliation.payouts import BankLine, Difference, Payout, match
from counterflow.intake.accept import accept
from counterflow.store import effects, exceptions, payouts
from counterflow.store.codec import decode, encode
from counterflow.store.exceptions import Raised
from counterflow.store.payouts import BankLineRow, PayoutRow

# How long after its settlement a payout is matched again, with what the ERP has got since, and after that once more.
AGAIN = (timedelta(days=7), timedelta(days=28))


@dataclass(frozen=True, slots=True)
class Payouts:
    """`erp` posts settlements; a payout is overdue so many `days` after the day on which it should be on the bank."""

    erp: str
    days: int = 7

    @property
    def handlers(self) -> Mapping[str, Callable[[AsyncConnection, Sequence[Fact], datetime], Awaitable[None]]]:
        """For `Worker(handlers=...)`."""
        return {"PayoutReported": self.reported, "BankLineBooked": self.booked, "EffectReported": self.settled}

    async def reported(self, conn: AsyncConnection, facts: Sequence[Fact], now: datetime) -> None:
        rows = [
            PayoutRow(
                fact.body.payout_ref,
                make_id("po", fact.body.payout_ref),
                fact.connection,
                fact.body.currency,
                fact.body.net_minor,
                encode(fact.body.entries),
                fact.body.arrives_on,
            )
            for fact in facts
            if isinstance(fact.body, PayoutReported)
        ]
        await payouts.keep_payouts(conn, rows)
        await self.match_open(conn, now)

    async def booked(self, conn: AsyncConnection, facts: Sequence[Fact], now: datetime) -> None:
        rows = [
            BankLineRow(b.bank_ref, fact.connection, b.amount_minor, b.currency, b.text, b.booked_on)
            for fact in facts
            if isinstance(b := fact.body, BankLineBooked)
        ]
        await payouts.keep_lines(conn, rows)
        await self.match_open(conn, now)

    async def settled(self, conn: AsyncConnection, facts: Sequence[Fact], now: datetime) -> None:
        """What became of posting a settlement: the cases learn it when it is done, a person when it cannot be."""
        for fact in facts:
            row = await payouts.by_id(conn, fact.refs[0].removeprefix("payout:"))
            if row is None or not isinstance(fact.body, EffectReported):
                continue
            name = make_id("ex", "settlement_not_posted", row.payout_ref)
            if fact.body.outcome == "done":
                left = int(dict(fact.body.values).get("unmatched_minor", 0))
                more = left and row.looks < len(AGAIN)
                await payouts.posted(conn, row.payout_ref, left, now + AGAIN[row.looks] if more else None)
                await exceptions.end(conn, {name: ""}, now)
                await accept(conn, _tell(row, SettlementPosted(row.payout_ref, fact.body.ref), now))
            elif fact.body.outcome in ("rejected", "parked") and row.status != "posted":
                message = f"The settlement of {row.payout_ref} is not posted: {fact.body.message}. Mend it and retry"
                await exceptions.put(conn, [_raised(name, "settlement_not_posted", row, message, row.net_minor, now)])

    async def overdue(self, conn: AsyncConnection, now: datetime) -> None:
        """For `Worker(duties=...)`: tell finance once of each payout that no bank line was found for in its days.

        One without a day of arrival cannot be late. The exception ends when its line is found.
        """
        last = (now - timedelta(days=self.days)).date().isoformat()
        for row in await payouts.late(conn, last, "payout_overdue"):
            message = (
                f"{row.payout_ref} of {row.net_minor} {row.currency} (minor units) should have been on the bank on "
                f"{row.arrives_on} and no line was found. Look for it on the statement; if it is not there, ask "
                f"{row.connection} where it went"
            )
            name = make_id("ex", "payout_overdue", row.payout_ref)
            await exceptions.put(conn, [_raised(name, "payout_overdue", row, message, row.net_minor, now)])

    async def match_again(self, conn: AsyncConnection, now: datetime) -> None:
        """For `Worker(duties=...)`: match with posted payouts what has come into the ERP since."""
        async with conn.transaction():
            for row in await payouts.due(conn, now):
                if (posted := await effects.get(conn, _settlement_id(row))) is not None:
                    await accept(conn, (), [_again(row, posted.effect, now)])

    async def match_open(self, conn: AsyncConnection, now: datetime) -> None:
        """Match all that is open."""
        rows = {row.payout_ref: row for row in await payouts.open_payouts(conn)}
        lines = {row.bank_ref: row for row in await payouts.open_lines(conn)}
        found = match(
            [
                Payout(r.payout_ref, r.net_minor, r.currency, sum(e.amount_minor for e in _entries(r)), r.arrives_on)
                for r in rows.values()
            ],
            [BankLine(r.bank_ref, r.amount_minor, r.currency, r.line_text, r.booked_on) for r in lines.values()],
        )
        for payout_ref, bank_ref in found.pairs:
            await self._paired(conn, rows[payout_ref], lines[bank_ref], now)
        for difference in found.differences:
            await _differs(conn, rows[difference.payout_ref], difference, now)

    async def _paired(self, conn: AsyncConnection, row: PayoutRow, line: BankLineRow, now: datetime) -> None:
        await payouts.pair(conn, row.payout_ref, line.bank_ref)
        overdue_id = make_id("ex", "payout_overdue", row.payout_ref)
        await exceptions.end(conn, {_difference_id(row.payout_ref): "", overdue_id: ""}, now)
        settlement = PostSettlement(
            row.payout_ref,
            row.connection,
            line.bank_ref,
            row.currency,
            row.net_minor,
            _entries(row),
            line.booked_on,
        )
        effect = Effect(
            _settlement_id(row),
            row.payout_id,
            self.erp,
            settlement,
            now,
            f"payout:{row.payout_ref}",
            f"{row.payout_ref} is on bank line {line.bank_ref}, equal to the cent",
        )
        await accept(conn, _tell(row, PayoutBanked(row.payout_ref, line.bank_ref), now), [effect])


def _settlement_id(row: PayoutRow, look: int = 0) -> str:
    return effect_id(row.payout_id, "PostSettlement", row.payout_ref, look)


def _again(row: PayoutRow, posted: Effect, now: datetime) -> Effect:
    """The settlement that is posted, to be matched with what has come since."""
    assert isinstance(posted.command, PostSettlement)
    command = replace(posted.command, again=posted.effect_id)
    because = f"{row.payout_ref} is posted and not all of it matched"
    return replace(posted, effect_id=_settlement_id(row, row.looks), command=command, decided_at=now, because=because)


async def _differs(conn: AsyncConnection, row: PayoutRow, difference: Difference, now: datetime) -> None:
    await payouts.set_status(conn, row.payout_ref, "differs")
    name = _difference_id(row.payout_ref)
    impact = difference.impact_minor
    await exceptions.put(conn, [_raised(name, "payout_differs", row, difference.message, impact, now)])


def _tell(row: PayoutRow, body: PayoutBanked | SettlementPosted, now: datetime) -> list[Fact]:
    """One fact per refund of the payout, found by the refund's reference."""
    kind = type(body).__name__
    return [
        Fact(fact_id(OURSELVES, kind, row.payout_ref, entry.ref), OURSELVES, now, now, (entry.ref,), body, "ours")
        for entry in _entries(row)
        if entry.kind == "refund" and entry.ref
    ]


def _entries(row: PayoutRow) -> tuple[SettlementEntry, ...]:
    return tuple(decode(list[SettlementEntry], row.entries))


def _difference_id(payout_ref: str) -> str:
    return make_id("ex", "payout_differs", payout_ref)


def _raised(name: str, kind: str, row: PayoutRow, message: str, impact: int, now: datetime) -> Raised:
    due = now + timedelta(days=1)
    return Raised(
        name, kind, "high", "finance", row.payout_ref, now, due, message, impact_minor=impact, currency=row.currency
    )
