"""What an outsider needs to verify the log without us: rows, checkpoints and public keys as text.

manifest.json      what was asked for, and how much there is
log.jsonl          {"body", "case", "hash", "prev_hash", "recorded_at", "seq"} per row, each case in order
checkpoints.jsonl  {"body", "heads", "number", "signature"} per checkpoint, in order: always all of them
public_keys.txt    one line of hexadecimal digits per key, oldest first
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from psycopg import AsyncConnection

from counterflow.store.checkpoints import Checkpoint
from counterflow.store.codec import encode
from counterflow.store.keys import public_text


@dataclass(frozen=True, slots=True)
class Exported:
    cases: int
    rows: int
    checkpoints: int


async def export(
    conn: AsyncConnection,
    directory: Path,
    public_keys: Sequence[bytes],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    case_id: str = "",
) -> Exported:
    """Write the files into `directory`, which must be new or empty; `conn` must be in autocommit.

    A period chooses the cases that had something recorded at or after `since` and before `until`; each is written
    whole, since a chain is proven from its first row. Raises FileExistsError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise FileExistsError(f"{directory} is not empty: name a new directory for the export")
    cases = rows = checkpoints = 0
    async with conn.transaction():
        await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        with (directory / "log.jsonl").open("w", encoding="utf-8", newline="\n") as out:
            async with conn.cursor(name="export_rows") as cursor:
                cursor.itersize = 500
                await cursor.execute(
                    """
                    SELECT case_id, seq, body, prev_hash, hash, recorded_at FROM log l
                    WHERE (%(case)s = '' OR case_id = %(case)s) AND (
                        (%(since)s::timestamptz IS NULL AND %(until)s::timestamptz IS NULL) OR case_id IN (
                            SELECT case_id FROM log
                            WHERE recorded_at >= coalesce(%(since)s, '-infinity')
                              AND recorded_at < coalesce(%(until)s, 'infinity')
                        )
                    )
                    ORDER BY case_id, seq
                    """,
                    {"case": case_id, "since": since, "until": until},
                )
                last = ""
                async for case, seq, body, prev_hash, digest, recorded_at in cursor:
                    row = {
                        "case": case,
                        "seq": seq,
                        "body": body,
                        "prev_hash": prev_hash.hex(),
                        "hash": digest.hex(),
                        "recorded_at": recorded_at.astimezone(UTC),
                    }
                    out.write(encode(row) + "\n")
                    rows, cases, last = rows + 1, cases + (case != last), case
        with (directory / "checkpoints.jsonl").open("w", encoding="utf-8", newline="\n") as out:
            async with conn.cursor(name="export_checkpoints") as cursor:
                cursor.itersize = 10
                await cursor.execute("SELECT number, body, heads, signature FROM checkpoints ORDER BY number")
                async for number, text, heads, signature in cursor:
                    out.write(Checkpoint(number, text, heads, signature).to_json() + "\n")
                    checkpoints += 1
    (directory / "public_keys.txt").write_text(public_text(public_keys))
    manifest = {
        "format": 1,
        "complete": not (since or until or case_id),
        "since": since,
        "until": until,
        "case": case_id,
        "cases": cases,
        "rows": rows,
        "checkpoints": checkpoints,
    }
    (directory / "manifest.json").write_text(encode(manifest) + "\n")
    return Exported(cases, rows, checkpoints)
