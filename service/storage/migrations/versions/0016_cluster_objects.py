"""A bucket of a cluster: which node has a file, which is to delete its copy, where each node sends to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("objects", sa.Column("node", sa.String(60), nullable=False, server_default=""))
    op.create_index("ix_objects_node", "objects", ["node", "state", "next_at"])
    op.add_column("bucket", sa.Column("place", sa.Text(), nullable=False, server_default=""))
    op.add_column("nodes", sa.Column("store", sa.Text(), nullable=False, server_default=""))
    op.add_column("nodes", sa.Column("store_problem", sa.Text(), nullable=False, server_default=""))
    op.add_column("recording_nodes", sa.Column("state", sa.String(10), nullable=False, server_default=""))
    unfinished = sa.text("state <> 'listed'")
    op.create_index(
        "ix_recording_nodes_unfinished",
        "recording_nodes",
        ["node", "state"],
        postgresql_where=unfinished,
        sqlite_where=unfinished,
    )


def downgrade() -> None:
    op.drop_index("ix_recording_nodes_unfinished", "recording_nodes")
    op.drop_column("recording_nodes", "state")
    op.drop_column("nodes", "store_problem")
    op.drop_column("nodes", "store")
    op.drop_column("bucket", "place")
    op.drop_index("ix_objects_node", "objects")
    op.drop_column("objects", "node")
