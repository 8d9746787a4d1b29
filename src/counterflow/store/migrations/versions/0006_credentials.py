"""Credentials that we renewed ourselves, sealed under the installation's secret; when each connection is looked at."""

from alembic import op

revision = "0006"
down_revision = "0005"

STATEMENTS = (
    """
    CREATE TABLE credentials (
        connection text PRIMARY KEY,
        due_at timestamptz NOT NULL,           -- when somebody looks again; further off while somebody does
        field text NOT NULL DEFAULT '',        -- of the connection's configuration
        replaces text NOT NULL DEFAULT '',     -- digest of the configured value that the sealed one stands for
        sealed bytea,                          -- the one in use
        retiring bytea,                        -- the one before, until it is revoked
        made_at timestamptz,
        ends_at timestamptz
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("a renewed key is known to nobody else: restore a backup from before")
