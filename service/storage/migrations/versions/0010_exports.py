"""Cases that are exported, and the cameras of each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "exports",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False, server_default=""),
        sa.Column("since", sa.Float(53), nullable=False),
        sa.Column("until", sa.Float(53), nullable=False),
        sa.Column("wish", sa.JSON(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("ended_at", sa.Float(53)),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("bytes", sa.BigInteger()),
        sa.Column("sha256", sa.String(64)),
    )
    op.create_index("ix_exports_created", "exports", ["created_at", "id"])
    op.create_index("ix_exports_state", "exports", ["state"])
    op.create_table(
        "export_streams",
        sa.Column("export_id", sa.String(40), primary_key=True),
        sa.Column("place", sa.Integer(), primary_key=True),
        sa.Column("stream_id", sa.String(40), nullable=False),
        sa.Column("stream_name", sa.Text(), nullable=False),
        sa.Column("since", sa.Float(53), nullable=False),
        sa.Column("keep", sa.JSON(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("export_streams")
    op.drop_table("exports")
