"""Run by Alembic. The URL goes to psycopg as it is (SQLAlchemy never reads it), so odd socket paths are no problem."""

import psycopg
from alembic import context
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

LOCK = 0x636F756E746572  # "counter": any number that nothing else takes as an advisory lock

url = context.config.attributes["url"]
engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url), poolclass=NullPool)

with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        # Taken before the present revision is read: who waited here finds nothing left to do.
        connection.execute(text(f"select pg_advisory_xact_lock({LOCK})"))
        context.run_migrations()
