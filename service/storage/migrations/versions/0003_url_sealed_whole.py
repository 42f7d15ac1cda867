"""Source URLs are kept encrypted only: the masked form, which older versions stored beside, may hold a password."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("streams") as table:  # SQLite rebuilds it
        table.drop_column("url_redacted")


def downgrade() -> None:
    with op.batch_alter_table("streams") as table:
        table.add_column(sa.Column("url_redacted", sa.Text(), nullable=False, server_default="***"))
