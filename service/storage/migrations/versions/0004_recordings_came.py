"""In which order recordings came: their times of day do not say it where the clock stood wrong."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_recordings = sa.table("recordings", sa.column("id"), sa.column("started_at"), sa.column("came"))


def upgrade() -> None:
    op.add_column("recordings", sa.Column("came", sa.BigInteger(), nullable=False, server_default="0"))
    connection = op.get_bind()
    oldest_first = sa.select(_recordings.c.id).order_by(_recordings.c.started_at, _recordings.c.id)
    places = [{"which": row_id, "place": n} for n, row_id in enumerate(connection.scalars(oldest_first), 1)]
    if places:
        this = _recordings.c.id == sa.bindparam("which")
        connection.execute(sa.update(_recordings).where(this).values(came=sa.bindparam("place")), places)
    op.create_index("ix_recordings_came", "recordings", ["came"])


def downgrade() -> None:
    op.drop_index("ix_recordings_came", "recordings")
    with op.batch_alter_table("recordings") as table:  # SQLite rebuilds it
        table.drop_column("came")
