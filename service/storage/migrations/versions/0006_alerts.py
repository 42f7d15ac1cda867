"""Zones, rules, incidents, sinks, the outbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_DOUBLE = sa.Float(53)
_SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create_zones()
    _create_mqtt_published()
    _create_sinks()
    _create_rules()
    _create_incidents()
    _create_outbox()
    _create_alert_cursor()


def downgrade() -> None:
    for table in ("alert_cursor", "outbox", "incidents", "rules", "sinks", "mqtt_published", "zones"):
        op.drop_table(table)


def _create_zones() -> None:
    op.create_table(
        "zones",
        sa.Column("stream_id", sa.String(40), primary_key=True),
        sa.Column("zones", sa.JSON(), nullable=False),
        sa.Column("changed_at", _DOUBLE, nullable=False),
    )


def _create_mqtt_published() -> None:
    op.create_table(
        "mqtt_published",
        sa.Column("sink_id", sa.String(40), primary_key=True),
        sa.Column("topic", sa.Text(), primary_key=True),
        sa.Column("stream_id", sa.String(40), nullable=True),
    )


def _create_sinks() -> None:
    op.create_table(
        "sinks",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("secrets_sealed", sa.Text(), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("disabled_reason", sa.Text(), server_default="", nullable=False),
        sa.Column("failing_since", _DOUBLE, nullable=True),
        sa.Column("created_at", _DOUBLE, nullable=False),
    )


def _create_rules() -> None:
    op.create_table(
        "rules",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("snoozed_until", _DOUBLE, nullable=True),
        sa.Column("created_at", _DOUBLE, nullable=False),
    )


def _create_incidents() -> None:
    op.create_table(
        "incidents",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("rule_id", sa.String(40), nullable=False),
        sa.Column("rule_name", sa.Text(), nullable=False),
        sa.Column("stream_id", sa.String(40), nullable=False),
        sa.Column("zone", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=True),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("tracks", sa.JSON(), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("confidence", _DOUBLE, nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("started_at", _DOUBLE, nullable=False),
        sa.Column("updated_at", _DOUBLE, nullable=False),
        sa.Column("ended_at", _DOUBLE, nullable=True),
        sa.Column("start_s", _DOUBLE, nullable=False),
        sa.Column("end_s", _DOUBLE, nullable=True),
        sa.Column("snapshot_path", sa.Text(), nullable=True),
        sa.Column("clip_path", sa.Text(), nullable=True),
        sa.Column("clip_state", sa.String(10), server_default="none", nullable=False),
        sa.Column("clip_reason", sa.Text(), server_default="", nullable=False),
        sa.Column("kept", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("muted", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("people", sa.Integer(), server_default="0", nullable=False),
        sa.Column("n", sa.Integer(), server_default="0", nullable=False),
        sa.Column("terms", sa.JSON(), nullable=False),
    )
    op.create_index("ix_incidents_started", "incidents", ["started_at", "id"])
    op.create_index("ix_incidents_stream", "incidents", ["stream_id", "started_at"])
    op.create_index("ix_incidents_ended", "incidents", ["ended_at"])
    op.create_index("ix_incidents_clip", "incidents", ["clip_state"])


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", _SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("sink_id", sa.String(40), nullable=False),
        sa.Column("incident_id", sa.String(40), nullable=True),
        sa.Column("stream_id", sa.String(40), nullable=True),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_at", _DOUBLE, nullable=False),
        sa.Column("lease_until", _DOUBLE, nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", _DOUBLE, nullable=False),
        sa.Column("delivered_at", _DOUBLE, nullable=True),
        sa.Column("expires_at", _DOUBLE, nullable=True),
    )
    op.create_index("ix_outbox_due", "outbox", ["state", "next_at"])
    op.create_index("ix_outbox_order", "outbox", ["sink_id", "incident_id", "n"])


def _create_alert_cursor() -> None:
    op.create_table(
        "alert_cursor",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.JSON(), nullable=False),
    )
