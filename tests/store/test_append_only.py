"""The database itself refuses to change what was recorded."""

import psycopg
import pytest

from tests.engine.toy import a_world, request


@pytest.mark.parametrize("table", ["log", "checkpoints"])
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET recorded_at = now()", "DELETE FROM {}", "TRUNCATE {}", "DELETE FROM {} WHERE false"]
)
async def test_no_row_is_changed_or_taken_away(fresh_database, table, statement):
    async with a_world(fresh_database) as world:
        await world.tell(request("R1"))
        await world.settle()
        before = await world.one("SELECT count(*), max(encode(hash, 'hex')) FROM log")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
            await world.rows(statement.format(table))
        assert await world.one("SELECT count(*), max(encode(hash, 'hex')) FROM log") == before


async def test_a_second_row_under_one_number_is_refused(fresh_database):
    async with a_world(fresh_database) as world:
        await world.tell(request("R1"))
        await world.settle()
        with pytest.raises(psycopg.errors.UniqueViolation):
            await world.rows("INSERT INTO log SELECT * FROM log")
