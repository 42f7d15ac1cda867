"""Which network an action's newest message came from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("events", sa.Column("model", sa.Text()))


def downgrade() -> None:
    with op.batch_alter_table("events") as table:  # SQLite rebuilds it
        table.drop_column("model")
