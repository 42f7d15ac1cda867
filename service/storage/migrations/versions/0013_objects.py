"""Recordings and incidents' files in a bucket of S3: what lies there, waits for it, or is to go."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_DOUBLE = sa.Float(53)


def upgrade() -> None:
    op.add_column("recordings", sa.Column("place", sa.String(10), nullable=False, server_default="local"))
    op.create_index("ix_recordings_place", "recordings", ["place", "came"])
    op.create_table(
        "objects",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("owner", sa.String(40), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("mtime", _DOUBLE, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False, server_default=""),
        sa.Column("tag", sa.Text(), nullable=False, server_default=""),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("next_at", _DOUBLE, nullable=False),
        sa.Column("since", _DOUBLE, nullable=False),
        sa.Column("stored_at", _DOUBLE),
        sa.Column("here", sa.Boolean(), nullable=False),
        sa.Column("here_since", _DOUBLE, nullable=False),
    )
    op.create_index("ix_objects_owner", "objects", ["owner"])
    op.create_index("ix_objects_due", "objects", ["state", "next_at"])
    op.create_index("ix_objects_here", "objects", ["here", "here_since"])
    op.create_table(
        "bucket",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("owner", sa.String(40), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("bucket")
    op.drop_table("objects")
    op.drop_index("ix_recordings_place", "recordings")
    with op.batch_alter_table("recordings") as table:  # SQLite rebuilds it
        table.drop_column("place")
