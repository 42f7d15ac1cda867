"""Verdicts of people on events, what each has reviewed, and which events are of the audit sample."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("events", sa.Column("audit", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_index("ix_events_audit", "events", ["stream_id", "audit", "track_id"])
    op.create_table(
        "verdicts",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("event_id", sa.String(80), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("superseded_by", sa.String(40)),
        sa.Column("stream_id", sa.String(40), nullable=False),
        sa.Column("stream_name", sa.Text(), nullable=False),
        sa.Column("track_id", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.String(10), nullable=False),
        sa.Column("label", sa.Text()),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("start_s", sa.Float(53), nullable=False),
        sa.Column("end_s", sa.Float(53), nullable=False),
        sa.Column("started_at", sa.Float(53), nullable=False),
        sa.Column("ended_at", sa.Float(53), nullable=False),
        sa.Column("by_id", sa.Text(), nullable=False),
        sa.Column("by_name", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.Column("model", sa.Text()),
        sa.Column("split", sa.String(10), nullable=False),
        sa.Column("near_threshold", sa.Boolean(), nullable=False),
        sa.Column("grouped_as", sa.Text(), nullable=False),
        sa.Column("clip", sa.String(10), nullable=False),
        sa.Column("clip_reason", sa.Text(), nullable=False, server_default=""),
        sa.Column("sha256", sa.String(64)),
    )
    op.create_index("ix_verdicts_event", "verdicts", ["event_id", "version"], unique=True)
    op.create_index("ix_verdicts_at", "verdicts", ["at", "id"])
    op.create_index("ix_verdicts_clip", "verdicts", ["clip"])
    op.create_table(
        "reviewed",
        sa.Column("who", sa.Text(), primary_key=True),
        sa.Column("event_id", sa.String(80), primary_key=True),
        sa.Column("at", sa.Float(53), nullable=False),
    )
    op.create_index("ix_reviewed_event", "reviewed", ["event_id"])


def downgrade() -> None:
    op.drop_table("reviewed")
    op.drop_table("verdicts")
    op.drop_index("ix_events_audit", "events")
    with op.batch_alter_table("events") as table:  # SQLite rebuilds it
        table.drop_column("audit")
