"""Trainings that the service runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "trainings",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("base", sa.Text(), nullable=False),
        sa.Column("config", sa.String(16), nullable=False),
        sa.Column("force_count", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("progress", sa.Float(53), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("started_at", sa.Float(53)),
        sa.Column("ended_at", sa.Float(53)),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("version", sa.Text()),
        sa.Column("gate", sa.JSON()),
    )
    op.create_index("ix_trainings_created", "trainings", ["created_at", "id"])
    op.create_index("ix_trainings_state", "trainings", ["state"])


def downgrade() -> None:
    op.drop_table("trainings")
