"""What people wrote about a case. It lives beside the log, which holds only the reference, so that it can be erased."""

from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class Note:
    """What a person wrote; beside the log, so that it can be erased."""

    note_ref: str
    case_id: str
    written_at: datetime
    note: str


async def add(conn: AsyncConnection, note: Note) -> None:
    """Keep a note; a repeat changes nothing."""
    await conn.execute(
        "INSERT INTO notes (note_ref, case_id, written_at, note) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (note.note_ref, note.case_id, note.written_at, note.note),
    )


async def of_case(conn: AsyncConnection, case_id: str) -> dict[str, Note]:
    """note_ref -> note."""
    async with conn.cursor(row_factory=class_row(Note)) as cursor:
        await cursor.execute("SELECT * FROM notes WHERE case_id = %s", (case_id,))
        return {note.note_ref: note for note in await cursor.fetchall()}
