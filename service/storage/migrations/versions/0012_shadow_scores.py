"""What versions that are tried would have said, and which events they dispute."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_DOUBLE = sa.Float(53)


def upgrade() -> None:
    op.create_table(
        "shadow_scores",
        sa.Column("version", sa.Text(), primary_key=True),
        sa.Column("stream_id", sa.String(40), primary_key=True),
        sa.Column("hour", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("seconds", _DOUBLE, nullable=False),
        sa.Column("clips", sa.Integer(), nullable=False),
        sa.Column("agreed", sa.Integer(), nullable=False),
        sa.Column("champion", sa.JSON(), nullable=False),
        sa.Column("challenger", sa.JSON(), nullable=False),
        sa.Column("told", sa.JSON(), nullable=False),
    )
    op.create_table(
        "shadow_disagreements",
        sa.Column("event_id", sa.String(80), primary_key=True),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("stream_id", sa.String(40), nullable=False),
        sa.Column("at", _DOUBLE, nullable=False),
    )
    op.create_index("ix_shadow_disagreements_at", "shadow_disagreements", ["at"])


def downgrade() -> None:
    op.drop_table("shadow_disagreements")
    op.drop_table("shadow_scores")
