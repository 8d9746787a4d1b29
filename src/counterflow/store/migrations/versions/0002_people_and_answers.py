"""Who a key stands for and what it may do; answers that are under way; exceptions that wait for a day.

A key acts for one person (`person`), so that two keys of one person are one pair of eyes. An answer with status 0 is in
flight: `claimed_at` says since when, so that a process that died does not block its key for ever.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

STATEMENTS = (
    "ALTER TABLE api_keys ADD COLUMN role text NOT NULL DEFAULT 'reader', ADD COLUMN person text NOT NULL DEFAULT ''",
    "CREATE UNIQUE INDEX api_keys_name ON api_keys (name)",
    "ALTER TABLE idempotency_keys ADD COLUMN claimed_at timestamptz",
    "CREATE INDEX idempotency_keys_created ON idempotency_keys (created_at)",
    "ALTER TABLE exceptions ADD COLUMN parked_until timestamptz",
    # An approval names the intent that it signs.
    "CREATE INDEX exceptions_approvals ON exceptions (subject) WHERE status = 'open' AND kind = 'approval_needed'",
    "CREATE INDEX notes_case ON notes (case_id)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("answers that were given cannot be taken back: restore a backup from before")
