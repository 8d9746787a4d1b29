"""Find the deliveries that said nothing to us, and those that could not be read, without reading all of them."""

from alembic import op

revision = "0005"
down_revision = "0004"

CREATE = "CREATE INDEX deliveries_odd ON deliveries (connection, status, received_at) WHERE status <> 'translated'"


def upgrade() -> None:
    op.execute(CREATE)


def downgrade() -> None:
    op.execute("DROP INDEX deliveries_odd")
