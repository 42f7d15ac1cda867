"""In which zones an action was seen."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("events", sa.Column("zones", sa.JSON()))


def downgrade() -> None:
    with op.batch_alter_table("events") as table:  # SQLite rebuilds it
        table.drop_column("zones")
