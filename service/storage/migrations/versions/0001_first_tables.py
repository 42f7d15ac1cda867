"""Streams, events, the message log and recordings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_DOUBLE = sa.Float(53)


def upgrade() -> None:
    _create_streams()
    _create_events()
    _create_messages()
    _create_recordings()


def downgrade() -> None:
    for table in ("recordings", "messages", "events", "streams"):
        op.drop_table(table)


def _create_streams() -> None:
    op.create_table(
        "streams",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("url_sealed", sa.Text(), nullable=False),
        sa.Column("url_redacted", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", _DOUBLE, nullable=False),
    )
    op.create_index("ix_streams_created", "streams", ["created_at", "id"])


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.String(80), primary_key=True),
        sa.Column("stream_id", sa.String(40), nullable=False),
        sa.Column("track_id", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("confidence", _DOUBLE, nullable=False),
        sa.Column("peak_confidence", _DOUBLE, nullable=False),
        sa.Column("start_s", _DOUBLE, nullable=False),
        sa.Column("end_s", _DOUBLE),
        sa.Column("started_at", _DOUBLE, nullable=False),
        sa.Column("updated_at", _DOUBLE, nullable=False),
        sa.Column("ended_at", _DOUBLE),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_events_started", "events", ["started_at", "id"])
    op.create_index("ix_events_stream", "events", ["stream_id", "started_at"])
    op.create_index("ix_events_ended", "events", ["ended_at"])


def _create_messages() -> None:
    op.create_table(
        "messages",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=False),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("stream_id", sa.String(40), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
    )
    op.create_index("ix_messages_stream", "messages", ["stream_id", "seq"])


def _create_recordings() -> None:
    op.create_table(
        "recordings",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("stream_id", sa.String(40), nullable=False),
        sa.Column("path", sa.Text(), nullable=False, unique=True),
        sa.Column("events_path", sa.Text()),
        sa.Column("started_at", _DOUBLE, nullable=False),
        sa.Column("ended_at", _DOUBLE, nullable=False),
        sa.Column("start_s", _DOUBLE, nullable=False),
        sa.Column("duration_s", _DOUBLE, nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("frames", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
    )
    op.create_index("ix_recordings_started", "recordings", ["started_at", "id"])
    op.create_index("ix_recordings_stream", "recordings", ["stream_id", "started_at"])
