"""A look that goes out again beside a newer one at the same object.

Signals about one object that has not been read yet are one read. A read that was under way when the next signal came,
and then failed or lost its worker, waits beside the newer one: only those that were never sent are one.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

STATEMENTS = (
    "DROP INDEX effects_one_look",
    "CREATE UNIQUE INDEX effects_one_look ON effects (connection, scope) "
    "WHERE kind = 'Look' AND status = 'planned' AND first_sent_at IS NULL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("looks that wait beside each other cannot be made one: restore a backup from before")
