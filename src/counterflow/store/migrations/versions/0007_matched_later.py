"""Payouts that were posted before the ERP had all their entries: what is open of them, and when to look again."""

from alembic import op

revision = "0007"
down_revision = "0006"

STATEMENTS = (
    """
    ALTER TABLE payouts
        ADD COLUMN unmatched_minor bigint NOT NULL DEFAULT 0,  -- open on the clearing account, over all its entries
        ADD COLUMN looks smallint NOT NULL DEFAULT 0,          -- how often it was matched again
        ADD COLUMN look_at timestamptz                         -- when it is next; null: not any more
    """,
    "CREATE INDEX payouts_look ON payouts (look_at) WHERE look_at IS NOT NULL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("what is open on the clearing account is kept nowhere else: restore a backup from before")
