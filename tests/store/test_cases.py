"""The version guard: whoever read a case before another one wrote it does not write it."""

from dataclasses import replace
from datetime import UTC, datetime

import psycopg

from counterflow.store import cases
from counterflow.store.cases import CaseWrite

NOW = datetime(2026, 3, 2, tzinfo=UTC)
OPENED = CaseWrite(
    "rc_guard", 0, 1, 3, "return", "open", False, "shop:1", "shop:1", "{}", "[]", "[]", (), b"", NOW, NOW, None, None
)


async def test_a_case_that_somebody_else_has_written_is_not_written_over(fresh_database):
    first, second = replace(OPENED, before=1, version=2), replace(OPENED, before=1, version=2, status="closed")
    async with await psycopg.AsyncConnection.connect(fresh_database, autocommit=True) as conn:
        assert await cases.insert(conn, [OPENED]) == 1
        assert await cases.update(conn, [first]) == 1
        assert await cases.update(conn, [second]) == 0
        row = await (await conn.execute("SELECT version, status FROM cases")).fetchone()
    assert row == (2, "open")
