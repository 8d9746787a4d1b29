"""Signed checkpoints, each linked to the one before, and by which transaction a log row was written.

A checkpoint covers the rows of all transactions below a horizon: everything below it has ended, so that no row appears
there later. Neither the order of keys nor the time of a row says that.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = (
    "ALTER TABLE log ADD COLUMN tx xid8 NOT NULL DEFAULT pg_current_xact_id()",
    "CREATE INDEX log_tx ON log (tx)",
    # Nothing has written a checkpoint before this migration.
    "DROP TABLE checkpoints",
    """
    CREATE TABLE checkpoints (
        number      bigint PRIMARY KEY CHECK (number > 0),
        recorded_at timestamptz NOT NULL,
        body        text NOT NULL,
        heads       text NOT NULL,
        signature   bytea NOT NULL
    )
    """,
    "CREATE TRIGGER checkpoints_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON checkpoints "
    "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("checkpoints that were signed cannot be taken back: restore a backup from before")
