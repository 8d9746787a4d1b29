"""Columns as arrays arrive in Postgres as they were, whatever the text in them."""

from datetime import UTC

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from counterflow.store.rows import array, columns

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
rows = st.lists(
    st.tuples(
        st.one_of(st.none(), texts),
        st.integers(-(2**31), 2**31 - 1),
        st.booleans(),
        st.binary(max_size=8),
        st.one_of(st.none(), st.datetimes(timezones=st.just(UTC))),
        st.lists(texts, max_size=3),
    ),
    min_size=1,
    max_size=5,
)


@pytest.fixture(scope="module")
def conn(database_url):
    with psycopg.connect(database_url) as conn:
        yield conn


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows)
def test_every_value_comes_back(conn, rows):
    found = conn.execute(
        "SELECT a, b, c, d, e, f::text[] FROM unnest(%s::text[], %s::integer[], %s::boolean[], %s::bytea[], "
        "%s::timestamptz[], %s::text[]) AS t (a, b, c, d, e, f)",
        columns([(*row[:5], array(row[5])) for row in rows]),
    ).fetchall()
    assert [tuple(row) for row in found] == rows


def test_a_nul_is_refused_and_not_cut(conn):
    with pytest.raises(psycopg.DataError):
        conn.execute("SELECT %s::text[]", (array(["a\0b"]),))
