"""Verify the log: every row, every chain, every checkpoint, against the copies of the checkpoints outside the database.

A row is proven when its hash fits its body, its columns are those that its body names, the row before it is the one it
was chained to, and a checkpoint that a trusted key signed names the head above it. Rows above the last checkpoint are
chained but not signed yet; the report lists them.

Rows are streamed in the order of their index. Memory grows with the number of checkpoints (some 200 bytes each) and not
with the log; what the checkpoints say goes into a temporary table.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from psycopg import AsyncConnection

from counterflow.store import outside
from counterflow.store.checkpoints import FIRST, Checkpoint, parse_heads, problems
from counterflow.store.log import GENESIS, chain

FINDINGS_SHOWN = 1_000
AFTER_SHOWN = 100

# What was found -> what to do next.
NEXT = {
    "row_changed": "compare the row with a backup; only who owns the tables can have changed it",
    "row_misplaced": "compare the row with a backup; it was moved, copied in, or its columns were changed",
    "row_missing": "take the row from a backup; only who owns the tables can have deleted it",
    "link_broken": "compare this row and the one before with a backup: one of them was put in, replaced or moved",
    "history_rewritten": "believe the checkpoint: take the rows of the case up to here from a backup made before it",
    "tail_cut": "take the missing rows from a backup made after the checkpoint",
    "case_removed": "take the rows of the case from a backup made after the checkpoint",
    "case_differs": "compare the log of the case with a backup: rows were cut off or put on, or the case was edited",
    "checkpoint_forged": "believe no statement of it; take it from the copy outside or a backup",
    "checkpoint_missing": "take it from the copy outside or from a backup; nothing deletes checkpoints",
    "checkpoint_altered": "the copy outside is the one to believe; find out who could write to the database",
    "checkpoint_unlinked": "compare both checkpoints with another copy: one was replaced, or one between was removed",
    "copy_missing": "put the file back from your copy of the directory",
    "copy_altered": "put the file back from your copy of the directory, and verify again",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """`seq` is 0 where it is about a case as a whole, `checkpoint` 0 where it is about none."""

    what: str  # a key of NEXT
    message: str
    case_id: str = ""
    seq: int = 0
    checkpoint: int = 0

    @property
    def next_move(self) -> str:
        return NEXT[self.what]


@dataclass(frozen=True, slots=True)
class After:
    """Rows of a case that no checkpoint covers yet."""

    case_id: str
    first_seq: int
    last_seq: int


@dataclass(slots=True)
class Report:
    """`proven_to` is the last checkpoint up to which everything holds, taken at `proven_at`; 0 and None for none."""

    findings: list[Finding] = field(default_factory=list)
    left_out: int = 0  # findings beyond the first thousand
    checkpoints: int = 0
    proven_to: int = 0
    proven_at: datetime | None = None
    cases: int = 0
    rows: int = 0
    rows_after: int = 0
    after: list[After] = field(default_factory=list)  # the first hundred
    broken_from: int = 0  # the first checkpoint that speaks for something that does not hold

    @property
    def holds(self) -> bool:
        return not self.findings

    def add(self, what: str, message: str, case_id: str = "", seq: int = 0, checkpoint: int = 0) -> None:
        if len(self.findings) < FINDINGS_SHOWN:
            self.findings.append(Finding(what, message, case_id, seq, checkpoint))
        else:
            self.left_out += 1

    def breaks(self, checkpoint: int) -> None:
        self.broken_from = min(self.broken_from or checkpoint, checkpoint)


async def verify(conn: AsyncConnection, directory: Path, public_keys: Sequence[bytes]) -> Report:
    """Everything in the database against itself and against the files in `directory`. `conn` must be in autocommit.

    `public_keys` are those you trust, oldest first: a key signs nothing after a newer one has. Raises
    outside.Conflict when the index of the directory cannot be read, OSError.
    """
    report = Report()
    kept = {int(path.stem): path for path in outside.files(directory)}  # before the database is read: it is ahead
    listed = {line.number: line for line in outside.index(directory)}
    async with conn.transaction():
        await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        await conn.execute("SET LOCAL enable_sort = off")  # the index has the order; a sort would copy every body
        await conn.execute("SET LOCAL enable_hashjoin = off")
        await conn.execute(
            "CREATE TEMP TABLE claims (case_id text, seq integer, hash bytea, number bigint) ON COMMIT DROP"
        )
        at = await _checkpoints(conn, report, kept, listed, public_keys)
        await conn.execute("CREATE INDEX ON claims (case_id, seq)")
        await conn.execute("ANALYZE claims")
        await _rows(conn, report)
        await _unmet(conn, report)
        await _heads(conn, report)
    report.proven_to = report.broken_from - 1 if report.broken_from else max(at, default=0)
    report.proven_at = at.get(report.proven_to)
    return report


# ---- the checkpoints -------------------------------------------------------------------------------------------------


async def _checkpoints(
    conn: AsyncConnection,
    report: Report,
    kept: dict[int, Path],
    listed: dict[int, outside.Kept],
    trusted: Sequence[bytes],
) -> dict[int, datetime]:
    """When each checkpoint was taken; what the good ones claim is in the table `claims` afterwards."""
    found = await conn.execute("SELECT number FROM checkpoints")
    stored = {row[0] for row in await found.fetchall()}
    newest = max(stored, default=0)
    at: dict[int, datetime] = {}
    before, previous, signer = 0, FIRST, 0
    for number in sorted(stored | kept.keys() | listed.keys()):
        report.checkpoints += 1
        if number != before + 1:
            missing = f"checkpoints {before + 1} to {number - 1} are neither in the database nor outside"
            report.add("checkpoint_missing", missing, checkpoint=before + 1)
            report.breaks(before + 1)
            previous = ""
        before = number
        row = await _stored(conn, report, number) if number in stored else None
        copy = _copy(report, kept[number]) if number in kept else None
        if row is None:
            report.add("checkpoint_missing", f"checkpoint {number} is not in the database", checkpoint=number)
        if number not in kept and (number in listed or number < newest):
            report.add("copy_missing", f"checkpoint {number} has no file outside", checkpoint=number)
        if number in kept and number not in listed and number < max(listed, default=0):
            report.add("copy_altered", f"checkpoint {number} is not in the index outside", checkpoint=number)
        if row and copy and row != copy:
            report.add("checkpoint_altered", f"checkpoint {number} differs from its file outside", checkpoint=number)
        good = None
        for what, where, one in (
            ("copy_altered", "outside", copy if copy != row else None),
            ("checkpoint_forged", "in the database", row),
        ):
            if one is not None:
                reasons = problems(one, trusted)
                for reason in reasons:
                    report.add(what, f"checkpoint {number} {where}: {reason}", checkpoint=number)
                good = good or (None if reasons else one)
        if good is None:
            report.breaks(number)
            previous = ""
            continue
        if number in listed and listed[number].hash != good.hash.hex():
            report.add("copy_altered", f"the index outside has another checkpoint {number}", checkpoint=number)
        said = good.statement
        if previous and said.prev != previous:
            report.add(
                "checkpoint_unlinked", f"checkpoint {number} does not follow checkpoint {number - 1}", checkpoint=number
            )
            report.breaks(number)
        key = trusted.index(bytes.fromhex(said.public_key))
        if key < signer:
            report.add(
                "checkpoint_forged",
                f"checkpoint {number} was signed with a key after its replacement",
                checkpoint=number,
            )
            report.breaks(number)
        previous, signer, at[number] = good.hash.hex(), max(key, signer), said.recorded_at
        async with conn.cursor() as cursor, cursor.copy("COPY claims FROM STDIN") as claims:
            for case_id, seq, digest in parse_heads(good.heads):
                await claims.write_row((case_id, seq, digest, number))
    return at


async def _stored(conn: AsyncConnection, report: Report, number: int) -> Checkpoint:
    found = await conn.execute(
        "SELECT body, heads, signature, recorded_at FROM checkpoints WHERE number = %s", (number,), prepare=True
    )
    row = await found.fetchone()
    assert row is not None, "the transaction sees one state of the database"
    one = Checkpoint(number, row[0], row[1], bytes(row[2]))
    with suppress(msgspec.MsgspecError):  # a body that cannot be read is a finding of `problems`
        if one.statement.recorded_at != row[3]:
            report.add("checkpoint_altered", f"checkpoint {number} has another time than was signed", checkpoint=number)
    return one


def _copy(report: Report, path: Path) -> Checkpoint | None:
    try:
        said = json.loads(path.read_bytes())
        return Checkpoint(int(path.stem), said["body"], said["heads"], bytes.fromhex(said["signature"]))
    except (ValueError, KeyError, TypeError) as error:
        report.add("copy_altered", f"{path} cannot be read ({error})", checkpoint=int(path.stem))
        return None


# ---- the rows --------------------------------------------------------------------------------------------------------


class _Says(msgspec.Struct):
    """What a body says of the place of its row."""

    case: str
    seq: int
    recorded_at: datetime


_says = msgspec.json.Decoder(_Says)


@dataclass(slots=True)
class _Chain:
    """One case while its rows pass."""

    case_id: str
    seq: int = 0
    hash: bytes = GENESIS
    broken: bool = False
    signed: int = 0  # the highest seq that a checkpoint names


async def _rows(conn: AsyncConnection, report: Report) -> None:
    chained = _Chain("")
    async with conn.cursor(name="verify_rows") as cursor:
        cursor.itersize = 500
        await cursor.execute(
            "SELECT l.case_id, l.seq, l.body, l.prev_hash, l.hash, l.recorded_at, c.hash, c.number "
            "FROM log l LEFT JOIN claims c USING (case_id, seq) ORDER BY l.case_id, l.seq"
        )
        async for case_id, seq, body, prev_hash, digest, recorded_at, claimed, number in cursor:
            if case_id != chained.case_id:
                _end(report, chained)
                chained = _Chain(case_id)
                report.cases += 1
            if seq != chained.seq:  # several checkpoints may name one row
                for what, message in _look(chained, seq, body, prev_hash, digest, recorded_at):
                    report.add(what, message, case_id, seq)
                    chained.broken = True
                chained.seq, chained.hash = seq, digest
                report.rows += 1
            if number is None:
                continue
            chained.signed = seq
            if claimed != digest:
                report.add(
                    "history_rewritten",
                    f"row {seq} of case {case_id} has another hash than checkpoint {number} signed",
                    case_id,
                    seq,
                    number,
                )
                chained.broken = True
            if chained.broken:
                report.breaks(number)
    _end(report, chained)


def _look(
    chained: _Chain, seq: int, body: str, prev_hash: bytes, digest: bytes, recorded_at: datetime
) -> Iterator[tuple[str, str]]:
    """What is wrong with one row, given the rows before it."""
    case_id, expected = chained.case_id, chained.seq + 1
    row = f"row {seq} of case {case_id}"
    if chain(prev_hash, body) != digest:
        yield "row_changed", f"the hash of {row} does not fit its body: one of them, or the hash before, was changed"
    try:
        said = _says.decode(body)
        places = [
            f"{name} {is_!s} and not {says!s}"
            for name, is_, says in (
                ("case", case_id, said.case),
                ("number", seq, said.seq),
                ("time", recorded_at, said.recorded_at),
            )
            if is_ != says
        ]
    except msgspec.MsgspecError:
        places = ["a body that names no case, number and time"]
    if places:
        yield "row_misplaced", f"{row} has {', '.join(places)}, as its body says"
    if seq != expected:
        missing = f"row {expected}" if seq == expected + 1 else f"rows {expected} to {seq - 1}"
        yield "row_missing", f"{missing} of case {case_id} missing before row {seq}"
    elif prev_hash != chained.hash:
        yield "link_broken", f"{row} does not follow the row before it"


def _end(report: Report, chained: _Chain) -> None:
    if chained.seq > chained.signed:
        report.rows_after += chained.seq - chained.signed
        if len(report.after) < AFTER_SHOWN:
            report.after.append(After(chained.case_id, chained.signed + 1, chained.seq))


async def _unmet(conn: AsyncConnection, report: Report) -> None:
    """What checkpoints say of rows that are not there."""
    async with conn.cursor(name="verify_unmet") as cursor:
        await cursor.execute(
            "SELECT c.case_id, c.seq, c.number, (SELECT max(seq) FROM log WHERE case_id = c.case_id) "
            "FROM claims c LEFT JOIN log l USING (case_id, seq) WHERE l.seq IS NULL ORDER BY c.case_id, c.seq"
        )
        async for case_id, seq, number, last in cursor:
            report.breaks(number)
            said = f"checkpoint {number} names row {seq} of case {case_id}"
            if last is None:
                report.add("case_removed", f"{said}, and there is no row of that case", case_id, 0, number)
            elif last < seq:
                report.add("tail_cut", f"{said}, and its last row is {last}", case_id, seq, number)
            else:
                report.add("row_missing", f"{said}, and there is none", case_id, seq, number)


async def _heads(conn: AsyncConnection, report: Report) -> None:
    """The cases against the heads of their chains: finds a cut tail that no checkpoint covers yet."""
    async with conn.cursor(name="verify_heads") as cursor:
        await cursor.execute(
            """
            SELECT case_id, c.version, h.seq FROM cases c FULL JOIN (
                SELECT DISTINCT ON (case_id) case_id, seq, hash FROM log ORDER BY case_id, seq DESC
            ) h USING (case_id) WHERE c.version IS DISTINCT FROM h.seq OR c.head_hash IS DISTINCT FROM h.hash
            """
        )
        row: tuple[Any, ...]
        async for row in cursor:
            case_id, version, seq = row
            says = f"stands at row {version}" if version else "is not there"
            has = f"ends with row {seq}" if seq else "is empty"
            same = " of another hash" if version == seq else ""
            report.add("case_differs", f"case {case_id} {says}, and its log {has}{same}", case_id, seq or 0)
